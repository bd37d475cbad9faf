r"""Least squares by variable projection: global on a box of exponents, never negative.

For given exponents the law :math:`E + A N^{-\alpha} + B D^{-\beta}` is linear in *E*, *A* and *B*,
so the best of them that are not negative follow in closed form, and only two dimensions are left to
search (Golub and Pereyra 1973).  The search looks at a whole grid of exponents first, which costs
one matrix product, and then polishes every basin that the grid shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from scaling_utils.fitting.nonnegative import solve_nonnegative

Array = NDArray[np.float64]

EXPONENT_BOX = (0.01, 3.0)
"""Smallest and largest exponent that the search considers, for both terms."""

GRID = np.geomspace(*EXPONENT_BOX, 28)
TIE = 1e-9
CENTRE = np.log(0.35)
LINEAR = ("E", "A", "B")
ROUNDING = 1e-14
"""Share of the squared losses below which a difference of objectives is a rounding error."""

NEAR = 0.05
"""Share of a step below which the place where a linear parameter vanishes counts as reached."""

ABSORBED = 1e-22
"""Share of a squared slope below which what the linear parameters leave is a rounding error."""


@dataclass(frozen=True)
class Problem:
    """Checkpoints in scaled form: parameters and tokens in units of their geometric means.

    Attributes
    ----------
    log_n, log_d : numpy.ndarray of shape (n,)
        Natural logarithms of parameters and tokens over their geometric means.
    y : numpy.ndarray of shape (n,)
        Loss.
    root_weight : numpy.ndarray of shape (n,)
        Square roots of the weights of the checkpoints.
    shift_n, shift_d : float
        Logarithms of the geometric means.
    fixed : mapping of str to float
        Parameters of the law to hold, in raw units.
    """

    log_n: Array
    log_d: Array
    y: Array
    root_weight: Array
    shift_n: float
    shift_d: float
    fixed: Mapping[str, float]

    @property
    def free(self) -> list[int]:
        """Indices into ``LINEAR`` of the linear parameters to fit."""
        return [k for k, name in enumerate(LINEAR) if name not in self.fixed]

    def held(self, alpha: float | Array, beta: float | Array) -> list[float | Array]:
        """Held linear parameters in scaled units (zero where they are to be fitted)."""
        return [
            self.fixed.get("E", 0.0) + 0.0 * (alpha + beta),
            self.fixed.get("A", 0.0) * np.exp(-alpha * self.shift_n) + 0.0 * beta,
            self.fixed.get("B", 0.0) * np.exp(-beta * self.shift_d) + 0.0 * alpha,
        ]


def fit_varpro(
    params: Array,
    tokens: Array,
    loss: Array,
    fixed: Mapping[str, float],
    weights: Array | None = None,
) -> tuple[dict[str, float], float]:
    """Fit a law by weighted least squares, with every parameter at least zero.

    Parameters
    ----------
    params, tokens, loss : numpy.ndarray of shape (n,)
        Parameters, tokens and loss (nats per token) of each checkpoint.
    fixed : mapping of str to float
        Parameters to hold, by the names ``E, A, B, alpha, beta``.
    weights : numpy.ndarray of shape (n,), optional
        Weight of each squared residual; one by default.

    Returns
    -------
    law : dict of str to float
        ``E, A, B, alpha, beta`` with the smallest weighted sum of squared residuals among all
        laws whose exponents lie in :data:`EXPONENT_BOX`.  Where several exponents fit equally
        well, as with two sizes only, those nearest to 0.35 are returned.
    objective : float
        That sum.
    """
    log_n, log_d = np.log(params), np.log(tokens)
    shift_n, shift_d = float(log_n.mean()), float(log_d.mean())
    root = np.ones_like(loss) if weights is None else np.sqrt(weights)
    problem = Problem(log_n - shift_n, log_d - shift_d, loss, root, shift_n, shift_d, fixed)
    alphas = np.array([fixed["alpha"]]) if "alpha" in fixed else GRID
    betas = np.array([fixed["beta"]]) if "beta" in fixed else GRID
    objective, alpha, beta, scaled = search(problem, alphas, betas)
    linear = dict(zip(LINEAR, scaled, strict=True))
    law = {
        "E": float(linear["E"]),
        "A": float(linear["A"] * np.exp(alpha * shift_n)),
        "B": float(linear["B"] * np.exp(beta * shift_d)),
        "alpha": alpha,
        "beta": beta,
    }
    return law | {name: float(value) for name, value in fixed.items()}, objective


def search(problem: Problem, alphas: Array, betas: Array) -> tuple[float, float, float, Array]:
    """Lowest end of the descents from every basin of a grid, by convention where there are many.

    Two sizes give two levels of loss, through which ``E + A / N**alpha`` passes for every alpha
    (and likewise two token counts and beta); searching such a flat valley would return whatever
    rounding errors prefer.  There an exponent of 0.35 is taken, or if E would have to be negative
    for that, the one nearest to it, where E is zero.
    """
    surface = profile_grid(problem, alphas, betas)
    candidates = [polish(problem, *start) for start in basins(surface, alphas, betas)]
    best = reduce(lambda one, two: two if better(two, one) else one, candidates)
    flat = undetermined(problem)
    if not flat:
        return best
    scale = float(np.sum((problem.root_weight * problem.y) ** 2))
    usual = conventional(problem, surface, alphas, betas, flat)
    if usual[0] <= best[0] * (1 + TIE) + ROUNDING * scale:
        return usual
    if len(flat) == 1:
        which = ("alpha", "beta").index(flat[0])
        logs = (problem.log_n, problem.log_d)[which]
        exponents, linear = without_floor(np.array(best[1:3]), best[3], which, logs)
        return best[0], float(exponents[0]), float(exponents[1]), linear
    return best


def without_floor(exponents: Array, linear: Array, which: int, logs: Array) -> tuple[Array, Array]:
    """Move along a valley without slope to where E is zero.

    Parameters
    ----------
    exponents : numpy.ndarray of shape (2,)
        Alpha and beta.
    linear : numpy.ndarray of shape (3,)
        ``E, A, B`` in scaled units.
    which : int
        0 if alpha belongs to a term that was seen at two values only, 1 if beta does.
    logs : numpy.ndarray of shape (n,)
        Scaled logarithms of these values.

    Returns
    -------
    exponents, linear : numpy.ndarray
        Another law with the same predictions at these values; the same law if there is none
        within the box.
    """
    low, high = float(logs.min()), float(logs.max())
    levels = linear[0] + linear[1 + which] * np.exp(-exponents[which] * np.array([low, high]))
    if high == low or not levels[0] > levels[1] > 0:
        return exponents, linear
    other = float(np.log(levels[0] / levels[1]) / (high - low))
    if not EXPONENT_BOX[0] <= other <= EXPONENT_BOX[1]:
        return exponents, linear
    exponents, linear = exponents.copy(), linear.copy()
    exponents[which] = other
    linear[0], linear[1 + which] = 0.0, levels[0] * np.exp(other * low)
    return exponents, linear


def undetermined(problem: Problem) -> list[str]:
    """Exponents that the data cannot tell from any other: those of a term seen at two values."""
    terms = (("A", "alpha", problem.log_n), ("B", "beta", problem.log_d))
    return [
        exponent
        for factor, exponent, logs in terms
        if not {"E", factor, exponent} & set(problem.fixed) and len(np.unique(logs)) <= 2
    ]


def conventional(
    problem: Problem, surface: Array, alphas: Array, betas: Array, flat: list[str]
) -> tuple[float, float, float, Array]:
    """Best law in which the exponents that the data cannot tell are 0.35."""
    held = dict.fromkeys(flat, float(np.exp(CENTRE)))
    rows = [int(np.argmin(np.abs(np.log(alphas) - CENTRE)))] if "alpha" in held else slice(None)
    columns = [int(np.argmin(np.abs(np.log(betas) - CENTRE)))] if "beta" in held else slice(None)
    part = surface[rows][:, columns]
    i, j = np.unravel_index(int(np.argmin(part)), part.shape)
    alpha = held.get("alpha", float(alphas[rows][i]))
    beta = held.get("beta", float(betas[columns][j]))
    return polish(replace(problem, fixed={**problem.fixed, **held}), alpha, beta)


def better(one: tuple[float, float, float, Array], two: tuple[float, float, float, Array]) -> bool:
    """Whether the first candidate is to be preferred: lower, or as low and less extreme."""
    if abs(one[0] - two[0]) > TIE * max(one[0], two[0]):
        return one[0] < two[0]
    return bool(distance(one[1], one[2]) < distance(two[1], two[2]))


def distance(alpha: Array | float, beta: Array | float) -> Array:
    """Squared distance of pairs of exponents from 0.35, on a logarithmic scale."""
    return np.asarray((np.log(alpha) - CENTRE) ** 2 + (np.log(beta) - CENTRE) ** 2)


def profile_grid(problem: Problem, alphas: Array, betas: Array) -> Array:
    """Smallest objective at each pair of exponents, for all pairs at once.

    Parameters
    ----------
    problem : Problem
        The checkpoints.
    alphas, betas : numpy.ndarray of shape (p,) and (q,)
        Exponents.

    Returns
    -------
    numpy.ndarray of shape (p, q)
        Weighted sum of squared residuals after the best linear parameters.
    """
    w = problem.root_weight
    one, y = w, w * problem.y
    u = np.exp(-np.outer(alphas, problem.log_n)) * w
    v = np.exp(-np.outer(betas, problem.log_d)) * w
    shape = (len(alphas), len(betas))
    gram = np.empty((*shape, 3, 3))
    gram[..., 0, 0] = one @ one
    gram[..., 0, 1] = gram[..., 1, 0] = (u @ one)[:, None]
    gram[..., 0, 2] = gram[..., 2, 0] = (v @ one)[None, :]
    gram[..., 1, 1] = np.einsum("ij,ij->i", u, u)[:, None]
    gram[..., 2, 2] = np.einsum("ij,ij->i", v, v)[None, :]
    gram[..., 1, 2] = gram[..., 2, 1] = u @ v.T
    moment = np.empty((*shape, 3))
    moment[..., 0] = one @ y
    moment[..., 1] = (u @ y)[:, None]
    moment[..., 2] = (v @ y)[None, :]
    held = np.stack(
        np.broadcast_arrays(*problem.held(alphas[:, None], betas[None, :])), axis=-1
    ).astype("float64")
    # What the held parameters explain moves to the left-hand side.
    rest = moment - np.einsum("...ij,...j->...i", gram, held)
    constant = (
        y @ y
        - 2 * np.einsum("...i,...i->...", held, moment)
        + np.einsum("...i,...ij,...j->...", held, gram, held)
    )
    upper = [gram[..., i, j] for i in range(3) for j in range(i, 3)]
    _, gain = solve_nonnegative(upper, [rest[..., i] for i in range(3)], problem.free)
    return constant - gain


def basins(surface: Array, alphas: Array, betas: Array, most: int = 4) -> list[tuple[float, float]]:
    """Grid points to polish: the lowest local minima, and the most central of equal ones."""
    padded = np.pad(surface, 1, constant_values=np.inf)
    rows, columns = surface.shape
    lowest = np.full_like(surface, np.inf)
    for i in range(3):
        for j in range(3):
            if (i, j) != (1, 1):
                np.minimum(lowest, padded[i : i + rows, j : j + columns], out=lowest)
    minima = np.argwhere(surface <= lowest)
    order = np.argsort(surface[minima[:, 0], minima[:, 1]], kind="stable")[:most]
    chosen = [(int(i), int(j)) for i, j in minima[order]]
    # A flat valley (two sizes, say) has no single lowest cell: start from its most central one too.
    floor = surface.min()
    flat = np.argwhere(surface <= floor + 1e-6 * abs(floor))
    centre = flat[np.argmin(distance(alphas[flat[:, 0]], betas[flat[:, 1]]))]
    chosen.append((int(centre[0]), int(centre[1])))
    return [(float(alphas[i]), float(betas[j])) for i, j in dict.fromkeys(chosen)]


def project(
    problem: Problem, alpha: float, beta: float
) -> tuple[float, Array, Array, Array, list[int]]:
    """Best linear parameters at one pair of exponents.

    Returns
    -------
    objective : float
        Weighted sum of squared residuals.
    linear : numpy.ndarray of shape (3,)
        ``E, A, B`` in scaled units.
    residual : numpy.ndarray of shape (n,)
        Weighted residuals, loss minus law.
    columns : numpy.ndarray of shape (n, 3)
        Weighted columns that the linear parameters multiply.
    active : list of int
        Free linear parameters that are above zero.
    """
    w = problem.root_weight
    columns = np.column_stack(
        [w, w * np.exp(-alpha * problem.log_n), w * np.exp(-beta * problem.log_d)]
    )
    linear = np.array(problem.held(alpha, beta), dtype="float64")
    y = w * problem.y - columns @ linear
    free = problem.free
    if free:
        scale = np.sqrt(np.einsum("ij,ij->j", columns, columns))[free]
        # An orthogonal reduction first: it keeps the digits that normal equations would lose.
        triangle = np.asarray(
            np.linalg.qr(np.column_stack([columns[:, free] / scale, y]), mode="r")
        )
        k = min(len(free), triangle.shape[0])
        solution, _ = nnls(triangle[:k, : len(free)], triangle[:k, -1])
        linear[free] = solution / scale
    residual = w * problem.y - columns @ linear
    active = [k for k in free if linear[k] > 0]
    return float(residual @ residual), linear, residual, columns, active


def polish(
    problem: Problem, alpha: float, beta: float, iterations: int = 200
) -> tuple[float, float, float, Array]:
    """Descend from one pair of exponents by damped Newton steps on the projected objective.

    Returns
    -------
    objective, alpha, beta : float
        The end of the descent.
    linear : numpy.ndarray of shape (3,)
        ``E, A, B`` in scaled units.
    """
    movable = [k for k, name in enumerate(("alpha", "beta")) if name not in problem.fixed]
    point = np.array([alpha, beta])
    objective, linear, residual, columns, active = project(problem, *point)
    damping, slow = 1e-3, 0
    scale = float(np.sum((problem.root_weight * problem.y) ** 2))
    for _ in range(iterations if movable else 0):
        relied_on, share = active, 1.0
        moved = stumbled = False
        while damping < 1e12:
            push, bend, hessian, falls = curvature(
                problem, point, linear, residual, columns, relied_on
            )
            # An exponent at the edge of the box that is pushed outwards must not steer the other
            # one, nor must one that the linear parameters absorb.
            inside = [k for k in movable if bend[k] > 0 and not stuck(point[k], push[k])]
            if not inside:
                break
            unit = 1 / np.sqrt(bend[inside])
            # Curvature counts by its size, so that every step leads down, also from a saddle.
            root, turn = np.linalg.eigh(hessian[np.ix_(inside, inside)] * np.outer(unit, unit))
            turn = turn * unit[:, None]
            along = turn.T @ push[inside]
            ahead = along / (np.abs(root) + damping)
            step = np.clip(turn @ ahead, -1, 1) * share
            trial = point.copy()
            trial[inside] = np.clip(point[inside] * np.exp(step), *EXPONENT_BOX)
            result = project(problem, *trial)
            if result[0] < objective:
                moved = True
                break
            stumbled = True
            # Where a linear parameter has fallen to zero on the way, the curvature that relied on
            # it has misled the step: the next one ends where it vanishes, or, if that is here,
            # does without it.
            fallen = [k for k in relied_on if k not in result[4]]
            drop = falls[:, inside] @ step
            reach = [float(linear[k] / drop[k]) for k in fallen if drop[k] > linear[k]]
            if share == 1 and reach and min(reach) > NEAR:
                share = min(reach)
                continue
            # Half the objective would have fallen by this: less than its rounding errors.
            if float(along @ ahead) <= float(noise(objective, scale)):
                break
            share = 1.0
            relied_on = [k for k in relied_on if k not in fallen]
            damping = max(damping, 1e-12) * 10
        if not moved:
            break
        gain = objective - result[0]
        shift = float(np.max(np.abs(np.log(trial / point))))
        point = trial
        objective, linear, residual, columns, active = result
        damping = damping if stumbled else max(damping / 10, 1e-15)
        vain = gain <= max(1e-13 * objective, float(noise(objective, scale)))
        slow = slow + 1 if vain else 0
        if objective <= 1e-30 * scale or slow == 3 or (slow and shift < 1e-10):
            break
    return objective, float(point[0]), float(point[1]), linear


def noise(objective: Array | float, scale: Array | float) -> Array:
    """Size of the rounding errors of an objective, for losses whose squares add up to ``scale``."""
    return np.asarray(1e-15 * np.sqrt(objective * scale) + 1e-14 * objective)


def curvature(
    problem: Problem,
    point: Array,
    linear: Array,
    residual: Array,
    columns: Array,
    active: list[int],
) -> tuple[Array, Array, Array, Array]:
    """Slope and curvature of half the projected objective in the logarithms of the exponents.

    Parameters
    ----------
    problem : Problem
        The checkpoints.
    point : numpy.ndarray of shape (2,)
        Exponents.
    linear, residual, columns, active
        As :func:`project` returns them there.

    Returns
    -------
    push : numpy.ndarray of shape (2,)
        Minus the slope.
    bend : numpy.ndarray of shape (2,)
        Curvature of Gauss and Newton (Kaufman's), zero where the linear parameters absorb an
        exponent but for rounding errors.
    hessian : numpy.ndarray of shape (2, 2)
        The whole curvature.
    falls : numpy.ndarray of shape (3, 2)
        How fast the active linear parameters fall as the logarithms of the exponents grow.
    """
    # The scaled value of a held A falls as alpha grows, which adds its shift to the logarithm.
    logs = np.column_stack(
        [
            problem.log_n + (problem.shift_n if "A" in problem.fixed else 0.0),
            problem.log_d + (problem.shift_d if "B" in problem.fixed else 0.0),
        ]
    )
    # d law / d ln(alpha), so that a step is relative and the exponent stays positive.
    exponent = logs * point
    whole = -exponent * columns[:, 1:] * linear[1:]
    absorbed = np.zeros((len(active), 2))
    inverse = np.zeros((len(active), 0))
    slope = whole
    if active:
        basis, triangle = np.linalg.qr(columns[:, active])
        inverse = np.linalg.pinv(triangle)
        shadow = basis.T @ whole
        absorbed = inverse @ shadow
        slope = whole - basis @ shadow
    push = slope.T @ residual
    hessian = slope.T @ slope
    bend = np.diag(hessian).copy()
    bend[bend <= ABSORBED * np.einsum("ij,ij->j", whole, whole)] = 0
    # Curvature of the law itself: of a term in its exponent, and in its exponent and its factor.
    own = (residual @ (columns[:, 1:] * exponent * (exponent - 1))) * linear[1:]
    mixed = np.zeros((2, len(active)))
    for k in (1, 2):
        if k in active:
            mixed[k - 1, active.index(k)] = residual @ (columns[:, k] * exponent[:, k - 1])
    half = mixed @ absorbed
    hessian = hessian - half - half.T - (mixed @ inverse) @ (mixed @ inverse).T
    hessian[range(2), range(2)] -= own
    falls = np.zeros((3, 2))
    falls[active] = absorbed
    return push, bend, hessian, falls


def stuck(exponent: float, push: float) -> bool:
    """Whether an exponent is at an edge of the box and the descent would push it outwards."""
    low, high = EXPONENT_BOX
    return (exponent <= low and push < 0) or (exponent >= high and push > 0)
