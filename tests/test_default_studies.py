import numpy as np
import pandas as pd
import pytest

from scaling_utils import absolute_relative_error, fit_law, load_runs, sizes, split_target
from scaling_utils.accuracy import load_study
from scaling_utils.borrow import single_models
from scaling_utils.default_studies import (
    METHODS,
    SAME,
    beside_restricted,
    default_errors,
    seed_errors,
)
from scaling_utils.errors import SelectionError
from scaling_utils.fitting.prior import pooled_prior
from scaling_utils.metrics import relative_residuals
from scaling_utils.restricted import load_study as load_restricted
from scaling_utils.seeds import draw_seeds


def test_drawn_seeds_are_fitted_as_fit_law_fits_them() -> None:
    runs = load_runs("house-lstm")
    errors = seed_errors(runs, np.random.default_rng(3), draws=2)
    train, target = split_target(runs)
    # The target's own seeds are averaged: their chance is not that of the training seeds.
    goal = target.groupby(["params", "tokens"], as_index=False)["loss"].mean()
    rng = np.random.default_rng(3)
    for draw in range(2):
        one = draw_seeds(train, rng)
        assert one.groupby("params")["seed"].nunique().eq(1).all()
        for method in METHODS:
            again = relative_residuals(fit_law(one, method=method), goal).mean()
            assert errors.loc[draw, method] == pytest.approx(again, abs=1e-6)


def test_seeds_are_drawn_by_the_generator_alone() -> None:
    runs = load_runs("house-prose")
    one, two, other = (
        seed_errors(runs, np.random.default_rng(seed), draws=3) for seed in (4, 4, 5)
    )
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)


def test_a_family_without_repeats_has_no_choice() -> None:
    with pytest.raises(SelectionError, match="several seeds"):
        seed_errors(load_runs("house-code"), np.random.default_rng(1))


def test_the_default_alone_has_the_borrowers_and_targets_of_the_loans() -> None:
    runs = load_runs(["house-code", "house-lstm"])
    groups = dict.fromkeys(("house-code", "house-lstm"), "house")
    found = default_errors(runs, groups)
    borrowers = [(one.family, one.small) for one in single_models(runs)]
    assert list(zip(found["family"], found["params"], strict=True)) == borrowers
    assert (found["n_models"] == 1).all()


def test_the_default_is_fitted_as_fit_law_fits_it() -> None:
    runs = load_runs("house-code")
    found = default_errors(runs, {"house-code": "opt"}, counts=[1, 3, 99]).set_index("n_models")
    assert found.index.tolist() == [1, 3]
    train, target = split_target(runs)
    goal = target[target["tokens"] >= 0.7 * target["tokens"].max()]
    for n in found.index:
        some = train[train["params"].isin(sizes(runs)[:n])]
        law = fit_law(some, prior=pooled_prior(without="opt"))
        again = absolute_relative_error(law, goal)
        assert found.loc[n, "are"] == pytest.approx(again, abs=1e-5)
        assert found.loc[n, "params"] == sizes(runs)[n - 1]


def test_restricted_laws_are_compared_on_the_same_training_sets() -> None:
    study, accuracy = load_restricted(), load_study()
    found = beside_restricted(study, accuracy)
    assert not found.duplicated(["cell", "family"]).any()
    assert found.notna().all().all()
    keys = ["family", "n_models"]
    full = accuracy[accuracy["fraction"] == 1.0]
    for method, column in (("pooled", "default"), ("least_squares", "all five")):
        kept = full[full["method"] == method].set_index(keys)["are"]
        places = pd.MultiIndex.from_frame(found[["family", "models"]])
        off = found[column].to_numpy() / kept.loc[places].to_numpy() - 1
        assert np.abs(off).max() <= (SAME if method == "least_squares" else 0)
