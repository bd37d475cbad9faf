import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_utils import tidy_runs
from scaling_utils.schedules import REPEATS_WORTH, planned_tokens, unfinished, unfinished_share


@given(st.floats(0, 2), st.sampled_from(["cosine", "linear decay", "constant", "unknown"]))
def test_what_is_to_come_is_a_share_and_ends_at_nothing(share: float, schedule: str) -> None:
    value = float(unfinished(schedule, share))
    assert 0 <= value <= 1
    if share >= 1:
        assert value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("schedule", ["cosine to its own length", "warm-up, then linear decay"])
def test_it_falls_along_a_run(schedule: str) -> None:
    values = unfinished(schedule, np.linspace(0, 1, 11))
    assert (np.diff(values) < 0).all()


def test_a_plan_outlives_the_rows_that_are_cut_off() -> None:
    logs = pd.DataFrame({"params": 1e8, "tokens": [1e9, 2e9, 4e9], "loss": [3.2, 3.1, 3.0]})
    runs = tidy_runs(logs)
    assert planned_tokens(runs[runs["tokens"] < 3e9]).tolist() == [4e9, 4e9]
    assert planned_tokens(runs.drop(columns="planned_tokens").iloc[:2]).tolist() == [2e9, 2e9]
    # A plan that the run has already gone beyond is none.
    assert planned_tokens(runs.assign(planned_tokens=1e9)).tolist() == [4e9] * 3


def test_repeated_data_leave_less_to_gain() -> None:
    run = {"run": "a", "tokens": [2e9, 4e9], "schedule": "cosine"}
    once = unfinished_share(pd.DataFrame(run | {"unique_tokens": 4e9}))
    often = unfinished_share(pd.DataFrame(run | {"unique_tokens": 4e8}))
    np.testing.assert_allclose(once, unfinished_share(pd.DataFrame(run)), rtol=1e-12)
    np.testing.assert_allclose(often, once * np.exp(-9 / REPEATS_WORTH), rtol=1e-12)
    missing = pd.DataFrame(run | {"unique_tokens": [None, None]})
    np.testing.assert_allclose(unfinished_share(missing), once, rtol=1e-12)
