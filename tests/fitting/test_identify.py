import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_utils import ScalingLaw, errors, extrapolation, fit_law, tidy_runs
from scaling_utils.errors import FitError
from scaling_utils.fitting.fit import METHODS
from scaling_utils.fitting.identify import WARNINGS, check_identified, seed_spread, warning_names
from tests.problems import TRUTH

SIZES = tuple(np.geomspace(1e8, 1e10, 6))
TOKENS = tuple(np.geomspace(2e9, 2e11, 7))
Case = tuple[pd.DataFrame, dict[str, float]]


def family(
    sizes: tuple[float, ...] = SIZES,
    tokens: tuple[float, ...] = TOKENS,
    law: ScalingLaw = TRUTH,
    noise: float = 0.0,
    seeds: int = 1,
) -> pd.DataFrame:
    """Every size trained on the same tokens, with a table that can be changed row by row."""
    rng = np.random.default_rng(0)
    n, d, s = (a.ravel() for a in np.meshgrid(sizes, tokens, np.arange(seeds), indexing="ij"))
    names = [f"{size:.8g}-{seed}" for size, seed in zip(n, s, strict=True)]
    loss = np.asarray(law.predict(n, d)) * np.exp(noise * rng.normal(size=len(n)))
    return tidy_runs(pd.DataFrame({"run": names, "params": n, "tokens": d, "loss": loss}))


def names_of(runs: pd.DataFrame, fixed: dict[str, float], method: str = "least_squares") -> set:
    return set(warning_names(fit_law(runs, method, fixed=fixed).report))


# --- a table for each warning, which triggers that one and no other -------------------------------


def one_run() -> Case:
    return family(sizes=(1e9,)), {"A": TRUTH.A, "alpha": TRUTH.alpha}


def four_checkpoints() -> Case:
    return family(sizes=SIZES[::2], tokens=TOKENS[::2]).iloc[[0, 5, 7, 10]], {}


def two_sizes() -> Case:
    return family(sizes=(1e9, 1e10)), {}


def two_token_counts() -> Case:
    return family(tokens=(2e9, 2e11)), {}


def twenty_tokens_each() -> Case:
    n = np.geomspace(1e8, 1e10, 8)
    loss = np.asarray(TRUTH.predict(n, 20 * n))
    return tidy_runs(pd.DataFrame({"params": n, "tokens": 20 * n, "loss": loss})), {}


def tokens_as_a_power() -> Case:
    n = np.geomspace(1e8, 1e10, 8)
    d = 1e6 * n**0.6 * np.tile([1.05, 0.95], 4)
    loss = np.asarray(TRUTH.predict(n, d))
    return tidy_runs(pd.DataFrame({"params": n, "tokens": d, "loss": loss})), {}


def steep() -> Case:
    law = ScalingLaw(E=1.8, A=1e8**3.3, B=TRUTH.B, alpha=3.3, beta=TRUTH.beta)
    return family(sizes=tuple(np.geomspace(1e8, 4e8, 6)), law=law), {}


def without_floor() -> Case:
    return family(law=ScalingLaw(E=0.0, A=480.0, B=2100.0, alpha=0.35, beta=0.37)), {}


def larger_is_worse() -> Case:
    runs = family(law=ScalingLaw(E=1.8, A=0.0, B=2100.0, alpha=0.35, beta=0.37))
    return runs.assign(loss=runs["loss"] + 1e-3 * np.log10(runs["params"])), {}


def too_narrow() -> Case:
    return family(sizes=tuple(np.geomspace(1e9, 3e9, 6)), noise=0.01, seeds=8), {}


def unlike_seeds() -> Case:
    # Means of all seeds follow the law exactly, so nothing else is wrong.
    runs = family(seeds=600)
    shift = np.where(runs["run"].str[-1].isin(list("02468")), 1, -1)
    return runs.assign(loss=runs["loss"] + 0.35 * shift), {}


def scattered() -> Case:
    runs = family(sizes=tuple(np.geomspace(1e8, 1e10, 600)))
    sign = np.where(np.arange(len(runs)) % 2, 1, -1)
    return runs.assign(loss=runs["loss"] + 0.35 * sign), {}


def pulled_aside() -> Case:
    runs = family()
    return runs.assign(loss=runs["loss"] * np.where(runs["params"] > 9e9, 1.05, 1.0)), {}


CASES: list[tuple[str, Callable[[], Case]]] = [
    ("few-runs", one_run),
    ("few-checkpoints", four_checkpoints),
    ("few-sizes", two_sizes),
    ("few-token-counts", two_token_counts),
    ("constant-ratio", twenty_tokens_each),
    ("constant-ratio", tokens_as_a_power),
    ("exponent-at-bound", steep),
    ("no-floor", without_floor),
    ("no-effect", larger_is_worse),
    ("flat-valley", too_narrow),
    ("seed-noise", unlike_seeds),
    ("residual-noise", scattered),
    ("one-run", pulled_aside),
]


ABLE = {"few-checkpoints": "pooled"}
"""The method for a table that least squares refuses."""


@pytest.mark.parametrize(("name", "make"), CASES, ids=[make.__name__ for _, make in CASES])
def test_each_warning_by_itself(name: str, make: Callable[[], Case]) -> None:
    runs, fixed = make()
    assert names_of(runs, fixed, ABLE.get(name, "least_squares")) == {name}


def test_every_name_has_a_table() -> None:
    assert {name for name, _ in CASES} == set(WARNINGS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_a_healthy_table_gives_none(method: str, noise: float) -> None:
    assert names_of(family(noise=noise, seeds=2), {}, method) == set()


@pytest.mark.parametrize(("name", "make"), CASES, ids=[make.__name__ for _, make in CASES])
def test_text_follows_the_name_and_says_what_to_do(name: str, make: Callable[[], Case]) -> None:
    runs, fixed = make()
    report = fit_law(runs, ABLE.get(name, "least_squares"), fixed=fixed).report
    assert report is not None
    (text,) = report.warnings
    assert text.startswith(f"{name}: ")
    assert len(text) > len(name) + 60
    assert "nan" not in text
    assert text.endswith(".")


# --- single warnings ------------------------------------------------------------------------------


def test_what_is_borrowed_cannot_be_missed() -> None:
    runs, _ = two_sizes()
    assert names_of(runs, {"A": TRUTH.A, "alpha": TRUTH.alpha}) == set()
    runs, _ = twenty_tokens_each()
    assert names_of(runs, {"B": TRUTH.B, "beta": TRUTH.beta}) == set()


def test_the_exponent_of_a_term_that_is_zero_means_nothing() -> None:
    law = {"E": 1.8, "A": 0.0, "B": 2100.0, "alpha": 3.0, "beta": 0.37}
    runs, _ = larger_is_worse()
    fitted = fit_law(runs, "least_squares", fixed={"A": 0.0, "alpha": law["alpha"]})
    assert warning_names(fitted.report) == ()


def test_the_run_that_decides_is_named_with_what_it_does() -> None:
    runs, _ = pulled_aside()
    worst = runs.loc[runs["params"].idxmax(), "run"]
    law = fit_law(runs, "least_squares")
    without = fit_law(runs[runs["run"] != worst], "least_squares")
    at = 10 * runs["params"].max(), runs["tokens"].max()
    change = float(without.predict(*at)) / float(law.predict(*at)) - 1
    assert law.report is not None
    (text,) = law.report.warnings
    assert f"run '{worst}'" in text
    assert f"by {change:+.1%}" in text
    assert abs(change) > 0.02


def test_the_third_of_three_sizes_is_no_fault_of_its_run() -> None:
    runs = family(sizes=SIZES[::2])
    bent = runs.assign(loss=runs["loss"] * np.where(runs["params"] > 3e9, 1.03, 1.0))
    assert "one-run" not in names_of(bent, {})


def test_few_checkpoints_lead_to_no_second_fit_and_to_no_nan() -> None:
    runs = family(tokens=TOKENS[::3]).iloc[[0, 4, 8, 9, 13]]
    report = fit_law(runs, "least_squares").report
    assert report is not None
    assert not any("nan" in text for text in report.warnings)
    assert not {"one-run", "residual-noise"} & set(warning_names(report))


def test_a_healthy_fit_costs_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fit = METHODS["least_squares"]

    def counted(*given: object) -> tuple[dict[str, float], float]:
        calls.append(len(given))
        return fit(*given)

    monkeypatch.setitem(METHODS, "least_squares", counted)
    fit_law(family(noise=0.002), "least_squares")
    assert len(calls) == 1
    fit_law(pulled_aside()[0], "least_squares")
    assert len(calls) == 3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(1e-2, 1e2))
def test_units_do_not_change_what_is_wrong(seed: int, n: float, d: float, unit: float) -> None:
    rng = np.random.default_rng(seed)
    runs = family(tokens=TOKENS[::2])
    runs["loss"] *= np.exp(rng.uniform(0, 0.05) * rng.normal(size=len(runs)))
    other = runs.assign(
        params=runs["params"] * n, tokens=runs["tokens"] * d, loss=runs["loss"] * unit
    )
    one, two = names_of(runs, {}), names_of(other, {})
    assert one == two


# --- seeds ----------------------------------------------------------------------------------------


def test_spread_of_seeds_is_pooled() -> None:
    runs = family(sizes=SIZES[:3], tokens=TOKENS[:1], seeds=2)
    runs["loss"] = [3.0, 3.2, 2.8, 2.8, 2.6, 2.7]
    runs = pd.concat([runs, runs.iloc[[0]].assign(run="other", params=5e10, loss=9.0)])
    spread, repeats = seed_spread(runs)
    np.testing.assert_allclose(spread, np.sqrt((0.02 + 0.0 + 0.005) / 3), rtol=1e-12)
    assert repeats == 3
    assert seed_spread(family()) == (0.0, 0)


@pytest.mark.parametrize("column", ["seed", "schedule", "corpus", "architecture"])
def test_runs_that_differ_in_more_than_their_seed_are_no_repeats(column: str) -> None:
    runs = family(sizes=SIZES[:1], tokens=TOKENS[:1], seeds=2)
    runs["loss"] = [3.0, 3.2]
    assert seed_spread(runs)[1] == 1
    values = {"seed": pd.array([7, 7], dtype="Int64")}.get(column, ["one", "two"])
    assert seed_spread(runs.assign(**{column: values})) == (0.0, 0)


def test_different_seeds_are_repeats() -> None:
    runs = family(sizes=SIZES[:1], tokens=TOKENS[:1], seeds=2)
    runs["loss"] = [3.0, 3.2]
    spread, repeats = seed_spread(runs.assign(seed=pd.array([1, 2], dtype="Int64")))
    np.testing.assert_allclose(spread, np.sqrt(0.02), rtol=1e-12)
    assert repeats == 1


# --- names and refusals ---------------------------------------------------------------------------


def test_names_of_warnings() -> None:
    assert warning_names(None) == ()
    assert warning_names(["b: x: y", "a: z", "b: again"]) == ("b", "a")
    law = fit_law(two_sizes()[0], "least_squares")
    assert warning_names(law.report) == ("few-sizes",)


@pytest.mark.parametrize("column", ["params", "tokens"])
def test_a_term_without_levels_is_refused(column: str) -> None:
    n = np.geomspace(1e8, 1e10, 6)
    points = {"params": n, "tokens": 20 * n} | {column: np.full(6, 1e9)}
    with pytest.raises(FitError, match=f"every checkpoint has {column} = 1e\\+09"):
        check_identified(points["params"], points["tokens"], {})
    held = {"params": {"A": 1.0, "alpha": 0.3}, "tokens": {"B": 1.0, "beta": 0.3}}
    check_identified(points["params"], points["tokens"], held[column])


def test_fewer_checkpoints_than_unknowns_are_refused() -> None:
    n = np.geomspace(1e8, 1e10, 4)
    with pytest.raises(FitError, match=r"4 checkpoint\(s\) for 5 free parameters"):
        check_identified(n, 20 * n, {})
    check_identified(n, 20 * n, {"E": 1.7})


# --- the page of the book -------------------------------------------------------------------------


def test_the_page_of_the_book_explains_every_warning() -> None:
    page = (Path(__file__).resolve().parents[2] / "book" / "warnings.md").read_text()
    anchors = re.findall(r"^\(warning-([a-z-]+)\)=\n### ([a-z-]+)\n", page, flags=re.MULTILINE)
    assert all(anchor == heading for anchor, heading in anchors)
    assert [heading for _, heading in anchors] == re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert [heading for _, heading in anchors] == [*WARNINGS, *extrapolation.WARNINGS]
    assert page.count("*What to do.*") == len(anchors)


def test_the_page_of_the_book_lists_every_refusal() -> None:
    page = (Path(__file__).resolve().parents[2] / "book" / "warnings.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert listed == {kind.__name__ for kind in kinds if issubclass(kind, errors.ScalingError)}
