import numpy as np
import pandas as pd
import pytest

from scaling_utils.beside import (
    CELL,
    COMPARED,
    DESIGNS,
    default_cells,
    load_beside,
    load_default,
    typical,
)
from scaling_utils.errors import UnknownOptionError
from scaling_utils.grids import load_grid


@pytest.mark.parametrize("name", DESIGNS)
def test_the_default_fills_the_cells_of_the_grid(name: str) -> None:
    own = load_default()
    own = own[own["grid"] == name]
    grid = load_grid(name)
    grid = grid[(grid["variant"] == "corrected") & (grid["method"] == "curve_fit")]
    merged = own.merge(grid, on=CELL, how="outer", suffixes=("", "_guide"), indicator=True)
    # What both skip has no cell: families of too few sizes for the design.
    tried = merged.dropna(subset=["fraction"])
    assert (tried["_merge"] == "both").all()
    np.testing.assert_allclose(tried["scale_up"], tried["scale_up_guide"], rtol=1e-12)


@pytest.mark.needs_published
@pytest.mark.parametrize(("name", "family"), [("smallest", "gpt3"), ("single", "opt")])
def test_one_family_again_gives_the_kept_cells(name: str, family: str) -> None:
    again = default_cells(name, family).set_index(CELL)
    kept = load_default().set_index(CELL).loc[again.index]
    assert (again["status"] == kept["status"]).all()
    np.testing.assert_allclose(again["are"], kept["are"], rtol=1e-4)


def test_methods_are_compared_where_all_have_a_law() -> None:
    cells = load_beside("last")
    assert cells[list(COMPARED)].notna().all().all()
    assert not cells.duplicated(["family", "n_models", "smallest_params", "fraction"]).any()
    one = cells[cells["family"] == "gpt3"].iloc[0]
    grid = load_grid("last").query("variant == 'corrected' and method == 'curve_fit'")
    same = (grid[[*CELL]] == one[CELL[1:]].reindex(CELL).fillna("last")).all(axis=1)
    assert grid.loc[same, "are"].item() == one["curve_fit"]


def test_families_count_alike_and_a_median_forgives_one_cell() -> None:
    cells = pd.DataFrame(
        {
            "group": ["a"] * 4 + ["b"],
            "family": ["x", "x", "x", "y", "z"],
            "n_models": [2, 3, 4, 2, 2],
            "pooled": [0.01, 0.02, 0.99, 0.04, 0.05],
            "curve_fit": [0.1] * 5,
        }
    )
    two = ["pooled", "curve_fit"]
    mean = typical(cells, methods=two).loc["all"]
    assert mean["pooled"] == pytest.approx(((0.34 + 0.04) / 2 + 0.05) / 2)
    median = typical(cells, statistic="median", methods=two).loc["all"]
    assert median["pooled"] == pytest.approx(((0.02 + 0.04) / 2 + 0.05) / 2)
    assert median["ratio"] == pytest.approx(median["pooled"] / 0.1)
    by = typical(cells, "n_models", methods=two)
    assert by["groups"].tolist() == [2, 1, 1]
    assert by["cells"].tolist() == [3, 1, 1]
    assert by.loc[2, "pooled"] == pytest.approx(((0.01 + 0.04) / 2 + 0.05) / 2)


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(UnknownOptionError, match="baselines"):
        load_beside("baselines")
    with pytest.raises(UnknownOptionError, match="baselines"):
        default_cells("baselines", "gpt3")
    with pytest.raises(UnknownOptionError, match="mode"):
        typical(pd.DataFrame(), statistic="mode")
