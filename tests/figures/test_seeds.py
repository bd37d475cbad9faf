import numpy as np
import pandas as pd

from scaling_utils.figures import seeds as figures


def test_magnitudes_show_every_positive_value_and_the_median() -> None:
    values = {"noise": pd.Series([0.001, 0.002, 0.003]), "none": pd.Series([-1.0, np.nan])}
    figure = figures.draw_magnitudes(values)
    ax = figure.axes[0]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert len(dots) == 1
    np.testing.assert_allclose(dots[0].get_xdata(), [0.1, 0.2, 0.3])
    assert any("noise: 0.2 %" in text.get_text() for text in ax.texts)


def test_best_errors_have_a_row_for_each_group() -> None:
    table = pd.DataFrame({"full": [0.01, 0.02, 0.1], "best": [0.001] * 3}, index=["a", "b", "c"])
    figure = figures.draw_best_errors(table, {"a": "x", "b": "x", "c": "y"})
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["x", "y"]


def test_ranking_leaves_out_what_is_missing() -> None:
    shares = pd.DataFrame({"x": [0.5, np.nan, 1.0]}, index=["low", "middle", "high"])
    ax = figures.draw_ranking(shares)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0, 2])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [50, 100])


def test_funnel_shows_the_longest_training_of_repeated_sizes() -> None:
    runs = pd.DataFrame(
        {
            "family": "f",
            "params": [1e6, 1e6, 1e6, 2e6],
            "tokens": [1e8, 1e9, 1e9, 1e9],
            "seed": [0, 0, 1, 0],
            "loss": [9.0, 2.0, 2.2, 2.0],
        }
    )
    ax = figures.draw_funnel(runs)
    np.testing.assert_allclose(np.sort(ax.lines[0].get_ydata()), [-100 / 21, 100 / 21])


def test_refits_show_predictions_and_own_seeds() -> None:
    figure = figures.draw_refits(
        {"f": pd.Series([0.01, 0.02]), "g": pd.Series([0.03])}, {"f": pd.Series([0.0, 0.001])}
    )
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["f", "g"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [1, 2])
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [0, 0.1])


def test_designs_show_error_and_the_part_of_seeds() -> None:
    table = pd.DataFrame({"seeds": [1, 2], "error": [0.02, 0.03], "spread": [0.01, 0.01]})
    ax = figures.draw_designs({"case": table}).axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [2, 3])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [1, 1])
