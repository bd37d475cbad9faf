"""The shared look of figures, and the names of large numbers."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from scaling_utils.style import (
    FAMILY_GROUPS,
    MARKERS,
    PALETTE,
    family_colors,
    family_markers,
    format_params,
    format_tokens,
    plain_log_axis,
    size_colors,
    use_style,
)


@pytest.fixture(autouse=True)
def keep_settings():
    with mpl.rc_context():
        yield
    plt.close("all")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1_000, "1K"),
        (125e6, "125M"),
        (190_354_176, "190M"),
        (999_600_000, "1B"),
        (1.3e9, "1.3B"),
        (3_169_537_280, "3.17B"),
        (1.75e11, "175B"),
        (1.4e12, "1.4T"),
        (1.5e16, "15000T"),
        (-2e9, "-2B"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_large_numbers_are_written_as_people_say_them(value, text):
    assert format_params(value) == format_tokens(value) == text


@given(st.floats(min_value=1, max_value=1e15))
def test_written_number_is_within_half_a_per_cent(value):
    text = format_params(value)
    unit = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1], 1)
    number = float(text.rstrip("KMBT")) * unit
    assert number == pytest.approx(value, rel=0.0051)
    assert "e" not in text


def test_formatters_serve_axes():
    fig, ax = plt.subplots()
    ax.set(xscale="log", xlim=(1e8, 1e11))
    ax.xaxis.set_major_formatter(format_params)
    fig.canvas.draw()
    assert "1B" in [label.get_text() for label in ax.get_xticklabels()]


def png() -> bytes:
    use_style()
    fig, ax = plt.subplots()
    ax.loglog([1, 10], [3, 2], "o-", label="a")
    ax.legend()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    plt.close(fig)
    return buffer.getvalue()


def test_the_same_figure_has_the_same_bytes():
    assert png() == png()


def test_svg_has_the_same_bytes():
    def svg():
        use_style()
        fig, ax = plt.subplots()
        ax.plot([1, 2], [1, 2])
        buffer = io.BytesIO()
        fig.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(fig)
        return buffer.getvalue()

    assert svg() == svg()


def test_fonts_are_readable_at_the_width_of_a_phone():
    use_style()
    pixels_per_point = 360 / mpl.rcParams["figure.figsize"][0] / 72
    sizes = [mpl.rcParams[k] for k in ("xtick.labelsize", "axes.labelsize", "legend.fontsize")]
    assert min(sizes) * pixels_per_point > 8.5
    assert mpl.rcParams["figure.dpi"] >= 144


def test_settings_can_differ_for_one_figure():
    use_style(figure_figsize=(3, 2), legend_frameon=False)
    assert tuple(mpl.rcParams["figure.figsize"]) == (3, 2)
    assert mpl.rcParams["legend.frameon"] is False
    use_style()
    assert tuple(mpl.rcParams["figure.figsize"]) == (6.5, 4.0)


def test_unknown_setting_is_refused_with_the_rule():
    with pytest.raises(ValueError, match=r"figure_sise.*rcParams.*figure_figsize"):
        use_style(figure_sise=(3, 2))


def luminance(color) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast_with_white(color) -> float:
    return 1.05 / (luminance(color) + 0.05)


def test_colours_stand_out_from_white():
    colors = [*PALETTE.values(), *size_colors([1e8, 1e9, 1e10]).values()]
    assert min(map(contrast_with_white, colors)) > 2


def test_every_group_has_its_own_colour_and_marker():
    assert len(FAMILY_GROUPS) == len(PALETTE) == len(MARKERS)
    assert len(set(family_colors(FAMILY_GROUPS).values())) == len(FAMILY_GROUPS)
    assert len(set(family_markers(FAMILY_GROUPS).values())) == len(FAMILY_GROUPS)


def test_a_family_keeps_its_colour_in_any_company():
    alone = family_colors(["olmo"])["olmo"]
    assert family_colors(["opt", "my-own-runs", "olmo"])["olmo"] == alone


def test_members_of_a_group_get_shades():
    colors = family_colors(["datablations-c4-1", "datablations-c4-44", "gpt3"])
    assert list(colors) == ["datablations-c4-1", "datablations-c4-44", "gpt3"]
    assert len(set(colors.values())) == 3
    assert luminance(colors["datablations-c4-1"]) < luminance(colors["datablations-c4-44"])


def test_unknown_families_get_the_same_look_each_time():
    assert family_colors(["mine"]) == family_colors(["mine"])
    assert family_markers(["mine"])["mine"] in MARKERS


def test_larger_models_are_darker():
    colors = size_colors([1e10, 1e8, 1e9, 1e8])
    assert list(colors) == [1e8, 1e9, 1e10]
    shades = [luminance(c) for c in colors.values()]
    assert shades == sorted(shades, reverse=True)
    assert size_colors([1e9]) == {1e9: colors[1e10]}


@pytest.mark.parametrize(
    ("limits", "marks"),
    [((1.0, 9.0), [1, 1.5, 2, 3, 4, 5, 7]), ((1.0, 150.0), [1, 2, 5, 10, 20, 50, 100])],
)
def test_logarithmic_axes_have_plain_numbers(limits: tuple[float, float], marks: list) -> None:
    figure, ax = plt.subplots()
    ax.set(xscale="log", yscale="log", xlim=limits, ylim=limits)
    for which in ("x", "y"):
        plain_log_axis(ax, which)
        axis = getattr(ax, f"{which}axis")
        assert list(axis.get_majorticklocs()) == pytest.approx(marks)
        assert len(axis.get_minorticklocs()) == 0
    figure.canvas.draw()
    assert [t.get_text() for t in ax.get_xticklabels()] == [f"{m:g}" for m in marks]
    plt.close(figure)
