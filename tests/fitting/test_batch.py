import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_utils.errors import UnknownOptionError
from scaling_utils.fitting import batch
from scaling_utils.fitting.batch import fit_batch
from scaling_utils.fitting.varpro import EXPONENT_BOX, fit_varpro
from scaling_utils.law import PARAMETERS
from tests.problems import TRUTH, grid_family, random_problem

HELD = ({}, {}, {"E": 1.0}, {"A": 300.0, "alpha": 0.35}, {"beta": 0.3}, {"B": 9.0}, {"alpha": 0.2})


def arrays(problem):  # type: ignore[no-untyped-def]
    return tuple(problem[c].to_numpy() for c in ("params", "tokens", "loss"))


def value(law, params, tokens, loss, weights):  # type: ignore[no-untyped-def]
    E, A, B, alpha, beta = law
    return weights @ (E + A * params**-alpha + B * tokens**-beta - loss) ** 2


def resampled(seed: int):  # type: ignore[no-untyped-def]
    """A problem whose sizes, or halves of sizes, are groups with random weights, some zero."""
    rng = np.random.default_rng(seed)
    params, tokens, loss = arrays(random_problem(rng)[0])
    group = 2 * np.unique(params, return_inverse=True)[1] + (tokens > np.median(tokens))
    groups = int(group.max()) + 1
    weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=12).astype(float)
    weights *= rng.uniform(0.1, 3, weights.shape) if seed % 2 else 1
    held = HELD[seed % len(HELD)]
    needs_two = not {"A", "alpha"} <= set(held)
    seen = [np.unique(params[w[group] > 0]) for w in weights]
    rows = [(w[group] > 0).sum() for w in weights]
    enough = [len(s) > 1 or not needs_two for s in seen]
    keep = np.array(enough) & (np.array(rows) >= len(PARAMETERS))
    return params, tokens, loss, group, weights[keep], held


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_one_law_at_a_time(seed: int) -> None:
    params, tokens, loss, group, weights, held = resampled(seed)
    laws, objective = fit_batch(params, tokens, loss, group, weights, held)
    for law, found, w in zip(laws, objective, weights, strict=True):
        used = w[group] > 0
        some = params[used], tokens[used], loss[used]
        _, expected = fit_varpro(*some, held, w[group][used])
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-18 * float(w[group] @ loss**2))
        assert value(law, *some, w[group][used]) == pytest.approx(found, rel=1e-6)
        assert (law >= 0).all()
        for name, number in held.items():
            assert law[PARAMETERS.index(name)] == number


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_recovers_a_noise_free_law(seed: int) -> None:
    runs, truth = random_problem(np.random.default_rng(seed), noise=0.0)
    params, tokens, loss = arrays(runs)
    laws, _ = fit_batch(params, tokens, loss, np.zeros(len(loss), dtype=int), np.ones((2, 1)))
    expected = [getattr(truth, name) for name in PARAMETERS]
    assert laws[0] == pytest.approx(expected, rel=1e-6)
    assert (laws[0] == laws[1]).all()


def parts_of_a_family(runs, sizes, fraction):  # type: ignore[no-untyped-def]
    """The training sets of one family, as groups of one checkpoint each."""
    params, tokens, loss = arrays(runs)
    weights = np.array(
        [
            (np.isin(params, s) & (tokens < f * tokens.max())).astype(float)
            for s in sizes
            for f in fraction
        ]
    )
    return params, tokens, loss, np.arange(len(loss)), weights


def test_nested_training_sets_of_two_sizes_and_more() -> None:
    runs = grid_family(sizes=(1e8, 3e8, 1e9, 1e10))
    runs["loss"] *= np.exp(np.random.default_rng(1).normal(0, 0.001, len(runs)))
    sizes = np.unique(runs["params"])
    params, tokens, loss, group, weights = parts_of_a_family(
        runs, [sizes[:2], sizes[1:3], sizes[:3], sizes], (0.4, 0.7, 1.1)
    )
    laws, objective = fit_batch(params, tokens, loss, group, weights)
    for law, found, w in zip(laws, objective, weights > 0, strict=True):
        one, expected = fit_varpro(params[w], tokens[w], loss[w], {})
        assert found == pytest.approx(expected, rel=1e-9)
        assert law == pytest.approx([one[name] for name in PARAMETERS], rel=1e-4)
    assert laws[:6, 3] == pytest.approx(0.35, rel=1e-12)  # two sizes: by convention


def test_two_sizes_that_the_usual_exponent_does_not_fit() -> None:
    # The loss falls so steeply with size that E would be negative at an exponent of 0.35.
    params, tokens = (a.ravel() for a in np.meshgrid([1e8, 1e10], np.geomspace(1e9, 1e11, 6)))
    loss = 1e4 * params**-0.45 + 50 * tokens**-0.2
    laws, objective = fit_batch(params, tokens, loss, np.zeros(12, dtype=int), np.ones((1, 1)))
    one, _ = fit_varpro(params, tokens, loss, {})
    assert objective[0] == pytest.approx(0, abs=1e-18)
    assert laws[0] == pytest.approx([one[name] for name in PARAMETERS], rel=1e-6)
    assert laws[0, :2] == pytest.approx([0, 1e4], rel=1e-6)
    assert laws[0, 3] == pytest.approx(0.45, rel=1e-6)


def test_exponent_at_the_bound_and_a_term_of_zero() -> None:
    params, tokens = (
        a.ravel() for a in np.meshgrid(np.geomspace(1e7, 1e10, 5), np.geomspace(1e9, 1e12, 7))
    )
    straight = 8 - 0.3 * np.log10(params) - 0.2 * np.log10(tokens)
    without_size = 2 + 1e4 * tokens**-0.5 + 1e-3 * np.cos(np.arange(35.0))
    upside_down = without_size + 0.01 * np.log10(params)
    for loss in (straight, without_size, upside_down):
        laws, objective = fit_batch(params, tokens, loss, np.zeros(35, dtype=int), np.ones((1, 1)))
        _, expected = fit_varpro(params, tokens, loss, {})
        assert objective[0] == pytest.approx(expected, rel=1e-6)
    assert laws[0, 1] == 0
    low, high = EXPONENT_BOX
    assert low <= laws[0, 3:].min() <= laws[0, 3:].max() <= high


def test_what_rounding_hides_is_left_to_the_careful_fit(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    runs, truth = random_problem(np.random.default_rng(5049), noise=0.0)
    calls = []
    monkeypatch.setattr(batch, "fit_varpro", lambda *a: calls.append(a) or fit_varpro(*a))
    params, tokens, loss = arrays(runs)
    laws, _ = fit_batch(params, tokens, loss, np.zeros(len(loss), dtype=int), np.ones((1, 1)))
    assert calls
    assert laws[0] == pytest.approx([getattr(truth, name) for name in PARAMETERS], rel=1e-6)


def test_blocks_do_not_matter(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    problem = resampled(8)
    laws, objective = fit_batch(*problem)
    monkeypatch.setattr(batch, "CELLS", 1)
    monkeypatch.setattr(batch, "ELEMENTS", 1)
    monkeypatch.setattr(batch, "ROUNDS", 3)
    again, same = fit_batch(*problem)
    assert same == pytest.approx(objective, rel=1e-9)
    assert again == pytest.approx(laws, rel=1e-4)


def test_order_and_unused_groups_do_not_matter() -> None:
    params, tokens, loss, group, weights, held = resampled(7)
    laws, _ = fit_batch(params, tokens, loss, group, weights, held)
    order = np.random.default_rng(1).permutation(len(loss))
    wide = np.insert(weights, 2, 5.0, axis=1)  # a group that no checkpoint belongs to
    moved = group[order] + (group[order] >= 2)
    again, _ = fit_batch(params[order], tokens[order], loss[order], moved, wide, held)
    assert again == pytest.approx(laws, rel=1e-5)


def test_a_law_without_checkpoints_is_missing() -> None:
    params, tokens, loss = arrays(grid_family())
    group = np.unique(params, return_inverse=True)[1]
    laws, objective = fit_batch(params, tokens, loss, group, np.array([[0, 0, 0, 0], [1, 1, 1, 1]]))
    assert np.isnan(laws[0]).all()
    assert np.isnan(objective[0])
    assert laws[1] == pytest.approx([getattr(TRUTH, name) for name in PARAMETERS], rel=1e-6)
    none, _ = fit_batch(params, tokens, loss, group, np.zeros((1, 4)))
    assert np.isnan(none).all()


@pytest.mark.parametrize("weights", [[[1.0, -1.0]], [[np.nan, 1.0]], [[1.0]]])
def test_weights_are_checked(weights: list[list[float]]) -> None:
    params, tokens, loss = arrays(grid_family())
    group = (params > 1e9).astype(int)
    with pytest.raises(UnknownOptionError, match="weights"):
        fit_batch(params, tokens, loss, group, np.array(weights))
