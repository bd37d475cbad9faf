"""Figures on which checkpoints a law should see, and on what they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scaling_utils.style import MARKERS, PALETTE, format_tokens, plain_log_axis

INK = "#1f2937"
SOFT = "#9ca3af"


def draw_relative_grid(
    errors: pd.DataFrame, *, labels: Mapping[str, str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw errors as a heat map, each row relative to its smallest.

    Parameters
    ----------
    errors : pandas.DataFrame
        One family a row, one choice a column; errors as fractions, missing where a fit failed.
    labels : mapping of str to str, optional
        What to write for a family; by default its name.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure as high as it needs.

    Returns
    -------
    matplotlib.axes.Axes
        Errors in per cent in the cells, the smallest of each row framed, failures crossed.
    """
    if ax is None:
        ax = plt.subplots(figsize=(6.5, 1.2 + 0.3 * len(errors)))[1]
    ratio = errors.div(errors.min(axis=1), axis=0).to_numpy(dtype="float64")
    image = np.log2(np.clip(ratio, 1, 8))
    ramp = mpl.colormaps["cividis_r"].copy()
    ax.imshow(np.ma.masked_invalid(image), cmap=ramp, vmin=0, vmax=3, aspect="auto")
    for (i, j), value in np.ndenumerate(errors.to_numpy(dtype="float64")):
        if not np.isfinite(value):
            ax.text(j, i, "×", ha="center", va="center", color=SOFT, fontsize=11)
            continue
        dark = image[i, j] > 1.5
        best = ratio[i, j] == 1
        ax.text(
            j,
            i,
            f"{100 * value:.2g}" if value < 1 else f"{100 * value:.0f}",
            ha="center",
            va="center",
            fontsize=9.5,
            fontweight="bold" if best else "normal",
            color="white" if dark else INK,
        )
        if best:
            frame = Rectangle((j - 0.46, i - 0.44), 0.92, 0.88, fill=False, ec=INK, lw=1.6)
            ax.add_patch(frame)
    names = [str(name) for name in errors.index]
    ax.set_yticks(range(len(names)), [(labels or {}).get(n, n) for n in names], fontsize=10)
    ax.set_xticks(range(errors.shape[1]), [f"{c}" for c in errors.columns])
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    return ax


def draw_dumbbells(
    errors: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw two errors of each family and the way from the first to the second.

    Parameters
    ----------
    errors : pandas.DataFrame
        One family a row, in the order from top to bottom; two columns, before and after, errors
        as fractions.
    labels : mapping of str to str, optional
        What to write for a family; by default its name.
    limit : float, optional
        Errors beyond this fraction are drawn at the edge, with their value.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure as high as it needs.

    Returns
    -------
    matplotlib.axes.Axes
        Blue where the second error is smaller, orange where it is larger.
    """
    if ax is None:
        ax = plt.subplots(figsize=(6.5, 1.5 + 0.27 * len(errors)))[1]
    before, after = (100 * errors[c].to_numpy("float64") for c in errors.columns[:2])
    edge = np.inf if limit is None else 100 * limit
    heights = np.arange(len(errors))
    for height, one, two in zip(heights, before, after, strict=True):
        color = PALETTE["grey"]
        if abs(np.log(two / one)) > 0.01:
            color = PALETTE["blue"] if two < one else PALETTE["orange"]
        left, right = min(one, edge), min(two, edge)
        ax.plot([left, right], [height, height], color=color, lw=2.2, zorder=1)
        ax.plot(left, height, "o", mfc="white", mec=color, mew=1.6, ms=7, zorder=2)
        ax.plot(right, height, "o", color=color, ms=8, zorder=3)
        if max(one, two) > edge:
            note = f"{max(one, two):.0f} % →"
            ax.annotate(
                note,
                (edge, height),
                xytext=(-7, 0),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=9.5,
                color=INK,
            )
    names = [str(name) for name in errors.index]
    ax.set_yticks(heights, [(labels or {}).get(n, n) for n in names], fontsize=10.5)
    ax.set(ylim=(len(errors) - 0.4, -0.6), xscale="log", xlabel="ARE (%)")
    plain_log_axis(ax, "x")
    ax.grid(axis="y", visible=False)
    handles = [
        Line2D([], [], marker="o", ls="", ms=7, mfc="white", mec=INK, mew=1.6),
        Line2D([], [], marker="o", ls="", ms=8, color=INK),
        Line2D([], [], color=PALETTE["blue"], lw=3),
        Line2D([], [], color=PALETTE["orange"], lw=3),
    ]
    ax.legend(
        handles,
        [str(errors.columns[0]), str(errors.columns[1]), "better", "worse"],
        loc="lower center",
        bbox_to_anchor=(0.45, 1.0),
        ncols=4,
        handletextpad=0.4,
        handlelength=1.0,
        columnspacing=1.2,
    )
    return ax


def draw_curves(
    table: pd.DataFrame,
    *,
    xlabel: str,
    ylabel: str,
    colors: Mapping[str, Any] | None = None,
    bold: Sequence[str] = (),
    percent: bool = True,
    logx: bool = False,
    line: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one line for each column of a table, labelled at its right end.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by what goes to the right; one line a column, missing values skipped.
    xlabel, ylabel : str
        Labels of the axes.
    colors : mapping of str to color, optional
        Colour of a column; by default those of the book in turn.
    bold : sequence of str
        Columns to draw thick.
    percent : bool
        Whether values are fractions to be shown in per cent.
    logx : bool
        Whether the horizontal axis is logarithmic; otherwise choices stand at equal distances.
    line : float, optional
        Height of a thin horizontal line, in the unit shown.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Values on a logarithmic axis.
    """
    if ax is None:
        ax = plt.subplots()[1]
    places = table.index.to_numpy("float64") if logx else np.arange(len(table), dtype="float64")
    notes = []
    hues = list(PALETTE.values())
    for k, name in enumerate(map(str, table.columns)):
        values = table[name].to_numpy("float64") * (100 if percent else 1)
        known = np.isfinite(values)
        color = (colors or {}).get(name, hues[k % len(hues)])
        strong = name in bold
        ax.plot(
            places[known],
            values[known],
            marker=MARKERS[k % len(MARKERS)],
            color=color,
            lw=3.2 if strong else 1.6,
            ms=7 if strong else 5,
            zorder=3 if strong else 2,
        )
        notes.append((float(values[known][-1]), name, _darker(color)))
    if line is not None:
        ax.axhline(line, color=INK, lw=1)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log")
    if logx:
        ax.set_xscale("log")
    ax.set_xticks(places, [f"{c:g}" if isinstance(c, float | int) else str(c) for c in table.index])
    ax.minorticks_off()
    ax.set_xlim(right=places[-1])
    plain_log_axis(ax, "y")
    _beside(ax, notes)
    return ax


def draw_claimed_and_true(tables: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw the error that came and the one that was claimed, against the number of checkpoints.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Results of :func:`scaling_utils.confidence.coverage`, by the kind of noise.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Solid: what came; dashed: what independent checkpoints would claim.
    """
    if ax is None:
        ax = plt.subplots()[1]
    notes = []
    hues = (PALETTE["blue"], PALETTE["orange"], PALETTE["green"])
    for (name, table), color in zip(tables.items(), hues, strict=False):
        at = table.index.to_numpy("float64")
        ax.plot(at, 100 * table["error"], "o-", color=color)
        ax.plot(at, 100 * table["claimed"], "o--", color=color, mfc="white", lw=1.6)
        notes.append((100 * float(table["error"].iloc[-1]), name, _darker(color)))
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="checkpoints of each run",
        ylabel="error of the prediction (%)",
    )
    ax.set_xticks(at, [f"{c:g}" for c in at])
    ax.minorticks_off()
    ax.set_xlim(right=at[-1])
    plain_log_axis(ax, "y")
    _beside(ax, notes)
    handles = [
        Line2D([], [], color=INK, marker="o"),
        Line2D([], [], color=INK, marker="o", mfc="white", ls="--", lw=1.6),
    ]
    ax.legend(handles, ["what came", "claimed, as if independent"], loc="lower left")
    return ax


def draw_coverage(tables: Mapping[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw how often a 90 % interval holds the truth, by what counts as independent.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Results of :func:`scaling_utils.confidence.coverage`; the columns that are drawn are the
        units, with the name to show as the key.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each unit.
    """
    if ax is None:
        ax = plt.subplots()[1]
    notes = []
    hues = (PALETTE["orange"], PALETTE["sky"], PALETTE["blue"])
    for (unit, table), color, marker in zip(tables.items(), hues, "s^o", strict=False):
        at = table.index.to_numpy("float64")
        height = 100 * table["covered"].to_numpy("float64")
        ax.plot(at, height, marker=marker, color=color)
        notes.append((float(height[-1]), unit, _darker(color)))
    ax.axhline(90, color=INK, lw=1, ls="--")
    ax.set(
        xscale="log",
        xlabel="checkpoints of each run",
        ylabel="90 % intervals that\nhold the truth (%)",
        ylim=(0, 102),
    )
    ax.set_xticks(at, [f"{c:g}" for c in at])
    ax.minorticks_off()
    ax.set_xlim(right=at[-1])
    _beside(ax, notes)
    return ax


def draw_above(above: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw how far checkpoints lie above models finished at the same tokens.

    Parameters
    ----------
    above : mapping of str to pandas.DataFrame
        For each kind of checkpoint: ``tokens`` and ``above``, a fraction; an entry without rows is
        left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Dots for single runs, a line for their median.
    """
    ax = plt.subplots()[1] if ax is None else ax
    shown = {name: table for name, table in above.items() if len(table)}
    hues = list(PALETTE.values())
    notes = []
    for place, (name, table) in enumerate(shown.items()):
        color = hues[place % len(hues)]
        # Kinds share their tokens: a step to the side keeps their dots apart.
        step = 1.05 ** (place - (len(shown) - 1) / 2)
        ax.plot(table["tokens"] * step, 100 * table["above"], "o", ms=4, alpha=0.4, color=color)
        middle = 100 * table.groupby("tokens")["above"].median()
        marker = MARKERS[place % len(MARKERS)]
        ax.plot(middle.index * step, middle, marker=marker, color=color)
        notes.append((float(middle.iloc[-1]), name, _darker(mpl.colors.to_rgb(color))))
    ax.axhline(0, color=SOFT, linewidth=1)
    ax.set(xscale="log", xlabel="training tokens $D$", ylabel="above the finished model (%)")
    ax.xaxis.set_major_formatter(FuncFormatter(format_tokens))
    places = sorted({float(t) for table in shown.values() for t in table["tokens"]})
    ax.xaxis.set_major_locator(FixedLocator(places))
    ax.xaxis.set_minor_locator(NullLocator())
    _beside(ax, notes)
    return ax


def draw_worth(
    table: pd.DataFrame, *, labels: Mapping[str, str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the checkpoints of a run, and what they are worth, for each family.

    Parameters
    ----------
    table : pandas.DataFrame
        One family a row, in the order from top to bottom: ``each`` (checkpoints of a run),
        ``per_run`` (their effective sample size about the law) and ``own_per_run`` (about a smooth
        curve of the run).
    labels : mapping of str to str, optional
        What to write for a family; by default its name.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    if ax is None:
        ax = plt.subplots(figsize=(6.5, 1.5 + 0.27 * len(table)))[1]
    heights = np.arange(len(table))
    ax.hlines(heights, table["per_run"], table["each"], color="#d1d5db", lw=2, zorder=1)
    for column, label, color, marker in (
        ("each", "logged", PALETTE["grey"], "o"),
        ("own_per_run", "worth, noise only", PALETTE["sky"], "D"),
        ("per_run", "worth, about the law", PALETTE["blue"], "s"),
    ):
        hollow = column == "each"
        ax.plot(
            table[column],
            heights,
            marker,
            color=color,
            mfc="white" if hollow else color,
            mew=1.6 if hollow else 0.5,
            ms=7,
            label=label,
        )
    names = [str(name) for name in table.index]
    ax.set_yticks(heights, [(labels or {}).get(n, n) for n in names], fontsize=10.5)
    ax.set(ylim=(len(table) - 0.4, -0.6), xscale="log", xlabel="checkpoints of a run")
    plain_log_axis(ax, "x")
    ax.grid(axis="y", visible=False)
    ax.legend(
        loc="lower center",
        bbox_to_anchor=(0.4, 1.0),
        ncols=3,
        handletextpad=0.1,
        columnspacing=0.8,
    )
    return ax


# --- Parts ----------------------------------------------------------------------------------------


def _darker(color: Any) -> Any:
    """Darken a colour, for text."""
    red, green, blue = mpl.colors.to_rgb(color)
    return (0.75 * red, 0.75 * green, 0.75 * blue)


def _beside(ax: Axes, notes: Sequence[tuple[float, str, Any]]) -> None:
    """Write labels on the right of the axes, moved apart where they collide."""
    transform = ax.transData + ax.transAxes.inverted()
    size = 10.5
    gap = 1.15 * size / 72 / (ax.get_window_extent().height / ax.figure.dpi)
    places = sorted((float(transform.transform((1.0, h))[1]), t, c) for h, t, c in notes)
    heights = np.array([place for place, _, _ in places])
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    if len(heights) and heights[-1] > 1:
        heights[-1] = 1.0
        for i in range(len(heights) - 2, -1, -1):
            heights[i] = min(heights[i], heights[i + 1] - gap)
    for (_, text, color), height in zip(places, heights, strict=True):
        ax.annotate(
            text,
            (1.0, height),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=size,
        )
