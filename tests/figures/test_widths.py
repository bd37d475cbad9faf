import numpy as np
import pandas as pd

from scaling_utils.figures.widths import draw_methods


def test_methods_are_a_line_from_the_lower_to_the_higher_level() -> None:
    table = pd.DataFrame(
        {
            "held 50%": [0.4, 0.1, 0.2],
            "held 90%": [0.9, 0.3, 0.4],
            "width 50%": [0.05, 0.01, 0.02],
            "width 90%": [0.12, np.inf, 0.04],
        },
        index=["calibrated", "runs", "other"],
    )
    ax = draw_methods(table, {"calibrated": "one", "runs": "two"})
    assert [float(line.get_ydata()[0]) for line in ax.lines[:2]] == [50, 90]
    own, low, high = ax.lines[2:5]
    np.testing.assert_allclose(own.get_xdata(), [5, 12])
    np.testing.assert_allclose(own.get_ydata(), [40, 90])
    assert low.get_markerfacecolor() == "white"
    assert high.get_markerfacecolor() == high.get_color()
    assert np.isnan(ax.lines[5].get_xdata()).tolist() == [False, True]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["one", "two"]
    ax.figure.canvas.draw()
