import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scaling_utils import backtest, split_target
from scaling_utils.figures.errors import (
    draw_error_by_models,
    draw_errors_by_family,
    draw_prediction,
)
from tests.problems import TRUTH, grid_family


def texts(ax: mpl.axes.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_prediction_shows_what_was_measured_and_what_was_predicted() -> None:
    runs = grid_family()
    ax = draw_prediction(runs, TRUTH)
    measured, predicted = ax.get_lines()[-2:]
    target = runs[runs["params"] == 1e10]
    np.testing.assert_allclose(measured.get_ydata(), target["loss"])
    x, y = predicted.get_data()
    np.testing.assert_allclose(y, TRUTH.predict(1e10, x))
    assert texts(ax) == ["10B", "1B", "300M", "100M"]  # from the lowest curve upwards
    low, high = ax.patches[0].get_x(), ax.patches[0].get_x() + ax.patches[0].get_width()
    assert (low, high) == pytest.approx(
        (split_target(runs).target["tokens"].min(), runs["tokens"].max())
    )


def test_prediction_leaves_out_sizes_that_were_not_used() -> None:
    ax = draw_prediction(grid_family(), TRUTH, train=[1e9])
    assert texts(ax) == ["10B", "1B"]


def test_labels_of_close_curves_are_moved_apart() -> None:
    runs = grid_family(sizes=(1e9, 1.01e9, 1.02e9, 1e10))
    ax = draw_prediction(runs, TRUTH)
    heights = [text.get_position()[1] for text in ax.texts]
    assert min(np.diff(heights)) > 0.03


def test_error_by_models_averages_cells() -> None:
    cells = pd.DataFrame(
        {
            "n_models": [2, 2, 3, 3, 2, 3],
            "fraction": [0.5, 0.5, 0.5, 0.5, 1.0, 1.0],
            "are": [0.1, 0.3, 0.04, 0.06, 0.1, 0.02],
        }
    )
    ax = draw_error_by_models(cells, lines={"best possible": 0.01})
    half, full, line = ax.get_lines()
    assert list(half.get_ydata()) == pytest.approx([20.0, 5.0])
    assert list(full.get_ydata()) == pytest.approx([10.0, 2.0])
    assert list(line.get_ydata()) == pytest.approx([1.0, 1.0])
    assert texts(ax) == ["best possible", "$p$ = 1", "$p$ = 0.5"]
    assert list(ax.get_xticks()) == [2, 3]


def test_errors_by_family_keeps_the_order() -> None:
    cells = pd.concat(
        backtest(grid_family(), method=m, fractions=[1.0], n_models=3)
        for m in ("curve_fit", "best_seen", "most_trained")
    )
    errors = cells.pivot_table(index="family", columns="method", values="are")
    errors = pd.concat([errors, 2 * errors.rename(index={"grid": "other"})])
    errors = errors[["curve_fit", "best_seen", "most_trained"]]
    ax = draw_errors_by_family(errors, labels={"other": "the other"})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["grid", "the other"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "law, guide's fit",
        "best seen",
        "most trained",
    ]
    drawn = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
    np.testing.assert_allclose(drawn["best seen"], 100 * errors["best_seen"])


def test_axes_can_be_given() -> None:
    _, ax = plt.subplots()
    assert draw_prediction(grid_family(), TRUTH, ax=ax) is ax
