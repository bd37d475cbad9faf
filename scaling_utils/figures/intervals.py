"""Figures on intervals and what they hold (chapter 17)."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from scaling_utils.style import PALETTE, format_params

INK = "#1f2937"
PALE = "#9ca3af"
NAMES = {
    "checkpoints": "checkpoints independent",
    "runs": "runs independent",
    "calibrated": "calibrated",
    "posterior": "posterior alone",
    "claim": "with runs and law",
}
"""What is written for a kind of interval."""

LOOKS = {
    "checkpoints": (PALETTE["orange"], "s"),
    "posterior": (PALETTE["orange"], "s"),
    "runs": (PALETTE["amber"], "^"),
    "claim": (PALETTE["amber"], "^"),
    "calibrated": (PALETTE["blue"], "o"),
}


def draw_ladder(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw intervals of each kind against the number of models, with the measured loss.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`scaling_utils.interval_studies.ladder`.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Loss up the axis, cut where the widest intervals leave what the others need.
    """
    if ax is None:
        ax = plt.subplots(figsize=(6.5, 4.4))[1]
    measured = float(table["measured"].iloc[0])
    ax.axhline(measured, color=INK, lw=1.2, label="measured")
    kinds = list(dict.fromkeys(table["kind"]))
    for place, kind in enumerate(kinds):
        own = table[table["kind"] == kind]
        color, marker = LOOKS[kind]
        ax.errorbar(
            own["n_models"] + 0.17 * (place - (len(kinds) - 1) / 2),
            own["predicted"],
            yerr=own["predicted"] * own["half"],
            fmt=marker,
            color=color,
            ms=7,
            lw=2.2,
            capsize=3,
            label=NAMES[kind],
        )
    middle = table["predicted"].to_numpy("float64")
    sure = table[table["kind"] == "calibrated"]
    ends = np.r_[sure["predicted"] * (1 + sure["half"]), sure["predicted"] * (1 - sure["half"])]
    low, high = min(middle.min(), ends.min(), measured), max(middle.max(), ends.max(), measured)
    room = 0.08 * (high - low)
    ax.set_ylim(low - room, high + room)
    counts = sorted(table["n_models"].unique())
    ups = table.drop_duplicates("n_models").set_index("n_models")["scale_up"]
    ax.set_xticks(counts, [f"{n}\n({ups[n]:.2g}×)" for n in counts])
    ax.set(xlabel="smallest sizes seen (scale-up)", ylabel="loss (nats per token)")
    ax.grid(axis="x", visible=False)
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    return ax


def draw_coverage(curve: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share that intervals held against the share that they claim.

    Parameters
    ----------
    curve : pandas.DataFrame
        Result of :func:`scaling_utils.interval_studies.coverage_curve`.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A thick line for each claim, the mean over groups, and a thin one for each group where the
        interval is calibrated.
    """
    if ax is None:
        ax = plt.subplots(figsize=(6.5, 5.6))[1]
    best = curve[curve["claim"] == "calibrated"]
    label = "calibrated, each group"
    for _, own in best.groupby("group"):
        ax.plot(100 * own["level"], 100 * own["held"], color=PALE, lw=1, zorder=1, label=label)
        label = "_"
    ax.plot([0, 100], [0, 100], color=INK, lw=1, ls="--", label="as claimed")
    for claim in dict.fromkeys(curve["claim"]):
        mean = curve[curve["claim"] == claim].groupby("level")["held"].mean()
        color, marker = LOOKS[claim]
        ax.plot(100 * mean.index, 100 * mean, color=color, marker=marker, label=NAMES[claim])
    ax.set(xlim=(0, 100), ylim=(0, 102), xlabel="claimed (%)", ylabel="held (%)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    return ax


def draw_groups(table: pd.DataFrame, level: float, ax: Axes | None = None) -> Axes:
    """Draw the share held in each group beside the share that is claimed.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`scaling_utils.accuracy.coverage_table` by group.
    level : float
        Claimed share, one that the table has.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        One group a row, the mean over groups as a dashed line.
    """
    shares = 100 * table[f"inside {level:.0%}"].sort_values(ascending=False)
    if ax is None:
        ax = plt.subplots(figsize=(6.5, 1.6 + 0.33 * len(shares)))[1]
    heights = np.arange(len(shares))
    ax.hlines(heights, 100 * level, shares, color="#d1d5db", lw=2, zorder=1)
    ax.plot(shares, heights, "o", color=PALETTE["blue"], ms=8)
    ax.axvline(100 * level, color=INK, lw=1, label="claimed")
    ax.axvline(shares.mean(), color=PALETTE["blue"], lw=1.4, ls="--", label="mean of groups")
    ax.set_yticks(heights, [str(name) for name in shares.index])
    ax.set(xlabel="held (%)", ylim=(-0.6, len(shares) - 0.4))
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    return ax


def draw_widths(widths: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the width of an interval against the size that it is for.

    Parameters
    ----------
    widths : pandas.DataFrame
        Indexed by parameters; a column of half widths (fractions) for each level.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A line for each level.
    """
    if ax is None:
        ax = plt.subplots(figsize=(6.5, 3.8))[1]
    for (level, half), color, marker in zip(
        widths.items(), (PALETTE["blue"], PALETTE["sky"], PALETTE["green"]), "os^", strict=False
    ):
        ax.plot(widths.index, 100 * half, color=color, marker=marker, label=f"{level:.0%}")
    ax.set(xscale="log", ylim=(0, None), xlabel="parameters", ylabel="half width (%)")
    ax.xaxis.set_major_formatter(FuncFormatter(format_params))
    ax.legend(title="level")
    return ax
