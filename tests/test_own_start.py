import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, backtest, tidy_runs
from scaling_utils.own_start import (
    alone,
    beginnings,
    follow,
    from_trunks,
    last_seen,
    own_start,
    published_names,
    published_starts,
)

LAW = ScalingLaw(E=1.7, A=200.0, B=2000.0, alpha=0.28, beta=0.37)
SIZES = (1e8, 1e9, 1e10)
TOKENS = np.linspace(0.02, 1, 50) * 4e11


def family(sizes=SIZES, name="made", fall=0.0) -> pd.DataFrame:
    """A family whose losses fall by an extra part over the last half of every run."""
    n, d = np.meshgrid(sizes, TOKENS)
    table = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    table["loss"] = LAW.predict(table["params"], table["tokens"])
    table["loss"] *= 1 - fall * np.clip(2 * table["tokens"] / TOKENS[-1] - 1, 0, 1)
    return tidy_runs(table, {"family": name})


def errors(runs, parts=(0.3,)) -> pd.Series:
    return own_start(runs, parts).set_index("way")["are"]


def test_a_true_law_is_found_from_the_beginning() -> None:
    found = errors(family())
    assert found["alone"] < 1e-6
    assert 1e-3 < found["small"] < 0.05  # two sizes need a convention on alpha
    assert errors(family(sizes=(1e8, 3e8, 1e9, 1e10)))["small"] < 1e-6
    assert found["together"] < 1e-6
    assert found["last seen"] > 0.02


def test_only_a_sibling_foresees_the_fall_of_the_learning_rate() -> None:
    runs = family(fall=0.05)
    table = own_start(runs, (0.3,)).set_index("way")
    assert table.loc["alone", "signed_error"] > 0.03
    assert abs(table.loc["followed", "signed_error"]) < 0.01
    assert table["n_own"].drop("small").tolist() == [13] * 5
    assert table.loc["small", "n_own"] == 0


def test_costs_count_what_was_trained() -> None:
    table = own_start(family(), (0.5,)).set_index("way")
    own = 24 / 50
    assert table.loc["alone", "cost"] == pytest.approx(own)
    assert table.loc["small", "cost"] == pytest.approx(0.11)
    assert table.loc["together", "cost"] == pytest.approx(own + 0.11)
    assert table.loc["followed", "cost"] == pytest.approx(own + 0.10)


def test_families_without_siblings_say_so() -> None:
    table = own_start(family(sizes=(1e9,)), (0.5,)).set_index("way")
    assert table.loc["alone", "status"] == "ok"
    assert table.loc["followed", "status"].startswith("skipped")
    assert table.loc["small", "status"].startswith("skipped")
    two = own_start(family(sizes=(1e9, 2e9)), (0.5, 0.001)).set_index(["way", "part"])
    assert two.loc[("followed", 0.5), "status"] == "ok"
    assert two.loc[("together", 0.5), "status"].startswith("skipped")
    assert two.loc[("alone", 0.001), "status"].startswith("failed")


def test_following_scales_a_sibling_of_another_length() -> None:
    sibling = family(sizes=(1e9,))
    start = pd.DataFrame({"tokens": [1e10, 2e10], "loss": 0.9 * sibling["loss"].iloc[[12, 24]]})
    last = start["loss"].iloc[-1]
    predictor = follow(start, sibling, 4e10)
    expected = last * sibling["loss"].rolling(5, center=True, min_periods=1).median().iloc[-1]
    expected /= sibling["loss"].rolling(5, center=True, min_periods=1).median().iloc[24]
    assert float(predictor.predict(5e9, 4e10)) == pytest.approx(expected, rel=1e-9)


def test_last_seen_takes_a_median_of_many() -> None:
    noisy = pd.DataFrame({"tokens": np.arange(60.0), "loss": [2.0] * 58 + [9.0, 2.0]})
    assert last_seen(noisy).loss == 2.0


def test_alone_has_no_term_for_parameters() -> None:
    law = alone(family(sizes=(1e9,)))
    assert law.A == 0
    assert law.beta == pytest.approx(LAW.beta, rel=1e-4)


def test_alone_is_the_single_run_design_on_the_target() -> None:
    rng = np.random.default_rng(2)
    runs = family()
    runs["loss"] *= 1 + 0.002 * rng.standard_normal(len(runs))
    cells = backtest(runs, "single", fractions=(0.3, 0.5), method="least_squares")
    cells = cells[cells["largest_params"] == cells["target_params"]]
    table = own_start(runs, (0.3, 0.5))
    mine = table[table["way"] == "alone"]["are"]
    np.testing.assert_allclose(mine, cells["are"].astype(float), rtol=1e-5)


def test_beginnings_treat_every_run_by_itself() -> None:
    runs = family()
    table = beginnings(runs, 0.4)
    assert table["params"].tolist() == list(SIZES)
    assert (table["are"] < 1e-6).all()
    assert (table["last_seen"] > 0.01).all()


@pytest.mark.needs_published
def test_published_starts_agree_with_the_kept_grid() -> None:
    assert "gpt3" in published_names()
    assert "overtrain-c4" not in published_names()
    starts = published_starts()
    alone_at = starts[(starts["way"] == "alone") & (starts["part"] == 0.3)].set_index("family")
    assert alone_at.loc["gpt3", "are"] == pytest.approx(0.107, abs=1e-3)
    assert alone_at.loc["olmo", "are"] == pytest.approx(0.017, abs=1e-3)


def test_trunks_have_two_ends_and_a_sibling() -> None:
    parts = []
    for params in (1e4, 4e4):
        tokens = np.linspace(0.01, 1, 100) * 2e6
        law = ScalingLaw(E=1.0, A=10.0, B=30.0, alpha=0.3, beta=0.3)
        raw = pd.DataFrame({"params": params, "tokens": tokens})
        raw["loss"] = law.predict(raw["params"], raw["tokens"])
        raw = raw.assign(run=f"t{params:g}", trunk=f"t{params:g}", kind="raw", schedule="constant")
        end = raw.tail(1).assign(run=f"t{params:g}-d", kind="decayed", schedule="wsd")
        parts += [raw, end.assign(loss=end["loss"] * 0.9)]
    runs = pd.concat(parts).assign(family="house-made", seed=0)
    table = from_trunks(tidy_runs(runs), part=0.3)
    assert table["constant"].abs().max() < 1e-6
    np.testing.assert_allclose(table["decayed"], 1 / 0.9 - 1, rtol=1e-5)
    assert np.isnan(table["followed"].iloc[0])
    assert abs(table["followed"].iloc[1]) < 0.02


def test_a_trimmed_beginning_forgets_a_steep_start() -> None:
    runs = family()
    steep = runs.assign(loss=runs["loss"] * (1 + 0.3 * np.exp(-runs["tokens"] / 8e9)))
    table = own_start(steep, (0.3,)).set_index("way")
    assert table.loc["trimmed", "are"] < 0.3 * table.loc["alone", "are"]
