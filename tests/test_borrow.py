import math

import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, backtest, fit_law, tidy_runs
from scaling_utils.borrow import (
    GUIDE,
    NOTHING,
    Loan,
    against_own,
    agreed_alpha,
    borrow,
    by_family,
    consensus,
    contest,
    ends_of,
    lend,
    loans_of,
    matrix,
    over_experiments,
    own_loans,
    prepared,
    published_evidence,
    published_names,
    single_models,
    skip_of,
    whole_text,
)
from scaling_utils.errors import FitError, SelectionError
from scaling_utils.fitting.guide import SINGLE_RUN_FIXED

LAW = ScalingLaw(E=1.7, A=200.0, B=2000.0, alpha=0.28, beta=0.37)
SIZES = np.geomspace(1e8, 1e10, 5)
TOKENS = np.linspace(0.1, 1, 15) * 3e11


def family(law=LAW, sizes=SIZES, tokens=TOKENS, name="made") -> pd.DataFrame:
    n, d = np.meshgrid(sizes, tokens)
    table = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    table["loss"] = law.predict(table["params"], table["tokens"])
    return tidy_runs(table, {"family": name})


def shifted(**changes: float) -> ScalingLaw:
    values = {"E": LAW.E, "A": LAW.A, "B": LAW.B, "alpha": LAW.alpha, "beta": LAW.beta}
    return ScalingLaw(**{**values, **changes})


def test_the_pair_is_enough_whatever_the_rest_of_the_lenders_law() -> None:
    loan = lend(family(shifted(E=0.4, B=900.0, beta=0.3), name="lender"))
    cells = borrow(single_models(family()), [loan])
    assert len(cells) == 4
    assert cells["possible"].all()
    np.testing.assert_allclose(cells["are"], 0, atol=2e-6)


def test_error_is_the_missing_drop_over_the_loss() -> None:
    models = single_models(family())
    for loan in (GUIDE, NOTHING, Loan("x", 100.0, 0.25)):
        cells = borrow(models, [loan])
        right = [LAW.A * (m.small**-LAW.alpha - m.large**-LAW.alpha) for m in models]
        inverse = float((1 / models[0].target_loss).mean())
        kept = cells["possible"].to_numpy()
        expected = (np.array(right) - cells["drop"]) * inverse
        np.testing.assert_allclose(cells["signed_error"][kept], expected[kept], atol=1e-6)


def test_the_unit_of_params_cancels_in_a_pair_but_not_in_its_parts() -> None:
    runs = family()
    millions = runs.assign(params=runs["params"] / 1e6)
    one, other = lend(runs), lend(millions)
    assert other.alpha == pytest.approx(one.alpha, rel=1e-6)
    assert pytest.approx(one.A / 1e6**one.alpha, rel=1e-5) == other.A
    assert other.drop(1e2, 1e4) == pytest.approx(one.drop(1e8, 1e10), rel=1e-5)
    assert other.drop(1e8, 1e10) < 0.05 * one.drop(1e8, 1e10)


def test_a_loan_can_ask_for_more_than_there_is() -> None:
    greedy = Loan("greedy", 1e5, 0.3)
    (cell,) = borrow(single_models(family(sizes=(1e8, 1e9))), [greedy]).to_dict("records")
    assert greedy.A * 1e8**-greedy.alpha > 100
    assert not cell["possible"]
    assert math.isfinite(cell["are"])


def test_single_models_agree_with_the_backtest_of_the_guide() -> None:
    rng = np.random.default_rng(1)
    runs = family()
    runs["loss"] *= 1 + 0.003 * rng.standard_normal(len(runs))
    cells = backtest(runs, "single", fractions=(math.inf,), until=math.inf, method="least_squares")
    cells = cells[cells["largest_params"] < cells["target_params"]]
    mine = borrow(single_models(runs), [GUIDE])
    np.testing.assert_allclose(mine["are"], cells["are"].astype(float), rtol=1e-6)
    np.testing.assert_allclose(mine["flops"], cells["flops"].astype(float))
    assert {"A": GUIDE.A, "alpha": GUIDE.alpha} == SINGLE_RUN_FIXED


def test_families_without_a_shape_do_not_lend() -> None:
    two = family(sizes=(1e8, 1e9))
    with pytest.raises(FitError, match="at least three sizes"):
        lend(two)
    worse = family().assign(loss=lambda t: t["loss"] * (t["params"] / 1e8) ** 0.1)
    with pytest.raises(FitError, match="no shape to lend"):
        lend(worse)
    assert list(loans_of(pd.concat([family(), two.assign(family="two")]))) == ["made"]


def test_first_tokens_of_long_families_are_left_out() -> None:
    assert skip_of(family()) == 1e10
    assert skip_of(family(tokens=TOKENS / 10)) == 0
    runs = family(tokens=np.append(TOKENS, 5e9))
    spoilt = runs.assign(loss=runs["loss"].where(runs["tokens"] > 1e10, 9.0))
    np.testing.assert_allclose(borrow(single_models(spoilt), [lend(spoilt)])["are"], 0, atol=2e-6)
    ends = ends_of(runs)
    assert skip_of(ends) == 0
    assert ends["tokens"].tolist() == [3e11] * 5


def test_sizes_with_two_token_counts_cannot_borrow() -> None:
    runs = family()
    thin = runs[(runs["params"] > 1e8) | (runs["tokens"] > 2.7e11)]
    assert [m.small for m in single_models(thin)] == pytest.approx(SIZES[1:-1])
    with pytest.raises(SelectionError, match="no borrower"):
        borrow([], [GUIDE])


def test_consensus_is_the_median_over_other_experiments() -> None:
    drops = {"a": 0.9, "b": 1.0, "b-again": 1.2, "c": 1.3, "made-too": 9.0}
    truth = Loan("t", LAW.A, LAW.alpha)
    loans = {name: Loan(name, share * LAW.A, LAW.alpha) for name, share in drops.items()}
    groups = {"a": "a", "b": "b", "b-again": "b", "c": "c", "made": "made", "made-too": "made"}
    models = single_models(family())
    cells = consensus(models, loans, groups)
    right = np.array([truth.drop(m.small, m.large) for m in models])
    np.testing.assert_allclose(cells["drop"], 1.1 * right, rtol=1e-9)
    assert (cells["lenders"] == 3).all()
    assert (cells["low"] < cells["signed_error"]).all()
    assert (cells["signed_error"] < cells["high"]).all()
    inverse = (1 / models[0].target_loss).mean()
    np.testing.assert_allclose(cells["high"], 0.1 * right * inverse, atol=1e-6)
    assert agreed_alpha(["made"], loans, groups) == pytest.approx({"made": LAW.alpha})
    with pytest.raises(SelectionError, match="no lender"):
        consensus(models, {"made-too": loans["made-too"]}, groups)


def test_own_loans_do_not_see_the_target() -> None:
    runs = family()
    spoilt = runs.assign(loss=runs["loss"].where(runs["params"] < 9e9, 9.0))
    own = own_loans(spoilt)["made"]
    assert (own.A, own.alpha) == pytest.approx((LAW.A, LAW.alpha), rel=1e-5)
    assert own_loans(family(sizes=SIZES[:3])) == {}


def test_matrix_counts_experiments_and_no_loans_to_oneself() -> None:
    cells = pd.DataFrame(
        {
            "lender": ["a", "a", "a-again", "guide", "b"],
            "family": ["b", "b", "b", "b", "b"],
            "are": [0.1, 0.3, 0.4, 0.5, 9.0],
        }
    )
    table = matrix(cells, {"a": "a", "a-again": "a", "b": "b"})
    assert table["b"].to_dict() == pytest.approx({"a": 0.3, "guide": 0.5})
    assert by_family(cells).loc["b", "a"] == pytest.approx(0.2)


def test_against_own_has_every_way_and_finds_a_true_law() -> None:
    runs = family()
    loans = {"other": Loan("other", 0.5 * LAW.A, LAW.alpha)}
    groups = {"other": "other", "made": "made"}
    agreed = consensus(single_models(runs), loans, groups)
    table = against_own(runs, agreed, {"made": LAW.alpha})
    errors = table.pivot_table("are", "n_models", "way")
    assert errors.index.tolist() == [1, 2, 3, 4]
    assert errors["loan"].notna().all()
    np.testing.assert_allclose(errors.loc[3:, "own"], 0, atol=1e-5)
    np.testing.assert_allclose(errors.loc[2:, "half"], 0, atol=1e-5)
    spent = table.pivot_table("flops", "n_models", "way").loc[2:]
    assert (spent["own"] > spent["loan"]).all()
    averaged = over_experiments(table, groups)
    assert averaged["experiments"].tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(averaged["loan"], errors["loan"], rtol=1e-9)


def test_contest_scores_loans_by_what_they_lack() -> None:
    table = contest(LAW, SIZES, TOKENS, np.random.default_rng(1), noise=0.0)
    assert table.index.tolist() == [2, 3, 4]
    np.testing.assert_allclose(table[0.0], 0, atol=1e-5)
    np.testing.assert_allclose(table[0.25] / table[0.1], 2.5, rtol=1e-3)


def test_names_leave_out_what_cannot_be_compared() -> None:
    names = published_names()
    assert {"gpt3", "opt", "olmo", "olmo-ladder", "chinchilla"} <= set(names)
    assert not {"t5-pile", "k2", "schedules-25m", "opt-finals", "gemstones-lr"} & set(names)


def test_only_finished_runs_of_the_ladder_are_kept() -> None:
    ladder = family(name="olmo-ladder").assign(role="ladder")
    ladder.loc[ladder["params"] > 9e9, "role"] = "target"
    kept = prepared(pd.concat([ladder, family(name="gpt3")]))
    assert len(kept[kept["family"] == "gpt3"]) == len(family())
    assert kept[kept["family"] == "olmo-ladder"]["tokens"].tolist() == [3e11] * 4
    assert prepared(family()) is not None


@pytest.mark.needs_published
def test_published_evidence_reproduces_the_single_run_design() -> None:
    found = published_evidence()
    assert not whole_text(found.runs) & {"pythia", "pythia-deduped"}
    assert not any(name.startswith("datablations") for name in found.loans)
    cells = found.cells[(found.cells["lender"] == "guide") & (found.cells["family"] == "olmo")]
    assert cells["are"].iloc[0] == pytest.approx(0.039, abs=5e-4)
    mine = found.agreed[found.agreed["family"] == "opt"]
    assert (mine["lenders"] == 6).all()
    law = fit_law(found.runs[(found.runs["family"] == "chinchilla")], method="least_squares")
    assert found.loans["chinchilla"].alpha == pytest.approx(law.alpha)
