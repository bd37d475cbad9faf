import pandas as pd
import pytest

from benchmarks import growth


def test_a_family_has_the_checkpoints_that_were_asked_for() -> None:
    for count in (7, 1000, 1003):
        runs = growth.family(count)
        assert len(runs) == count
        assert runs["run"].nunique() == growth.RUNS


def test_all_methods_are_timed_on_each_size() -> None:
    table = growth.by_checkpoints([70, 140], 1)
    assert table.groupby("size")["method"].apply(list).tolist() == [list(growth.METHODS)] * 2
    assert (table.loc[table["method"] == "least_squares", "ratio"] == 1).all()


def test_laws_are_timed_all_at_once_and_one_by_one() -> None:
    table = growth.by_laws([100, 400], growth.family(350)).set_index("method")
    assert table.loc["all at once", "size"].tolist() == [100, 400]
    # Of the hundred resamples, those of fewer than three runs determine no law.
    assert 90 < table.loc["one by one", "size"] <= 100
    assert table.loc["curve_fit, one by one", "size"] == table.loc["one by one", "size"]
    assert table.loc["all at once", "ratio"].iloc[-1] == 1
    assert (table["seconds"] > 0).all()


@pytest.mark.needs_published
def test_a_grid_is_filled_as_the_kept_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from scaling_utils.grids import load_grid

    monkeypatch.setattr(growth, "covered", lambda: ["gpt3"])
    table = growth.guide_grids("least_squares", ["last"])
    kept = load_grid("last").query("family == 'gpt3' and method == 'least_squares'")
    assert isinstance(table, pd.DataFrame)
    assert table["size"].tolist() == [(kept["status"] == "ok").sum()]
