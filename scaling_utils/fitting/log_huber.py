r"""Robust fitting of the logarithm of the loss: the objective of Hoffmann et al., at its minimum.

The sum of Huber losses of :math:`\log \hat L - \log L` grows only linearly with a deviation beyond
0.001, so a few bad checkpoints, or one bad run, hardly move the law.  It has several local minima.
Variable projection inside iterative reweighting maps them: for every pair of exponents of a grid,
the linear parameters that are best for the present weights follow in closed form, and new weights
from them.  Newton's method on the objective itself then descends from the lowest places of the map,
and from the end of :mod:`.varpro`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_utils.fitting.nonnegative import solve_nonnegative
from scaling_utils.fitting.varpro import (
    CENTRE,
    EXPONENT_BOX,
    LINEAR,
    TIE,
    distance,
    fit_varpro,
)
from scaling_utils.law import PARAMETERS

Array = NDArray[np.float64]

DELTA = 1e-3
"""Where the Huber loss turns from a parabola into a straight line, in units of log loss."""

GRID = np.r_[EXPONENT_BOX[0], 0.03, np.geomspace(0.06, 1.5, 14), 2.1, EXPONENT_BOX[1]]
FINE = np.geomspace(*EXPONENT_BOX, 56)
REWEIGHTINGS = 6
MOST = (3, 8)
MAP_ROWS = 120
"""Most checkpoints that the search for basins uses; the last descent uses all."""


@dataclass(frozen=True)
class LogProblem:
    """Checkpoints, and which parameters move.

    Attributes
    ----------
    x, z : numpy.ndarray of shape (n,)
        Natural logarithms of parameters and of tokens, less their mean where A (or B) is fitted.
    loss : numpy.ndarray of shape (n,)
        Loss in nats per token.
    weights : numpy.ndarray of shape (n,)
        Weight of each checkpoint.
    held : mapping of str to float
        Parameters that do not move, in raw units.
    """

    x: Array
    z: Array
    loss: Array
    weights: Array
    held: Mapping[str, float]

    @property
    def movable(self) -> list[int]:
        """Indices into ``PARAMETERS`` of what is fitted."""
        return [k for k, name in enumerate(PARAMETERS) if name not in self.held]

    def rows(self, mask: NDArray[np.intp]) -> LogProblem:
        """Select checkpoints."""
        return LogProblem(
            self.x[mask], self.z[mask], self.loss[mask], self.weights[mask], self.held
        )


def huber(residual: Array, delta: float = DELTA) -> Array:
    """Huber loss: half the square up to ``delta``, a straight line beyond.

    Parameters
    ----------
    residual : numpy.ndarray
        Residuals.
    delta : float
        Where it turns.

    Returns
    -------
    numpy.ndarray
        Losses, of the same shape.

    Examples
    --------
    >>> huber(np.array([0.5, 3.0]), delta=1.0)
    array([0.125, 2.5  ])
    """
    size = np.abs(residual)
    return np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))


def fit_log_huber(
    params: Array,
    tokens: Array,
    loss: Array,
    fixed: Mapping[str, float],
    weights: Array | None = None,
) -> tuple[dict[str, float], float]:
    r"""Fit a law by the Huber loss of log residuals, with every parameter at least zero.

    Parameters
    ----------
    params, tokens, loss : numpy.ndarray of shape (n,)
        Parameters, tokens and loss (nats per token, above zero) of each checkpoint.
    fixed : mapping of str to float
        Parameters to hold, by the names ``E, A, B, alpha, beta``.
    weights : numpy.ndarray of shape (n,), optional
        Weight of each checkpoint's Huber loss; one by default.

    Returns
    -------
    law : dict of str to float
        ``E, A, B, alpha, beta``, with exponents in
        :data:`~scaling_utils.fitting.varpro.EXPONENT_BOX`.  Where several exponents fit equally
        well, as with two sizes only or a term of zero, 0.35 is returned.
    objective : float
        Sum of ``huber(log(prediction) - log(loss))``, with a turn at 0.001.

    Notes
    -----
    The objective is that of Hoffmann et al. 2022 (arXiv 2203.15556, Eq. 3), summed rather than
    averaged: an average let the search of the original end early (Besiroglu et al. 2024, arXiv
    2404.10102).

    Examples
    --------
    >>> n, d = (a.ravel() for a in np.meshgrid([1e7, 1e8, 1e9, 1e10], np.geomspace(1e9, 1e11, 9)))
    >>> y = 1.7 + 400 * n**-0.35 + 2000 * d**-0.37
    >>> y[5] *= 1.2
    >>> law, objective = fit_log_huber(n, d, y, {})
    >>> print(f"E = {law['E']:.3f}, alpha = {law['alpha']:.3f}, beta = {law['beta']:.3f}")
    E = 1.700, alpha = 0.350, beta = 0.370
    """
    w = np.ones_like(loss) if weights is None else np.asarray(weights, dtype="float64")
    used = w > 0
    if not used.all():
        params, tokens, loss, w = params[used], tokens[used], loss[used], w[used]
    log_n, log_d = np.log(params), np.log(tokens)
    shift_n = 0.0 if "A" in fixed else float(log_n.mean())
    shift_d = 0.0 if "B" in fixed else float(log_d.mean())
    problem = LogProblem(log_n - shift_n, log_d - shift_d, loss, w, dict(fixed))
    best = search(problem)
    usual = float(np.exp(CENTRE))
    levels = {"alpha": ("A", log_n), "beta": ("B", log_d)}
    flat = {
        exponent: usual
        for exponent, (factor, logs) in levels.items()
        if not {"E", factor, exponent} & set(fixed) and len(np.unique(logs)) <= 2
    }
    if flat:
        # Two levels of loss are met by every exponent: return the usual one, not rounding errors.
        usual_best = search(LogProblem(problem.x, problem.z, loss, w, {**fixed, **flat}))
        if usual_best[0] <= best[0] * (1 + TIE) + 1e-30:
            best = usual_best
    objective, theta = best
    law = dict(zip(PARAMETERS, (float(t) for t in theta), strict=True))
    law["A"] *= float(np.exp(law["alpha"] * shift_n))
    law["B"] *= float(np.exp(law["beta"] * shift_d))
    return law | {name: float(value) for name, value in fixed.items()}, objective


def search(problem: LogProblem) -> tuple[float, Array]:
    """Lowest end of the descents from every basin of the map.

    Returns
    -------
    objective : float
        Sum of Huber losses.
    theta : numpy.ndarray of shape (5,)
        ``E, A, B, alpha, beta`` with A and B in the units of the problem.
    """
    count = len(problem.loss)
    few = problem
    if count > MAP_ROWS:
        order = np.lexsort((problem.z, problem.x))
        few = problem.rows(order[np.linspace(0, count - 1, MAP_ROWS).astype(np.intp)])
    values, thetas = descend(few, np.vstack([starts(few), least_squares_end(few)]))
    if few is not problem:
        # Ends that are equal to a few digits are one end, and far ones have lost.
        _, first = np.unique(np.array([f"{v:.4e}" for v in values]), return_index=True)
        best = first[np.argsort(values[first])][:3]
        values, thetas = descend(problem, thetas[best])
    values, thetas = revive(problem, values, thetas)
    level = values <= values.min() * (1 + TIE)
    chosen = np.argmin(np.where(level, distance(thetas[:, 3], thetas[:, 4]), np.inf))
    value, theta = float(values[chosen]), thetas[chosen]
    for factor, exponent in ((1, 3), (2, 4)):
        if theta[factor] == 0 and exponent in problem.movable:
            theta[exponent] = np.exp(CENTRE)  # any exponent will do
    return value, theta


def revive(problem: LogProblem, values: Array, thetas: Array) -> tuple[Array, Array]:
    """Go on from ends where a term is zero, if another exponent would bring the term back.

    A term that is zero does not feel its exponent, so no descent by itself would find out.
    """
    more = []
    for theta in thetas:
        for factor, exponent, logs in ((1, 3, problem.x), (2, 4, problem.z)):
            if theta[factor] or not {factor, exponent} <= set(problem.movable):
                continue
            law = theta[0] + theta[1] * np.exp(-theta[3] * problem.x)
            law = law + theta[2] * np.exp(-theta[4] * problem.z)
            push = problem.weights * np.clip(np.log(law / problem.loss), -DELTA, DELTA) / law
            term = np.exp(-np.outer(FINE, logs))
            slope = term @ push / np.linalg.norm(term, axis=1)
            if slope.min() < 0:
                other = theta.copy()
                other[exponent] = FINE[np.argmin(slope)]
                more.append(other)
    if not more:
        return values, thetas
    found = descend(problem, np.array(more))
    return np.concatenate([values, found[0]]), np.concatenate([thetas, found[1]])


def starts(problem: LogProblem) -> Array:
    """Points to descend from: local minima of the maps of exponents, with their linear parameters.

    Minima of ordinary least squares on relative residuals are used too: they are the broad ones.

    Returns
    -------
    numpy.ndarray of shape (s, 5)
        ``E, A, B, alpha, beta``.
    """
    held = problem.held
    alphas = np.array([held["alpha"]]) if "alpha" in held else GRID
    betas = np.array([held["beta"]]) if "beta" in held else GRID
    found = []
    maps = exponent_map(problem, alphas, betas)
    for (surface, linear), most in zip(maps, MOST, strict=True):
        padded = np.pad(surface, 1, constant_values=np.inf)
        # Four neighbours only: in a narrow diagonal valley every cell has a lower one diagonally.
        around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
        i, j = np.nonzero(surface <= np.minimum.reduce(around))
        level = surface[i, j]
        # Where a term vanishes its exponent does not matter: one start for the whole valley, the
        # most central.
        rounded = np.array([float(f"{v:.9e}") for v in level])
        order = np.lexsort((distance(alphas[i], betas[j]), rounded))
        first = np.r_[True, np.diff(rounded[order]) > 0]
        for k in order[first][:most]:
            cell = i[k], j[k]
            found.append([*(part[cell] for part in linear), alphas[i[k]], betas[j[k]]])
    return np.array(found)


def least_squares_end(problem: LogProblem) -> Array:
    """Global minimum of least squares on relative residuals, to descend from too.

    The maps are coarse: where few sizes leave a narrow valley, they can miss it.

    Returns
    -------
    numpy.ndarray of shape (5,)
        ``E, A, B, alpha, beta``.
    """
    weights = problem.weights / problem.loss**2
    sizes, tokens = np.exp(problem.x), np.exp(problem.z)
    law, _ = fit_varpro(sizes, tokens, problem.loss, problem.held, weights)
    return np.array([law[name] for name in PARAMETERS])


def exponent_map(
    problem: LogProblem, alphas: Array, betas: Array
) -> list[tuple[Array, list[Array]]]:
    """Objective at each pair of exponents, for relative least squares and for the Huber loss.

    Parameters
    ----------
    problem : LogProblem
        Checkpoints.
    alphas, betas : numpy.ndarray of shape (p,) and (q,)
        Exponents.

    Returns
    -------
    list of two (surface, linear)
        Surface of shape (p, q), and three arrays of that shape with E, A and B.
    """
    y, w = problem.loss, problem.weights
    u = np.exp(-np.outer(alphas, problem.x))
    v = np.exp(-np.outer(betas, problem.z))
    given = np.array([problem.held.get(name, 0.0) for name in LINEAR])
    free = [k for k, name in enumerate(LINEAR) if name not in problem.held]
    held = given[0] + given[1] * u[:, None, :] + given[2] * v[None, :, :]
    aim = y - held
    pu = np.stack([np.ones_like(u), u, u**2], axis=-1)
    weight = np.broadcast_to(w / y**2, aim.shape)
    maps = []
    for step in range(REWEIGHTINGS):
        wv, wt = weight * v, weight * aim
        by_u, by_uv = weight @ pu, wv @ pu[..., :2]
        gram = (
            by_u[..., 0],
            by_u[..., 1],
            by_uv[..., 0],
            by_u[..., 2],
            by_uv[..., 1],
            np.einsum("pqn,qn->pq", wv, v),
        )
        by_t = wt @ pu[..., :2]
        moment = (by_t[..., 0], by_t[..., 1], np.einsum("pqn,qn->pq", wt, v))
        solution, _ = solve_nonnegative(gram, moment, free)
        law = (
            held
            + solution[0][..., None]
            + solution[1][..., None] * u[:, None, :]
            + solution[2][..., None] * v[None, :, :]
        )
        law = np.maximum(law, 1e-3 * y)
        ratio = law / y
        residual = np.log(ratio)
        if step in (0, REWEIGHTINGS - 1):
            cost = (0.5 * residual**2 if step == 0 else huber(residual)) @ w
            linear = [solution[k] + given[k] for k in range(3)]
            maps.append((cost, linear))
        # Weights under which the stationary point of least squares is that of the Huber loss.
        excess = law - y
        slope = np.where(np.abs(excess) > 1e-9 * y, residual / np.where(excess, excess, 1), 1 / y)
        weight = w * slope / law * (DELTA / np.maximum(np.abs(residual), DELTA))
    return maps


def descend(problem: LogProblem, points: Array, iterations: int = 400) -> tuple[Array, Array]:
    """Damped Newton descents of the objective itself, within the bounds of the law.

    All descents go on side by side, each with its own damping.

    Parameters
    ----------
    problem : LogProblem
        Checkpoints.
    points : numpy.ndarray of shape (s, 5)
        Where to begin; exponents are searched by their logarithms.
    iterations : int
        Most steps.

    Returns
    -------
    objective : numpy.ndarray of shape (s,)
        Sum of Huber losses at each end.
    theta : numpy.ndarray of shape (s, 5)
        ``E, A, B, alpha, beta`` at each end.
    """
    low = np.array([0.0, 0.0, 0.0, *np.log([EXPONENT_BOX[0]] * 2)])
    high = np.array([np.inf, np.inf, np.inf, *np.log([EXPONENT_BOX[1]] * 2)])
    movable = np.isin(np.arange(len(PARAMETERS)), problem.movable)
    for k in (3, 4):
        if not movable[k]:
            low[k], high[k] = -np.inf, np.inf
    point = points.copy()
    with np.errstate(divide="ignore"):  # an exponent may be held at zero
        point[:, 3:] = np.log(point[:, 3:])
    value, residual = evaluate(problem, point)
    count = len(point)
    damping, slow = np.full(count, 1e-3), np.zeros(count, dtype=int)
    direction, curvature, along = (
        np.empty((count, 5, 5)),
        np.empty((count, 5)),
        np.empty((count, 5)),
    )
    moving = np.empty((count, 5), dtype=bool)
    # A first objective that is not finite has no derivatives: that descent is over.
    going = np.isfinite(value) & bool(movable.any())
    fresh = going.copy()
    for _ in range(iterations):
        if fresh.any():
            gradient, hessian, scale = derivatives(problem, point[fresh], residual[fresh])
            at = point[fresh]
            free = movable & ~((at <= low) & (gradient > 0)) & ~((at >= high) & (gradient < 0))
            # Nothing depends on the exponent of a term that is zero.
            free[:, 3:] &= at[:, 1:3] > 0
            unit = 1 / np.sqrt(np.where(free & (scale > 0), scale, 1))
            hessian *= unit[:, :, None] * unit[:, None, :] * (free[:, :, None] & free[:, None, :])
            root, turn = np.linalg.eigh(hessian)
            direction[fresh] = turn * unit[:, :, None]
            curvature[fresh], moving[fresh] = root, free
            along[fresh] = np.einsum("sij,si->sj", direction[fresh], gradient * free)
        rows = np.flatnonzero(going)
        if not len(rows):
            break
        # Curvature counts by its size, so that every step leads down, also from a saddle.
        ahead = along[rows] / (np.abs(curvature[rows]) + damping[rows, None])
        step = -np.einsum("sij,sj->si", direction[rows], ahead) * moving[rows]
        promise = np.einsum("sj,sj->s", along[rows], ahead)
        trial = point[rows] + step
        trial[:, 3:] = np.clip(trial[:, 3:], point[rows, 3:] - 1, point[rows, 3:] + 1)
        trial = np.clip(trial, low, high)
        lower, new = evaluate(problem, trial)
        better = lower < value[rows]
        gain = np.where(better, value[rows] - lower, 0)
        slow[rows] = np.where(
            better, np.where(gain <= 1e-14 * value[rows], slow[rows] + 1, 0), slow[rows]
        )
        damping[rows] = np.where(
            better, np.maximum(damping[rows] / 10, 1e-16), np.maximum(damping[rows], 1e-12) * 10
        )
        up = rows[better]
        point[up], value[up], residual[up] = trial[better], lower[better], new[better]
        # Less to gain than rounding errors of the objective, no step that gains, or a perfect fit.
        over = (promise <= 1e-16 * value[rows]) | (slow[rows] == 3) | (damping[rows] > 1e12)
        going[rows[over | (value[rows] == 0)]] = False
        fresh = np.zeros(count, dtype=bool)
        fresh[up] = True
        fresh &= going
    return value, np.concatenate([point[:, :3], np.exp(point[:, 3:])], axis=1)


def terms(problem: LogProblem, point: Array) -> tuple[Array, Array, Array]:
    """Terms ``u`` and ``v`` that A and B multiply, and the law, each of shape (s, n)."""
    u = np.exp(-np.exp(point[:, 3:4]) * problem.x)
    v = np.exp(-np.exp(point[:, 4:5]) * problem.z)
    return u, v, point[:, 0:1] + point[:, 1:2] * u + point[:, 2:3] * v


def evaluate(problem: LogProblem, point: Array) -> tuple[Array, Array]:
    """Objective and log residuals at points of shape (s, 5); infinite where the law is not."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        law = terms(problem, point)[2]
        residual = np.log(law / problem.loss)
        value = huber(residual) @ problem.weights
    return np.where(np.isfinite(value), value, np.inf), residual


def derivatives(problem: LogProblem, point: Array, residual: Array) -> tuple[Array, Array, Array]:
    """Gradient, Hessian, and the diagonal of the reweighted Gauss-Newton matrix, at each point.

    The last of them measures every parameter, also where all residuals lie on the straight part
    of the Huber loss, whose own curvature is zero.
    """
    u, v, law = terms(problem, point)
    a = -np.exp(point[:, 3:4]) * problem.x
    b = -np.exp(point[:, 4:5]) * problem.z
    au, bv = point[:, 1:2] * u, point[:, 2:3] * v
    slopes = np.stack([np.ones_like(u), u, v, au * a, bv * b], axis=1) / law[:, None, :]
    inside = np.abs(residual) <= DELTA
    push = problem.weights * np.clip(residual, -DELTA, DELTA)
    gradient = np.einsum("skn,sn->sk", slopes, push)
    bend = (problem.weights * inside - push)[:, None, :]
    hessian = (slopes * bend) @ slopes.transpose(0, 2, 1)
    over = push / law
    for i, j, more in (
        (1, 3, u * a),
        (2, 4, v * b),
        (3, 3, au * a * (a + 1)),
        (4, 4, bv * b * (b + 1)),
    ):
        extra = np.einsum("sn,sn->s", over, more)
        hessian[:, i, j] += extra
        if i != j:
            hessian[:, j, i] += extra
    ease = problem.weights * (DELTA / np.maximum(np.abs(residual), DELTA))
    return gradient, hessian, np.einsum("skn,sn->sk", slopes**2, ease)
