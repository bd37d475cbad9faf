"""Width of intervals against what they hold, one point a method (chapter 17)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scaling_utils.style import MARKERS, PALETTE

INK = "#1f2937"


def draw_methods(
    table: pd.DataFrame,
    names: Mapping[str, str],
    levels: tuple[float, float] = (0.5, 0.9),
    ax: Axes | None = None,
) -> Axes:
    """Draw the share that intervals held against their width, for two levels.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`scaling_utils.interval_widths.widths_table`.
    names : mapping of str to str
        What is written for each method; methods without a name are left out.
    levels : tuple of float
        Claimed shares: an open marker for the first, a filled one for the second.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Widths that are not finite are left out.
    """
    if ax is None:
        ax = plt.subplots(figsize=(6.5, 4.4))[1]
    for level in levels:
        ax.axhline(100 * level, color=INK, lw=1, ls="--", zorder=1)
    shown = [method for method in table.index if method in names]
    for method, color, marker in zip(shown, PALETTE.values(), MARKERS, strict=False):
        width, held = (
            100 * table.loc[method, [f"{what} {level:.0%}" for level in levels]].to_numpy("float64")
            for what in ("width", "held")
        )
        width = np.where(np.isfinite(width), width, np.nan)
        ax.plot(width, held, color=color, lw=1.4, zorder=2)
        ax.plot(width[:1], held[:1], marker, color=color, mfc="white", mew=1.6, ms=8, zorder=3)
        ax.plot(width[1:], held[1:], marker, color=color, ms=9, zorder=3, label=names[method])
    ax.set(xlim=(0, None), ylim=(0, 102), xlabel="median width (%)", ylabel="held (%)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    return ax
