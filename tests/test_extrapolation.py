from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scaling_utils
from scaling_utils import ScalingLaw, fit_law
from scaling_utils.calibration import largest_tested
from scaling_utils.errors import ScalingError, UnknownOptionError
from scaling_utils.extrapolation import WARNINGS, prediction_warnings
from scaling_utils.fitting.identify import warning_names
from tests.problems import grid_family

LAW = fit_law(grid_family())  # 1e8 to 1e10 parameters, 2e10 to 2e11 tokens


def names(params: object, tokens: object, **options: float) -> tuple[str, ...]:
    return warning_names(prediction_warnings(LAW, params, tokens, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("params", "tokens", "name"),
    [
        (1.01e10 * largest_tested(), 1e11, "beyond-tested-scale-up"),
        (1e11, 2.1e11, "beyond-seen-tokens"),
        (9e7, 1e11, "below-seen-range"),
        (1e9, 1.9e10, "below-seen-range"),
    ],
)
def test_each_warning_by_itself(params: float, tokens: float, name: str) -> None:
    assert names(params, tokens) == (name,)


def test_the_limit_is_that_of_the_caller() -> None:
    assert names(2e10, 1e11) == ()
    assert names(2e10, 1e11, tested_scale_up=1.5) == ("beyond-tested-scale-up",)
    (text,) = prediction_warnings(LAW, 3e10, 1e11, tested_scale_up=2)
    assert "3 times the largest training model" in text
    assert "up to 2 times" in text


@given(st.floats(1e8, 5e12), st.floats(2e10, 2e11))
def test_nothing_to_say_within_what_was_seen_and_tested(params: float, tokens: float) -> None:
    assert names(params, tokens) == ()


def test_the_furthest_of_many_points_counts() -> None:
    assert names([1e9, 1e13], [[1e10], [1e12]]) == (
        "beyond-tested-scale-up",
        "beyond-seen-tokens",
        "below-seen-range",
    )
    (text,) = prediction_warnings(LAW, [1e9, 1e7], [1e10, 1e11])
    assert "1e+07 params" in text
    assert "1e+10 tokens" in text
    assert names([], 1e11) == ()


def test_a_law_by_hand_has_seen_nothing() -> None:
    law = ScalingLaw(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    assert warning_names(prediction_warnings(law, 1e9, 1e11)) == ("no-training-set",)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ScalingError, match="params = -1"):
        prediction_warnings(LAW, -1, 1e11)
    for limit in (0.5, float("nan")):
        with pytest.raises(UnknownOptionError, match="at least 1"):
            prediction_warnings(LAW, 1e9, 1e11, tested_scale_up=limit)


def test_every_name_is_listed() -> None:
    far = names([1e6, 1e13], [1e9, 1e13])
    assert {*far, "no-training-set"} == set(WARNINGS)


def test_the_default_limit_has_been_tested() -> None:
    kept = Path(scaling_utils.__file__).parent / "results" / "smallest.parquet"
    cells = pd.read_parquet(kept, columns=["scale_up", "status"])
    tested = cells.loc[cells["status"] == "ok", "scale_up"].max()
    np.testing.assert_allclose(largest_tested(), tested, rtol=1e-9)
