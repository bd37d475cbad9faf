"""One look for every figure: fonts, resolution, colours, and names of large numbers.

Call :func:`use_style` once, before the first figure.  To limit it to a few figures, call it inside
``with matplotlib.rc_context():``.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

PALETTE: dict[str, str] = {
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "pink": "#cc79a7",
    "sky": "#56b4e9",
    "amber": "#e69f00",
    "brown": "#7a4a1e",
    "grey": "#6b7280",
}
"""Colours that readers with any kind of colour vision tell apart, after Okabe and Ito."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""One marker for each colour, so that no figure depends on colour alone."""

FAMILY_GROUPS = (
    "gpt3",
    "opt",
    "olmo",
    "pythia",
    "datablations",
    "gemstones",
    "chinchilla",
    "overtrain",
)
"""Beginnings of family names, in the order of :data:`PALETTE` and :data:`MARKERS`."""

RC: dict[str, Any] = {
    "figure.figsize": (6.5, 4.0),
    "figure.dpi": 144,
    "savefig.dpi": 144,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.labelsize": 12.5,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "legend.fontsize": 11.5,
    "legend.title_fontsize": 11.5,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.min_exponent": 3,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "image.cmap": "viridis",
    "svg.hashsalt": "scaling-utils",
}
"""Settings of matplotlib that :func:`use_style` makes."""


def use_style(**changes: object) -> None:
    """Give every later figure the look of the book.

    Figures are 6.5 inches wide on white, readable at the width of a phone, and the same program
    draws the same bytes each time.

    Parameters
    ----------
    **changes : object
        Settings of matplotlib that differ here, with ``_`` for ``.``, for instance
        ``figure_figsize=(6.5, 3)``.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with mpl.rc_context():
    ...     use_style(figure_figsize=(6.5, 3))
    ...     mpl.rcParams["figure.figsize"]
    [6.5, 3.0]
    """
    names = {str(name).replace(".", "_"): str(name) for name in mpl.rcParams}
    unknown = sorted(set(changes) - set(names))
    if unknown:
        raise ValueError(
            f"unknown setting(s) {unknown}: name a key of matplotlib.rcParams with '_' for '.', "
            "for instance figure_figsize."
        )
    own = {names[key]: value for key, value in changes.items()}
    sns.set_theme(
        context="notebook", style="ticks", palette=list(PALETTE.values()), rc={**RC, **own}
    )


def family_colors(families: Iterable[str]) -> dict[str, Any]:
    """Colour of each family: the hue is always the same for the same family.

    Families whose names begin alike, such as ``pythia`` and ``pythia-deduped``, share a hue and
    get shades of it, from dark to light.

    Parameters
    ----------
    families : iterable of str
        Names of families; repetitions are ignored.

    Returns
    -------
    dict of str to color
        Fit for the ``palette`` of seaborn.

    Examples
    --------
    >>> family_colors(["opt", "gpt3"])
    {'opt': '#d55e00', 'gpt3': '#0072b2'}
    """
    names = list(dict.fromkeys(families))
    groups: dict[int, list[str]] = {}
    for name in names:
        groups.setdefault(_place(name), []).append(name)
    colors: dict[str, Any] = {}
    for place, members in groups.items():
        hue = list(PALETTE.values())[place]
        shades: list[Any] = [hue]
        if len(members) > 1:
            ramp = sns.blend_palette([hue, "#ffffff"], n_colors=100)
            ends = np.linspace(0, 60, len(members)).astype(int)
            shades = [mpl.colors.to_hex(ramp[end]) for end in ends]
        colors.update(zip(members, shades, strict=True))
    return {name: colors[name] for name in names}


def family_markers(families: Iterable[str]) -> dict[str, str]:
    """Marker of each family: always the same for the same family.

    Parameters
    ----------
    families : iterable of str
        Names of families; repetitions are ignored.

    Returns
    -------
    dict of str to str
        Fit for the ``markers`` of seaborn.

    Examples
    --------
    >>> family_markers(["opt", "gpt3"])
    {'opt': 's', 'gpt3': 'o'}
    """
    return {name: MARKERS[_place(name)] for name in dict.fromkeys(families)}


def size_colors(params: Iterable[float]) -> dict[float, str]:
    """Colour of each size: light for the smallest model, dark for the largest.

    Parameters
    ----------
    params : iterable of float
        Numbers of parameters; repetitions are ignored.

    Returns
    -------
    dict of float to str
        In ascending order of size.

    Examples
    --------
    >>> size_colors([1e9, 1e8, 1e9])
    {100000000.0: '#5cc863', 1000000000.0: '#440154'}
    """
    sizes = sorted({float(value) for value in params})
    steps = np.linspace(0.25, 1.0, len(sizes)) if len(sizes) > 1 else np.array([1.0])
    ramp = mpl.colormaps["viridis_r"]
    return {size: mpl.colors.to_hex(ramp(step)) for size, step in zip(sizes, steps, strict=True)}


def format_params(value: float, _position: object = None) -> str:
    """Write a number of parameters as people say it.

    Also a formatter of matplotlib: ``ax.xaxis.set_major_formatter(format_params)``.

    Parameters
    ----------
    value : float
        Number of parameters.

    Returns
    -------
    str
        At most three significant digits and K, M, B or T.

    Examples
    --------
    >>> format_params(1.3e9), format_params(190_354_176), format_params(1.75e11)
    ('1.3B', '190M', '175B')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(rounded) >= size:
            scaled = rounded / size
            return f"{scaled:.0f}{letter}" if abs(scaled) >= 1000 else f"{scaled:.3g}{letter}"
    return f"{rounded:g}"


def format_tokens(value: float, _position: object = None) -> str:
    """Write a number of tokens as people say it.

    Also a formatter of matplotlib: ``ax.xaxis.set_major_formatter(format_tokens)``.

    Parameters
    ----------
    value : float
        Number of tokens.

    Returns
    -------
    str
        At most three significant digits and K, M, B or T.

    Examples
    --------
    >>> format_tokens(3e11), format_tokens(1.4e12)
    ('300B', '1.4T')
    """
    return format_params(value)


def plain_log_axis(ax: Axes, which: str) -> None:
    """Label a logarithmic axis with 1, 2, 5, 10, ..., or with powers of ten where it is long.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes whose limits are set.
    which : {"x", "y"}
        Which axis of theirs.
    """
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = ax.get_xlim() if which == "x" else ax.get_ylim()
    decades = np.log10(high / low)
    marks = (1, 1.5, 2, 3, 4, 5, 7) if decades < 1 else (1, 2, 5) if decades < 2.4 else (1,)
    steps = [m * 10.0**k for k in range(-4, 7) for m in marks]
    axis.set_major_locator(FixedLocator([s for s in steps if low * 0.999 <= s <= high * 1.001]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _place(family: str) -> int:
    """Place of a family among the colours and the markers."""
    for place, group in enumerate(FAMILY_GROUPS):
        if family == group or family.startswith(f"{group}-"):
            return place
    return zlib.crc32(family.encode()) % len(MARKERS)
