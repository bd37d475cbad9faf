import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, fit_law
from scaling_utils.accuracy import coverage
from scaling_utils.confidence import prediction_error
from scaling_utils.errors import SelectionError, UnknownOptionError
from scaling_utils.fitting.prior import pool
from scaling_utils.interval_studies import (
    CLAIMS,
    KINDS,
    TARGET,
    TRAIN_SIZES,
    coverage_curve,
    half_widths,
    held,
    known_truth_study,
    ladder,
    pool_laws,
)
from scaling_utils.simulate import simulate_family

LAW = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
TOKENS = [1e9 * k for k in range(1, 31)]


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return simulate_family(LAW, TRAIN_SIZES, TOKENS, rng, run_noise=0.005)


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    """Three groups whose errors are normal, with claims twice as small as they should be."""
    rng = np.random.default_rng(2)
    count = 600
    error = 0.02 * rng.standard_normal(count)
    return pd.DataFrame(
        {
            "group": np.repeat(["a", "b", "c"], count // 3),
            "family": np.repeat(["a", "b", "c"], count // 3),
            "method": "pooled",
            "scale_up": 4.0,
            "log_error": error,
            "log_sd": 0.005,
            "score": error / 0.01,
        }
    )


def test_each_kind_is_what_its_name_says(runs) -> None:
    table = half_widths(runs, *TARGET, 0.9)
    assert tuple(table.index) == KINDS
    squares = fit_law(runs, method="least_squares")
    for units in KINDS[:2]:
        error = prediction_error(squares, runs, *TARGET, units=units)
        wanted = 1.6448536 * error / squares.predict(*TARGET)
        assert table.loc[units, "half"] == pytest.approx(wanted, rel=1e-7)
    low, high = fit_law(runs, method="pooled").interval(*TARGET, 0.9)
    middle = table.loc["calibrated", "predicted"]
    assert table.loc["calibrated", "half"] * middle * 2 == pytest.approx(high - low)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, float("nan")])
def test_levels_that_are_no_share_are_refused(runs, level) -> None:
    with pytest.raises(UnknownOptionError, match="level"):
        half_widths(runs, *TARGET, level)


def test_laws_of_the_pool_have_its_exponents() -> None:
    laws, table = pool_laws(), pool().set_index("group")
    assert set(laws) == set(table.index)
    for group, law in laws.items():
        assert law.alpha == pytest.approx(np.exp(table.loc[group, "log_alpha"]))
        assert law.A * 1e9**-law.alpha == pytest.approx(np.exp(table.loc[group, "log_a"]))


def test_counting_checkpoints_holds_too_little() -> None:
    study = known_truth_study(np.random.default_rng(3), each=2)
    assert len(study) == len(KINDS) * 2 * len(pool())
    table = held(study)
    assert table.loc["checkpoints", "curve"] < 0.5 < table.loc["runs", "curve"]
    assert table.loc["checkpoints", "error"] == table.loc["runs", "error"]


def test_without_noise_every_kind_but_the_calibrated_claims_to_be_certain() -> None:
    study = known_truth_study(np.random.default_rng(4), each=1, run_noise=0, checkpoint_noise=0)
    half = held(study)["half"]
    assert half["checkpoints"] < 1e-6
    assert half["runs"] < 1e-6
    assert half["calibrated"] > 0.01


def test_ladder_compares_with_the_end_of_the_largest(runs) -> None:
    table = ladder(runs)
    assert table["n_models"].unique().tolist() == [3, 4]
    assert table["scale_up"].unique() == pytest.approx([10.0, 10**0.5])
    largest = runs[runs["params"] == runs["params"].max()]
    last = largest.sort_values("tokens")["loss"].iloc[-1]
    assert table["measured"].unique().tolist() == [last]
    off = (table["measured"] / table["predicted"] - 1).abs()
    assert ((off <= table["half"]) == table["inside"]).all()
    with pytest.raises(SelectionError, match="lower fewest"):
        ladder(runs, fewest=5)


def test_coverage_corrects_a_claim_that_is_too_small(study) -> None:
    curve = coverage_curve(study, [0.5, 0.9])
    assert len(curve) == 2 * len(CLAIMS) * 3
    mean = curve.groupby(["claim", "level"])["held"].mean()
    # Errors of 0.02 against claims of 0.005, 0.01, and whatever the other groups ask for.
    assert mean["posterior", 0.9] == pytest.approx(0.319, abs=0.06)
    assert mean["claim", 0.9] == pytest.approx(0.589, abs=0.06)
    assert mean["calibrated", 0.9] == pytest.approx(0.9, abs=0.04)
    assert mean["calibrated", 0.5] == pytest.approx(0.5, abs=0.06)


def test_calibrated_coverage_is_that_of_the_study(study) -> None:
    curve = coverage_curve(study, [0.8])
    cells = coverage(study, 0.8)
    own = curve[curve["claim"] == "calibrated"].set_index("group")
    wanted = cells.groupby("group")["inside"].mean()
    np.testing.assert_allclose(own["held"].loc[wanted.index], wanted)
