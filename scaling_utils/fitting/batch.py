r"""Least squares for many laws at once: the search of :mod:`.varpro`, shared between laws.

Laws that are fitted to parts of one family (some sizes, some tokens, resampled runs) differ only in
the weights of *groups* of checkpoints.  All that the profile over a grid of exponents needs are
sums over checkpoints, so each group is summed once and every law is a weighted sum of groups.  The
descents from the basins of all laws then go on side by side, one NumPy call for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_utils.errors import UnknownOptionError
from scaling_utils.fitting.nonnegative import RIDGE, solve_nonnegative
from scaling_utils.fitting.varpro import (
    CENTRE,
    EXPONENT_BOX,
    GRID,
    LINEAR,
    NEAR,
    ROUNDING,
    TIE,
    distance,
    fit_varpro,
    noise,
    without_floor,
)
from scaling_utils.law import PARAMETERS

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]

CELLS = 1 << 14
"""Grid cells worked on together: few enough to stay in a processor's cache."""

ELEMENTS = 1 << 15
"""Checkpoints, over all descents, worked on together."""

ROUNDS = 12
"""Steps after which descents that have ended make room for others."""

MOST_ROUNDS = 300
MOST_BASINS = 4
ABSORBED = 1e-12
"""Share of a squared slope below which what the linear parameters leave may be a rounding error.

Sums of products resolve less than :mod:`.varpro` does, so such laws are left to it.
"""


@dataclass(frozen=True)
class Pool:
    """Checkpoints sorted by group, and the laws as weights of the groups.

    Attributes
    ----------
    log_n, log_d, y : numpy.ndarray of shape (n,)
        Logarithms of parameters and tokens, and loss.
    first, count : numpy.ndarray of shape (g,)
        First row and number of rows of each group.
    weights : numpy.ndarray of shape (laws, g)
        Weight of each group in each law.
    fixed : mapping of str to float
        Parameters held in every law, in raw units.
    """

    log_n: Array
    log_d: Array
    y: Array
    first: Index
    count: Index
    weights: Array
    fixed: Mapping[str, float]

    @property
    def free(self) -> list[int]:
        """Indices into ``LINEAR`` of the linear parameters to fit."""
        return [k for k, name in enumerate(LINEAR) if name not in self.fixed]

    def by_group(self, values: Array) -> Array:
        """Sum rows of ``values``, of shape (n, k), over each group."""
        return np.add.reduceat(values, self.first, axis=0)

    def rows(self, law: int) -> tuple[Index, Array]:
        """Rows of one law, and the square roots of their weights."""
        groups = np.flatnonzero(self.weights[law])
        count = self.count[groups]
        start = np.cumsum(count) - count
        rows = np.repeat(self.first[groups] - start, count) + np.arange(count.sum())
        return rows, np.repeat(np.sqrt(self.weights[law, groups]), count)


@dataclass
class Descents:
    """Descents under way, one entry each.

    Attributes
    ----------
    law : numpy.ndarray of int
        Which law.
    usual : numpy.ndarray of bool
        Whether exponents that the data cannot tell are held at the usual one.
    exponents : numpy.ndarray of shape (k, 2)
        Where each is.
    moves : numpy.ndarray of bool, of shape (k, 2)
        Whether alpha and beta may move.
    damping, slow, rounds, over : numpy.ndarray
        Damping, steps in a row without much gain, steps done, and whether the end is reached.
    objective : numpy.ndarray
        Weighted sum of squared residuals.
    linear : numpy.ndarray of shape (k, 3)
        E, A and B in units of the law's geometric means.
    doubtful : numpy.ndarray of bool
        Whether rounding errors hid the effect of an exponent on the way.
    """

    law: Index
    usual: Mask
    exponents: Array
    moves: Mask
    damping: Array
    slow: Index
    rounds: Index
    over: Mask
    objective: Array
    linear: Array
    doubtful: Mask


def _begin(law: Index, alpha: Array, beta: Array, moves: Mask, usual: bool = False) -> Descents:
    """Start descents from pairs of exponents."""
    k = len(law)
    return Descents(
        law=law,
        usual=np.full(k, usual),
        exponents=np.column_stack([alpha, beta]),
        moves=np.broadcast_to(moves, (k, 2)),
        damping=np.full(k, 1e-3),
        slow=np.zeros(k, dtype=np.intp),
        rounds=np.zeros(k, dtype=np.intp),
        over=np.zeros(k, dtype=bool),
        objective=np.full(k, np.inf),
        linear=np.zeros((k, 3)),
        doubtful=np.zeros(k, dtype=bool),
    )


def _join(parts: list[Descents]) -> Descents:
    """Put descents together."""
    names = Descents.__dataclass_fields__
    return Descents(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def fit_batch(
    params: Array,
    tokens: Array,
    loss: Array,
    group: NDArray[np.integer],
    weights: Array,
    fixed: Mapping[str, float] | None = None,
) -> tuple[Array, Array]:
    """Fit many laws to weighted groups of checkpoints by least squares.

    Each law is the one that :func:`~scaling_utils.fitting.varpro.fit_varpro` finds for the same
    checkpoints and weights, up to rounding errors.

    Parameters
    ----------
    params, tokens, loss : numpy.ndarray of shape (n,)
        Parameters, tokens and loss (nats per token) of each checkpoint.
    group : numpy.ndarray of int, of shape (n,)
        Group of each checkpoint, from 0 on.
    weights : numpy.ndarray of shape (laws, groups)
        Weight, in each law, of the squared residuals of each group; zero leaves a group out.
    fixed : mapping of str to float, optional
        Parameters to hold in every law, by the names ``E, A, B, alpha, beta``.

    Returns
    -------
    laws : numpy.ndarray of shape (laws, 5)
        ``E, A, B, alpha, beta`` in each row; missing where a law has no checkpoint.
    objective : numpy.ndarray of shape (laws,)
        Weighted sums of squared residuals.

    Raises
    ------
    UnknownOptionError
        If a weight is negative or not finite, or there are groups without a column of weights.

    Notes
    -----
    Whether the checkpoints of a law determine it is for the caller to check.

    Examples
    --------
    >>> n, d = (a.ravel() for a in np.meshgrid([1e7, 1e8, 1e9, 1e10], np.geomspace(1e9, 1e11, 9)))
    >>> y = 1.7 + 400 * n**-0.35 + 2000 * d**-0.37
    >>> size = np.unique(n, return_inverse=True)[1]
    >>> laws, objective = fit_batch(n, d, y, size, np.array([[1, 1, 1, 0], [1, 1, 1, 2]]))
    >>> laws[:, [0, 3, 4]].round(6)
    array([[1.7 , 0.35, 0.37],
           [1.7 , 0.35, 0.37]])
    """
    held = dict(fixed or {})
    weights = np.asarray(weights, dtype="float64")
    group = np.asarray(group, dtype=np.intp)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise UnknownOptionError("weights must be finite and not negative: use 0 to leave out.")
    if len(group) and not 0 <= group.min() <= group.max() < weights.shape[1]:
        raise UnknownOptionError(
            f"groups {group.min()} to {group.max()} need as many columns of weights, and there "
            f"are {weights.shape[1]}: number the groups from 0 on."
        )
    laws = np.full((len(weights), 5), np.nan)
    objective = np.full(len(weights), np.nan)
    order = np.argsort(group, kind="stable")
    present, first, count = np.unique(group[order], return_index=True, return_counts=True)
    full = np.flatnonzero(weights[:, present].any(axis=1))
    if not len(full):
        return laws, objective
    pool = Pool(
        np.log(params[order]),
        np.log(tokens[order]),
        np.asarray(loss, dtype="float64")[order],
        first,
        count,
        weights[np.ix_(full, present)],
        held,
    )
    shift, ends = _solve(pool)
    laws[full, 0] = ends.linear[:, 0]
    laws[full, 1:3] = ends.linear[:, 1:] * np.exp(ends.exponents * shift)
    laws[full, 3:] = ends.exponents
    objective[full] = ends.objective
    for row in np.flatnonzero(ends.doubtful):
        rows, root = pool.rows(int(row))
        n, d, y = (a[order][rows] for a in (params, tokens, np.asarray(loss, dtype="float64")))
        law, objective[full[row]] = fit_varpro(n, d, y, held, root**2)
        laws[full[row]] = [law[name] for name in PARAMETERS]
    for k, name in enumerate(PARAMETERS):
        if name in held:
            laws[full, k] = held[name]
    return laws, objective


def _solve(pool: Pool) -> tuple[Array, Descents]:
    """Search every law; returns the shifts of its logarithms and the end of its best descent."""
    used = (pool.weights > 0).astype("float64")
    sums = pool.by_group(np.column_stack([np.ones_like(pool.y), pool.log_n, pool.log_d]))
    shift = used @ sums
    shift = shift[:, 1:] / shift[:, :1]
    alphas = np.array([pool.fixed["alpha"]]) if "alpha" in pool.fixed else GRID
    betas = np.array([pool.fixed["beta"]]) if "beta" in pool.fixed else GRID
    may = np.array(["alpha" not in pool.fixed, "beta" not in pool.fixed])
    flat = _two_levels(pool)
    odd = np.flatnonzero(flat.any(axis=1))
    parts = []
    for chunk, surface in _surfaces(pool, alphas, betas):
        law, i, j = _basins(surface, alphas, betas)
        parts.append(_begin(chunk[law], alphas[i], betas[j], may))
        some = chunk[flat[chunk].any(axis=1)]
        if len(some):
            cell = _usual(surface[some - chunk[0]], flat[some], alphas, betas)
            parts.append(_begin(some, cell[:, 0], cell[:, 1], may & ~flat[some], usual=True))
    ends = _descend(pool, shift, _join(parts))
    best = _best(_pick(ends, ~ends.usual), np.arange(len(pool.weights)))
    best.doubtful &= ~flat.any(axis=1)
    if len(odd):
        scale = pool.weights[odd] @ pool.by_group(pool.y[:, None] ** 2)[:, 0]
        usual = _best(_pick(ends, ends.usual), odd)
        good = usual.objective <= best.objective[odd] * (1 + TIE) + ROUNDING * scale
        _put(best, odd[good], _pick(usual, good))
        for k in odd[~good & (flat[odd].sum(axis=1) == 1)]:
            which = int(flat[k].argmax())
            logs = (pool.log_n, pool.log_d)[which][pool.rows(int(k))[0]] - shift[k, which]
            best.exponents[k], best.linear[k] = without_floor(
                best.exponents[k], best.linear[k], which, logs
            )
    return shift, best


def _two_levels(pool: Pool) -> Mask:
    """Whether a law has seen two sizes (two token counts) only, so that any exponent will do."""
    out = np.zeros((len(pool.weights), 2), dtype=bool)
    used = pool.weights > 0
    owner = np.repeat(np.arange(len(pool.first)), pool.count)
    for k, (logs, names) in enumerate(
        ((pool.log_n, {"E", "A", "alpha"}), (pool.log_d, {"E", "B", "beta"}))
    ):
        if names & set(pool.fixed):
            continue
        value = np.unique(logs, return_inverse=True)[1]
        low = np.minimum.reduceat(value, pool.first)
        high = np.maximum.reduceat(value, pool.first)
        least = np.where(used, low, value.max() + 1).min(axis=1)
        most = np.where(used, high, -1).max(axis=1)
        # A law has a third level if some row of it lies strictly between its extremes.
        inner = np.zeros(len(out), dtype=bool)
        pairs = np.unique(np.column_stack([owner, value]), axis=0)
        for g in range(len(pool.first)):
            of_group = pairs[pairs[:, 0] == g, 1]
            at = np.searchsorted(of_group, least, side="right")
            following = np.append(of_group, value.max() + 1)[at]
            inner |= used[:, g] & (following < most)
        out[:, k] = ~inner
    return out


def _surfaces(pool: Pool, alphas: Array, betas: Array) -> Iterator[tuple[Index, Array]]:
    """Yield laws, some at a time, and their smallest objective at each pair of exponents."""
    shift_n, shift_d = float(pool.log_n.mean()), float(pool.log_d.mean())
    x, z, y = pool.log_n - shift_n, pool.log_d - shift_d, pool.y[:, None]
    u, v = np.exp(-np.outer(x, alphas)), np.exp(-np.outer(z, betas))
    p, q = len(alphas), len(betas)
    plain = pool.by_group(np.column_stack([np.ones_like(y), y, y**2]))
    by_u = [pool.by_group(a) for a in (u, u**2, u * y)]
    by_v = [pool.by_group(a) for a in (v, v**2, v * y)]
    cross = np.stack(
        [u[i : i + n].T @ v[i : i + n] for i, n in zip(pool.first, pool.count, strict=True)]
    ).reshape(-1, p * q)
    held = [
        np.full((p, q), pool.fixed.get("E", 0.0)),
        np.tile(pool.fixed.get("A", 0.0) * np.exp(-alphas * shift_n)[:, None], (1, q)),
        np.tile(pool.fixed.get("B", 0.0) * np.exp(-betas * shift_d)[None, :], (p, 1)),
    ]
    size = max(1, CELLS // (p * q))
    for start in range(0, len(pool.weights), size):
        w = pool.weights[start : start + size]
        count, m0, constant = ((w @ plain[:, k])[:, None, None] for k in range(3))
        g01, g11, m1 = ((w @ a)[:, :, None] for a in by_u)
        g02, g22, m2 = ((w @ a)[:, None, :] for a in by_v)
        gram = [count, g01, g02, g11, (w @ cross).reshape(-1, p, q), g22]
        moment = [m0, m1, m2]
        if len(pool.free) < len(LINEAR):
            # What the held parameters explain moves to the left-hand side.
            rows = (
                (gram[0], gram[1], gram[2]),
                (gram[1], gram[3], gram[4]),
                (gram[2], gram[4], gram[5]),
            )
            drop = [sum(g * h for g, h in zip(row, held, strict=True)) for row in rows]
            constant = constant + sum(
                h * (d - 2 * m) for h, d, m in zip(held, drop, moment, strict=True)
            )
            moment = [m - d for m, d in zip(moment, drop, strict=True)]
        _, gain = solve_nonnegative(gram, moment, pool.free)
        yield np.arange(start, start + len(w)), np.broadcast_to(constant - gain, (len(w), p, q))


def _basins(surface: Array, alphas: Array, betas: Array) -> tuple[Index, Index, Index]:
    """Cells to start from: the lowest local minima of each law, and the most central of equal ones.

    Returns
    -------
    law, i, j : numpy.ndarray of int
        Law and cell of each start.
    """
    laws, p, q = surface.shape
    padded = np.pad(surface, ((0, 0), (1, 1), (1, 1)), constant_values=np.inf)
    rows = np.minimum(np.minimum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    around = np.minimum(np.minimum(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:])
    law, i, j = np.nonzero(surface <= around)
    value = surface[law, i, j]
    order = np.lexsort((value, law))
    law, i, j = law[order], i[order], j[order]
    rank = np.arange(len(law)) - np.searchsorted(law, law)
    keep = rank < MOST_BASINS
    floor = surface.min(axis=(1, 2), keepdims=True)
    level = surface <= floor + 1e-6 * np.abs(floor)
    far = distance(alphas[:, None], betas[None, :])
    centre = np.where(level, far, np.inf).reshape(laws, -1).argmin(axis=1)
    cell = np.unique(
        np.r_[law[keep] * p * q + i[keep] * q + j[keep], np.arange(laws) * p * q + centre]
    )
    return cell // (p * q), cell // q % p, cell % q


def _usual(surface: Array, flat: Mask, alphas: Array, betas: Array) -> Array:
    """Best cell of each law among those with the exponent of 0.35 where any exponent will do."""
    near_a = np.abs(np.log(alphas) - CENTRE)
    near_b = np.abs(np.log(betas) - CENTRE)
    allowed = ~flat[:, :1, None] | (np.arange(len(alphas)) == near_a.argmin())[None, :, None]
    allowed = allowed & (
        ~flat[:, 1:, None] | (np.arange(len(betas)) == near_b.argmin())[None, None]
    )
    cell = np.where(allowed, surface, np.inf).reshape(len(surface), -1).argmin(axis=1)
    out = np.column_stack([alphas[cell // len(betas)], betas[cell % len(betas)]])
    return np.where(flat, np.exp(CENTRE), out)


def _pick(descents: Descents, index: Index | Mask) -> Descents:
    """Select descents."""
    return Descents(*(getattr(descents, name)[index] for name in Descents.__dataclass_fields__))


def _put(descents: Descents, index: Index, part: Descents) -> None:
    """Write descents back where they were selected from."""
    for name in Descents.__dataclass_fields__:
        getattr(descents, name)[index] = getattr(part, name)


def _best(ends: Descents, laws: Index) -> Descents:
    """Best end of each law: the lowest, and of equal ones the least extreme."""
    lowest = np.full(laws.max() + 1, np.inf)
    np.minimum.at(lowest, ends.law, ends.objective)
    level = ends.objective <= lowest[ends.law] * (1 + TIE)
    far = np.where(level, distance(ends.exponents[:, 0], ends.exponents[:, 1]), np.inf)
    order = np.lexsort((far, ends.law))
    return _pick(ends, order[np.searchsorted(ends.law[order], laws)])


def _descend(pool: Pool, shift: Array, descents: Descents) -> Descents:
    """Go on with all descents until each has ended."""
    length = (pool.weights > 0).astype(np.intp) @ pool.count
    going = np.arange(len(descents.law))
    while len(going):
        going = going[np.argsort(length[descents.law[going]], kind="stable")]
        longest = length[descents.law[going]]
        start = 0
        while start < len(going):
            # Padded to the longest of them, so that they form one array.
            fits = longest[start:] * np.arange(1, len(going) - start + 1) <= ELEMENTS
            stop = start + max(1, int(np.argmin(fits)) if not fits.all() else len(fits))
            part = _pick(descents, going[start:stop])
            _steps(pool, shift, part)
            _put(descents, going[start:stop], part)
            start = stop
        going = going[~descents.over[going]]
    return descents


@dataclass(frozen=True)
class Data:
    """Checkpoints of several descents, padded with weight zero; of shape (k, m) or (k, 2)."""

    root: Array
    x: Array
    z: Array
    wy: Array
    shift: Array

    def rows(self, index: Index) -> Data:
        """Select descents."""
        return Data(
            self.root[index],
            self.x[index],
            self.z[index],
            self.wy[index],
            self.shift[index],
        )


def _gather(pool: Pool, shift: Array, law: Index) -> Data:
    """Collect the checkpoints of each descent's law."""
    rows = [pool.rows(k) for k in law]
    longest = max(len(index) for index, _ in rows)
    where = np.zeros((len(law), longest), dtype=np.intp)
    root = np.zeros((len(law), longest))
    for k, (index, weight) in enumerate(rows):
        where[k, : len(index)] = index
        root[k, : len(index)] = weight
    s = shift[law]
    x = pool.log_n[where] - s[:, :1]
    z = pool.log_d[where] - s[:, 1:]
    # Padding must not overflow: its logarithms are those of the geometric means.
    x[root == 0] = 0
    z[root == 0] = 0
    return Data(root, x, z, root * pool.y[where], s)


@dataclass
class Local:
    """The projection of each of k descents at its exponents.

    Attributes
    ----------
    objective : numpy.ndarray of shape (k,)
        Weighted sum of squared residuals.
    linear : numpy.ndarray of shape (k, 3)
        E, A and B in units of the law's geometric means.
    active : numpy.ndarray of bool, of shape (k, 3)
        Which of them are fitted and above zero.
    gram : numpy.ndarray of shape (k, 5, 5)
        Products of the columns that E, A and B multiply, and of the latter two times logarithms.
    left : numpy.ndarray of shape (k, 5)
        Products of these columns with the residuals.
    second : numpy.ndarray of shape (k, 2)
        The same for the latter two times squared logarithms.
    """

    objective: Array
    linear: Array
    active: Mask
    gram: Array
    left: Array
    second: Array

    def rows(self, index: Index) -> Local:
        """Select descents."""
        return Local(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def put(self, index: Index, part: Local) -> None:
        """Write descents."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[index] = getattr(part, name)


def _local(pool: Pool, data: Data, exponents: Array) -> Local:
    """Project every descent at its exponents.

    Sums of products give the linear parameters and the curvature; the objective, the slope and a
    correction of the linear parameters come from the residuals themselves, which keep the digits
    that the sums have lost.
    """
    k, m = data.root.shape
    alpha, beta = exponents[:, :1], exponents[:, 1:]
    f = np.empty((k, 6, m))
    f[:, 0] = data.root
    np.multiply(data.root, np.exp(-alpha * data.x), out=f[:, 1])
    np.multiply(data.root, np.exp(-beta * data.z), out=f[:, 2])
    # The scaled value of a held A falls as alpha grows, which adds its shift to the logarithm.
    sa = data.shift[:, :1] if "A" in pool.fixed else 0.0
    sb = data.shift[:, 1:] if "B" in pool.fixed else 0.0
    np.multiply(f[:, 1], data.x + sa, out=f[:, 3])
    np.multiply(f[:, 2], data.z + sb, out=f[:, 4])
    f[:, 5] = data.wy
    gram = f @ f.transpose(0, 2, 1)
    linear = np.zeros((k, 3))
    if "E" in pool.fixed:
        linear[:, 0] = pool.fixed["E"]
    if "A" in pool.fixed:
        linear[:, 1] = pool.fixed["A"] * np.exp(-alpha * data.shift[:, :1])[:, 0]
    if "B" in pool.fixed:
        linear[:, 2] = pool.fixed["B"] * np.exp(-beta * data.shift[:, 1:])[:, 0]
    moment = gram[:, :3, 5] - np.einsum("kij,kj->ki", gram[:, :3, :3], linear)
    upper = [gram[:, i, j] for i in range(3) for j in range(i, 3)]
    solution = np.stack(solve_nonnegative(upper, list(moment.T), pool.free)[0], axis=1)
    linear = linear + solution
    active = solution > 0
    residual = data.wy - (linear[:, None, :] @ f[:, :3])[:, 0]
    left = (f[:, :5] @ residual[:, :, None])[:, :, 0]
    second = np.column_stack(
        [
            np.einsum("km,km,km->k", f[:, 3], data.x + sa, residual),
            np.einsum("km,km,km->k", f[:, 4], data.z + sb, residual),
        ]
    )

    gram = gram[:, :5, :5]
    inner, unit = _scaled(gram, active)
    delta = np.linalg.solve(inner, (left[:, :3] * unit)[:, :, None])[:, :, 0] * unit
    delta = np.where((linear + delta >= 0).all(axis=1, keepdims=True), delta, 0)
    objective = (
        np.einsum("km,km->k", residual, residual)
        - 2 * np.einsum("ki,ki->k", delta, left[:, :3])
        + np.einsum("ki,kij,kj->k", delta, gram[:, :3, :3], delta)
    )
    left = left - np.einsum("kij,kj->ki", gram[:, :, :3], delta)
    return Local(np.maximum(objective, 0), linear + delta, active, gram, left, second)


def _scaled(gram: Array, active: Mask) -> tuple[Array, Array]:
    """Gram matrix of the active columns with a unit diagonal, and what scaled it.

    The rows and columns of the others are those of a unit matrix, and their scale is zero.
    """
    diagonal = np.einsum("kii->ki", gram)[:, :3]
    unit = np.where(active, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1)), 0)
    inner = gram[:, :3, :3] * unit[:, :, None] * unit[:, None, :]
    inner[:, range(3), range(3)] = 1 + RIDGE
    return inner, unit


def _curvature(local: Local, exponents: Array, active: Mask) -> tuple[Array, Array, Array, Array]:
    """Slope and curvature of half the objective, as :func:`.varpro.curvature` defines them.

    The last array, of shape (k, 3, 2), tells how fast the linear parameters fall.
    """
    gram, left, linear = local.gram, local.left, local.linear
    inner, unit = _scaled(gram, active)
    inverse = np.linalg.inv(inner) * unit[:, :, None] * unit[:, None, :]
    factor = -exponents * linear[:, 1:]
    tied = gram[:, :3, 3:] * factor[:, None, :]
    absorbed = inverse @ tied  # slopes in terms of the active columns
    slopes = gram[:, 3:, 3:] * factor[:, :, None] * factor[:, None, :]
    hessian = slopes - tied.transpose(0, 2, 1) @ absorbed
    push = factor * left[:, 3:]
    bend = np.einsum("kii->ki", hessian)
    bend = np.where(bend > ABSORBED * np.einsum("kii->ki", slopes), bend, 0)
    # Curvature of the law itself: of a term in its exponent, and in its exponent and its factor.
    mixed = np.where(active[:, 1:], exponents * left[:, 3:], 0)
    half = mixed[:, :, None] * absorbed[:, 1:]
    bent = inverse[:, 1:, 1:] * mixed[:, :, None] * mixed[:, None, :]
    hessian = hessian - half - half.transpose(0, 2, 1) - bent
    hessian[:, range(2), range(2)] += factor * (exponents * local.second - left[:, 3:])
    return push, bend, hessian, absorbed


def _steps(pool: Pool, shift: Array, descents: Descents) -> None:
    """Do some steps of damped Newton in every descent, in place."""
    data = _gather(pool, shift, descents.law)
    scale = np.einsum("km,km->k", data.wy, data.wy)
    low, high = EXPONENT_BOX
    local = _local(pool, data, descents.exponents)
    going = np.arange(len(descents.law))
    pinned = np.zeros((len(going), 3), dtype=bool)
    stumbled = np.zeros(len(going), dtype=bool)
    share = np.ones(len(going))
    for _ in range(ROUNDS):
        at, here = descents.exponents[going], local.rows(going)
        push, bend, hessian, falls = _curvature(here, at, here.active & ~pinned[going])
        # An exponent at the edge of the box that is pushed outwards must not steer the other one,
        # nor must one that the linear parameters absorb.
        moves = descents.moves[going]
        descents.doubtful[going] |= (moves & (bend == 0) & (here.linear[:, 1:] > 0)).any(axis=1)
        inside = moves & (bend > 0)
        inside &= ~(((at <= low) & (push < 0)) | ((at >= high) & (push > 0)))
        alive = inside.any(axis=1)
        descents.over[going[~alive]] = True
        if not alive.all():
            going, at, here = going[alive], at[alive], here.rows(np.flatnonzero(alive))
            push, bend, hessian = push[alive], bend[alive], hessian[alive]
            falls, inside = falls[alive], inside[alive]
        if not len(going):
            break
        unit = np.where(inside, 1 / np.sqrt(np.where(inside, bend, 1)), 0)
        # Curvature counts by its size, so that every step leads down, also from a saddle.
        root, turn = np.linalg.eigh(hessian * unit[:, :, None] * unit[:, None, :])
        turn = turn * unit[:, :, None]
        along = np.einsum("kij,ki->kj", turn, push)
        ahead = along / (np.abs(root) + descents.damping[going, None])
        # Half the objective would fall by this: less than its rounding errors is the end.
        promise = np.einsum("kj,kj->k", along, ahead)
        step = np.clip(np.einsum("kij,kj->ki", turn, ahead), -1, 1) * share[going, None]
        trial = np.where(inside, np.clip(at * np.exp(step), low, high), at)
        new = _local(pool, data.rows(going) if len(going) < len(data.root) else data, trial)
        better = new.objective < here.objective
        moved = np.abs(np.log(trial / at)).max(axis=1)
        gain = here.objective - new.objective
        up = going[better]
        descents.exponents[up] = trial[better]
        local.put(up, new.rows(np.flatnonzero(better)))
        # Where a linear parameter has fallen to zero on the way, the curvature that relied on it
        # has misled the step: the next one ends where it vanishes, or, if that is here, does
        # without it.
        damping, was = descents.damping[going], pinned[going]
        fallen = here.active & ~new.active & ~was & ~better[:, None]
        drop = np.einsum("kaj,kj->ka", falls, step)
        to_edge = np.where(
            fallen, here.linear / np.where(drop > here.linear, drop, here.linear + 1e-300), 1.0
        ).min(axis=1)
        part = (to_edge > NEAR) & (to_edge < 1) & (share[going] == 1)
        share[going] = np.where(part, to_edge, 1.0)
        again = fallen.any(axis=1) & ~part
        pinned[going] = (was & ~better[:, None]) | (fallen & again[:, None])
        descents.damping[going] = np.where(
            better,
            np.where(stumbled[going], damping, np.maximum(damping / 10, 1e-15)),
            np.where(part, damping, np.maximum(damping, 1e-12) * 10),
        )
        stumbled[going] = ~better
        little = noise(here.objective, scale[going])
        vain = gain <= np.maximum(1e-13 * new.objective, little)
        slow = np.where(better, np.where(vain, descents.slow[going] + 1, 0), descents.slow[going])
        descents.slow[going] = slow
        descents.rounds[going] += 1
        over = better & (
            (new.objective <= 1e-30 * scale[going]) | (slow == 3) | ((slow > 0) & (moved < 1e-10))
        )
        over |= ~better & (promise <= little) & ~part
        over |= (descents.damping[going] > 1e12) | (descents.rounds[going] >= MOST_ROUNDS)
        descents.over[going[over]] = True
        going = going[~over]
        if not len(going):
            break
    descents.objective[:] = local.objective
    descents.linear[:] = local.linear
