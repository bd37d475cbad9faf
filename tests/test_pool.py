import numpy as np
import pytest

from scaling_utils import load_runs
from scaling_utils.fitting.prior import pool
from scaling_utils.pool import GROUPS, SIBLINGS, coordinates_of
from scaling_utils.posterior import COORDINATES
from scaling_utils.published.catalogue import catalogue


def test_groups_are_whole_and_those_of_the_catalogue() -> None:
    known = catalogue()
    table = pool().set_index("group")
    assert set(table.index) == set(GROUPS)
    for group, members in GROUPS.items():
        listed = (*members, *SIBLINGS.get(group, ()))
        assert table.loc[group, "families"].split() == list(listed)
        assert {known[name].group for name in listed} == {group}


@pytest.mark.needs_published
@pytest.mark.parametrize("group", ["gpt3", "opt"])
def test_a_group_again_gives_the_kept_coordinates(group: str) -> None:
    theta = coordinates_of(load_runs(GROUPS[group][0], progress=False))
    kept = pool().set_index("group").loc[group, list(COORDINATES)].to_numpy("float64")
    np.testing.assert_allclose(theta, kept, atol=1e-4)
