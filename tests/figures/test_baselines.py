import numpy as np
import pandas as pd

from scaling_utils.figures import baselines as show


def test_averages_are_written_beside_their_marks() -> None:
    table = pd.DataFrame({"law": [0.04, 0.1], "best_seen": [0.07, 0.3]}, index=["full", "all"])
    ax = show.draw_averages(table)
    assert sorted(t.get_text() for t in ax.texts) == ["10 %", "30 %", "4.0 %", "7.0 %"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [4, 10])
    ax.figure.canvas.draw()


def test_gain_draws_families_and_classes() -> None:
    same = pd.DataFrame(
        {"family": ["a", "a", "b"], "scale_up": [2.0, 2.0, 8.0], "gain": np.log([2.0, 4.0, 3.0])}
    )
    index = pd.IntervalIndex.from_breaks([1.0, 4.0, 16.0])
    classes = pd.DataFrame({"times": [2.8, 3.0], "low": [2.0, 3.0], "high": [4.0, 3.0]}, index)
    ax = show.draw_gain(same, classes)
    dots = ax.lines[1]
    np.testing.assert_allclose(dots.get_ydata(), [np.sqrt(8), 3])
    ax.figure.canvas.draw()


def test_noise_labels_do_not_meet() -> None:
    table = pd.DataFrame({2.0: [20.0, 1.0], 8.0: [20.5, 2.0]}, index=[0.001, 0.01])
    ax = show.draw_noise(table)
    ax.figure.canvas.draw()
    boxes = [t.get_window_extent() for t in ax.texts]
    assert [t.get_text() for t in ax.texts] == ["×2", "×8"]
    assert boxes[0].y1 <= boxes[1].y0 + 1


def test_distance_has_a_line_a_prediction() -> None:
    index = pd.IntervalIndex.from_breaks([1.0, 10.0, 10000.0])
    table = pd.DataFrame({"law": [0.01, 0.02], "best_seen": [0.04, 0.2]}, index)
    ax = show.draw_by_distance(table)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [4, 20])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1–10", "> 10"]
    ax.figure.canvas.draw()
