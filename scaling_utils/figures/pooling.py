"""Figures on what families share and on what a pooled prior is worth."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from scaling_utils.fitting.prior import Prior
from scaling_utils.style import PALETTE, family_colors, family_markers, plain_log_axis

INK = "#1f2937"

METHOD_STYLES = {
    "pooled": ("pooled prior", PALETTE["blue"], "o"),
    "least_squares": ("least squares", PALETTE["orange"], "s"),
    "log_huber": ("log-Huber", PALETTE["pink"], "^"),
    "curve_fit": ("curve_fit", PALETTE["grey"], "X"),
    "best_seen": ("best seen", PALETTE["amber"], "D"),
}
"""Label, colour and marker of each method."""

SHARES = {
    "floor": ("floor", "#d1d5db"),
    "params": ("parameters", PALETTE["sky"]),
    "tokens": ("tokens", PALETTE["amber"]),
}
"""Label and colour of each share of the loss."""

COORDINATE_NAMES = {
    "E": "floor $E$ (nats)",
    "A0": "$A_0$, parameters (nats)",
    "B0": "$B_0$, tokens (nats)",
    "alpha": r"exponent $\alpha$",
    "beta": r"exponent $\beta$",
}


def draw_prior(groups: pd.DataFrame, prior: Prior, spread: np.ndarray) -> Figure:
    """Draw the law of each group and the prior pooled over them.

    Parameters
    ----------
    groups : pandas.DataFrame
        Result of :func:`scaling_utils.pooling_studies.levelled`.
    prior : Prior
        The prior.
    spread : numpy.ndarray of shape (5,)
        Its standard deviations in logarithms.

    Returns
    -------
    matplotlib.figure.Figure
        A strip for each coordinate: a line at the prior's mean, bands of one and two standard
        deviations, a marker for each group.
    """
    figure, strips = plt.subplots(5, 1, figsize=(6.5, 6.4))
    colors, markers = family_colors(groups.index), family_markers(groups.index)
    heights = np.linspace(-0.6, 0.6, len(groups)) if len(groups) > 1 else np.zeros(1)
    for k, (ax, (name, label)) in enumerate(zip(strips, COORDINATE_NAMES.items(), strict=True)):
        middle = float(prior.mean[k])
        for width, color in ((2, "#e5e7eb"), (1, "#cbd5e1")):
            low, high = np.exp([middle - width * spread[k], middle + width * spread[k]])
            ax.axvspan(low, high, color=color, lw=0, zorder=0)
        ax.axvline(np.exp(middle), color=INK, lw=1.5, zorder=1)
        for group, height in zip(groups.index, heights, strict=True):
            ax.plot(
                groups.loc[group, name],
                height,
                markers[group],
                color=colors[group],
                mec="white",
                mew=0.6,
                ms=9,
                label=group,
                zorder=3,
            )
        values = groups[name].to_numpy("float64")
        low = min(values.min(), np.exp(middle - 2 * spread[k]))
        high = max(values.max(), np.exp(middle + 2 * spread[k]))
        ax.set(xscale="log", xlim=(low / 1.08, high * 1.08), ylim=(-1, 1), yticks=[])
        ax.set_title(label, fontsize=11.5)
        plain_log_axis(ax, "x")
        ax.grid(visible=False)
        ax.spines["left"].set_visible(False)
    handles, names = strips[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper center", ncols=4, handletextpad=0.1, columnspacing=1
    )
    return figure


def draw_shares(groups: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw what the loss of each group is made of at the reference.

    Parameters
    ----------
    groups : pandas.DataFrame
        A row for each group with ``floor``, ``params`` and ``tokens``, shares that sum to one.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A bar for each group, in three parts.
    """
    ax = plt.subplots(figsize=(6.5, 1.2 + 0.38 * len(groups)))[1] if ax is None else ax
    heights, start = np.arange(len(groups)), np.zeros(len(groups))
    for name, (label, color) in SHARES.items():
        values = 100 * groups[name].to_numpy("float64")
        ax.barh(heights, values, left=start, color=color, label=label, ec="white", height=0.72)
        for height, left, value in zip(heights, start, values, strict=True):
            ax.text(
                float(left + value / 2),
                float(height),
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=11,
            )
        start = start + values
    ax.set_yticks(heights, [str(name) for name in groups.index])
    ax.set(ylim=(len(groups) - 0.5, -0.5), xlim=(0, 100), xlabel="share of the loss (%)")
    ax.grid(visible=False)
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3, columnspacing=1.2)
    return ax


def draw_counts(errors: pd.DataFrame, *, columns: int = 3) -> Figure:
    """Draw errors against the number of models, a panel for each case.

    Parameters
    ----------
    errors : pandas.DataFrame
        ``panel``, ``n_models``, ``method`` and ``are``, a fraction.
    columns : int
        Panels in a row.

    Returns
    -------
    matplotlib.figure.Figure
        A line for each method, all panels on the same logarithmic axis in per cent.
    """
    names = list(dict.fromkeys(errors["panel"]))
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(6.5, 0.7 + 1.95 * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    shown = 100 * errors["are"].dropna()
    bottom, top = max(float(shown.min()), 0.05), float(shown.max())
    for ax, name in zip(grid.ravel(), names, strict=False):
        own = errors[errors["panel"] == name]
        for method in dict.fromkeys(own["method"]):
            label, color, marker = METHOD_STYLES[str(method)]
            line = own[(own["method"] == method) & own["are"].notna()].sort_values("n_models")
            values = np.clip(100 * line["are"], bottom, None)
            ax.plot(
                line["n_models"], values, marker=marker, color=color, ms=6.5, lw=1.8, label=label
            )
        ax.set_title(str(name), fontsize=11)
        ax.set(yscale="log", ylim=(bottom / 1.25, top * 1.25))
        plain_log_axis(ax, "y")
    for ax in grid.ravel()[len(names) :]:
        ax.set_visible(False)
    counts = sorted(errors["n_models"].unique())
    grid[0, 0].xaxis.set_major_locator(FixedLocator(counts))
    for k, ax in enumerate(grid.ravel()[: len(names)]):
        ax.tick_params(labelbottom=k + columns >= len(names))
    figure.supxlabel("models that the law is fitted to", fontsize=12)
    figure.supylabel("error (%)", fontsize=12)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def draw_accuracy(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the mean error of each method for each group of families.

    Parameters
    ----------
    table : pandas.DataFrame
        A row for each group, a column for each method of :data:`METHOD_STYLES` that is to be
        drawn; fractions.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A marker for each method on a logarithmic axis in per cent.
    """
    ax = plt.subplots(figsize=(6.5, 1.3 + 0.38 * len(table)))[1] if ax is None else ax
    methods = [m for m in METHOD_STYLES if m in table.columns]
    values, heights = 100 * table[methods], np.arange(len(table))
    ax.hlines(heights, values.min(axis=1), values.max(axis=1), color="#d1d5db", lw=2, zorder=1)
    offsets = np.linspace(-0.22, 0.22, len(methods)) if len(methods) > 1 else [0.0]
    for method, offset in reversed(list(zip(methods, offsets, strict=True))):
        label, color, marker = METHOD_STYLES[method]
        ax.plot(
            values[method],
            heights + offset,
            marker,
            color=color,
            mec="white",
            mew=0.6,
            ms=9,
            label=label,
        )
    ax.set_yticks(heights, [str(name) for name in table.index])
    ax.set(ylim=(len(table) - 0.5, -0.5), xscale="log", xlabel="mean ARE (%)")
    plain_log_axis(ax, "x")
    ax.grid(axis="y", visible=False)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles[::-1],
        labels[::-1],
        loc="lower center",
        bbox_to_anchor=(0.42, 1.0),
        ncols=3,
        handletextpad=0.1,
        columnspacing=1,
    )
    return ax
