import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_utils.errors import UnknownOptionError
from scaling_utils.fitting.batch import fit_batch
from scaling_utils.fitting.varpro import fit_varpro


def checkpoints(seed: int, sizes: int, noise: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    n = np.repeat(np.sort(10 ** rng.uniform(7, 10, sizes)), 12)
    d = np.tile(np.geomspace(2e9, 3e11, 12), sizes)
    alpha, beta = rng.uniform(0.1, 0.8, 2)
    loss = rng.uniform(0.5, 2) + 0.6 * (n / 1e9) ** -alpha + 0.4 * (d / 1e11) ** -beta
    loss = loss * (1 + noise * rng.standard_normal(len(loss)))
    return n, d, loss, np.repeat(np.arange(sizes), 12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from([1e-3, 0.01, 0.05]))
def test_many_laws_are_those_of_one_fit_each(seed: int, sizes: int, noise: float) -> None:
    n, d, loss, group = checkpoints(seed, sizes, noise)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, (6, sizes)).astype("float64")
    weights[:, :2] = np.maximum(weights[:, :2], 1.0)
    laws, objective = fit_batch(n, d, loss, group, weights)
    for k in range(len(weights)):
        used = weights[k, group] > 0
        _, best = fit_varpro(n[used], d[used], loss[used], {}, weights[k, group][used])
        assert objective[k] == pytest.approx(best, rel=1e-6, abs=1e-12)
        e, a, b, alpha, beta = laws[k]
        assert min(laws[k]) >= 0
        residual = loss[used] - e - a * n[used] ** -alpha - b * d[used] ** -beta
        assert weights[k, group][used] @ residual**2 == pytest.approx(
            objective[k], rel=1e-6, abs=1e-12
        )


@pytest.mark.parametrize("fixed", [{"E": 1.0}, {"A": 300.0, "alpha": 0.3}, {"beta": 0.3}])
def test_what_is_held_stays(fixed: dict[str, float]) -> None:
    n, d, loss, group = checkpoints(3, 5, 0.01)
    laws, objective = fit_batch(n, d, loss, group, np.ones((1, 5)), fixed)
    _, best = fit_varpro(n, d, loss, fixed)
    assert objective[0] == pytest.approx(best, rel=1e-6)
    for name, value in fixed.items():
        assert laws[0, ["E", "A", "B", "alpha", "beta"].index(name)] == pytest.approx(value)


def test_a_law_without_checkpoints_is_missing() -> None:
    n, d, loss, group = checkpoints(4, 4, 0.01)
    laws, _ = fit_batch(n, d, loss, group, np.array([[1.0] * 4, [0.0] * 4]))
    assert np.isfinite(laws[0]).all()
    assert np.isnan(laws[1]).all()


@pytest.mark.parametrize("weights", [[[1.0, -1.0]], [[1.0, np.nan]], [[1.0]]])
def test_weights_are_checked(weights: list[list[float]]) -> None:
    n, d, loss, group = checkpoints(5, 2, 0.01)
    with pytest.raises(UnknownOptionError):
        fit_batch(n, d, loss, group, np.array(weights))
