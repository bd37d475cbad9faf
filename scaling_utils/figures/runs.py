"""Figures and tables that show what runs there are and what their losses are measured in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scaling_utils.backtest import backtest
from scaling_utils.law import PARAMETERS, ScalingLaw
from scaling_utils.metrics import absolute_relative_error
from scaling_utils.selection import largest_models, last_fraction, sizes
from scaling_utils.style import (
    FAMILY_GROUPS,
    PALETTE,
    family_colors,
    family_markers,
    format_params,
    format_tokens,
    size_colors,
)

BUILT_IN = "built-in"
"""Name under which all built-in families stand in one place of a map."""

INK = "#1f2937"
"""Colour of what belongs to no family."""

PLACES: dict[str, tuple[float, float, str]] = {
    "gpt3": (2.5e11, 3.7e11, "left"),
    "opt": (2.5e11, 2.0e11, "left"),
    "pythia": (1.3e8, 6.2e11, "right"),
    "bloom": (9.0e8, 6.2e11, "right"),
    "redpajama": (9.5e9, 8.4e11, "left"),
    "olmo": (1.3e9, 3.9e12, "right"),
    "olmo-ladder": (1.8e10, 5.0e12, "left"),
    "t5-pile": (1.7e8, 2.0e12, "right"),
    "k2": (9.0e10, 1.4e12, "left"),
    "mamba-3b": (4.4e9, 5.2e11, "left"),
    "chinchilla": (2.4e10, 3.2e10, "left"),
    "datablations": (1.3e10, 1.4e11, "left"),
    "gemstones": (3.2e7, 3.5e11, "right"),
    "overtrain": (9.0e6, 5.0e7, "left"),
    "schedules": (1.7e7, 2.1e10, "right"),
    BUILT_IN: (3.0e6, 1.5e6, "left"),
}
"""Where the name of a group stands on the map of all runs: parameters, tokens, alignment."""


def final_checkpoints(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the last checkpoint of every run.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints with ``family``, ``run`` and ``tokens``.

    Returns
    -------
    pandas.DataFrame
        One row for each run.

    Examples
    --------
    >>> import pandas as pd
    >>> logs = pd.DataFrame({"family": "f", "run": ["a", "a", "b"], "tokens": [1e9, 2e9, 3e9]})
    >>> final_checkpoints(logs)["tokens"].tolist()
    [2000000000.0, 3000000000.0]
    """
    table = runs.reset_index(drop=True)
    last = table.groupby(["family", "run"], sort=False)["tokens"].idxmax()
    return table.loc[last].reset_index(drop=True)


def span(low: float, high: float) -> str:
    """Write a range of large numbers as people say it.

    Parameters
    ----------
    low, high : float
        Ends of the range.

    Returns
    -------
    str
        One number if both ends read alike.

    Examples
    --------
    >>> span(1.25e8, 1.75e11), span(2.998e11, 2.999e11)
    ('125M – 175B', '300B')
    """
    ends = (format_params(low), format_params(high))
    return ends[0] if ends[0] == ends[1] else " – ".join(ends)


def overview(ends: pd.DataFrame) -> pd.DataFrame:
    """Summarise final checkpoints, one line for each group of families.

    Parameters
    ----------
    ends : pandas.DataFrame
        Final checkpoints with ``group``, ``family``, ``run``, ``params`` and ``tokens``.

    Returns
    -------
    pandas.DataFrame
        Indexed by group, from few parameters to many: number of families, runs and sizes;
        ``budgets``, the number of token counts to which one size was trained (the median over
        sizes, in the family where it is largest; token counts that agree to two digits are one);
        and ranges of parameters, tokens, and tokens per parameter, as text.

    Examples
    --------
    >>> import pandas as pd
    >>> ends = pd.DataFrame({"group": "g", "family": "g", "run": ["a", "b"],
    ...                      "params": [1e8, 1e9], "tokens": [2e9, 2e10]})
    >>> overview(ends).loc["g", ["parameters", "tokens", "tokens per parameter"]].tolist()
    ['100M – 1B', '2B – 20B', '20']
    """
    rows = {}
    groups = sorted(ends.groupby("group"), key=lambda item: float(item[1]["params"].max()))
    for group, members in groups:
        ratio = members["tokens"] / members["params"]
        rows[group] = {
            "families": members["family"].nunique(),
            "runs": len(members),
            "sizes": members["params"].nunique(),
            "budgets": _budgets(members),
            "parameters": span(members["params"].min(), members["params"].max()),
            "tokens": span(members["tokens"].min(), members["tokens"].max()),
            "tokens per parameter": span(_two_digits(ratio.min()), _two_digits(ratio.max())),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "group"
    return table


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def _budgets(ends: pd.DataFrame) -> int:
    tokens = ends["tokens"].map(_two_digits)
    lengths = tokens.groupby([ends["family"], ends["params"]]).nunique()
    return int(lengths.groupby("family").median().max())


def plot_map(
    ends: pd.DataFrame,
    ax: Axes | None = None,
    *,
    places: Mapping[str, tuple[float, float, str]] = PLACES,
    ratios: Sequence[float] = (1, 20, 1000),
) -> Axes:
    """Draw every run where it ended: tokens against parameters.

    Parameters
    ----------
    ends : pandas.DataFrame
        Final checkpoints with ``group``, ``params`` and ``tokens``.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    places : mapping of str to tuple, optional
        Where the name of a group stands (parameters, tokens, horizontal alignment); a group that
        is not in it is named above its topmost point.
    ratios : sequence of float
        Tokens per parameter to draw a line for.

    Returns
    -------
    matplotlib.axes.Axes
        Both axes logarithmic.
    """
    if ax is None:
        ax = plt.figure(figsize=(6.5, 6.6)).add_subplot()
    groups = sorted(ends["group"].unique(), key=lambda name: (name not in FAMILY_GROUPS, name))
    colors = family_colors(groups) | {BUILT_IN: INK}
    markers = family_markers(groups) | {BUILT_IN: "h"}
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="parameters $N$",
        ylabel="training tokens $D$ at the end of a run",
        xlim=(ends["params"].min() / 3, ends["params"].max() * 12),
        ylim=(ends["tokens"].min() / 3, ends["tokens"].max() * 3),
    )
    _draw_ratios(ax, ratios)
    for group in groups:
        members = ends[ends["group"] == group]
        ax.plot(
            members["params"],
            members["tokens"],
            linestyle="none",
            marker=markers[group],
            markersize=9 if markers[group] == "*" else 6,
            markerfacecolor=colors[group],
            markeredgecolor="white",
            markeredgewidth=0.5,
            alpha=0.85,
        )
        top = members.loc[members["tokens"].idxmax()]
        x, y, align = places.get(group, (top["params"], top["tokens"] * 1.5, "center"))
        ax.annotate(
            group,
            (x, y),
            ha=align,
            va="center",
            fontsize=10.5,
            fontweight="bold",
            color=_darker(colors[group]),
        )
    ax.xaxis.set_major_formatter(FuncFormatter(format_params))
    ax.yaxis.set_major_formatter(FuncFormatter(format_tokens))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(base=10, numticks=12))
        axis.set_minor_formatter(NullFormatter())
        axis.set_minor_locator(LogLocator(base=10, subs=(), numticks=12))
    return ax


def _draw_ratios(ax: Axes, ratios: Sequence[float]) -> None:
    """Draw lines of constant tokens per parameter, with their names."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    lowest = bottom * (top / bottom) ** 0.3
    for ratio in ratios:
        ax.plot([left, right], [left * ratio, right * ratio], color="#9ca3af", lw=1.2, zorder=0)
        x = max(left * (right / left) ** 0.3, lowest / ratio)
        below = ratio == min(ratios)  # the others are named on their upper side
        ax.annotate(
            f"{ratio:,.0f} token{'s' if ratio != 1 else ''}\nper parameter",
            (x, x * ratio),
            xytext=(5, -3) if below else (-5, 3),
            textcoords="offset points",
            ha="left" if below else "right",
            va="top" if below else "bottom",
            fontsize=9.5,
            color="#4b5563",
        )
    ax.set(xlim=(left, right), ylim=(bottom, top))


def _darker(color: Any) -> Any:
    """Return a shade dark enough for text on white."""
    red, green, blue = plt.matplotlib.colors.to_rgb(color)  # type: ignore[attr-defined]
    luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    factor = min(1.0, (0.16 / max(luminance, 1e-9)) ** (1 / 2.2))
    return (red * factor, green * factor, blue * factor)


def plot_curves(
    runs: pd.DataFrame,
    families: Sequence[str] | None = None,
    *,
    titles: Mapping[str, str] | None = None,
    finished: pd.DataFrame | None = None,
    columns: int = 2,
    start: float = 0.01,
) -> Figure:
    """Draw training curves, one panel for each family, darker for larger models.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one or more families.
    families : sequence of str, optional
        Which ones, in order; all by default.
    titles : mapping of str to str, optional
        What to write above a panel; the name of the family by default.
    finished : pandas.DataFrame, optional
        Ends of other runs of the same families, drawn as dots.
    columns : int
        Panels side by side.
    start : float
        Checkpoints before this fraction of the longest run of a family are not drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Every panel has an axis of losses of its own: losses of different families are not
        comparable.
    """
    names = list(dict.fromkeys(runs["family"])) if families is None else list(families)
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(6.5, 0.35 + 2.5 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, names, strict=False):
        own = runs[runs["family"] == name]
        _draw_family(ax, own, start, crowded=finished is not None)
        if finished is not None:
            ends = finished[finished["family"] == name]
            colors = size_colors([*own["params"], *ends["params"]])
            shades = [colors[float(size)] for size in ends["params"]]
            ax.scatter(ends["tokens"], ends["loss"], s=14, c=shades, zorder=3)
            ax.set_ylim(min(ax.get_ylim()[0], float(ends["loss"].min()) - 0.02), None)
        ax.set_title((titles or {}).get(name, name), fontsize=11.5)
    figure.supxlabel("training tokens $D$", fontsize=12)
    figure.supylabel("loss, in the metric of each family", fontsize=12)
    return figure


def _draw_family(ax: Axes, runs: pd.DataFrame, start: float, *, crowded: bool) -> None:
    """Draw the curves of one family and name its smallest and its largest size."""
    seen = runs[runs["tokens"] >= start * runs["tokens"].max()]
    colors = size_colors(runs["params"])
    for _, run in seen.groupby("run", sort=False):
        ax.plot(run["tokens"], run["loss"], color=colors[float(run["params"].iloc[0])], lw=1.3)
    ends = final_checkpoints(seen)
    late = seen[seen["tokens"] >= 3 * start * runs["tokens"].max()]
    low, high = late["loss"].min(), late["loss"].max()
    ax.set(xscale="log", ylim=(low - 0.12 * (high - low), high + 0.12 * (high - low)))
    for size, va in ((runs["params"].min(), "bottom"), (runs["params"].max(), "top")):
        if crowded and va == "top":  # dots take the place at the end
            name = f"darkest: {format_params(size)}"
            ax.text(0.03, 0.04, name, transform=ax.transAxes, fontsize=10.5, color=INK)
            continue
        end = ends[ends["params"] == size].sort_values("tokens").iloc[-1]
        ax.annotate(
            format_params(size),
            (float(end["tokens"]), float(end["loss"])),
            xytext=(0, 4 if va == "bottom" else -4),
            textcoords="offset points",
            ha="right",
            va=va,
            fontsize=10.5,
            color=_darker(colors[float(size)]),
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
    ax.xaxis.set_major_formatter(FuncFormatter(format_tokens))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelsize=10)


def plot_excess(
    law: ScalingLaw, tokens: Sequence[float], units: Mapping[str, Any], ax: Axes | None = None
) -> Axes:
    """Draw how far an endless model is above its floor, in several units of loss.

    Parameters
    ----------
    law : ScalingLaw
        A law for losses in nats per token; its term of parameters is left out.
    tokens : sequence of float
        Smallest and largest number of tokens.
    units : mapping of str to callable
        For each unit, what turns nats per token into it.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A power law is a straight line on it.
    """
    if ax is None:
        ax = plt.figure().add_subplot()
    seen = np.geomspace(min(tokens), max(tokens), 200)
    colors = [PALETTE["orange"], PALETTE["green"], PALETTE["blue"]]
    for (name, convert), color in zip(units.items(), colors, strict=False):
        above = convert(law.E + law.B * seen**-law.beta) - convert(law.E)
        ax.plot(seen, above, color=color)
        slope = (np.log(above[0]) - np.log(above[-1])) / np.log(seen[-1] / seen[0])
        straight = above[-1] * (seen / seen[-1]) ** -_slope(seen[-20:], above[-20:])
        if not np.isclose(slope, _slope(seen[-20:], above[-20:]), rtol=1e-3):
            ax.plot(seen, straight, color=color, ls=":", lw=1.4)
        ax.annotate(
            name,
            (seen[-1], above[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=_darker(color),
            fontweight="bold",
        )
    ax.set(xscale="log", yscale="log", xlabel="training tokens $D$", ylabel="loss above its floor")
    ax.xaxis.set_major_formatter(FuncFormatter(format_tokens))
    return ax


def _slope(x: Any, y: Any) -> float:
    return float(-np.polyfit(np.log(x), np.log(y), 1)[0])


def plot_paired_errors(
    errors: pd.DataFrame, ax: Axes | None = None, *, bands: Sequence[float] = ()
) -> Axes:
    """Draw two or more errors of the same cells, joined by a line for each cell.

    Parameters
    ----------
    errors : pandas.DataFrame
        Errors as fractions, a row for each cell, a column for each way of fitting; the index
        names the cells.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    bands : sequence of float
        Errors to mark by a vertical line.

    Returns
    -------
    matplotlib.axes.Axes
        Errors in per cent on a logarithmic axis, the first row on top.
    """
    if ax is None:
        ax = plt.figure(figsize=(6.5, 1.2 + 0.5 * len(errors))).add_subplot()
    rows = np.arange(len(errors))[::-1]
    percent = 100 * errors
    ax.hlines(rows, percent.min(axis=1), percent.max(axis=1), color="#9ca3af", lw=1.5, zorder=1)
    styles = zip(
        (PALETTE["orange"], PALETTE["amber"], PALETTE["blue"]), ("s", "D", "o"), strict=True
    )
    for place, (name, (color, marker)) in enumerate(zip(errors.columns, styles, strict=False)):
        ax.plot(percent[name], rows, marker, color=color, ms=8, zorder=2)
        ax.annotate(
            str(name),
            (float(percent[name].iloc[0]), float(rows[0])),
            xytext=(0, 12 + 15 * (place % 2)),
            textcoords="offset points",
            ha="center",
            color=_darker(color),
            fontweight="bold",
            fontsize=10.5,
        )
    for value in bands:
        ax.axvline(100 * value, color="#9ca3af", ls=":", lw=1.2, zorder=0)
    ax.set(xscale="log", xlabel="absolute relative error, per cent (logarithmic)")
    ax.set_yticks(rows, [str(i) for i in errors.index])
    ax.set_ylim(-0.6, len(errors) - 0.1)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    return ax


def error_after(law: ScalingLaw, target: pd.DataFrame, convert: Any) -> float:
    """Measure a law in another unit than the one it was fitted in.

    Parameters
    ----------
    law : ScalingLaw
        A law for the losses of ``target``.
    target : pandas.DataFrame
        Checkpoints with ``params``, ``tokens`` and ``loss``.
    convert : callable
        Turns losses, measured and predicted, into the other unit, for instance ``numpy.log``.

    Returns
    -------
    float
        Absolute relative error there, as a fraction.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> law = ScalingLaw(E=20.0, A=0.0, B=0.0, alpha=0.3, beta=0.3)
    >>> seen = pd.DataFrame({"params": [1e9], "tokens": [1e9], "loss": [10.0]})
    >>> round(error_after(law, seen, lambda perplexity: perplexity), 3)
    1.0
    >>> round(error_after(law, seen, np.log), 3)
    0.301
    """
    return absolute_relative_error(
        _Converted(law, convert), target.assign(loss=convert(target["loss"]))
    )


def errors_by_unit(
    runs: pd.DataFrame,
    *,
    n_models: int | None = None,
    skip_tokens: float = 0.0,
    fraction: float = 1.0,
    method: str = "least_squares",
) -> dict[str, float]:
    """Predict the largest model of a family from losses in nats and from perplexities.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family, losses in nats.
    n_models : int, optional
        How many of the smallest sizes to fit; by default all but the largest.
    skip_tokens : float
        Checkpoints with no more tokens than this are not fitted.
    fraction : float
        Checkpoints with fewer tokens than this part of the longest run are fitted; somewhat more
        than 1 for finished models, of which 1 would leave out the longest.
    method : str
        As in :func:`scaling_utils.fit_law`.

    Returns
    -------
    dict of str to float
        Errors as fractions: ``"nats"``, fitted and measured in nats; ``"perplexity"``, fitted and
        measured in perplexity; ``"perplexity, in nats"``, the latter fit measured in nats.  Missing
        where a fit failed.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scaling_utils import tidy_runs
    >>> n, d = np.meshgrid([1e8, 3e8, 1e9, 1e10], np.geomspace(2e9, 2e12, 20))
    >>> law = ScalingLaw(E=1.7, A=400.0, B=400.0, alpha=0.34, beta=0.28)
    >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> logs["loss"] = law.predict(logs["params"], logs["tokens"])
    >>> {unit: round(error, 3) for unit, error in errors_by_unit(tidy_runs(logs)).items()}
    {'nats': 0.0, 'perplexity': 0.156, 'perplexity, in nats': 0.085}
    """
    raw = runs.assign(loss=np.exp(runs["loss"]), metric="perplexity")
    models = len(sizes(runs)) - 1 if n_models is None else n_models
    options: dict[str, Any] = {"fractions": [fraction], "n_models": models, "method": method}
    options |= {"skip_tokens": skip_tokens, "until": max(1.0, fraction)}
    cells = [backtest(table, **options).iloc[0] for table in (runs, raw)]
    errors = {"nats": float(cells[0]["are"]), "perplexity": float(cells[1]["are"])}
    in_nats = float("nan")
    if cells[1]["status"] == "ok":
        five = [float(cells[1][name]) for name in PARAMETERS]
        law = ScalingLaw(five[0], five[1], five[2], five[3], five[4])
        in_nats = error_after(law, last_fraction(largest_models(raw), 0.7), np.log)
    return errors | {"perplexity, in nats": in_nats}


class _Converted:
    """What a law predicts, in another unit."""

    def __init__(self, law: ScalingLaw, convert: Any) -> None:
        self.law = law
        self.convert = convert

    def predict(self, params: Any, tokens: Any) -> Any:
        """Predict the converted loss."""
        return self.convert(np.asarray(self.law.predict(params, tokens)))
