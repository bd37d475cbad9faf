import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, backtest
from scaling_utils.aggregate import GroupSummary
from scaling_utils.bad_models import by_model, study_family
from scaling_utils.figures import proximity as show
from scaling_utils.isoflop import cheapest_cells
from scaling_utils.outliers import model_shifts
from scaling_utils.synthetic import synthetic_runs

LAW = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
SIZES = np.geomspace(1e8, 1e10, 7)


def family(name="made", **options) -> pd.DataFrame:
    tokens = 3e11 * np.arange(1, 11) / 10
    rng = np.random.default_rng(1)
    return synthetic_runs(LAW, SIZES, tokens, rng, model_noise=0.003, family=name, **options)


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    runs = pd.concat([family("opt"), family("gpt3")])
    return backtest(runs, "window", n_models=3, fractions=[0.4, 0.7, 1.0], method="least_squares")


def test_maps_show_every_family_and_its_errors(cells) -> None:
    figure = show.draw_maps(cells)
    panels = [ax for ax in figure.axes if ax.get_title(loc="left") in ("opt", "gpt3")]
    assert len(panels) == 2
    for ax in panels:
        name = ax.get_title(loc="left")
        mesh = ax.collections[0]
        drawn = np.sort(np.asarray(mesh.get_array()).ravel())
        errors = 100 * cells.loc[cells["family"] == name, "are"].to_numpy("float64")
        np.testing.assert_allclose(drawn, np.sort(np.clip(errors, *show.LIMITS)))
    figure.canvas.draw()


def test_marks_sit_on_the_cheapest_cells(cells) -> None:
    one = cells[cells["family"] == "opt"]
    figure = show.draw_maps(one, thresholds=[0.10], columns=1)
    best = cheapest_cells(one, [0.10]).iloc[0]
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    sizes = np.unique(one["largest_params"])
    assert marks[0].get_ydata()[0] == np.flatnonzero(sizes == best["largest_params"])[0]


def test_distance_averages_within_a_factor_of_two() -> None:
    cells = pd.DataFrame(
        {"family": "opt", "scale_up": [4.0, 4.2, 16.0], "are": [0.01, 0.04, 0.5], "method": "x"}
    )
    table = show.binned(cells)
    assert table["are"].tolist() == pytest.approx([0.02, 0.5])
    assert table["cells"].tolist() == [2, 1]
    ax = show.draw_distance(cells)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [2, 50])
    assert [t.get_text() for t in ax.texts] == ["opt"]
    ax.figure.canvas.draw()


def test_ratios_are_exponentials_with_the_mean_below() -> None:
    values = pd.Series({"opt": np.log(2), "gpt3": np.log(0.5)})
    summary = GroupSummary(0.0, -1.0, 1.0, 0.9, 2, 2)
    ax = show.draw_ratios(values, summary, counts=pd.Series({"opt": 3, "gpt3": 4}))
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == ["mean of 2 groups", "opt (3)", "gpt3 (4)"]
    points = [float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1]
    assert points == pytest.approx([2, 0.5, 1])
    ax.figure.canvas.draw()


def test_cheapest_says_never() -> None:
    table = pd.DataFrame(
        {"family": ["a", "b", "c"], "threshold": 0.1, "share": [0.01, 0.1, np.nan]}
    )
    steady = table.assign(share=[0.5, np.nan, np.nan])
    ax = show.draw_cheapest(table, steady)
    assert sorted(t.get_text() for t in ax.texts) == ["never", "never dependably"]
    assert ax.get_yticklabels()[-1].get_text() == "a"
    ax.figure.canvas.draw()


def test_without_draws_each_model_once() -> None:
    runs = family(shifts={SIZES[3]: 0.05})
    study = study_family(runs).assign(family="made")
    ax = show.draw_without(study, by_model(study))
    grey = [line for line in ax.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in grey) == len(SIZES) - 1
    ax.figure.canvas.draw()


def test_shifts_name_the_model_that_stands_out() -> None:
    table = model_shifts(family(shifts={SIZES[3]: 0.05}))
    ax = show.draw_shifts(table)
    assert [t.get_text() for t in ax.texts] == ["1B"]


def test_detection_has_a_line_a_shift() -> None:
    rates = pd.DataFrame(
        {"models": [5, 9] * 2, "shift": [0, 0, 0.02, 0.02], "found": [0, 0, 0.1, 1], "wrong": 0.05}
    )
    ax = show.draw_detection(rates)
    assert sorted(t.get_text() for t in ax.texts) == ["2 % off", "false alarms"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [5, 5])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [10, 100])


def test_planted_draws_every_fit() -> None:
    errors = pd.DataFrame(
        np.full((2, 5), 0.01), index=["none", "largest"], columns=[f"fit {i}" for i in range(5)]
    )
    ax = show.draw_planted(errors)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == list(errors.columns)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["none", "largest"]
