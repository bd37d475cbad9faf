import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scaling_utils.borrow import GUIDE, Loan
from scaling_utils.figures import borrow as figures


def texts(ax) -> list[str]:
    return [t.get_text() for t in ax.texts]


def test_loans_fall_from_zero_and_are_named() -> None:
    ax = figures.draw_loans([GUIDE, Loan("gpt3", 90.0, 0.24)], 1e8, 1e10)
    assert len(ax.lines) == 2
    for line, loan in zip(ax.lines, (GUIDE, Loan("gpt3", 90.0, 0.24)), strict=True):
        y = line.get_ydata()
        assert y[0] == 0
        assert y[-1] == pytest.approx(-loan.drop(1e8, 1e10))
    assert set(texts(ax)) == {"guide", "gpt3"}
    heights = sorted(t.get_position()[1] for t in ax.texts)
    assert heights[1] - heights[0] > 0.05


def test_matrix_prints_every_error_and_leaves_gaps() -> None:
    table = pd.DataFrame({"a": [0.01, np.nan], "b": [0.123, 5.0]}, index=["x", "y"])
    ax = figures.draw_matrix(table, labels={"x": "lender x"})
    assert texts(ax) == ["1.0", "12", "500"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["lender x", "y"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    ax.figure.canvas.draw()


def test_ways_are_per_cent_with_known_and_unknown_columns() -> None:
    errors = pd.DataFrame({"nothing": [0.3, 0.2], "guide": [0.05, np.nan], "mine": [0.01, 0.02]})
    ax = figures.draw_ways(errors, labels={"0": "first"})
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [30, 20])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "no loan",
        "the guide's pair",
        "mine",
    ]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["first", "1"]
    _, other = plt.subplots()
    assert figures.draw_ways(errors, ax=other) is other


def test_against_own_draws_means_over_families() -> None:
    table = pd.DataFrame(
        [
            {"family": f, "n_models": n, "way": way, "are": 0.1 / n}
            for f in ("a", "b")
            for n in (2, 3)
            for way in ("own", "half", "loan")
        ]
    )
    means = pd.DataFrame({w: [0.05, 0.03] for w in ("own", "half", "loan")}, index=[2, 3])
    ax = figures.draw_against_own(table, means)
    assert len(ax.lines) == 9
    strong = [line for line in ax.lines if line.get_linewidth() > 2]
    np.testing.assert_allclose(strong[0].get_ydata(), [5, 3])
    ax.figure.canvas.draw()


def test_beginning_shades_what_was_seen() -> None:
    tokens = np.linspace(1e9, 1e10, 20)
    curve = pd.DataFrame({"tokens": tokens, "loss": 3 - tokens / 1e11})
    later = tokens[tokens > 3e9]
    ax = figures.draw_beginning({"constant": curve}, {"constant": (later, 3 - later / 1e11)}, 0.3)
    assert texts(ax) == ["seen", "constant"]
    assert ax.get_xlim() == (0, 1e10)
    assert ax.lines[1].get_linestyle() == "--"


def test_cost_draws_lines_and_points() -> None:
    table = pd.DataFrame(
        {
            "way": ["small", "alone", "alone", "followed", "followed"],
            "part": [0, 0.2, 0.4, 0.2, 0.4],
            "cost": [0.3, 0.2, 0.4, 0.3, 0.5],
            "are": [0.02, 0.07, 0.05, 0.03, 0.01],
        }
    )
    ax = figures.draw_cost(table)
    assert [line.get_linestyle() for line in ax.lines] == ["None", "-", "-"]
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [20, 40])
    assert set(texts(ax)) == {"smaller models only", "own law", "follow the sibling"}
