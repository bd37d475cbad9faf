import numpy as np
import pandas as pd
import pytest

from scaling_utils.aggregate import GroupSummary
from scaling_utils.figures import components as show


def test_explained_is_in_per_cent() -> None:
    ax = show.draw_explained({"raw": np.array([0.6, 0.9, 1.0])})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [60, 90, 100])
    ax.figure.canvas.draw()


def test_correlations_shade_the_models() -> None:
    curve = pd.Series([1.0, 0.0], index=[1.0, 1e9])
    ax = show.draw_correlations({"made": curve}, {"models": (1e7, 1e10)})
    assert [t.get_text() for t in ax.texts] == ["models"]
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), [1, 0])
    ax.figure.canvas.draw()


def test_lines_have_the_slopes_that_were_given() -> None:
    alpha = np.linspace(0.3, 0.4, 11)
    cloud = pd.DataFrame({"alpha": alpha, "a": 6 + 17 * (alpha - 0.35)})
    ax = show.draw_clouds({"made": cloud}, {"made": 17.0})
    line = ax.lines[1]
    rise = np.diff(line.get_ydata())[0] / np.diff(line.get_xdata())[0]
    assert rise == pytest.approx(17.0)
    ax.figure.canvas.draw()


def test_restricted_rows_have_dots_and_a_mean() -> None:
    ratios = pd.DataFrame({"α = β": [0.5, 2.0], "3 components": [3.0, 100.0]}, index=["a", "b"])
    summary = GroupSummary(1.0, 0.5, 2.0, 0.9, 2, 2)
    ax = show.draw_restricted(ratios, {"α = β": summary, "3 components": summary})
    assert [t.get_text() for t in ax.get_yticklabels()] == ["α = β", "3 components"]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots[1].get_xdata(), [3, 30])
    ax.figure.canvas.draw()
