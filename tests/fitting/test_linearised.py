import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_utils.fitting.linearised import (
    exponent_covariance,
    heights,
    law_slopes,
    linearise,
    without_each_run,
)
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.law import PARAMETERS
from tests.problems import TRUTH

LAW = {name: float(getattr(TRUTH, name)) for name in PARAMETERS}
N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(2e9, 2e11, 7)))
RUN = np.tile(np.arange(6), 7)


def noisy(seed: int, noise: float = 0.003) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(TRUTH.predict(N, D)) + noise * rng.normal(size=len(N))


def predict(law: dict[str, float], n: float, d: float) -> float:
    return law["E"] + law["A"] * n ** -law["alpha"] + law["B"] * d ** -law["beta"]


def test_slopes_are_derivatives() -> None:
    shifts = (float(np.log(N).mean()), float(np.log(D).mean()))
    slopes = law_slopes(N, D, LAW, PARAMETERS, shifts)
    step = 1e-6
    for k, name in enumerate(PARAMETERS):
        ends = []
        for sign in (-1, 1):
            law = dict(LAW)
            law[name] = law[name] + sign * step if name == "E" else law[name] * np.exp(sign * step)
            # A turn about the shift: the height there stays.
            if name == "alpha":
                law["A"] *= np.exp((law["alpha"] - LAW["alpha"]) * shifts[0])
            if name == "beta":
                law["B"] *= np.exp((law["beta"] - LAW["beta"]) * shifts[1])
            ends.append(law["E"] + heights(N, law["A"], law["alpha"]))
            ends[-1] = ends[-1] + heights(D, law["B"], law["beta"])
        np.testing.assert_allclose(slopes[:, k], (ends[1] - ends[0]) / 2 / step, atol=1e-8)


def test_heights_do_not_overflow() -> None:
    np.testing.assert_allclose(heights(np.array([1e30]), 1e300, 9.0), [1e30], rtol=1e-9)
    assert heights(np.array([1.0, 2.0]), 0.0, 3.0).tolist() == [0.0, 0.0]


def test_directions_are_orthonormal_and_span_the_slopes() -> None:
    lines = linearise(N, D, noisy(0), RUN, LAW)
    q = lines.directions
    np.testing.assert_allclose(q.T @ q, np.eye(5), atol=1e-12)
    slopes = law_slopes(N, D, LAW, lines.names, lines.shifts)
    np.testing.assert_allclose(slopes @ lines.back, q, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "still", "names"),
    [
        ({}, (), PARAMETERS),
        ({}, ("A", "beta"), ("E", "B", "alpha")),
        ({"A": 0.0}, (), ("E", "B", "beta")),
        ({"E": 0.0, "alpha": 3.0, "beta": 0.01}, (), ("A", "B")),
        ({}, PARAMETERS, ()),
    ],
)
def test_only_what_can_move_moves(
    change: dict[str, float], still: tuple[str, ...], names: tuple[str, ...]
) -> None:
    lines = linearise(N, D, noisy(0), RUN, LAW | change, still)
    assert lines.names == names
    assert lines.directions.shape == (len(N), len(names))
    assert exponent_covariance(lines).shape == (2, 2)
    assert np.isfinite(without_each_run(lines, 1e11, 2e11)[1])


def test_covariance_is_that_of_repeated_fits() -> None:
    laws = []
    plain = []
    for seed in range(150):
        loss = noisy(seed)
        law, _ = fit_varpro(N, D, loss, {})
        laws.append([np.log(law["alpha"]), np.log(law["beta"])])
        # Every checkpoint a run: noise is independent here.
        plain.append(exponent_covariance(linearise(N, D, loss, np.arange(len(N)), law)))
    found, expected = np.cov(np.array(laws).T), np.mean(plain, axis=0)
    np.testing.assert_allclose(np.sqrt(np.diag(expected)), np.sqrt(np.diag(found)), rtol=0.25)


def test_runs_that_are_shifted_as_wholes_make_exponents_less_certain() -> None:
    shift = 0.003 * np.random.default_rng(1).normal(size=6)[RUN]
    loss = np.asarray(TRUTH.predict(N, D)) + shift
    law, _ = fit_varpro(N, D, loss, {})
    by_run = exponent_covariance(linearise(N, D, loss, RUN, law))
    by_point = exponent_covariance(linearise(N, D, loss, np.arange(len(N)), law))
    assert by_run[0, 0] > 1.5 * by_point[0, 0]


def test_no_freedom_no_noise() -> None:
    rows = [0, 8, 16, 23, 30]
    lines = linearise(N[rows], D[rows], noisy(0)[rows], np.arange(5), LAW)
    assert np.isnan(lines.noise)
    assert not exponent_covariance(lines).any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_leaving_a_run_out_is_what_a_refit_does(seed: int) -> None:
    loss = noisy(seed, noise=0.0005)
    law, _ = fit_varpro(N, D, loss, {})
    lines = linearise(N, D, loss, RUN, law)
    at = 1e11, 2e11
    changes = []
    for r in range(6):
        allowed = np.arange(6) == r
        which, change = without_each_run(lines, *at, allowed=allowed)
        assert which == r
        others = ~allowed[RUN]
        rest, _ = fit_varpro(N[others], D[others], loss[others], {})
        assert change == pytest.approx(predict(rest, *at) - predict(law, *at), rel=0.3, abs=2e-4)
        changes.append(change)
    which, change = without_each_run(lines, *at)
    assert which == int(np.argmax(np.abs(changes)))
    assert change == changes[which]


def test_a_run_that_alone_determines_a_direction_has_no_finite_effect() -> None:
    d = np.where(RUN == 2, D, 1e10)  # tokens vary in one run only
    loss = noisy(0)
    which, change = without_each_run(linearise(N, d, loss, RUN, LAW), 1e11, 2e11)
    assert which == 2
    assert np.isinf(change)
    assert (
        without_each_run(linearise(N, d, loss, RUN, LAW), 1e11, 2e11, np.zeros(6, "bool"))[0] == -1
    )
