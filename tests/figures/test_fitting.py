import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from scaling_utils.figures.fitting import (
    METHOD_STYLES,
    draw_apart,
    draw_bad_runs,
    draw_ends,
    draw_residuals,
    draw_sizes,
    draw_valley,
)
from scaling_utils.objective import valley
from scaling_utils.style import PALETTE, size_colors
from tests.problems import TRUTH, grid_family


def test_valley_marks_laws_and_ends() -> None:
    runs = grid_family()
    ground = valley(runs, np.linspace(0.1, 0.8, 8), np.linspace(0.1, 0.8, 8))
    best = float(ground.heights.min())
    ends = pd.DataFrame(
        {"alpha": [0.35, 2.0], "beta": [0.37, 0.3], "objective": [best, 100 * best]}
    )
    ax = draw_valley(ground, best, marks={"truth": TRUTH}, ends=ends)
    lost, arrived, mark = ax.get_lines()
    assert list(lost.get_xdata()) == [0.8]  # drawn at the edge
    assert list(arrived.get_xdata()) == [0.35]
    assert list(mark.get_ydata()) == [TRUTH.beta]
    assert [t.get_text() for t in ax.texts] == ["truth"]
    legend = ax.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()][:3] == ["to +10 %", "to +50 %", "to 3-fold"]
    assert [t.get_text() for t in legend.get_texts()][-1] == "over 100-fold"


def test_ends_rise_to_what_has_arrived() -> None:
    ax = draw_ends({"a": pd.Series([1.0, 1.001, 3.0, np.inf])})
    curve = ax.get_lines()[0]
    shares = np.asarray(curve.get_ydata())
    assert shares[0] == 25
    assert shares[-1] == 75
    assert (np.diff(shares) >= 0).all()
    at = np.asarray(curve.get_xdata())
    assert shares[np.searchsorted(at, 0.01)] == 50


def test_bad_runs_are_drawn_in_per_cent() -> None:
    errors = pd.DataFrame(
        {"least_squares": [0.003, 0.008], "log_huber": [0.0031, 0.0033]}, index=["none", "one run"]
    )
    ax = draw_bad_runs(errors)
    drawn = {line.get_label(): line for line in ax.get_lines()}
    assert set(drawn) == {METHOD_STYLES[m][0] for m in errors.columns}
    assert list(drawn["least squares"].get_xdata()) == pytest.approx([0.3, 0.8])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["no bad run", "one run too high"]


def test_residuals_have_a_line_for_each_run() -> None:
    runs = grid_family().sample(frac=1, random_state=1)
    raised = runs.assign(loss=runs["loss"] * 1.02)
    ax = draw_residuals(raised, TRUTH)
    lines = ax.get_lines()[:-1]
    assert len(lines) == runs["run"].nunique()
    for line in lines:
        assert np.asarray(line.get_ydata()) == pytest.approx(2.0, abs=1e-9)
        assert (np.diff(np.asarray(line.get_xdata())) > 0).all()
    assert {to_hex(line.get_color()) for line in lines} == set(size_colors(runs["params"]).values())


def test_apart_tells_better_from_worse() -> None:
    pairs = pd.DataFrame({"are_one": [0.10, 0.02, 2.0], "are_two": [0.05, 0.04, 0.5]})
    ax = draw_apart(pairs)
    better, worse, _ = ax.get_lines()
    assert to_hex(better.get_color()) == PALETTE["blue"]
    assert list(better.get_xdata()) == pytest.approx([10, 100])  # the last at the edge
    assert list(worse.get_ydata()) == pytest.approx([4])


def test_sizes_say_the_tokens_for_each() -> None:
    table = pd.DataFrame({"billions": [40.0, 73.0], "tokens each": [58.9, 17.9]}, index=["H", "B"])
    ax = draw_sizes(table)
    assert [t.get_text() for t in ax.texts] == ["59 tokens each", "18 tokens each"]
    assert list(ax.get_lines()[0].get_xdata()) == [40, 73]
