import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, backtest
from scaling_utils.errors import SelectionError
from scaling_utils.isoflop import (
    cheapest_cells,
    distance_slopes,
    equal_cost_pairs,
    same_largest,
    sum_pairs,
    surface,
)
from scaling_utils.synthetic import synthetic_runs

LAW = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)


def windows(noise=0.0) -> pd.DataFrame:
    runs = synthetic_runs(
        LAW,
        np.geomspace(1e8, 1e10, 6),
        3e11 * np.arange(1, 11) / 10,
        np.random.default_rng(1),
        model_noise=noise,
    )
    return backtest(runs, "window", n_models=3, fractions=[0.4, 0.7, 1.0], method="least_squares")


def grid(errors, costs) -> pd.DataFrame:
    """Cells with one largest model a row and one fraction a column."""
    errors, costs = np.asarray(errors, float), np.asarray(costs, float)
    rows, columns = errors.shape
    size = np.repeat(1e9 * 2.0 ** np.arange(rows), columns)
    return pd.DataFrame(
        {
            "family": "made",
            "method": "least_squares",
            "n_models": 3,
            "smallest_params": size / 4,
            "largest_params": size,
            "scale_up": 64e9 / size,
            "fraction": np.tile(np.linspace(0.5, 1.0, columns), rows),
            "are": errors.ravel(),
            "flops": costs.ravel(),
        }
    )


def test_surface_holds_every_cell_where_it_belongs() -> None:
    cells = windows(0.002)
    found = surface(cells)
    assert found.are.shape == found.flops.shape == (3, 3)
    for _, cell in cells.iterrows():
        i = np.flatnonzero(found.y == cell["largest_params"])[0]
        j = np.flatnonzero(found.x == cell["fraction"])[0]
        assert found.are[i, j] == cell["are"]
        assert found.flops[i, j] == cell["flops"]
    assert (np.diff(found.flops, axis=0) > 0).all()
    assert (np.diff(found.flops, axis=1) > 0).all()


def test_surface_keeps_a_cell_without_a_law() -> None:
    found = surface(grid([[0.2, np.nan]], [[1, 2]]))
    assert np.isnan(found.are[0, 1])
    assert found.flops[0, 1] == 2


def test_surface_refuses_two_cells_in_one_place() -> None:
    with pytest.raises(SelectionError, match="share one place"):
        surface(pd.concat([windows(), windows()]))


def test_costs_are_those_of_the_runs_up_to_the_last_checkpoint_used() -> None:
    cells = windows()
    cell = cells[cells["fraction"] == 0.4].iloc[0]
    sizes = np.geomspace(1e8, 1e10, 6)[:3]
    # 40 % of ten checkpoints, strictly below: the third.
    assert cell["flops"] == pytest.approx(6 * sizes.sum() * 3 * 3e10, rel=1e-12)


def test_cheapest_by_luck_and_dependably() -> None:
    cells = grid([[0.04, 0.30], [0.20, 0.08], [0.07, 0.02]], [[1, 2], [3, 4], [5, 8]])
    lucky = cheapest_cells(cells, [0.10, 0.05]).set_index("threshold")
    assert lucky["flops"].tolist() == [1, 1]
    assert lucky["share"].tolist() == [1 / 8, 1 / 8]
    assert lucky.loc[0.10, "steadiness"] == pytest.approx(4 / 6)
    steady = cheapest_cells(cells, [0.10, 0.05], steady=1.0).set_index("threshold")
    assert steady["flops"].tolist() == [4, 8]
    assert (steady["steadiness"] == 1).all()


def test_cheapest_says_when_nothing_is_good_enough() -> None:
    found = cheapest_cells(grid([[0.3, 0.2]], [[1, 2]]), [0.05])
    assert found["flops"].isna().all()
    assert len(found) == 1


def test_cheapest_agrees_with_a_search_by_hand() -> None:
    cells = windows(0.01)
    for threshold in (0.01, 0.03):
        found = cheapest_cells(cells, [threshold]).iloc[0]
        below = cells[cells["are"] < threshold]
        if len(below):
            assert found["flops"] == below["flops"].min()


def test_equal_cost_pairs_by_hand() -> None:
    cells = grid([[0.10, 0.05], [0.20, 0.01]], [[1.0, 2.0], [2.2, 9.0]])
    pairs = equal_cost_pairs(cells, tolerance=1.25)
    assert len(pairs) == 1
    pair = pairs.iloc[0]
    assert (pair["more"], pair["less"]) == (2e9, 1e9)
    assert (pair["are_more"], pair["are_less"]) == (0.20, 0.05)
    assert pair["flops_ratio"] == pytest.approx(1.1)
    assert pair["log_ratio"] == pytest.approx(np.log(4))
    assert sum_pairs(pairs).loc["made", "wins"] == 0
    assert len(sum_pairs(pairs, fewest=2)) == 0


def test_many_against_few_needs_a_smaller_largest() -> None:
    cells = pd.DataFrame(
        {
            "family": "made",
            "n_models": [2, 5, 5],
            "largest_params": [4e9, 2e9, 4e9],
            "are": [0.1, 0.2, 0.3],
            "flops": [10.0, 9.0, 11.0],
        }
    )
    pairs = equal_cost_pairs(cells, "n_models", ratio=1.01, less_of="largest_params")
    assert pairs[["are_more", "are_less"]].to_numpy().tolist() == [[0.2, 0.1]]


def test_without_numbers_there_is_nothing_to_pair() -> None:
    with pytest.raises(SelectionError, match="nothing to compare"):
        equal_cost_pairs(grid([[np.nan]], [[1]]))


def test_slope_is_recovered() -> None:
    up = np.array([2.0, 4.0, 8.0, 16.0])
    cells = pd.DataFrame({"family": "made", "scale_up": up, "are": 0.01 * up**0.7})
    few = pd.DataFrame({"family": "few", "scale_up": up[:2], "are": 0.01})
    assert distance_slopes(pd.concat([cells, few])).to_dict() == {"made": pytest.approx(0.7)}


def test_same_largest_compares_like_with_like() -> None:
    cells = pd.DataFrame(
        {
            "family": "made",
            "largest_params": [1e9, 1e9, 2e9, 2e9, 2e9, 4e9],
            "n_models": [3, 4, 3, 5, 7, 5],
            "are": [0.2, 0.1, 0.4, 0.2, 0.1, 0.3],
        }
    )
    table = same_largest(cells, 3, 5)
    assert table[["largest_params", "are", "are_than"]].to_numpy().tolist() == [[2e9, 0.4, 0.2]]
    most = same_largest(cells, 3, None)
    assert most["n_than"].tolist() == [4, 7]
    assert most["log_ratio"].tolist() == pytest.approx(np.log([2, 4]))
