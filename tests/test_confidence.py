import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, fit_law
from scaling_utils.confidence import (
    UNITS,
    add_correlated_noise,
    count_study,
    coverage,
    prediction_error,
)
from scaling_utils.errors import SelectionError, UnknownOptionError
from scaling_utils.simulate import simulate_family

TRUTH = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
SIZES = 1e8 * 2.0 ** np.arange(6)
TOKENS = np.linspace(2e10, 2e11, 12)
AT = (2e10, 2e11)


def clean() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return simulate_family(TRUTH, SIZES, TOKENS, rng, checkpoint_noise=0, run_noise=0)


def test_noise_has_the_scale_and_the_memory_that_were_asked_for() -> None:
    long = pd.DataFrame({"run": "a", "tokens": np.arange(1, 20_001) * 1e9, "loss": 2.0})
    noisy = add_correlated_noise(long, np.random.default_rng(1), scale=0.01, length=5e9)
    noise = noisy["loss"].to_numpy() / 2 - 1
    assert noise.std() == pytest.approx(0.01, rel=0.05)
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] == pytest.approx(np.exp(-0.2), abs=0.02)
    assert np.corrcoef(noise[:-5], noise[5:])[0, 1] == pytest.approx(np.exp(-1), abs=0.05)


def test_runs_do_not_share_noise() -> None:
    two = pd.DataFrame({"run": ["a", "b"], "tokens": [1e9, 1e9], "loss": [2.0, 2.0]})
    noisy = add_correlated_noise(two, np.random.default_rng(1), scale=0.01, length=1e15)
    assert noisy["loss"].nunique() == 2


def test_standard_error_is_that_of_repeated_fits() -> None:
    rng = np.random.default_rng(2)
    table = clean()
    claimed, predicted = [], []
    for _ in range(80):
        runs = add_correlated_noise(table, rng, scale=0.002, length=0)
        law = fit_law(runs, method="least_squares")
        predicted.append(law.predict(*AT))
        claimed.append(prediction_error(law, runs, *AT))
    assert np.mean(claimed) == pytest.approx(np.std(predicted), rel=0.25)


def test_units_agree_on_independent_noise_and_part_on_lasting() -> None:
    rng = np.random.default_rng(3)
    studies = {
        length: coverage(
            count_study(TRUTH, SIZES, TOKENS, AT, rng, counts=(12,), length=length, draws=30)
        ).loc[12]
        for length in (0.0, 1e12)
    }
    assert studies[0.0]["worth"] > 10
    assert studies[0.0][list(UNITS)].min() > 0.7
    assert studies[1e12]["worth"] < 2
    assert studies[1e12]["checkpoints"] < 0.6 < studies[1e12]["runs"]
    assert studies[1e12]["error"] > 2 * studies[1e12]["claimed"]


def test_what_cannot_be_measured_is_refused() -> None:
    table = clean()
    with pytest.raises(UnknownOptionError, match="models"):
        prediction_error(TRUTH, table, *AT, units="models")
    with pytest.raises(SelectionError, match="5 parameters"):
        prediction_error(TRUTH, table.head(4), *AT)
    with pytest.raises(SelectionError, match="one run"):
        prediction_error(TRUTH, table.head(12), *AT, units="runs")
