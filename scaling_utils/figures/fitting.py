"""Figures on what a fit makes small, and on where different fits end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scaling_utils.effective import residuals_by_run
from scaling_utils.fit_studies import BAD
from scaling_utils.law import ScalingLaw
from scaling_utils.objective import Valley
from scaling_utils.style import MARKERS, PALETTE, format_params, plain_log_axis, size_colors

INK = "#1f2937"

LEVELS = (1.0, 1.1, 1.5, 3.0, 10.0, 100.0)
"""Multiples of the smallest objective at which the colour of a valley changes."""

METHOD_STYLES = {
    "curve_fit": ("curve_fit", PALETTE["grey"], "X"),
    "least_squares": ("least squares", PALETTE["orange"], "s"),
    "log_huber": ("log-Huber", PALETTE["blue"], "o"),
}
"""Label, colour and marker of each fitting method."""


def draw_valley(
    ground: Valley,
    best: float,
    *,
    marks: Mapping[str, ScalingLaw] | None = None,
    ends: pd.DataFrame | None = None,
    levels: Sequence[float] = LEVELS,
    ax: Axes | None = None,
) -> Axes:
    """Draw an objective over the two exponents, relative to its minimum.

    Parameters
    ----------
    ground : Valley
        The landscape.
    best : float
        The minimum, to which everything is relative.
    marks : mapping of str to ScalingLaw, optional
        Laws to mark, with what to write beside each.
    ends : pandas.DataFrame, optional
        Where searches ended: ``alpha``, ``beta`` and ``objective``.  Those outside the map are
        drawn at its edge.
    levels : sequence of float
        Multiples of the minimum where the colour changes, from 1.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Light where the objective is small, with a line at each level.
    """
    ax = _axes(ax, (6.5, 4.8))
    height = ground.heights.T / best
    steps = [*levels, np.inf]
    ramp = mpl.colormaps["cividis_r"]
    colors = [ramp(x) for x in np.linspace(0.02, 0.85, len(levels))]
    edges = [*levels, max(float(height.max()), levels[-1]) * 2]
    ax.contourf(
        ground.alphas,
        ground.betas,
        np.maximum(height, levels[0]),
        levels=edges,
        colors=colors,
        norm=BoundaryNorm(edges, len(levels)),
    )
    inner = [level for level in levels[1:] if height.min() < level < height.max()]
    if inner:
        ax.contour(ground.alphas, ground.betas, height, levels=inner, colors="white", linewidths=1)
    if ends is not None:
        near = ends["objective"] <= 1.01 * best
        for chosen, color, marker in ((~near, PALETTE["orange"], "X"), (near, "white", "o")):
            own = ends[chosen]
            ax.plot(
                own["alpha"].clip(ground.alphas[0], ground.alphas[-1]),
                own["beta"].clip(ground.betas[0], ground.betas[-1]),
                marker,
                color=color,
                mec=INK if color == "white" else "white",
                ms=9,
                mew=1,
                ls="",
                clip_on=False,
                zorder=4,
            )
    for k, (name, law) in enumerate((marks or {}).items()):
        ax.plot(
            law.alpha, law.beta, MARKERS[k % len(MARKERS)], color=INK, mec="white", ms=10, zorder=5
        )
        left = law.alpha > np.mean([ground.alphas[0], ground.alphas[-1]])
        ax.annotate(
            name,
            (law.alpha, law.beta),
            xytext=(-9 if left else 9, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=10.5,
            color=INK,
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8},
            zorder=6,
        )
    handles = [
        Line2D([], [], marker="s", ls="", ms=11, color=color, mec=INK, mew=0.5) for color in colors
    ]
    names = [
        f"to {_times(high)}" if np.isfinite(high) else f"over {_times(low)}"
        for low, high in pairwise(steps)
    ]
    ax.legend(
        handles,
        names,
        title="objective over its minimum",
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    ax.set(
        xlabel=r"exponent of parameters $\alpha$",
        ylabel=r"exponent of tokens $\beta$",
        xlim=(ground.alphas[0], ground.alphas[-1]),
        ylim=(ground.betas[0], ground.betas[-1]),
    )
    ax.grid(visible=False)
    return ax


def draw_ends(ends: Mapping[str, pd.Series], ax: Axes | None = None) -> Axes:
    """Draw which part of single searches ended how close to the minimum.

    Parameters
    ----------
    ends : mapping of str to pandas.Series
        For each kind of search, objectives over the global minimum of the same problem.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A rising curve for each kind; the dashed line is 1 % above the minimum.
    """
    ax = _axes(ax, (6.5, 4.4))
    hues = [PALETTE[c] for c in ("blue", "sky", "orange", "green")]
    low, high = 1e-6, 1e2
    for (name, ratios), color, marker in zip(ends.items(), hues, "o^sD", strict=False):
        excess = np.sort(np.clip(np.asarray(ratios, "float64") - 1, low, np.inf))
        share = 100 * np.arange(1, len(excess) + 1) / len(excess)
        at = np.geomspace(low, high, 200)
        curve = np.r_[0, share][np.searchsorted(excess, at, side="right")]
        ax.plot(at, curve, color=color, marker=marker, markevery=(8, 25), label=name)
    ax.axvline(0.01, color=INK, lw=1, ls="--")
    ax.set(
        xscale="log",
        xlim=(low, high),
        ylim=(0, 102),
        xlabel="at most so far above the global minimum",
        ylabel="searches (%)",
    )
    ax.xaxis.set_major_locator(FixedLocator([1e-6, 1e-4, 1e-2, 1, 100]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda v, _: f"{100 * v:g} %" if v < 1 else f"{v:g}-fold")
    )
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, columnspacing=1.2)
    return ax


def draw_bad_runs(errors: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the typical error of each method, with and without a bad run.

    Parameters
    ----------
    errors : pandas.DataFrame
        A row for each key of :data:`scaling_utils.fit_studies.BAD`, a column for each method, as
        fractions.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A marker for each method, on a logarithmic axis of errors in per cent.
    """
    ax = _axes(ax, (6.5, 2.9))
    heights = np.arange(len(errors))
    values = 100 * errors
    ax.hlines(heights, values.min(axis=1), values.max(axis=1), color="#d1d5db", lw=2, zorder=1)
    offsets = np.linspace(-0.16, 0.16, errors.shape[1]) if errors.shape[1] > 1 else [0.0]
    for method, offset in zip(errors.columns, offsets, strict=True):
        label, color, marker = METHOD_STYLES[str(method)]
        at = heights + offset
        ax.plot(values[method], at, marker, color=color, ms=9, label=label, mec=INK, mew=0.6)
    ax.set_yticks(heights, [BAD.get(str(k), str(k)) for k in errors.index])
    ax.set(ylim=(len(errors) - 0.5, -0.5), xscale="log", xlabel="typical error of the target (%)")
    plain_log_axis(ax, "x")
    ax.grid(axis="y", visible=False)
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3, handletextpad=0.1, columnspacing=1
    )
    return ax


def draw_residuals(runs: pd.DataFrame, law: ScalingLaw, ax: Axes | None = None) -> Axes:
    """Draw the deviations of every run from a law, along training.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints that the law was fitted to.
    law : ScalingLaw
        The law.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each run, light for small models and dark for large ones.
    """
    ax = _axes(ax, (6.5, 4.2))
    ordered = runs.sort_values(["run", "tokens"], kind="stable")
    colors = size_colors(ordered["params"])
    for deviation, (_, own) in zip(
        residuals_by_run(runs, law), ordered.groupby("run", sort=True), strict=True
    ):
        color = colors[float(own["params"].iloc[0])]
        ax.plot(own["tokens"], 100 * deviation, color=color, lw=1.3)
    ax.axhline(0, color=INK, lw=1)
    ax.set(xscale="log", xlabel="tokens", ylabel="measured over law, less one (%)")
    ax.xaxis.set_major_formatter(format_params)
    ax.xaxis.set_minor_formatter(lambda _value, _position: "")
    handles = [Line2D([], [], color=color, lw=2.5) for color in colors.values()]
    names = [format_params(float(f"{size:.2g}")) for size in colors]
    ax.legend(
        handles,
        names,
        title="parameters",
        loc="lower center",
        bbox_to_anchor=(0.45, 1.0),
        ncols=4,
        columnspacing=1.0,
        handlelength=1.2,
    )
    return ax


def draw_apart(pairs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the errors of two methods on the same training sets against each other.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Result of :func:`scaling_utils.fit_studies.pair_methods`: ``are_one`` and ``are_two``.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A dot for each training set; below the diagonal the second method is better.
    """
    ax = _axes(ax, (5.6, 5.2))
    one, two = (100 * pairs[c].to_numpy("float64") for c in ("are_one", "are_two"))
    low, high = 0.1, 100.0
    better = two < one
    for chosen, color, marker in (
        (better, PALETTE["blue"], "o"),
        (~better, PALETTE["orange"], "X"),
    ):
        ax.plot(
            np.clip(one[chosen], low, high),
            np.clip(two[chosen], low, high),
            marker,
            color=color,
            mec="white",
            mew=0.5,
            ms=6.5,
            alpha=0.8,
            clip_on=False,
        )
    ax.plot([low, high], [low, high], color=INK, lw=1)
    for which in "xy":
        ax.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
        plain_log_axis(ax, which)
    ax.set(xlabel="ARE, one local search (%)", ylabel="ARE, global minimum (%)")
    return ax


def draw_sizes(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the best size of a model by several laws.

    Parameters
    ----------
    table : pandas.DataFrame
        A row for each law: ``billions`` of parameters and ``tokens each``.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A bar from the smallest answer to each, with the tokens for each parameter.
    """
    ax = _axes(ax, (6.5, 1.1 + 0.42 * len(table)))
    heights = np.arange(len(table))
    sizes = table["billions"].to_numpy("float64")
    start = sizes.min() / 1.3
    ax.hlines(heights, start, sizes, color="#d1d5db", lw=2)
    ax.plot(sizes, heights, "o", color=PALETTE["blue"], ms=9)
    for height, size, ratio in zip(heights, sizes, table["tokens each"], strict=True):
        ax.annotate(
            f"{ratio:.0f} tokens each",
            (size, height),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
            color=INK,
        )
    ax.set_yticks(heights, [str(name) for name in table.index], fontsize=10.5)
    ax.set(
        ylim=(len(table) - 0.5, -0.5),
        xscale="log",
        xlim=(start, sizes.max() * 2.1),
        xlabel="best size, billions of parameters",
    )
    plain_log_axis(ax, "x")
    ax.grid(axis="y", visible=False)
    return ax


# --- Parts ----------------------------------------------------------------------------------------


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    return plt.subplots(figsize=size)[1] if ax is None else ax


def _times(factor: float) -> str:
    """Write a multiple: little ones as a percentage above one."""
    return f"+{100 * (factor - 1):.2g} %" if factor < 2 else f"{factor:g}-fold"
