r"""What a fit makes small: valleys of the objective, and single searches in them.

A law is linear in *E*, *A* and *B* once its exponents are given, so the best of them follow for
each pair of exponents (Golub and Pereyra 1973) and what is left is a landscape over two numbers
that can be looked at.  Two objectives are compared: the sum of squares of :math:`L - \hat L` (the
guide, arXiv 2410.11840) and the sum of Huber losses of :math:`\ln L - \ln \hat L` (Hoffmann et al.
2022, arXiv 2203.15556, approach 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize

from scaling_utils.errors import UnknownOptionError
from scaling_utils.fitting.fit import as_training_set
from scaling_utils.fitting.guide import START
from scaling_utils.fitting.log_huber import DELTA, LogProblem, exponent_map, huber
from scaling_utils.fitting.nonnegative import solve_nonnegative
from scaling_utils.law import PARAMETERS, ScalingLaw

Array = NDArray[np.float64]

LOSSES = ("squares", "log_huber")
"""Objectives: squares of residuals, or Huber losses of residuals of the logarithm."""

ALGORITHMS = ("lbfgs", "trf")
"""Local searches: SciPy's L-BFGS-B, and the one that ``curve_fit`` runs."""

THETA = ("a", "b", "e", "alpha", "beta")
"""What a local search moves: logarithms of *A*, *B* and *E*, and the exponents."""

GUIDE_START: Array = np.array([START[name] for name in THETA])
"""Start of the guide's search, in the order of :data:`THETA`."""


def objective(
    law: ScalingLaw, runs: pd.DataFrame, loss: str = "squares", delta: float = DELTA
) -> float:
    """Sum what a fit makes small, for any law.

    Parameters
    ----------
    law : ScalingLaw
        The law, fitted or written down.
    runs : pandas.DataFrame
        Checkpoints with ``params``, ``tokens`` and ``loss``.
    loss : {"squares", "log_huber"}
        Squares of residuals in nats, or Huber losses of residuals of the natural logarithm.
    delta : float
        Where the Huber loss turns from a square into a line.

    Returns
    -------
    float
        The sum over checkpoints, not the mean.

    Raises
    ------
    UnknownOptionError
        If ``loss`` is neither of the two.

    Examples
    --------
    >>> law = ScalingLaw(E=1.0, A=10.0, B=100.0, alpha=0.5, beta=0.5)
    >>> runs = pd.DataFrame({"params": [100.0], "tokens": [1e4], "loss": [3.1]})
    >>> round(objective(law, runs), 6), f"{objective(law, runs, 'log_huber'):.3g}"
    (0.01, '3.23e-05')
    """
    _check(loss, LOSSES, "loss")
    n, d, y = _columns(runs)
    predicted = np.asarray(law.predict(n, d))
    if loss == "squares":
        return float(np.sum((predicted - y) ** 2))
    return float(huber(np.log(predicted) - np.log(y), delta).sum())


# --- The valley -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Valley:
    """An objective over two exponents, with the best other three numbers at each pair.

    Attributes
    ----------
    loss : str
        Which objective.
    alphas, betas : numpy.ndarray of shape (p,) and (q,)
        Exponents.
    heights : numpy.ndarray of shape (p, q)
        Smallest objective at each pair.
    E, A, B : numpy.ndarray of shape (p, q)
        Where it is reached, never negative.
    """

    loss: str
    alphas: Array
    betas: Array
    heights: Array
    E: Array
    A: Array
    B: Array

    def law(self, i: int, j: int) -> ScalingLaw:
        """Return the best law with the i-th alpha and the j-th beta."""
        return ScalingLaw(
            E=float(self.E[i, j]),
            A=float(self.A[i, j]),
            B=float(self.B[i, j]),
            alpha=float(self.alphas[i]),
            beta=float(self.betas[j]),
        )

    @property
    def lowest(self) -> ScalingLaw:
        """The law at the lowest place of the grid."""
        i, j = np.unravel_index(int(np.argmin(self.heights)), self.heights.shape)
        return self.law(int(i), int(j))

    def within(self, factor: float, best: float | None = None) -> pd.DataFrame:
        """List the laws whose objective is at most ``factor`` times the best.

        Parameters
        ----------
        factor : float
            At least 1.
        best : float, optional
            The best objective; by default the lowest of the grid.

        Returns
        -------
        pandas.DataFrame
            ``E, A, B, alpha, beta, objective``, one law a row.
        """
        best = float(self.heights.min()) if best is None else best
        rows, columns = np.nonzero(self.heights <= factor * best)
        return pd.DataFrame(
            {
                "E": self.E[rows, columns],
                "A": self.A[rows, columns],
                "B": self.B[rows, columns],
                "alpha": self.alphas[rows],
                "beta": self.betas[columns],
                "objective": self.heights[rows, columns],
            }
        )


def valley(
    runs: pd.DataFrame,
    alphas: Sequence[float] | Array,
    betas: Sequence[float] | Array,
    loss: str = "squares",
) -> Valley:
    """Profile an objective over the two exponents.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family and one metric.
    alphas, betas : sequence of float
        Exponents, above zero.
    loss : {"squares", "log_huber"}
        The objective, as in :func:`objective`.

    Returns
    -------
    Valley
        The landscape.

    Raises
    ------
    UnknownOptionError
        If ``loss`` is neither of the two, or an exponent is not positive.

    Notes
    -----
    For squares, *E*, *A* and *B* at each pair of exponents are exact (Golub and Pereyra 1973).
    For the Huber loss they come from a few rounds of reweighted least squares: close enough to
    look at, not a fit.

    Examples
    --------
    >>> n, d = np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 1e11])
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.4)
    >>> runs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> runs["loss"] = truth.predict(runs["params"], runs["tokens"])
    >>> found = valley(runs, [0.3, 0.35, 0.4], [0.3, 0.35, 0.4]).lowest
    >>> found.alpha, found.beta, round(found.E, 6)
    (0.35, 0.4, 1.7)
    """
    _check(loss, LOSSES, "loss")
    first, second = np.asarray(alphas, "float64"), np.asarray(betas, "float64")
    if not (np.all(first > 0) and np.all(second > 0)):
        raise UnknownOptionError(
            "every alpha and beta of a valley must be above zero: at zero, the term is a constant "
            "that cannot be told from E. Start the grid at 0.01, say."
        )
    n, d, y = _columns(as_training_set(runs))
    log_n, log_d = np.log(n), np.log(d)
    x, z = log_n - log_n.mean(), log_d - log_d.mean()
    if loss == "squares":
        heights, linear = _squares(x, z, y, first, second)
    else:
        problem = LogProblem(x, z, y, np.ones_like(y), {})
        heights, linear = exponent_map(problem, first, second)[-1]
    return Valley(
        loss=loss,
        alphas=first,
        betas=second,
        heights=heights,
        E=linear[0],
        A=linear[1] * np.exp(first * log_n.mean())[:, None],
        B=linear[2] * np.exp(second * log_d.mean())[None, :],
    )


def _squares(
    x: Array, z: Array, y: Array, alphas: Array, betas: Array
) -> tuple[Array, list[Array]]:
    """Smallest sum of squares at each pair of exponents, and where it is reached."""
    u, v, one = np.exp(-np.outer(alphas, x)), np.exp(-np.outer(betas, z)), np.ones_like(y)
    gram = (
        np.full((1, 1), float(len(y))),
        (u @ one)[:, None],
        (v @ one)[None, :],
        (u**2 @ one)[:, None],
        u @ v.T,
        (v**2 @ one)[None, :],
    )
    moment = (np.full((1, 1), y.sum()), (u @ y)[:, None], (v @ y)[None, :])
    linear, gain = solve_nonnegative(gram, moment)
    return y @ y - gain, linear


# --- Single searches ------------------------------------------------------------------------------


def start_grid(count: int | None = None, rng: np.random.Generator | None = None) -> Array:
    """Starts of Hoffmann et al. 2022, all of them or some.

    Parameters
    ----------
    count : int, optional
        So many, drawn without replacement; by default all 4,500.
    rng : numpy.random.Generator, optional
        Source of the draw, needed with ``count``.

    Returns
    -------
    numpy.ndarray of shape (count, 5)
        Starts in the order of :data:`THETA`.

    Raises
    ------
    UnknownOptionError
        If ``count`` has no ``rng``, or is not between 1 and 4,500.

    Notes
    -----
    Exponents 0 to 2 in steps of 0.5, *e* from -1 to 1 in steps of 0.5, *a* and *b* from 0 to 25 in
    steps of 5 (arXiv 2203.15556, appendix D.3).

    Examples
    --------
    >>> start_grid().shape, start_grid(3, np.random.default_rng(1)).shape
    ((4500, 5), (3, 5))
    """
    logs, exponents = np.arange(0, 26, 5.0), np.arange(0, 2.1, 0.5)
    floors = np.arange(-1, 1.1, 0.5)
    grid = np.array(list(product(logs, logs, floors, exponents, exponents)))
    if count is None:
        return grid
    if rng is None or not 1 <= count <= len(grid):
        raise UnknownOptionError(
            f"count = {count!r} with rng = {rng!r}: give a random generator and a count from 1 to "
            f"{len(grid)}, or neither for all starts."
        )
    return grid[rng.choice(len(grid), count, replace=False)]


def search(
    runs: pd.DataFrame,
    starts: Array | Iterable[Sequence[float]],
    loss: str = "squares",
    *,
    algorithm: str = "lbfgs",
    scale: float = 1.0,
    delta: float = DELTA,
    most: int = 2000,
) -> pd.DataFrame:
    r"""Run one local search from each start, with the tolerances that SciPy has by default.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family and one metric.
    starts : array_like of shape (k, 5)
        Starts in the order of :data:`THETA`.
    loss : {"squares", "log_huber"}
        The objective, as in :func:`objective`.
    algorithm : {"lbfgs", "trf"}
        ``"lbfgs"``: L-BFGS-B, for either objective.  ``"trf"``: trust-region reflective, the
        algorithm behind ``curve_fit`` with bounds, for squares only.
    scale : float
        The search sees the sum over checkpoints times this: ``1 / len(runs)`` for the mean.  The
        minimum is the same, but the tolerances of L-BFGS-B are absolute for small objectives, so
        that it stops elsewhere.
    delta : float
        Where the Huber loss turns from a square into a line.
    most : int
        Evaluations after which a search is stopped.

    Returns
    -------
    pandas.DataFrame
        A row for each start: ``E, A, B, alpha, beta``; ``objective``, always the sum; and
        ``evaluations`` of the objective.  An objective is infinite where the search ran away.

    Raises
    ------
    UnknownOptionError
        If an option is none of those listed, or ``"trf"`` is asked for another objective.

    Notes
    -----
    Laws are :math:`e^{e} + e^{a} N^{-\alpha} + e^{b} D^{-\beta}` with exponents that are not
    negative and logarithms between -40 and 60.

    Examples
    --------
    >>> n, d = np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 1e11])
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> runs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> runs["loss"] = truth.predict(runs["params"], runs["tokens"])
    >>> ends = search(runs, [GUIDE_START], algorithm="trf")
    >>> ends["alpha"].round(3).tolist()
    [0.35]
    """
    _check(loss, LOSSES, "loss")
    _check(algorithm, ALGORITHMS, "algorithm")
    if algorithm == "trf" and loss != "squares":
        raise UnknownOptionError("algorithm = 'trf' finds least squares only: use 'lbfgs'.")
    n, d, y = _columns(as_training_set(runs))
    log_n, log_d, log_y = np.log(n), np.log(d), np.log(y)

    def parts(theta: Array) -> Array:
        logs = np.stack(
            [
                theta[0] - theta[3] * log_n,
                theta[1] - theta[4] * log_d,
                np.full_like(log_n, theta[2]),
            ]
        )
        return np.exp(np.clip(logs, -300, 300))

    def slopes(terms: Array) -> Array:
        return np.column_stack([*terms, -log_n * terms[0], -log_d * terms[1]])

    def residuals(theta: Array) -> Array:
        return np.asarray(parts(theta).sum(axis=0) - y)

    def jacobian(theta: Array) -> Array:
        return slopes(parts(theta))

    def value(theta: Array) -> tuple[float, Array]:
        terms = parts(theta)
        predicted = terms.sum(axis=0)
        if loss == "squares":
            residual = predicted - y
            return scale * float(residual @ residual), scale * 2 * residual @ slopes(terms)
        residual = np.log(predicted) - log_y
        pull = np.clip(residual, -delta, delta)
        total = float(huber(residual, delta).sum())
        return scale * total, scale * pull @ (slopes(terms) / predicted[:, None])

    low, high = [-40.0, -40.0, -40.0, 0.0, 0.0], [60.0, 60.0, 60.0, np.inf, np.inf]
    rows = []
    end: Any
    for start in np.asarray(list(starts), "float64"):
        if algorithm == "lbfgs":
            end = minimize(
                value,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=list(zip(low, high, strict=True)),
                options={"maxfun": most, "maxiter": most},
            )
        else:
            inside = np.clip(start, np.array(low) + 1e-9, np.array(high) - 1e-9)
            end = least_squares(
                residuals,
                inside,
                jac=jacobian,
                bounds=(low, high),
                method="trf",
                max_nfev=most,
            )
        a, b, e, alpha, beta = (float(x) for x in end.x)
        total = value(np.asarray(end.x))[0] / scale
        rows.append(
            {
                "E": np.exp(e),
                "A": np.exp(a),
                "B": np.exp(b),
                "alpha": alpha,
                "beta": beta,
                "objective": total if np.isfinite(total) else np.inf,
                "evaluations": int(end.nfev),
            }
        )
    return pd.DataFrame(rows, columns=[*PARAMETERS, "objective", "evaluations"])


def near_best(objectives: pd.Series | Array, best: float, within: float = 0.01) -> float:
    """Tell which part of the searches ended close to the best.

    Parameters
    ----------
    objectives : array_like
        Where searches ended.
    best : float
        The global minimum.
    within : float
        How far above it counts as close, as a fraction.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> near_best(np.array([1.0, 1.005, 1.2, np.inf]), 1.0)
    0.5
    """
    return float(np.mean(np.asarray(objectives, "float64") <= (1 + within) * best))


def _columns(runs: pd.DataFrame) -> tuple[Array, Array, Array]:
    n, d, y = (runs[c].to_numpy(dtype="float64") for c in ("params", "tokens", "loss"))
    return n, d, y


def _check(value: str, allowed: Sequence[str], name: str) -> None:
    if value not in allowed:
        raise UnknownOptionError(f"{name} = {value!r}: choose one of {tuple(allowed)}.")
