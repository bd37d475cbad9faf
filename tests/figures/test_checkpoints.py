import numpy as np
import pandas as pd
import pytest

from scaling_utils.figures.checkpoints import (
    draw_above,
    draw_claimed_and_true,
    draw_coverage,
    draw_curves,
    draw_dumbbells,
    draw_relative_grid,
    draw_worth,
)
from scaling_utils.style import PALETTE


def test_grid_frames_the_best_and_crosses_failures() -> None:
    errors = pd.DataFrame({0.1: [0.02, 0.01], 0.5: [0.01, np.nan]}, index=["a", "b"])
    ax = draw_relative_grid(errors, labels={"b": "the other"})
    assert [t.get_text() for t in ax.texts] == ["2", "1", "1", "×"]
    assert [t.get_fontweight() for t in ax.texts[:3]] == ["normal", "bold", "bold"]
    assert len(ax.patches) == 2
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "the other"]


def test_dumbbells_say_which_way() -> None:
    errors = pd.DataFrame({"uncut": [0.1, 0.01, 0.05, 2.0], "cut": [0.02, 0.03, 0.05, 0.1]})
    ax = draw_dumbbells(errors, limit=0.5)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 2]
    assert [line.get_color() for line in lines] == [
        PALETTE["blue"],
        PALETTE["orange"],
        PALETTE["grey"],
        PALETTE["blue"],
    ]
    assert lines[0].get_xdata() == pytest.approx([10, 2])
    assert lines[3].get_xdata() == pytest.approx([50, 10])
    assert "200 %" in ax.texts[0].get_text()


def test_curves_skip_what_is_missing_and_label_each() -> None:
    table = pd.DataFrame({"a": [0.1, np.nan, 0.02], "b": [0.3, 0.2, 0.1]}, index=[0.0, 0.1, 0.5])
    ax = draw_curves(table, xlabel="x", ylabel="y", bold=["b"])
    first, second = ax.get_lines()
    assert list(first.get_ydata()) == pytest.approx([10, 2])
    assert list(second.get_xdata()) == [0, 1, 2]
    assert second.get_linewidth() > first.get_linewidth()
    assert [t.get_text() for t in ax.texts] == ["a", "b"]  # from the lowest upwards
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "0.1", "0.5"]


def test_labels_at_one_height_are_moved_apart() -> None:
    table = pd.DataFrame({name: [1.0, 2.0] for name in "abcd"})
    ax = draw_curves(table, xlabel="x", ylabel="y", percent=False, line=1.0)
    heights = [t.xy[1] for t in ax.texts]
    assert min(np.diff(heights)) > 0.03
    assert max(heights) <= 1


def test_claims_and_coverage_are_drawn_in_per_cent() -> None:
    table = pd.DataFrame({"error": [0.01, 0.01], "claimed": [0.01, 0.002]}, index=[3, 30])
    ax = draw_claimed_and_true({"lasting": table})
    solid, dashed = ax.get_lines()
    assert list(solid.get_ydata()) == pytest.approx([1, 1])
    assert list(dashed.get_ydata()) == pytest.approx([1, 0.2])
    covered = pd.DataFrame({"covered": [0.8, 0.3]}, index=[3, 30])
    ax = draw_coverage({"runs": covered})
    assert list(ax.get_lines()[0].get_ydata()) == pytest.approx([80, 30])


def test_worth_keeps_the_order() -> None:
    table = pd.DataFrame(
        {"each": [100.0, 10.0], "per_run": [5.0, 2.0], "own_per_run": [9.0, 8.0]}, index=["a", "b"]
    )
    ax = draw_worth(table)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    drawn = {line.get_label(): list(line.get_xdata()) for line in ax.get_lines()}
    assert drawn["logged"] == [100, 10]
    assert drawn["worth, about the law"] == [5, 2]


def test_distances_to_finished_models_have_a_line_for_each_kind_with_runs() -> None:
    table = pd.DataFrame({"tokens": [1e6, 2e6, 2e6], "above": [0.01, 0.02, 0.06]})
    ax = draw_above({"constant": table, "cosine": table.head(0)})
    assert [text.get_text() for text in ax.texts] == ["constant"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1, 2, 6])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [1, 4])
    assert list(ax.get_xticks()) == [1e6, 2e6]
