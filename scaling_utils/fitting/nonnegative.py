r"""Non-negative least squares in three unknowns, for a whole array of problems at once.

With three unknowns only eight sets of them can be above zero, so trying all is exact, needs no
loop over problems and no branching.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RIDGE = 1e-13
"""Added to a unit diagonal: keeps collinear problems solvable."""


def solve_nonnegative(
    gram: Sequence[Array], moment: Sequence[Array], free: Sequence[int] = (0, 1, 2)
) -> tuple[list[Array], Array]:
    r"""Minimise :math:`x^\top G x - 2 m^\top x` over :math:`x \ge 0`, elementwise.

    Parameters
    ----------
    gram : sequence of six numpy.ndarray
        Entries 00, 01, 02, 11, 12, 22 of each Gram matrix *G*, of shapes that broadcast.
    moment : sequence of three numpy.ndarray
        Entries of *m*.
    free : sequence of int
        Unknowns that may differ from zero.

    Returns
    -------
    solution : list of three numpy.ndarray
        The unknowns.
    gain : numpy.ndarray
        How much they lower the objective: minus its smallest value.

    Examples
    --------
    >>> one, none = np.ones(1), np.zeros(1)
    >>> x, gain = solve_nonnegative((one, none, none, one, none, one), (one, -one, 2 * one))
    >>> [round(float(v[0]), 6) for v in x], round(float(gain[0]), 6)
    ([1.0, 0.0, 2.0], 5.0)
    """
    g00, g01, g02, g11, g12, g22 = gram
    shape = np.broadcast_shapes(*(np.shape(a) for a in (*gram, *moment)))
    # A column that vanishes everywhere explains nothing; any scale keeps it harmless.
    scale = [1 / np.sqrt(np.where(g > 0, g, 1.0)) for g in (g00, g11, g22)]
    m = [np.asarray(a * s) for a, s in zip(moment, scale, strict=True)]
    cross = {
        (0, 1): g01 * scale[0] * scale[1],
        (0, 2): g02 * scale[0] * scale[2],
        (1, 2): g12 * scale[1] * scale[2],
    }
    d = 1 + RIDGE
    best = np.zeros(shape)
    x = [np.zeros(shape) for _ in range(3)]

    def offer(found: dict[int, Array]) -> None:
        nonlocal best
        gain = sum((value * m[k] for k, value in found.items()), np.zeros(()))
        take = gain > best
        for value in found.values():
            take = take & (value >= 0)
        best = np.where(take, gain, best)
        for k in range(3):
            x[k] = np.where(take, found.get(k, 0.0), x[k])

    for k in free:
        offer({k: m[k] / d})
    for (i, j), c in cross.items():
        if i in free and j in free:
            determinant = d * d - c * c
            offer({i: (d * m[i] - c * m[j]) / determinant, j: (d * m[j] - c * m[i]) / determinant})
    if len(free) == 3:
        # Square-root-free Cholesky of the scaled matrix.
        c01, c02, c12 = cross[0, 1], cross[0, 2], cross[1, 2]
        l1, l2 = c01 / d, c02 / d
        d1, e = d - l1 * c01, c12 - l2 * c01
        l3 = e / d1
        d2 = d - l2 * c02 - l3 * e
        z1 = m[1] - l1 * m[0]
        x2 = (m[2] - l2 * m[0] - l3 * z1) / d2
        x1 = z1 / d1 - l3 * x2
        offer({0: m[0] / d - l1 * x1 - l2 * x2, 1: x1, 2: x2})
    return [value * s for value, s in zip(x, scale, strict=True)], best
