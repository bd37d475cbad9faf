import numpy as np
import pandas as pd
import pytest

from scaling_utils.figures import intervals as show


def test_ladder_draws_every_interval_and_what_came() -> None:
    kinds = ["checkpoints", "runs", "calibrated"]
    table = pd.DataFrame(
        {
            "n_models": np.repeat([3, 4], 3),
            "scale_up": np.repeat([8.0, 2.0], 3),
            "kind": kinds * 2,
            "predicted": [2.0, 2.0, 2.1, 2.2, 2.2, 2.3],
            "half": [0.01, 2.0, 0.1, 0.01, 0.5, 0.05],
            "measured": 2.15,
        }
    )
    ax = show.draw_ladder(table)
    assert [float(y) for y in ax.lines[0].get_ydata()] == [2.15, 2.15]
    for box, kind in zip(ax.containers, kinds, strict=True):
        own = table[table["kind"] == kind]
        middles = np.asarray(box.lines[0].get_ydata(), "float64")
        np.testing.assert_allclose(middles, own["predicted"])
        ends = np.array([part[:, 1] for part in box.lines[2][0].get_segments()], "float64")
        np.testing.assert_allclose(np.diff(ends)[:, 0], 2 * own["predicted"] * own["half"])
    low, high = ax.get_ylim()
    # The ends of calibrated intervals fit; the widest others are cut.
    assert low < 2.1 * 0.9
    assert 2.3 * 1.05 < high < 3
    assert [t.get_text() for t in ax.get_xticklabels()] == ["3\n(8×)", "4\n(2×)"]
    ax.figure.canvas.draw()


def test_coverage_has_a_line_a_group_and_the_mean_of_groups() -> None:
    curve = pd.DataFrame(
        {
            "level": [0.5, 0.9] * 4,
            "claim": ["posterior"] * 4 + ["calibrated"] * 4,
            "group": ["a", "a", "b", "b"] * 2,
            "held": [0.1, 0.2, 0.3, 0.4, 0.4, 0.8, 0.6, 1.0],
        }
    )
    ax = show.draw_coverage(curve)
    drawn = [np.asarray(line.get_ydata()) for line in ax.lines]
    expected = [[40, 80], [60, 100], [0, 100], [20, 30], [50, 90]]
    np.testing.assert_allclose(drawn, expected)
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["calibrated, each group", "as claimed", "posterior alone", "calibrated"]


def test_groups_are_sorted_with_the_claim_and_the_mean() -> None:
    table = pd.DataFrame({"inside 90%": [0.7, 1.0]}, index=["a", "b"])
    ax = show.draw_groups(table, 0.9)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "a"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [100, 70])
    assert [float(line.get_xdata()[0]) for line in ax.lines[1:]] == pytest.approx([90, 85])


def test_widths_have_a_line_a_level() -> None:
    widths = pd.DataFrame({0.9: [0.02, 0.04], 0.5: [0.01, 0.02]}, index=[1e6, 1e7])
    ax = show.draw_widths(widths)
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines], [[2, 4], [1, 2]])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["90%", "50%"]
    ax.figure.canvas.draw()
