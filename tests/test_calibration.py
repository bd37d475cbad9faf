import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_utils.calibration import (
    cell_weights,
    claimed_sd,
    factor,
    factor_of,
    largest_tested,
    scores,
)
from scaling_utils.errors import UnknownOptionError


@given(st.floats(0.01, 0.98), st.floats(0.001, 0.019))
def test_a_higher_level_never_has_a_smaller_factor(level: float, more: float) -> None:
    assert factor(level) <= factor(level + more)


def test_a_factor_holds_its_share_of_the_weight() -> None:
    table = scores()
    weight = cell_weights(table)
    assert weight.sum() == pytest.approx(1, rel=1e-12)
    for level in (0.5, 0.9):
        inside = table["score"].abs() <= factor(level)
        assert weight[inside].sum() >= level - 1e-9
        # One cell less would not be enough.
        fewer = table["score"].abs() < factor(level)
        assert weight[fewer].sum() < level


def test_groups_have_one_voice_each() -> None:
    crowd = pd.DataFrame({"group": "a", "family": "a1", "score": np.ones(99)})
    lone = pd.DataFrame({"group": "b", "family": "b1", "score": [5.0]})
    assert factor_of(pd.concat([crowd, lone]), 0.6) == 5.0


def test_leaving_a_family_out_leaves_its_group_out() -> None:
    table = scores()
    others = table[table["group"] != "pythia"]
    assert factor(0.9, without=["pythia-deduped"]) == factor_of(others, 0.9)
    assert factor(0.9, without=["no such family"]) == factor(0.9)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 90.0, float("nan")])
def test_levels_are_shares(level: float) -> None:
    with pytest.raises(UnknownOptionError, match=r"between 0 and 1, for instance 0\.9"):
        factor(level)


def test_a_claim_grows_with_all_it_takes_in() -> None:
    least = float(claimed_sd(0.01, 0.0, 1.0))
    assert float(claimed_sd(0.01, 0.02, 1.0)) > least
    assert float(claimed_sd(0.01, 0.0, 10.0)) > least
    assert float(claimed_sd(0.01, 0.0, 0.1)) == least
    assert largest_tested() > 100
