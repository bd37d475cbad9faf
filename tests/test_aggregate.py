import numpy as np
import pandas as pd
import pytest

from scaling_utils import backtest, best_seen, split_target
from scaling_utils.aggregate import (
    by_family,
    by_scale_up,
    full_cells,
    over_groups,
    ratio_over_groups,
)
from scaling_utils.errors import SelectionError, UnknownOptionError
from scaling_utils.metrics import absolute_relative_error
from tests.problems import grid_family


def cells() -> pd.DataFrame:
    runs = pd.concat(
        [grid_family(family="one"), grid_family(sizes=(1e9, 1e10, 1e11), family="two")]
    )
    return pd.concat(
        [backtest(runs, method=m) for m in ("least_squares", "best_seen")], ignore_index=True
    )


def test_full_cell_has_every_model_and_all_training() -> None:
    full = full_cells(cells())
    assert full["family"].tolist() == ["one", "one", "two", "two"]
    assert full["n_models"].tolist() == [3, 3, 2, 2]
    assert set(full["fraction"]) == {1.0}


def test_full_cell_is_kept_when_it_failed() -> None:
    table = cells()
    table.loc[(table["n_models"] == 3) & (table["fraction"] == 1.0), "are"] = np.nan
    assert full_cells(table).set_index("family").loc["one", "are"].isna().all()


def test_by_family_counts_and_averages() -> None:
    table = cells()
    found = by_family(table, {"one": "g", "two": "g"})
    assert list(found.index) == [
        ("one", "best_seen"),
        ("one", "least_squares"),
        ("two", "best_seen"),
        ("two", "least_squares"),
    ]
    row = found.loc[("one", "best_seen")]
    mine = table[(table["family"] == "one") & (table["method"] == "best_seen")]
    assert row["group"] == "g"
    assert row["cells"] == 20
    assert row["failed"] == 2  # a tenth of 2e11 tokens leaves nothing beyond 1e10
    assert row["median"] == pytest.approx(np.nanmedian(mine["are"]), rel=1e-12)
    assert row["mean"] == pytest.approx(np.nanmean(mine["are"]), rel=1e-12)
    assert row["below_5"] == pytest.approx((mine["are"].dropna() < 0.05).mean(), rel=1e-12)
    runs = grid_family(family="one")
    split = split_target(runs)
    seen = split.train[(split.train["tokens"] > 1e10) & (split.train["tokens"] < 2e11)]
    assert row["full"] == pytest.approx(
        absolute_relative_error(best_seen(seen), split.target), rel=1e-12
    )
    assert row["signed"] == pytest.approx(row["full"], rel=1e-12)
    assert row["scale_up"] == 10


def test_by_family_leaves_out_what_was_skipped() -> None:
    skipped = backtest(grid_family(sizes=(1e9, 1e10), family="pair"), method="least_squares")
    both = pd.concat([cells(), skipped], ignore_index=True)
    assert set(by_family(both).index.get_level_values("family")) == {"one", "two"}


def test_scale_up_counts_each_group_once_and_paired_cells_only() -> None:
    table = cells()
    groups = {"one": "x", "two": "y"}
    found = by_scale_up(table, groups, [1, 10, 100])
    assert found["groups"].tolist() == [2, 1]  # 10 in both families, 33 in the first only
    near = table[(table["scale_up"] <= 10) & (table["status"] == "ok")]
    paired = near[near.duplicated(["family", "n_models", "fraction"], keep=False)]
    by_hand = paired[paired["method"] == "best_seen"].groupby("family")["are"].median().mean()
    assert found["best_seen"].iloc[0] == pytest.approx(by_hand, rel=1e-12)
    table.loc[(table["family"] == "two") & (table["method"] == "best_seen"), "status"] = "failed"
    assert by_scale_up(table, groups, [1, 10, 100])["groups"].tolist() == [1, 1]


def test_a_group_counts_once() -> None:
    groups = {"a": "x", "b": "x", "c": "x", "d": "y"}
    values = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 10.0}
    found = over_groups(values, groups, np.random.default_rng(0))
    assert found.estimate == 6.0
    assert (found.n_groups, found.n_values) == (2, 4)
    # Two groups give three possible averages: both ends of the interval are single groups.
    assert (found.low, found.high) == (2.0, 10.0)


def test_missing_values_are_left_out() -> None:
    groups = {"a": "x", "b": "y", "c": "z"}
    found = over_groups({"a": 1.0, "b": np.nan, "c": 3.0}, groups, np.random.default_rng(0))
    assert (found.estimate, found.n_groups, found.n_values) == (2.0, 2, 2)


def test_median_is_of_groups() -> None:
    groups = {name: name[0] for name in ("a", "b", "c1", "c2")}
    values = {"a": 1.0, "b": 5.0, "c1": 100.0, "c2": 300.0}
    found = over_groups(values, groups, np.random.default_rng(0), statistic="median")
    assert found.estimate == 5.0


def test_interval_covers_as_its_notes_say() -> None:
    rng = np.random.default_rng(3)
    names = {str(i): str(i) for i in range(10)}
    hits = 0
    for _ in range(400):
        found = over_groups(
            dict(zip(names, rng.normal(size=10), strict=True)), names, rng, repeats=300
        )
        hits += found.low <= 0 <= found.high
    assert hits / 400 == pytest.approx(0.85, abs=0.04)


def test_same_generator_same_interval() -> None:
    groups = dict(zip("abcd", "abcd", strict=True))
    values = dict(zip("abcd", (1.0, 4.0, 2.0, 8.0), strict=True))
    first, second = (over_groups(values, groups, np.random.default_rng(7)) for _ in range(2))
    assert first == second
    narrow = over_groups(values, groups, np.random.default_rng(7), level=0.5)
    assert first.low < narrow.low < narrow.high < first.high


def test_ratio_is_paired_and_geometric() -> None:
    groups = {"a": "x", "b": "x", "c": "y", "d": "z"}
    law = {"a": 0.01, "b": 0.04, "c": 0.05, "d": 0.01}
    base = {"a": 0.02, "b": 0.02, "c": 0.20, "e": 0.01}
    found = ratio_over_groups(law, base, groups, np.random.default_rng(0))
    # Group x: 1/2 and 2 cancel; group y: 1/4; d and e lack a partner.
    assert found.estimate == pytest.approx(0.5, rel=1e-12)
    assert (found.n_groups, found.n_values) == (2, 3)
    assert (found.low, found.high) == pytest.approx((0.25, 1.0))


def test_options_and_groups_are_checked() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UnknownOptionError, match="mean"):
        over_groups({"a": 1.0}, {"a": "a"}, rng, statistic="mode")
    with pytest.raises(UnknownOptionError, match="between 0 and 1"):
        over_groups({"a": 1.0}, {"a": "a"}, rng, level=90)
    with pytest.raises(SelectionError, match=r"\['a'\] have no group"):
        over_groups({"a": 1.0}, {"b": "b"}, rng)
    with pytest.raises(SelectionError, match="no value"):
        over_groups({"a": np.nan}, {"a": "a"}, rng)
