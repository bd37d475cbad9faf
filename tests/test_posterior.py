import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_utils.posterior import Posterior, log_loss, to_raw

THETA = np.array([0.6, -0.8, -1.2, np.log(0.3), np.log(0.35), 0.05])


@given(st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6), st.floats(-9, 5), st.floats(-9, 5))
def test_slopes_are_the_derivatives(shift: list[float], n: float, d: float) -> None:
    theta = THETA + np.array(shift)
    at = (np.array([n]), np.array([d]), np.array([0.4]))
    _, slopes = log_loss(theta, *at)
    for k in range(6):
        step = np.zeros(6)
        step[k] = 1e-6
        numeric = (log_loss(theta + step, *at)[0] - log_loss(theta - step, *at)[0]) / 2e-6
        assert slopes[0, k] == pytest.approx(numeric[0], rel=1e-5, abs=1e-7)


def test_coordinates_and_raw_numbers_are_one_law() -> None:
    e, a, b, alpha, beta = to_raw(THETA)
    n, d = 3e8, 7e10
    value, _ = log_loss(THETA, np.log([n / 1e9]), np.log([d / 1e11]), np.zeros(1))
    assert np.exp(value[0]) == pytest.approx(e + a * n**-alpha + b * d**-beta, rel=1e-12)


def test_an_absent_term_stays_absent() -> None:
    theta = THETA.copy()
    theta[1] = -np.inf
    posterior = Posterior(theta, np.diag([0.01, 0, 0.01, 0, 0.01, 0.0]))
    draws = posterior.draw(5, np.random.default_rng(0))
    assert (draws[:, 1] == 0).all()
    assert np.isfinite(posterior.log_sd(1e9, 1e11))


def test_spread_follows_the_covariance() -> None:
    covariance = np.zeros((6, 6))
    covariance[0, 0] = 0.1**2
    posterior = Posterior(THETA, covariance)
    share = float(log_loss(THETA, np.zeros(1), np.zeros(1), np.zeros(1))[1][0, 0])
    assert float(posterior.log_sd(1e9, 1e11)) == pytest.approx(0.1 * share, rel=1e-12)
    draws = posterior.draw(20000, np.random.default_rng(0))
    assert np.log(draws[:, 0]).std() == pytest.approx(0.1, rel=0.03)
    assert posterior.log_sd([1e9, 1e10], [[1e11], [1e12]]).shape == (2, 2)
