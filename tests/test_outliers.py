import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, fit_law, split_target
from scaling_utils.outliers import (
    cross_validate,
    fit_huber,
    fit_without_suspect,
    folds,
    gradient,
    model_shifts,
    suspect,
)
from scaling_utils.synthetic import synthetic_runs

LAW = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
TOKENS = 3e11 * np.arange(1, 9) / 8


def family(models=7, seed=0, noise=0.002, **options) -> pd.DataFrame:
    sizes = np.geomspace(1e8, 6e9, models)
    rng = np.random.default_rng(seed)
    return synthetic_runs(LAW, sizes, TOKENS, rng, model_noise=noise, **options)


def test_gradient_agrees_with_differences() -> None:
    n, d = np.array([1e8, 3e9]), np.array([1e10, 2e11])
    exact = gradient(LAW, n, d)
    for column, name in enumerate(("E", "A", "B", "alpha", "beta")):
        value = getattr(LAW, name)
        step = 1e-6 * value
        numbers = {p: getattr(LAW, p) for p in ("E", "A", "B", "alpha", "beta")}
        high = ScalingLaw(**numbers | {name: value + step}).predict(n, d)
        low = ScalingLaw(**numbers | {name: value - step}).predict(n, d)
        np.testing.assert_allclose(exact[:, column], (high - low) / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("models", [5, 6, 7, 10])
def test_models_less_four_degrees_of_freedom(models: int) -> None:
    """Three models go into E, A and alpha, and one into the shift."""
    table = model_shifts(family(models))
    np.testing.assert_allclose(table["df"], models - 4, atol=1e-6)


def test_four_models_cannot_be_checked() -> None:
    table = model_shifts(family(4))
    assert table["p"].isna().all()
    assert suspect(table) is None
    assert suspect(table, 1.0) is None


def test_shift_agrees_with_the_distance_from_the_law_of_the_others() -> None:
    """The one-step shift is that of a refit, for a model inside the range."""
    runs = family(7, seed=3)
    table = model_shifts(runs).set_index("params")
    for size in table.index[1:-1]:
        law = fit_law(runs[runs["params"] != size], method="least_squares")
        own = runs[runs["params"] == size]
        apart = float((own["loss"] / law.predict(own["params"], own["tokens"]) - 1).mean())
        assert table.loc[size, "shift"] == pytest.approx(apart, abs=3e-4)


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_planted_model_is_found_with_its_shift(place: int) -> None:
    sizes = np.geomspace(1e8, 6e9, 7)
    runs = family(7, noise=0.0005, shifts={sizes[place]: 0.02})
    table = model_shifts(runs)
    assert suspect(table) == pytest.approx(sizes[place])
    assert table["shift"].iloc[place] == pytest.approx(0.02, abs=0.006)
    law, dropped = fit_without_suspect(runs)
    assert dropped == pytest.approx(sizes[place])
    at = (3e10, 3e11)
    worse = fit_law(runs, method="least_squares")
    true = LAW.predict(*at)
    assert abs(law.predict(*at) - true) < abs(worse.predict(*at) - true)


def test_a_good_family_keeps_its_models() -> None:
    law, dropped = fit_without_suspect(family(7, seed=5))
    assert dropped is None
    assert law.alpha == fit_law(family(7, seed=5), method="least_squares").alpha


def test_false_alarms_are_as_rare_as_said() -> None:
    named = [suspect(model_shifts(family(7, seed=s)), 0.2) is not None for s in range(60)]
    # 20 % of 60 are 12; Bonferroni makes it a little fewer.
    assert 4 <= sum(named) <= 20


def test_huber_resists_a_bad_middle_model() -> None:
    sizes = np.geomspace(1e8, 6e9, 7)
    runs = family(7, seed=2, noise=0.0, shifts={sizes[3]: 0.03})
    assert fit_huber(runs).alpha == pytest.approx(0.35, abs=0.01)
    assert abs(fit_law(runs, method="least_squares").alpha - 0.35) > 0.015


def test_huber_without_noise_is_exact() -> None:
    law = fit_huber(family(noise=0.0))
    for name in ("E", "A", "B", "alpha", "beta"):
        assert getattr(law, name) == pytest.approx(getattr(LAW, name), rel=1e-4)


def test_huber_minimises_its_own_loss() -> None:
    runs = family(7, seed=4, noise=0.01)

    def loss(law):
        r = np.abs(np.log(law.predict(runs["params"], runs["tokens"])) - np.log(runs["loss"]))
        return np.where(r < 1e-3, r**2 / 2, 1e-3 * (r - 5e-4)).sum()

    best = fit_huber(runs)
    assert loss(best) < loss(fit_law(runs, method="least_squares"))
    numbers = {p: getattr(best, p) for p in ("E", "A", "B", "alpha", "beta")}
    for name, value in numbers.items():
        for factor in (0.999, 1.001):
            assert loss(ScalingLaw(**numbers | {name: factor * value})) >= loss(best) - 1e-12


def test_folds_leave_out_one_model_or_the_guides_two() -> None:
    runs = family(4)
    sizes = np.unique(runs["params"])
    for i, fold in enumerate(folds(runs)):
        assert fold.params == sizes[i]
        assert set(fold.train["params"]) == set(sizes) - {sizes[i]}
        assert (fold.held_out["params"] == sizes[i]).all()
        assert fold.held_out["tokens"].min() >= 0.7 * TOKENS.max()
    released = [set(fold.train["params"]) for fold in folds(runs, as_released=True)]
    assert released[0] == set(sizes[1:])
    assert released[2] == set(sizes) - {sizes[1], sizes[2]}
    cut = folds(runs, until=0.7)[0].train
    assert cut["tokens"].max() < 0.7 * TOKENS.max()


def test_cross_validation_of_an_exact_family_is_exact() -> None:
    split = split_target(family(6, noise=0.0))
    table = cross_validate(split.train, split.target)
    assert (table["status"] == "ok").all()
    assert table["error"].max() < 1e-6
    assert table["target_error"].max() < 1e-6


def test_cross_validation_says_which_fold_failed() -> None:
    split = split_target(family(3, noise=0.0))
    table = cross_validate(split.train, split.target)
    assert table["status"].str.startswith("failed").all()
    assert table["error"].isna().all()
