"""A fitted law as a straight line in its parameters: what noise and what each run do to it.

Near its minimum a fit is a linear regression on the slopes of the law.  That gives, for the price
of one small decomposition, how well each exponent is determined and how far every prediction
would move without one of the runs (Cook and Weisberg 1982).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_utils.fitting.varpro import EXPONENT_BOX
from scaling_utils.law import PARAMETERS

Array = NDArray[np.float64]

RANK = 1e-9
"""Directions whose slopes are smaller than this part of the largest count as undetermined."""

SHORTLIST = 20
"""Runs whose effect is worked out exactly; a cheaper measure picks them."""


@dataclass(frozen=True)
class Linearised:
    """Slopes of a law at its training set, turned into orthonormal directions.

    Attributes
    ----------
    names : tuple of str
        Parameters that move, of ``E, A, B, alpha, beta``: not held, not at zero, not at an edge.
    directions : numpy.ndarray of shape (n, r)
        Orthonormal columns that span what a small change of the parameters does to the law at the
        checkpoints.
    back : numpy.ndarray of shape (k, r)
        Turns coordinates along ``directions`` into changes of the ``k`` parameters: of E in nats,
        of the other four in their natural logarithms.
    residual : numpy.ndarray of shape (n,)
        Loss minus law.
    run : numpy.ndarray of shape (n,)
        A number for each run, from zero.
    law : mapping of str to float
        The fitted parameters.
    shifts : tuple of float
        Logarithms of params and tokens at which the heights of the two terms are read.
    """

    names: tuple[str, ...]
    directions: Array
    back: Array
    residual: Array
    run: NDArray[np.intp]
    law: Mapping[str, float]
    shifts: tuple[float, float]

    @property
    def noise(self) -> float:
        """Standard deviation of the residuals, nats; nan with no more checkpoints than unknowns."""
        freedom = len(self.residual) - self.directions.shape[1]
        if freedom <= 0:
            return float("nan")
        return float(np.sqrt(self.residual @ self.residual / freedom))


def linearise(
    params: Array,
    tokens: Array,
    loss: Array,
    run: NDArray[np.intp],
    law: Mapping[str, float],
    still: Collection[str] = (),
) -> Linearised:
    """Take the slopes of a law at its training set.

    Parameters
    ----------
    params, tokens, loss : numpy.ndarray of shape (n,)
        The training set.
    run : numpy.ndarray of shape (n,)
        A number for each run, from zero.
    law : mapping of str to float
        The fitted parameters.
    still : collection of str
        Parameters that do not move because they are held or follow a convention.

    Returns
    -------
    Linearised
        The slopes.

    Examples
    --------
    >>> n, d = (a.ravel() for a in np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 1e11]))
    >>> law = {"E": 1.7, "A": 400.0, "B": 0.0, "alpha": 0.35, "beta": 0.37}
    >>> loss = law["E"] + law["A"] * n ** -law["alpha"] + np.tile([0.01, -0.01, 0.0], 3)
    >>> lines = linearise(n, d, loss, np.arange(9), law)
    >>> lines.names, round(lines.noise, 4)
    (('E', 'A', 'alpha'), 0.01)
    """
    shifts = (
        0.0 if "A" in still else float(np.log(params).mean()),
        0.0 if "B" in still else float(np.log(tokens).mean()),
    )
    names = tuple(name for name in PARAMETERS if name not in still and _moves(name, law))
    slopes = law_slopes(params, tokens, law, names, shifts)
    length = np.linalg.norm(slopes, axis=0)
    length[length == 0] = 1.0
    # Left singular vectors by way of a triangle, which has as many rows as there are parameters.
    basis, triangle = np.linalg.qr(slopes / length)
    left, strength, right = np.linalg.svd(triangle)
    kept = strength > RANK * strength.max(initial=0.0)
    back = right[: len(strength)][kept].T / strength[kept] / length[:, None]
    fitted = law["E"] + heights(params, law["A"], law["alpha"])
    fitted = fitted + heights(tokens, law["B"], law["beta"])
    return Linearised(
        names, basis @ left[:, : len(strength)][:, kept], back, loss - fitted, run, law, shifts
    )


def heights(values: Array, factor: float, exponent: float) -> Array:
    """One term of the law, ``factor / values**exponent``, without overflow on the way."""
    if factor == 0:
        return np.zeros_like(values)
    return np.exp(np.log(factor) - exponent * np.log(values))


def law_slopes(
    params: Array,
    tokens: Array,
    law: Mapping[str, float],
    names: Collection[str],
    shifts: tuple[float, float],
) -> Array:
    """Derivatives of the law by E and by the logarithms of the other parameters.

    Heights of the terms are read at the shifts, so that an exponent turns its term about there.
    """
    one = heights(params, law["A"], law["alpha"])
    two = heights(tokens, law["B"], law["beta"])
    columns = {
        "E": np.ones_like(one),
        "A": one,
        "B": two,
        "alpha": -law["alpha"] * one * (np.log(params) - shifts[0]),
        "beta": -law["beta"] * two * (np.log(tokens) - shifts[1]),
    }
    return np.array([columns[name] for name in names]).reshape(len(names), len(params)).T


def _moves(name: str, law: Mapping[str, float]) -> bool:
    """Whether a small change of a parameter, up or down, is allowed and changes the law."""
    low, high = EXPONENT_BOX
    if name in ("alpha", "beta"):
        return law["A" if name == "alpha" else "B"] > 0 and low < law[name] < high
    return law[name] > 0


def exponent_covariance(lines: Linearised) -> Array:
    """Covariance of the logarithms of the two exponents, as far as noise makes them uncertain.

    Parameters
    ----------
    lines : Linearised
        Slopes of a law.

    Returns
    -------
    numpy.ndarray of shape (2, 2)
        For alpha and beta; zero for one that does not move.  The larger of two estimates: one
        takes checkpoints as independent, the other only runs.
    """
    rows = [lines.names.index(e) if e in lines.names else -1 for e in ("alpha", "beta")]
    back = np.array([lines.back[k] if k >= 0 else np.zeros(lines.back.shape[1]) for k in rows])
    if not np.isfinite(lines.noise):
        return np.zeros((2, 2))
    with np.errstate(over="ignore", invalid="ignore"):
        plain = lines.noise**2 * back @ back.T
    if not np.isfinite(plain).all():  # numbers too extreme to say anything of exponents
        return np.zeros((2, 2))
    score = run_scores(lines) @ back.T
    count, n, r = len(score), len(lines.residual), lines.directions.shape[1]
    if count < 2:
        return plain
    clustered = score.T @ score * (count / (count - 1)) * ((n - 1) / (n - r))
    return clustered if np.trace(clustered) > np.trace(plain) else plain


def run_scores(lines: Linearised) -> Array:
    """What the residuals of each run say along each direction, shape (runs, directions)."""
    pulls = lines.directions * lines.residual[:, None]
    scores = np.zeros((int(lines.run.max()) + 1, pulls.shape[1]))
    for k, column in enumerate(pulls.T):
        scores[:, k] = np.bincount(lines.run, weights=column)
    return scores


def without_each_run(
    lines: Linearised, params: float, tokens: float, allowed: NDArray[np.bool_] | None = None
) -> tuple[int, float]:
    """Find the run without which a prediction would change most.

    Parameters
    ----------
    lines : Linearised
        Slopes of a law.
    params, tokens : float
        Where to predict.
    allowed : numpy.ndarray of bool, of shape (runs,), optional
        Runs that may be left out; by default all.

    Returns
    -------
    run : int
        Number of the run, -1 if none may be left out.
    change : float
        Change of the prediction without it, nats; infinite if the other runs leave a direction
        undetermined that this prediction needs.

    Examples
    --------
    >>> n = np.geomspace(1e7, 1e10, 6)
    >>> law = {"E": 1.7, "A": 400.0, "B": 0.0, "alpha": 0.35, "beta": 0.37}
    >>> loss = law["E"] + law["A"] * n ** -law["alpha"]
    >>> loss[4] += 0.1
    >>> run, change = without_each_run(linearise(n, n, loss, np.arange(6), law), 1e11, 1e11)
    >>> run, change < 0
    (4, True)
    """
    at = np.array([params]), np.array([tokens])
    aim = law_slopes(*at, lines.law, lines.names, lines.shifts)[0] @ lines.back
    score = run_scores(lines)
    own = np.bincount(lines.run, weights=np.einsum("ij,ij->i", lines.directions, lines.directions))
    # The larger its own part of the directions, the more a run bends the law towards itself.
    rough = (np.abs(score) @ np.abs(aim)) / np.maximum(1 - own, 1e-3)
    if allowed is not None:
        rough = np.where(allowed, rough, -1.0)
    listed = np.argsort(-rough, kind="stable")[:SHORTLIST]
    listed = listed[rough[listed] >= 0]
    if len(listed) == 0:
        return -1, 0.0
    parts = [lines.directions[lines.run == r] for r in listed]
    others = np.eye(len(aim)) - np.array([part.T @ part for part in parts])
    strength, axes = np.linalg.eigh(others)
    along = np.einsum("rij,i->rj", axes, aim)
    pull = np.einsum("rij,ri->rj", axes, score[listed])
    lost = strength < RANK
    changes = -np.sum(np.where(lost, 0.0, along * pull / np.where(lost, 1.0, strength)), axis=1)
    needed = lost & (np.abs(along) > RANK * np.abs(aim).max(initial=0.0))
    changes[needed.any(axis=1)] = np.inf
    best = int(np.argmax(np.abs(changes)))
    return int(listed[best]), float(changes[best])
