"""Tables that nobody should fit: each gives a law that holds, or a refusal that says why."""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaling_utils import ScalingLaw, fit_law, tidy_runs
from scaling_utils.errors import FitError, RunsError, UnknownOptionError
from scaling_utils.fitting.fit import METHODS
from scaling_utils.fitting.identify import warning_names
from scaling_utils.law import PARAMETERS
from tests.problems import TRUTH, grid_family

METHOD = pytest.mark.parametrize("method", METHODS)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Table = pd.DataFrame

FITS_ANYTHING = ("pooled", "curve_fit")
"""Methods that fit what the checkpoints alone do not determine, with a warning, and that know the
scale of language models: elsewhere they may refuse."""


def logs(noise: float = 0.0) -> Table:
    """Four sizes at five token counts, three columns and nothing else."""
    runs = grid_family(tokens=tuple(np.geomspace(2e9, 2e11, 5)))[["params", "tokens", "loss"]]
    rng = np.random.default_rng(0)
    return runs.assign(loss=runs["loss"] * np.exp(noise * rng.normal(size=len(runs))))


def attempt(table: Table, method: str, **options: object) -> ScalingLaw | None:
    """Fit; None for a named refusal.  NumPy's, SciPy's and pandas' own errors and warnings pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            law = fit_law(table, method, **options)  # type: ignore[arg-type]
        except (RunsError, FitError, UnknownOptionError):
            return None
        assert law.report is not None
        law.summary()
    for name in PARAMETERS:
        value = getattr(law, name)
        assert np.isfinite(value)
        assert value >= 0
    assert np.isfinite(law.report.objective)
    return law


def held_at(law: ScalingLaw, table: Table) -> np.ndarray:
    """What a law predicts at its own training set, which must be finite."""
    with np.errstate(all="raise", under="ignore"):
        found = np.asarray(
            law.predict(table["params"].astype(float), table["tokens"].astype(float))
        )
    assert np.isfinite(found).all()
    return found


def same(one: ScalingLaw | None, two: ScalingLaw | None) -> bool:
    """Whether two fits ended alike."""
    if one is None or two is None:
        return one is two
    return all(getattr(one, name) == getattr(two, name) for name in PARAMETERS)


# --- extreme values -------------------------------------------------------------------------------


def number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(np.log(low), np.log(high)).map(lambda x: float(np.exp(x)))


@METHOD
@FEW
@given(
    st.lists(
        st.tuples(number(1e-3, 1e30), number(1e-3, 1e30), number(1e-8, 1e8)),
        min_size=1,
        max_size=12,
        unique_by=(lambda row: row[:2]),
    ),
    st.randoms(use_true_random=False),
)
def test_any_positive_numbers(method: str, rows: list, random: object) -> None:
    table = pd.DataFrame(rows, columns=["params", "tokens", "loss"])
    law = attempt(table, method)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert same(law, attempt(pd.DataFrame(rows, columns=table.columns), method))
    if law is None:
        return
    fitted = held_at(law, table)
    if method == "least_squares":
        best = float(np.sum((table["loss"] - table["loss"].mean()) ** 2))
        scale = 1e-9 * float(np.sum(table["loss"] ** 2))
        assert np.sum((fitted - table["loss"]) ** 2) <= best * (1 + 1e-9) + scale


@METHOD
@FEW
@given(number(1e-10, 1e21), number(1e-10, 1e19), number(1e-8, 1e7))
def test_a_law_in_any_units(method: str, n: float, d: float, unit: float) -> None:
    table = logs()
    other = table.assign(
        params=table["params"] * n, tokens=table["tokens"] * d, loss=table["loss"] * unit
    )
    law = attempt(other, method)
    if method in FITS_ANYTHING:  # one start, or one prior, suits one set of units
        return
    assert law is not None
    np.testing.assert_allclose(held_at(law, other) / unit, table["loss"], rtol=1e-5)


@METHOD
@FEW
@given(st.integers(1, 6), st.integers(1, 6), number(1e-8, 1e8))
def test_constant_loss(method: str, sizes: int, counts: int, value: float) -> None:
    n, d = np.meshgrid(np.geomspace(1e7, 1e9, sizes), np.geomspace(1e9, 1e11, counts))
    table = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel(), "loss": value})
    law = attempt(table, method)
    if min(sizes, counts) == 1 or sizes * counts < 5:
        assert law is None or method in FITS_ANYTHING
    elif method not in FITS_ANYTHING:
        assert law is not None
        np.testing.assert_allclose(held_at(law, table), value, rtol=1e-6)


@METHOD
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_fewer_points_than_unknowns(method: str, rows: int) -> None:
    law = attempt(logs().iloc[[0, 6, 12, 18][:rows]], method)
    assert law is None or method in FITS_ANYTHING
    assert law is None or "few-checkpoints" in warning_names(law.report)


@METHOD
@pytest.mark.parametrize("column", ["params", "tokens", "loss"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 0.0, None, pd.NA])
@pytest.mark.parametrize("complete", [False, True])
def test_values_that_are_none(method: str, column: str, value: object, complete: bool) -> None:
    table = (tidy_runs(logs()) if complete else logs()).astype({column: "object"})
    table.loc[3, column] = value
    for dtype in ("object", "Float64"):
        if dtype == "Float64":
            table[column] = pd.array(pd.to_numeric(table[column]), dtype=dtype)
        with pytest.raises(RunsError, match=column):
            fit_law(table, method)


@METHOD
def test_duplicates(method: str) -> None:
    twice = pd.concat([logs(), logs().iloc[:1]])
    with pytest.raises(RunsError, match="more than one loss"):
        fit_law(twice, method)
    named = pd.concat([logs().assign(run="a"), logs().assign(run="b")])
    with pytest.raises(RunsError, match="different values of params"):
        fit_law(named, method)


@METHOD
def test_sizes_that_differ_in_the_tenth_digit_are_different_runs(method: str) -> None:
    table = logs(0.001)
    close = table.assign(params=table["params"] * (1 + 1e-9))
    law = attempt(pd.concat([table, close], ignore_index=True), method)
    assert law is not None
    assert law.report is not None
    assert law.report.n_runs == law.report.n_sizes == 8


@METHOD
@pytest.mark.parametrize("held", [0.0, 1e-300, 1e-9, 1e9, 1e99, 1e300])
@pytest.mark.parametrize("name", PARAMETERS)
def test_extreme_held_values(method: str, name: str, held: float) -> None:
    attempt(logs(0.01), method, fixed={name: held})


@METHOD
def test_everything_held(method: str) -> None:
    held = {name: float(getattr(TRUTH, name)) for name in PARAMETERS}
    law = attempt(logs(), method, fixed=held)
    assert law is None or all(getattr(law, name) == pytest.approx(held[name]) for name in held)
    if method not in FITS_ANYTHING:
        assert law is not None


# --- shapes of tables -----------------------------------------------------------------------------

SAME: dict[str, Callable[[Table], Table]] = {
    "shuffled": lambda t: t.sample(frac=1, random_state=1),
    "reversed": lambda t: t.iloc[::-1],
    "index of strings": lambda t: t.set_axis([f"row {i}" for i in range(len(t))]),
    "index that repeats": lambda t: t.set_axis([0] * len(t)),
    "index that misses": lambda t: t.set_axis([np.nan] * len(t)),
    "index of two levels": lambda t: t.set_index(["params", "tokens"], drop=False),
    "index of dates": lambda t: t.set_axis(pd.date_range("2024-01-01", periods=len(t))),
    "columns in another order": lambda t: t[t.columns[::-1]],
    "object": lambda t: t.astype("object"),
    "nullable": lambda t: t.convert_dtypes(),
    "arrow": lambda t: t.convert_dtypes(dtype_backend="pyarrow"),
    "strings": lambda t: t.astype(dict.fromkeys(("params", "tokens", "loss"), "str")),
    "bytes of numbers as objects": lambda t: t.assign(loss=[str(x) for x in t["loss"]]),
    "categorical": lambda t: t.astype("category"),
    "with another column": lambda t: t.assign(note="x", when=pd.Timestamp("2024-01-01")),
    "categories that are empty": lambda t: pd.concat(
        [t, t.assign(params=7e7)], ignore_index=True
    ).astype({"params": "category"})[: len(t)],
}


@METHOD
@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("change", SAME)
def test_how_a_table_is_kept_does_not_matter(method: str, change: str, complete: bool) -> None:
    table = tidy_runs(logs(0.003)) if complete else logs(0.003)
    law = attempt(table, method)
    assert law is not None
    other = attempt(SAME[change](table), method)
    assert same(law, other)
    assert other is not None
    assert law.report == other.report


@METHOD
def test_integers(method: str) -> None:
    table = logs(0.003).round({"params": 0, "tokens": 0})
    whole = table.astype({"params": "int64", "tokens": "int64"})
    assert same(attempt(table, method), attempt(whole, method))
    small = whole.assign(loss=[9, 8, 7, 6, 5, 7, 6, 5, 4, 3, 6, 5, 4, 3, 2, 5, 4, 3, 2, 1])
    assert same(attempt(small, method), attempt(small.astype("float64"), method))
    assert same(attempt(small, method), attempt(small.astype({"loss": "int8"}), method))


@METHOD
@FEW
@given(st.permutations(range(20)))
def test_order_of_rows_does_not_matter(method: str, order: list[int]) -> None:
    table = logs(0.01)
    one, two = attempt(table, method), attempt(table.iloc[order], method)
    assert one is not None
    assert two is not None
    assert same(one, two)
    assert one.report == two.report


BAD: dict[str, tuple[Callable[[Table], object], str]] = {
    "no rows": (lambda t: t.iloc[:0], "empty"),
    "no rows, no columns": (lambda t: pd.DataFrame(), "empty"),
    "no loss": (lambda t: t.drop(columns="loss"), "loss"),
    "no params": (lambda t: t.drop(columns="params"), "params"),
    "no tokens": (lambda t: t.drop(columns="tokens"), "tokens"),
    "two losses": (lambda t: pd.concat([t, t[["loss"]]], axis=1), "loss"),
    "columns of two levels": (
        lambda t: t.set_axis(pd.MultiIndex.from_product([["a"], t.columns]), axis=1),
        "params",
    ),
    "numbers for columns": (lambda t: t.set_axis(range(t.shape[1]), axis=1), "params"),
    "words": (lambda t: t.assign(params="1.3B"), "params"),
    "words in objects": (
        lambda t: t.assign(loss=pd.Series([*t["loss"][1:], "low"], t.index, "object")),
        "loss",
    ),
    "lists": (lambda t: t.assign(loss=[[1.0]] * len(t)), "loss"),
    "dates": (lambda t: t.assign(tokens=pd.date_range("2024-01-01", periods=len(t))), "tokens"),
    "durations": (lambda t: t.assign(tokens=pd.to_timedelta(range(1, 1 + len(t)))), "tokens"),
    "truth values": (lambda t: t.assign(loss=True), "loss"),
    "complex": (lambda t: t.assign(loss=t["loss"] + 1j), "loss"),
    "a run without a name": (
        lambda t: t.assign(run=[None, *(f"{p:.3g}" for p in t["params"][1:])]),
        "run",
    ),
    "a run without a name, among objects": (
        lambda t: t.assign(
            run=pd.Series([np.nan, *(f"{p:.3g}" for p in t["params"][1:])], t.index, "object")
        ),
        "run",
    ),
    "a metric without a name": (
        lambda t: t.assign(metric=[None, *["nats/token"] * (len(t) - 1)]),
        "metric",
    ),
    "seeds in words": (lambda t: t.assign(seed="first"), "seed"),
    "half a seed": (lambda t: t.assign(seed=0.5), "seed"),
    "an end of training in words": (lambda t: t.assign(planned_tokens="soon"), "planned_tokens"),
    "two metrics": (lambda t: t.assign(metric=["x", *["y"] * (len(t) - 1)]), "metric"),
    "two families": (lambda t: t.assign(family=["x", *["y"] * (len(t) - 1)]), "family"),
    "a dictionary": (lambda t: t.to_dict("list"), "DataFrame"),
    "an array": (lambda t: t.to_numpy(), "DataFrame"),
    "nothing": (lambda t: None, "DataFrame"),
    "a column": (lambda t: t["loss"], "DataFrame"),
}


@METHOD
@pytest.mark.parametrize("change", BAD)
@pytest.mark.parametrize("complete", [False, True])
def test_tables_that_are_refused_by_name(method: str, change: str, complete: bool) -> None:
    make, match = BAD[change]
    table = make(tidy_runs(logs()) if complete else logs())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RunsError, match=match):
            fit_law(table, method)  # type: ignore[arg-type]


@METHOD
@FEW
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                column: st.one_of(
                    st.floats(),
                    st.integers(-(2**70), 2**70),
                    st.sampled_from(
                        [None, pd.NA, "", "1e9", "nan", "inf", "1,5", "1_0", b"3", True]
                    ),
                )
                for column in ("params", "tokens", "loss")
            }
        ),
        max_size=8,
    )
)
def test_any_cells_at_all(method: str, rows: list) -> None:
    table = pd.DataFrame(rows, columns=["params", "tokens", "loss"], dtype="object")
    attempt(table, method)


# --- one million checkpoints ----------------------------------------------------------------------


@METHOD
def test_a_million_checkpoints(method: str) -> None:
    rng = np.random.default_rng(0)
    n = np.repeat(np.geomspace(1e7, 1e10, 100), 10_000)
    d = np.tile(np.geomspace(1e9, 1e12, 10_000), 100)
    expected = np.asarray(TRUTH.predict(n, d))
    loss = expected * np.exp(0.01 * rng.normal(size=len(n)))
    table = pd.DataFrame({"params": n, "tokens": d, "loss": loss})
    law = attempt(table, method)
    assert law is not None
    # With a prior, the ends of runs count, and their first checkpoints next to nothing.
    ends = d > 7e11 if method == "pooled" else d > 0
    np.testing.assert_allclose(held_at(law, table[ends]), expected[ends], rtol=5e-3)
    assert law.report is not None
    assert law.report.warnings == ()
