import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_utils import ScalingLaw, fit_law
from scaling_utils.errors import SelectionError
from scaling_utils.fit_studies import (
    BAD,
    TRUTH,
    WEIGHTS,
    Ladder,
    bad_run_study,
    equal_run_weights,
    fit_weighted,
    pair_methods,
    random_family,
    root_mean_square,
    weight_study,
)
from tests.problems import grid_family


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_families_follow_their_law(seed: int) -> None:
    law, runs = random_family(np.random.default_rng(seed), noise=0.0)
    np.testing.assert_allclose(runs["loss"], law.predict(runs["params"], runs["tokens"]), rtol=1e-9)
    assert 3 <= runs["params"].nunique() <= 8
    assert (runs.groupby("run").size() == 8).all()


def test_runs_weigh_the_same() -> None:
    runs = pd.DataFrame({"run": ["a"] * 5 + ["b"] * 2 + ["c"]})
    weights = equal_run_weights(runs)
    assert weights.mean() == pytest.approx(1)
    sums = pd.Series(weights).groupby(runs["run"]).sum()
    assert sums.max() == pytest.approx(sums.min())


def test_weights_are_repetitions() -> None:
    _, runs = random_family(np.random.default_rng(2))
    times = np.random.default_rng(3).integers(1, 4, len(runs))
    weighted = fit_weighted(runs, times.astype("float64"))
    again = runs.loc[runs.index.repeat(times)].reset_index(drop=True)
    again["run"] = [f"run {i}" for i in range(len(again))]
    repeated = fit_weighted(again, np.ones(len(again)))
    assert pytest.approx(repeated.E, rel=1e-6) == weighted.E
    assert weighted.alpha == pytest.approx(repeated.alpha, rel=1e-6)


def test_equal_weights_are_no_weights() -> None:
    runs = grid_family()
    law = fit_law(runs, method="least_squares")
    assert pytest.approx(law.B, rel=1e-6) == fit_weighted(runs, equal_run_weights(runs)).B


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(40), np.full(40, np.nan)])
def test_refuses_bad_weights(weights: np.ndarray) -> None:
    assert len(grid_family()) == 40
    with pytest.raises(SelectionError, match="one weight for each row"):
        fit_weighted(grid_family(), weights)


def test_a_ladder_follows_its_law() -> None:
    ladder = Ladder(noise=0.0)
    runs = ladder.runs(np.random.default_rng(1))
    assert len(runs) == runs["run"].nunique() == 35
    assert sorted((runs["tokens"] / runs["params"]).round(6).unique()) == list(ladder.ratios)
    np.testing.assert_allclose(
        runs["loss"], TRUTH.predict(runs["params"], runs["tokens"]), rtol=1e-9
    )
    noisy = Ladder(noise=0.01, sizes=40).runs(np.random.default_rng(2))
    deviation = np.log(noisy["loss"] / TRUTH.predict(noisy["params"], noisy["tokens"]))
    assert deviation.std() == pytest.approx(0.01, rel=0.2)


def test_without_noise_only_the_bad_run_matters() -> None:
    study = bad_run_study(
        Ladder(noise=0.0),
        ["least_squares", "log_huber"],
        np.random.default_rng(3),
        shift=0.05,
        draws=3,
    )
    assert set(study["bad"]) == set(BAD)
    error = study.groupby(["bad", "method"])["error"].apply(root_mean_square)
    assert error["none", "least_squares"] < 1e-5
    assert error["none", "log_huber"] < 1e-5
    assert error["one run", "log_huber"] < 1e-3
    assert error["one run", "least_squares"] > 2e-3
    assert error["one size", "least_squares"] > error["one run", "least_squares"]


def test_all_methods_see_the_same_families() -> None:
    study = bad_run_study(
        Ladder(), ["least_squares", "curve_fit"], np.random.default_rng(4), draws=3
    )
    table = study.pivot_table(index=["draw", "bad"], columns="method", values="error")
    np.testing.assert_allclose(table["curve_fit"], table["least_squares"], atol=1e-5)


def test_weights_matter_where_deviations_last() -> None:
    plain = weight_study(np.random.default_rng(5), length=0.0, draws=12).apply(root_mean_square)
    last = weight_study(np.random.default_rng(5), length=0.3, draws=12).apply(root_mean_square)
    assert list(plain.index) == list(WEIGHTS)
    assert plain["checkpoints"] < plain["runs"]
    assert plain["checkpoints"] < last["checkpoints"]
    clean = weight_study(np.random.default_rng(5), length=0.3, draws=1, scale=0.0)
    assert clean.abs().to_numpy().max() < 1e-5


def test_pairs_need_both_methods() -> None:
    base = {
        "family": "opt",
        "n_models": 3,
        "smallest_params": 1e8,
        "largest_params": 1e9,
        "status": "ok",
    }
    cells = pd.DataFrame(
        [
            base | {"method": "a", "fraction": 0.5, "are": 0.1, "predicted_loss": 2.2},
            base | {"method": "b", "fraction": 0.5, "are": 0.05, "predicted_loss": 2.0},
            base | {"method": "a", "fraction": 1.0, "are": 0.1, "predicted_loss": 2.0},
            base | {"method": "b", "fraction": 1.0, "are": 0.1, "predicted_loss": 2.001},
            base | {"method": "a", "fraction": 0.7, "are": 0.1, "predicted_loss": 2.0},
            base
            | {"method": "b", "fraction": 0.7, "are": 0.1, "predicted_loss": 3.0, "status": "no"},
        ]
    )
    both = pair_methods(cells, "a", "b")
    assert both["fraction"].tolist() == [0.5, 1.0]
    assert both["apart"].tolist() == pytest.approx([0.1, 0.001 / 2.001])
    assert pair_methods(cells, "a", "b", apart=0.01)["fraction"].tolist() == [0.5]


def test_root_mean_square_leaves_out_what_is_missing() -> None:
    assert root_mean_square(pd.Series([3.0, -3.0, np.nan])) == pytest.approx(3)


def test_truth_is_a_law_of_its_own() -> None:
    assert isinstance(TRUTH, ScalingLaw)
    params, tokens = TRUTH.compute_optimal(5.76e23)
    assert tokens / params == pytest.approx(17.9, abs=0.3)
