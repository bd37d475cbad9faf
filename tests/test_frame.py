import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_utils.errors import RunsError
from scaling_utils.frame import COLUMNS, check_runs, tidy_runs


def logs(**changes: object) -> pd.DataFrame:
    """Three checkpoints of two runs, in no order."""
    table = pd.DataFrame(
        {
            "run": ["b", "a", "a"],
            "params": [2e6, 1e6, 1e6],
            "tokens": [1e9, 2e9, 1e9],
            "loss": [3.1, 3.0, 3.2],
        }
    )
    return table.assign(**changes)


# --- tidy_runs ------------------------------------------------------------------------------------


def test_columns_order_and_flops() -> None:
    runs = tidy_runs(logs(), {"family": "mine"})
    assert list(runs.columns) == [*COLUMNS, "planned_tokens"]
    assert runs[["run", "tokens"]].to_numpy().tolist() == [["a", 1e9], ["a", 2e9], ["b", 1e9]]
    assert runs["flops"].tolist() == [6e15, 12e15, 12e15]
    assert (runs["family"] == "mine").all()
    assert (runs["metric"] == "nats/token").all()
    assert list(runs.index) == [0, 1, 2]


def test_what_is_given_is_kept() -> None:
    table = logs(flops=[7.0, np.nan, 9.0], seed=[3, 1, 1], metric="bits", step=[10, 20, 10])
    runs = tidy_runs(table, {"metric": "nats", "corpus": "prose"})
    assert runs["flops"].tolist() == [9.0, 12e15, 7.0]
    assert runs["seed"].tolist() == [1, 1, 3]
    assert runs["seed"].dtype == "Int64"
    assert set(runs["metric"]) == {"bits"}
    assert set(runs["corpus"]) == {"prose"}
    assert list(runs.columns) == [*COLUMNS, "step", "planned_tokens"]
    assert runs["step"].tolist() == [10, 20, 10]


def test_the_table_of_the_caller_is_left_alone() -> None:
    table = logs()
    before = table.copy()
    tidy_runs(table)
    pd.testing.assert_frame_equal(table, before)


def test_runs_are_named_after_their_size() -> None:
    runs = tidy_runs(logs().drop(columns="run"), {"family": "f"})
    assert runs["run"].tolist() == ["f-1e+06", "f-1e+06", "f-2e+06"]


def test_dtypes_do_not_depend_on_the_input() -> None:
    integers = logs(params=[2_000_000, 1_000_000, 1_000_000], tokens=[10**9, 2 * 10**9, 10**9])
    texts = logs(loss=["3.1", "3.0", "3.2"])
    expected = tidy_runs(logs())
    for table in (integers, texts):
        pd.testing.assert_frame_equal(tidy_runs(table), expected)


def test_an_empty_table_is_a_table() -> None:
    runs = tidy_runs(pd.DataFrame({"params": [], "tokens": [], "loss": []}))
    assert list(runs.columns) == [*COLUMNS, "planned_tokens"]
    assert len(runs) == 0
    assert runs.dtypes.equals(tidy_runs(logs()).dtypes)


@pytest.mark.parametrize("column", ["params", "tokens", "loss"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(RunsError, match=rf"lacks the column\(s\) \['{column}'\]"):
        tidy_runs(logs().drop(columns=column))


def test_sizes_as_words_are_refused() -> None:
    with pytest.raises(RunsError, match=r"column 'params' is not numeric .* rather than '1.3B'"):
        tidy_runs(logs(params=["1.3B", "1B", "1B"]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1e6, 2e6, 4e6]),
            st.integers(1, 50),
            st.floats(0.1, 12, allow_nan=False),
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda row: row[:2],
    )
)
def test_tidying_twice_changes_nothing(rows: list[tuple[float, int, float]]) -> None:
    table = pd.DataFrame(rows, columns=["params", "tokens", "loss"])
    once = tidy_runs(table)
    pd.testing.assert_frame_equal(tidy_runs(once), once)
    assert len(once) == len(table)
    pd.testing.assert_frame_equal(tidy_runs(table.iloc[::-1]), once)


# --- check_runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["params", "tokens", "loss", "flops"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.0])
def test_values_that_would_mislead_a_fit(column: str, value: float) -> None:
    runs = tidy_runs(logs())
    runs.loc[1, column] = value
    with pytest.raises(RunsError, match=rf"{column} = .* in run 'a'.*must be finite and positive"):
        check_runs(runs)


def test_only_flops_may_be_missing() -> None:
    assert tidy_runs(logs(flops=np.nan))["flops"].notna().all()
    with pytest.raises(RunsError, match=r"loss = np\.float64\(nan\)|loss = nan"):
        tidy_runs(logs(loss=[np.nan, 3.0, 3.2]))


def test_one_run_has_one_size() -> None:
    with pytest.raises(RunsError, match="run 'a' of family 'mine' has 2 different values"):
        tidy_runs(logs(run="a"))


def test_the_same_name_in_two_families_is_two_runs() -> None:
    runs = tidy_runs(logs(run="a", family=["g", "f", "f"]))
    assert runs.groupby("family").size().to_dict() == {"f": 2, "g": 1}


def test_one_checkpoint_has_one_loss_for_each_metric() -> None:
    twice = logs(tokens=[1e9, 1e9, 1e9])
    with pytest.raises(RunsError, match=r"run 'a' .* more than one loss at 1e\+09 tokens"):
        tidy_runs(twice)
    assert len(tidy_runs(twice.assign(metric=["x", "y", "x"]))) == 3


def test_only_upstream_rows_may_repeat() -> None:
    twice = logs(tokens=[1e9, 1e9, 1e9])
    assert len(tidy_runs(twice.assign(variant="upstream"))) == 3
    for variant in ("corrected", None):
        assert len(tidy_runs(logs(variant=variant))) == 3
        with pytest.raises(RunsError, match="more than one loss"):
            tidy_runs(twice.assign(variant=variant))


def test_a_table_that_was_not_tidied_is_sent_there() -> None:
    with pytest.raises(RunsError, match=r"lacks the column.*tidy_runs\(\) first"):
        check_runs(logs())


# --- tables that come in other shapes -------------------------------------------------------------


def test_sizes_that_look_alike_get_longer_names() -> None:
    table = logs(params=[1.00001e6, 1.00002e6, 1.00002e6]).drop(columns="run")
    runs = tidy_runs(table, {"family": "f"})
    assert runs["run"].tolist() == ["f-1000010.0", "f-1000020.0", "f-1000020.0"]


@pytest.mark.parametrize("index", [[0, 0, 0], ["x", "y", "z"], [np.nan, 1.0, np.nan]])
def test_the_index_does_not_matter(index: list) -> None:
    expected = tidy_runs(logs(flops=[np.nan, 7.0, np.nan]))
    table = logs(flops=[np.nan, 7.0, np.nan]).set_axis(index)
    pd.testing.assert_frame_equal(tidy_runs(table), expected)


@pytest.mark.parametrize(
    "value", [True, 1j, pd.Timestamp("2024-01-01"), pd.Timedelta(1, "h")], ids=str
)
def test_what_only_converts_to_numbers_is_refused(value: object) -> None:
    with pytest.raises(RunsError, match="column 'tokens' is not numeric"):
        tidy_runs(logs(tokens=value))


def test_categories_of_numbers_are_numbers() -> None:
    table = logs().astype({"params": "category", "run": "category"})
    pd.testing.assert_frame_equal(tidy_runs(table), tidy_runs(logs()))


def test_two_columns_of_one_name_are_refused() -> None:
    table = pd.concat([logs(), logs()[["loss"]]], axis=1)
    with pytest.raises(RunsError, match="more than one column 'loss'"):
        tidy_runs(table)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(RunsError, match="a pandas DataFrame, not dict"):
        tidy_runs({"params": [1e6]})  # type: ignore[arg-type]


@pytest.mark.parametrize("column", ["family", "run", "metric"])
def test_rows_without_a_name_are_refused(column: str) -> None:
    with pytest.raises(RunsError, match=rf"1 row\(s\) have no '{column}'"):
        tidy_runs(logs(**{column: ["a", "b", None]}))


@pytest.mark.parametrize("seed", ["first", 0.5])
def test_seeds_are_whole_numbers(seed: object) -> None:
    with pytest.raises(RunsError, match="column 'seed'"):
        tidy_runs(logs(seed=seed))


def test_numbers_as_texts_are_sent_to_be_tidied() -> None:
    runs = tidy_runs(logs()).astype({"loss": "str"})
    with pytest.raises(RunsError, match=r"'loss' holds str rather than float64.*tidy_runs\(\)"):
        check_runs(runs)
    pd.testing.assert_frame_equal(tidy_runs(runs), tidy_runs(logs()))
