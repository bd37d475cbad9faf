from collections.abc import Iterator

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, fit_law, tidy_runs
from scaling_utils.errors import FitError, UnknownOptionError
from scaling_utils.figures import laws as show

TRUTH = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def runs() -> pd.DataFrame:
    n, k = np.meshgrid(np.geomspace(5e7, 1e9, 5), [5, 20, 80])
    table = pd.DataFrame({"params": n.ravel(), "tokens": (n * k).ravel()})
    table["run"] = [f"r{i}" for i in range(len(table))]
    table["loss"] = TRUTH.predict(table["params"], table["tokens"])
    return tidy_runs(table)


# --- Numbers --------------------------------------------------------------------------------------


def test_a_pure_power_law_is_a_line() -> None:
    x = np.geomspace(1e6, 1e9, 7)
    line = show.fit_line(x, 30 * x**-0.3)
    assert line.coefficient == pytest.approx(30, rel=1e-9)
    assert line.exponent == pytest.approx(0.3, rel=1e-9)
    assert line.r_squared == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(line.at([1e12]), 30 * 1e12**-0.3, rtol=1e-9)


def test_r_squared_is_that_of_the_logarithms() -> None:
    rng = np.random.default_rng(1)
    x = np.geomspace(1, 100, 20)
    y = x**-0.5 * np.exp(0.3 * rng.standard_normal(20))
    expected = np.corrcoef(np.log(x), np.log(y))[0, 1] ** 2
    assert show.fit_line(x, y).r_squared == pytest.approx(expected, rel=1e-10)


def test_local_exponent_is_a_derivative() -> None:
    law = ScalingLaw(E=1.8, A=480.0, B=0.0, alpha=0.35, beta=0.37)
    n, h = np.array([1e7, 1e9, 1e12]), 1e-5
    up, down = (np.log(law.predict(n * np.exp(s), np.ones(3))) for s in (h, -h))
    np.testing.assert_allclose(show.local_exponent(law, n), -(up - down) / (2 * h), rtol=1e-5)


def test_without_a_floor_the_local_exponent_is_alpha() -> None:
    law = ScalingLaw(E=0.0, A=480.0, B=0.0, alpha=0.35, beta=0.37)
    np.testing.assert_allclose(show.local_exponent(law, [1e6, 1e12]), 0.35, rtol=1e-12)


def test_refits_find_the_truth_without_noise(runs: pd.DataFrame) -> None:
    for law in show.refits(TRUTH, runs, 0.0, 2, np.random.default_rng(1)):
        for name in ("E", "A", "B", "alpha", "beta"):
            assert getattr(law, name) == pytest.approx(getattr(TRUTH, name), rel=1e-8)


def test_refits_are_what_fit_law_gives(runs: pd.DataFrame) -> None:
    [fast] = show.refits(TRUTH, runs, 0.01, 1, np.random.default_rng(5))
    factor = 1 + 0.01 * np.random.default_rng(5).standard_normal(len(runs))
    slow = fit_law(runs.assign(loss=runs["loss"] * factor), method="least_squares")
    found = (fast.E, fast.alpha, fast.B)
    assert found == pytest.approx((slow.E, slow.alpha, slow.B), rel=1e-9)


def test_refits_refuse_one_size(runs: pd.DataFrame) -> None:
    one = runs[runs["params"] == runs["params"].min()]
    with pytest.raises(FitError):
        show.refits(TRUTH, pd.concat([one, one]), 0.01, 1, np.random.default_rng(1))


def test_spread_by_hand() -> None:
    fits = [ScalingLaw(E=e, A=0.0, B=0.0, alpha=1.0, beta=1.0) for e in np.linspace(1, 3, 101)]
    truth = ScalingLaw(E=2.0, A=0.0, B=0.0, alpha=1.0, beta=1.0)
    spread = show.prediction_spread(fits, truth, [1e9, np.inf], ratio=20, coverage=0.8)
    np.testing.assert_allclose(spread[["low", "high"]], [[-0.4, 0.4]] * 2, rtol=1e-9)
    np.testing.assert_allclose(spread["loss"], 2.0)


def test_spread_grows_with_distance(runs: pd.DataFrame) -> None:
    fits = show.refits(TRUTH, runs, 0.003, 60, np.random.default_rng(1))
    spread = show.prediction_spread(fits, TRUTH, [1e9, 1e10, 1e11, np.inf], ratio=20)
    assert (spread["high"] - spread["low"]).is_monotonic_increasing


def test_rounding_leaves_texts_and_whole_numbers() -> None:
    table = pd.DataFrame({"a": [123456.0], "b": ["x"], "c": [123456]})
    assert show.rounded(table, 3).iloc[0].tolist() == [123000.0, "x", 123456]


# --- Figures --------------------------------------------------------------------------------------


def test_law_curves_stay_above_their_floors() -> None:
    ax = show.draw_law(TRUTH, [1e8, 1e9])
    lines = [np.asarray(line.get_ydata(), dtype="float64") for line in ax.lines]
    assert (lines[0] > lines[1]).all()
    assert (lines[2] > lines[3]).all()
    assert float(lines[3][0]) == pytest.approx(TRUTH.E + TRUTH.A / 1e9**0.35)


def test_five_numbers_change_what_they_say() -> None:
    figure, table = show.draw_five_numbers(TRUTH, 1e9, 2e10)
    assert len(figure.axes) == 6
    base = TRUTH.predict(1e9, 2e10)
    at = table.set_index("change")["at"]
    assert at["E + 0.1"] - base == pytest.approx(0.1)
    assert at["A × 1.5"] - base == pytest.approx(0.5 * TRUTH.A / 1e9**0.35)
    assert at["alpha + 0.1, A"] == pytest.approx(base)  # its coefficient goes with it
    assert at["beta − 0.1, B"] == pytest.approx(base)
    assert at["alpha + 0.02"] < base - 0.1  # alone
    assert at["B × 0.67"] - base == pytest.approx(-TRUTH.B / 2e10**0.37 / 3)


def test_only_the_true_floor_is_straight() -> None:
    ax = show.draw_floors(TRUTH, {"low": 1.7, "E": 1.8, "high": 1.9})
    bends = []
    for line in ax.lines:
        x, y = np.log(np.asarray(line.get_xdata())), np.log(np.asarray(line.get_ydata()))
        seen = np.isfinite(y)
        bends.append(float(np.polyfit(x[seen], y[seen], 2)[0]))
    assert bends[0] > 1e-3 > abs(bends[1]) * 1e6
    assert bends[2] < -1e-3


def test_the_line_trap_is_a_trap() -> None:
    seen = np.geomspace(1e8, 1e9, 6)
    losses = TRUTH.E + TRUTH.A * seen**-TRUTH.alpha
    _, line = show.draw_line_trap(TRUTH, seen, losses)
    assert line.r_squared > 0.99
    assert line.at(1e11) < 0.85 * (TRUTH.E + TRUTH.A * 1e11**-TRUTH.alpha)


def test_budget_curves_are_lowest_at_their_dots() -> None:
    ax = show.draw_budgets(TRUTH, [1e20, 1e21])
    for curve, dot in ((ax.lines[0], ax.lines[1]), (ax.lines[2], ax.lines[3])):
        assert float(np.min(curve.get_ydata())) >= float(np.asarray(dot.get_ydata())[0])
    assert np.asarray(ax.lines[1].get_xdata())[0] == TRUTH.compute_optimal(1e20)[0]


def test_trade_off_and_spread_draw(runs: pd.DataFrame) -> None:
    fits = show.refits(TRUTH, runs, 0.003, 30, np.random.default_rng(1))
    assert len(show.draw_trade_off(show.as_table(fits), TRUTH).axes) == 3
    spread = show.prediction_spread(fits, TRUTH, [1e8, 1e9, 1e10, np.inf], ratio=20)
    ax = show.draw_spread(spread, seen=1e9)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["100M", "1B", "10B", "$E$"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_families_get_a_panel_each(runs: pd.DataFrame, count: int) -> None:
    names = [f"house-{i}" for i in range(count)]
    figure = show.draw_families(dict.fromkeys(names, runs), dict.fromkeys(names, TRUTH))
    assert [
        ax.get_title() or ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()
    ] == names


def test_no_family_is_an_error() -> None:
    with pytest.raises(UnknownOptionError, match="empty"):
        show.draw_families({}, {})


def test_optima_are_those_of_the_laws() -> None:
    ax = show.draw_optima({"one": TRUTH}, (1e18, 1e22), 1e24)
    n, d = TRUTH.compute_optimal(1e24)
    assert np.asarray(ax.lines[0].get_ydata())[-1] == pytest.approx(d / n)


def test_figures_take_axes() -> None:
    _, ax = plt.subplots()
    assert show.draw_law(TRUTH, [1e9], ax=ax) is ax
    assert show.draw_budgets(TRUTH, [1e20], ax=ax) is ax


# --- Tables ---------------------------------------------------------------------------------------


def test_resampling_exact_losses_gives_the_truth(runs: pd.DataFrame) -> None:
    for law in show.resampled_fits(runs, 3, np.random.default_rng(1)):
        np.testing.assert_allclose(law.E, TRUTH.E, rtol=1e-7)


def test_quality_by_hand() -> None:
    law = ScalingLaw(E=2.0, A=0.0, B=0.0, alpha=1.0, beta=1.0)
    table = pd.DataFrame({"params": [1.0, 1.0], "tokens": [1.0, 1.0], "loss": [2.5, 1.6]})
    row = show.fit_quality({"law": law}, table).loc["law"]
    assert row["mean error (%)"] == pytest.approx(100 * (-0.2 + 0.25) / 2)
    assert row["its standard error"] == pytest.approx(22.5)
    assert row["mean absolute (%)"] == pytest.approx(22.5)
    assert row["squares"] == pytest.approx(0.41)
    linear = 1e-3 * (np.log(1.25) - 0.5e-3)
    assert row["Huber"] == pytest.approx(1e3 * 2 * linear)


def test_a_wrong_optimum_has_a_price() -> None:
    other = ScalingLaw(E=1.8, A=960.0, B=2100.0, alpha=0.35, beta=0.37)
    table = show.optimum_table({"true": TRUTH, "other": other}, 1e22, TRUTH)
    assert table.loc["true", "price (%)"] == 0
    assert table.loc["other", "price (%)"] > 0
    assert table.loc["other", "tokens each"] < table.loc["true", "tokens each"]


def test_family_table_covers_the_law(runs: pd.DataFrame) -> None:
    noisy = runs.assign(
        loss=runs["loss"] * (1 + 0.003 * np.random.default_rng(2).standard_normal(len(runs)))
    )
    law = fit_law(noisy, method="least_squares")
    [row] = show.family_table({"mine": noisy}, {"mine": law}, 40, np.random.default_rng(3)).to_dict(
        "records"
    )
    assert row["runs"] == len(runs)
    assert row["sizes"] == 5
    assert 0.001 < row["scatter"] < 0.006
    for name in ("E", "alpha", "beta"):
        assert row[f"{name} low"] < row[name] < row[f"{name} high"]
    assert row["far low"] < 0 < row["far high"]


def test_family_table_may_be_empty() -> None:
    table = show.family_table({}, {}, 10, np.random.default_rng(1))
    assert len(table) == 0
    assert "E low" in table.columns


def test_pairs_of_other_groups_and_touching_ranges_do_not_count() -> None:
    ends = {"E low": [1.0, 2.0, 5.0, 9.0], "E high": [2.0, 3.0, 6.0, 10.0]}
    table = pd.DataFrame(ends, index=["a", "b", "c", "d"])
    groups = {"a": "x", "b": "x", "c": "x", "d": "y"}
    assert show.pairs_apart(table, groups, "E") == (2, 3)


def test_what_no_sum_can_follow_is_noticed(runs: pd.DataFrame) -> None:
    rng = np.random.default_rng(4)
    bent = (
        1
        + 0.01 * np.log(runs["params"] / 2e8) * np.log(runs["tokens"] / 5e9)
        + 0.001 * rng.standard_normal(len(runs))
    )
    plain = 1 + 0.01 * rng.standard_normal(len(runs))
    families = {"bent": runs.assign(loss=3 * bent), "plain": runs.assign(loss=runs["loss"] * plain)}
    laws = {name: fit_law(table, method="least_squares") for name, table in families.items()}
    together = show.family_table(families, laws, 3, rng)["together"]
    assert together["bent"] > 0.4 > together["plain"]
