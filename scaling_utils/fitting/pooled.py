r"""The default estimator: the most probable law, given its runs and what other families taught.

Three things set it apart from least squares.  Residuals are relative, and large ones count in
proportion rather than squared.  Runs, not checkpoints, are the observations: however often a run
was evaluated it counts as :data:`RUN_WORTH` points, its late checkpoints more than its early ones.
And a prior, pooled over groups of other families (:mod:`scaling_utils.fitting.prior`), decides what
few or short runs leave open.  A sixth number, ``c``, takes up that checkpoints inside a decaying
schedule have a higher loss than finished runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_utils.errors import FitError
from scaling_utils.fitting.prior import Prior, pooled_prior
from scaling_utils.law import PARAMETERS
from scaling_utils.posterior import LOG_REFERENCE, Posterior, log_loss, to_raw

Array = NDArray[np.float64]

RUN_WORTH = 5.0
"""Independent points that a run counts for, if it has as many checkpoints."""

LATE = 3.0
"""A checkpoint weighs as its share of the run so far to this power."""

SCALE = 0.015
"""Relative residual from which on deviations count in proportion instead of squared."""

MOST_CHECKPOINTS = 24
"""Checkpoints of a run that are used, evenly spaced: more add nothing to five points' worth."""

EXPONENTS = (0.02, 3.0)
"""Smallest and largest exponent."""

MOST_SCATTER = 0.5
"""Relative scatter from which on a law is none."""

ROUNDS = 200
FIRST_DAMPING = 1e-2


@dataclass(frozen=True)
class Evidence:
    """Checkpoints as the estimator sees them.

    Attributes
    ----------
    log_n, log_d : numpy.ndarray of shape (n,)
        Logarithms of parameters and tokens over the reference.
    log_y : numpy.ndarray of shape (n,)
        Logarithm of the loss.
    decay : numpy.ndarray of shape (n,)
        Part of the schedule's decay that is to come.
    weight : numpy.ndarray of shape (n,)
        Independent points that each checkpoint counts for.
    """

    log_n: Array
    log_d: Array
    log_y: Array
    decay: Array
    weight: Array


def weigh(
    params: Array, tokens: Array, loss: Array, run: NDArray[np.intp], decay: Array
) -> Evidence:
    """Choose and weigh checkpoints so that every run counts alike.

    Parameters
    ----------
    params, tokens, loss : numpy.ndarray of shape (n,)
        Parameters, tokens and loss (nats per token) of each checkpoint.
    run : numpy.ndarray of shape (n,)
        Number of the run of each checkpoint.
    decay : numpy.ndarray of shape (n,)
        Part of the schedule's decay that is to come (:mod:`scaling_utils.schedules`).

    Returns
    -------
    Evidence
        At most :data:`MOST_CHECKPOINTS` of each run.
    """
    order = np.lexsort((tokens, run))
    ends = np.flatnonzero(np.diff(run[order])) + 1
    rows, weights = [], []
    for own in np.split(order, ends):
        if len(own) > MOST_CHECKPOINTS:
            places = np.linspace(0, len(own) - 1, MOST_CHECKPOINTS).round().astype(int)
            own = own[np.unique(places)]
        late = (tokens[own] / tokens[own].max()) ** LATE
        rows.append(own)
        weights.append(late * min(len(own), RUN_WORTH) / late.sum())
    kept = np.concatenate(rows)
    return Evidence(
        np.log(params[kept]) - LOG_REFERENCE[0],
        np.log(tokens[kept]) - LOG_REFERENCE[1],
        np.log(loss[kept]),
        decay[kept],
        np.concatenate(weights),
    )


def fit_pooled(
    params: Array,
    tokens: Array,
    loss: Array,
    fixed: Mapping[str, float],
    *,
    run: NDArray[np.intp] | None = None,
    decay: Array | None = None,
    prior: Prior | None = None,
) -> tuple[dict[str, float], float, Posterior]:
    """Find the most probable law and what is uncertain about it.

    Parameters
    ----------
    params, tokens, loss : numpy.ndarray of shape (n,)
        Parameters, tokens and loss (nats per token) of each checkpoint.
    fixed : mapping of str to float
        Parameters to hold, by the names ``E, A, B, alpha, beta``, in raw units.
    run : numpy.ndarray of shape (n,), optional
        Number of the run of each checkpoint; by default every size is one run.
    decay : numpy.ndarray of shape (n,), optional
        Part of the schedule's decay that is to come; zeros by default.
    prior : Prior, optional
        By default the one pooled over all groups.

    Returns
    -------
    law : dict of str to float
        ``E, A, B, alpha, beta``.
    objective : float
        Twice the negative logarithm of the posterior density, up to a constant.
    posterior : Posterior
        Normal approximation at the most probable law.

    Raises
    ------
    FitError
        If there is no checkpoint, or the search finds no finite law.
    """
    if len(loss) == 0:
        raise FitError("no checkpoint: even with a prior a law needs one. Loosen the selection.")
    if run is None:
        run = np.unique(params, return_inverse=True)[1]
    evidence = weigh(params, tokens, loss, run, np.zeros_like(loss) if decay is None else decay)
    known = pooled_prior() if prior is None else prior
    known = known.far_from(float(evidence.log_n.mean()), float(evidence.log_d.mean()))
    problem = _Problem(evidence, known, fixed)
    best = min((problem.descend(start) for start in problem.starts()), key=lambda found: found[0])
    objective, theta = best
    if not (np.isfinite(objective) and np.isfinite(theta[problem.free]).all()):
        raise FitError(
            f"the search over laws ended at an objective of {objective!r}: these losses are too "
            "extreme for a prior from language models. Use method='least_squares'."
        )
    covariance = problem.covariance(theta)
    raw = to_raw(theta)
    law = dict(zip(PARAMETERS, map(float, raw), strict=True)) | {
        name: float(value) for name, value in fixed.items()
    }
    value, _ = log_loss(theta, evidence.log_n, evidence.log_d, evidence.decay)
    scatter = float(np.sqrt(np.average((evidence.log_y - value) ** 2, weights=evidence.weight)))
    if not scatter < MOST_SCATTER:
        raise FitError(
            f"losses are off the most probable law by {scatter:.0%} of their value: nothing like "
            "the families that the prior was pooled over. Check the units of params, tokens and "
            "loss, or use method='least_squares'."
        )
    posterior = Posterior(theta, covariance, scatter, known.groups, known.left_out)
    return law, float(objective), posterior


class _Problem:
    """Evidence, prior and what is held, in the coordinates of the search."""

    def __init__(self, evidence: Evidence, prior: Prior, fixed: Mapping[str, float]) -> None:
        self.evidence, self.fixed = evidence, fixed
        held = [PARAMETERS.index(name) for name in fixed]
        self.free = np.array([k for k in range(6) if k not in held])
        # What is held drops out of the prior; the rest keeps its marginal distribution.
        self.mean = prior.mean.copy()
        self.precision = np.linalg.inv(prior.covariance[np.ix_(self.free, self.free)])

    def complete(self, theta: Array) -> Array:
        """Fill in what is held, in the units of the coordinates."""
        out = theta.copy()
        with np.errstate(divide="ignore"):
            if "alpha" in self.fixed:
                out[3] = np.log(self.fixed["alpha"])
            if "beta" in self.fixed:
                out[4] = np.log(self.fixed["beta"])
            if "E" in self.fixed:
                out[0] = np.log(self.fixed["E"])
            if "A" in self.fixed:
                out[1] = np.log(self.fixed["A"]) - np.exp(out[3]) * LOG_REFERENCE[0]
            if "B" in self.fixed:
                out[2] = np.log(self.fixed["B"]) - np.exp(out[4]) * LOG_REFERENCE[1]
        return out

    def evaluate(self, theta: Array) -> tuple[float, Array, Array]:
        """Objective at completed coordinates, half its downhill gradient, and its curvature."""
        e = self.evidence
        value, slopes = log_loss(theta, e.log_n, e.log_d, e.decay)
        # A held A or B moves its term at the reference when its exponent moves.
        if "A" in self.fixed:
            slopes[:, 3] -= slopes[:, 1] * np.exp(theta[3]) * LOG_REFERENCE[0]
        if "B" in self.fixed:
            slopes[:, 4] -= slopes[:, 2] * np.exp(theta[4]) * LOG_REFERENCE[1]
        slopes = slopes[:, self.free]
        residual = (e.log_y - value) / SCALE
        root = np.sqrt(1 + residual**2)
        away = theta[self.free] - self.mean[self.free]
        pull = self.precision @ away
        objective = float(e.weight @ (2 * (root - 1)) + away @ pull)
        weight = e.weight / root
        gradient = slopes.T @ (weight * residual) / SCALE - pull
        curvature = (slopes * weight[:, None]).T @ slopes / SCALE**2 + self.precision
        return objective, gradient, curvature

    def starts(self) -> list[Array]:
        """Prior means, at the level of the losses, with flat, usual and steep exponents."""
        e = self.evidence
        base = self.complete(self.mean)
        value, _ = log_loss(base, e.log_n, e.log_d, e.decay)
        shift = float(np.average(e.log_y - value, weights=e.weight)) if len(value) else 0.0
        out = []
        for steeper in (0.0, -0.5, 0.5):
            start = self.mean.copy()
            start[3:5] += steeper
            start[:3] += shift
            out.append(start)
        return [self.mean.copy(), *out]

    def descend(self, start: Array) -> tuple[float, Array]:
        """Damped Gauss-Newton from one start."""
        theta = self.complete(start)
        objective, gradient, curvature = self.evaluate(theta)
        damping = FIRST_DAMPING
        low, high = np.log(EXPONENTS)
        for _ in range(ROUNDS):
            moved = False
            for _ in range(14):
                step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
                trial = theta.copy()
                trial[self.free] += np.clip(step, -1.0, 1.0)
                trial[3:5] = np.clip(trial[3:5], low, high)
                trial = self.complete(trial)
                found = self.evaluate(trial)
                if found[0] < objective:
                    moved = True
                    break
                damping *= 5
            if not moved:
                break
            gain = objective - found[0]
            theta, (objective, gradient, curvature) = trial, found
            damping = max(damping / 5, 1e-9)
            if gain < 1e-10 * (1 + objective):
                break
        return objective, theta

    def covariance(self, theta: Array) -> Array:
        """Inverse curvature at the most probable law; zero for what is held."""
        _, _, curvature = self.evaluate(theta)
        out = np.zeros((6, 6))
        inverse = np.linalg.inv(curvature)
        out[np.ix_(self.free, self.free)] = inverse
        if "A" in self.fixed and 3 in self.free:
            self._follow(out, 1, 3, np.exp(theta[3]) * LOG_REFERENCE[0])
        if "B" in self.fixed and 4 in self.free:
            self._follow(out, 2, 4, np.exp(theta[4]) * LOG_REFERENCE[1])
        return out

    @staticmethod
    def _follow(covariance: Array, term: int, exponent: int, slope: float) -> None:
        """Let the term of a held factor move with its exponent."""
        covariance[term] = -slope * covariance[exponent]
        covariance[:, term] = -slope * covariance[:, exponent]
        covariance[term, term] = slope**2 * covariance[exponent, exponent]
