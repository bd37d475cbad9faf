import numpy as np
import pytest

from scaling_utils.errors import FitError
from scaling_utils.fitting.prior import SMALLEST_SPREAD, pool, pooled_prior, prior_of


def test_nothing_of_a_family_or_its_siblings_is_in_its_prior() -> None:
    table = pool()
    for _, row in table.iterrows():
        for family in row["families"].split():
            prior = pooled_prior(without=family)
            assert row["group"] not in prior.groups
            assert len(prior.groups) == len(table) - 1
            rest = prior_of(table[table["group"] != row["group"]])
            np.testing.assert_array_equal(prior.mean, rest.mean)


def test_an_unknown_family_has_the_whole_pool() -> None:
    assert set(pooled_prior("mine").groups) == set(pool()["group"])


def test_the_level_of_losses_is_no_evidence() -> None:
    table = pool()
    nats = prior_of(table)
    louder = table.copy()
    louder.loc[0, ["log_e", "log_a", "log_b"]] += 2.0
    other = prior_of(louder)
    np.testing.assert_allclose(np.diff(other.mean[:3]), np.diff(nats.mean[:3]), rtol=1e-9)
    np.testing.assert_allclose(other.covariance, nats.covariance, rtol=1e-9)


def test_spreads_of_groups_that_agree_are_not_believed() -> None:
    table = pool().head(3)
    table = table.assign(**{c: table[c].mean() for c in table.columns[2:]})
    spread = np.sqrt(np.diag(prior_of(table).covariance))
    np.testing.assert_allclose(spread[3:5], SMALLEST_SPREAD[3:], rtol=1e-12)


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(FitError, match="at least 3 are needed"):
        prior_of(pool().head(2))


def test_a_family_of_other_sizes_is_less_constrained() -> None:
    prior = pooled_prior()
    near, far = prior.far_from(0.0, 0.0), prior.far_from(-9.0, 0.0)
    np.testing.assert_array_equal(near.covariance, prior.covariance)
    assert far.covariance[1, 1] > prior.covariance[1, 1]
    assert far.covariance[2, 2] == prior.covariance[2, 2]
