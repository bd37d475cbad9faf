from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit
from scipy.special import ndtri

from scaling_utils import interval_widths, load_runs
from scaling_utils.accuracy import coverage, load_study, pooled_cells
from scaling_utils.backtest import Checkpoints
from scaling_utils.errors import FitError
from scaling_utils.fitting.guide import START, fit_guide
from scaling_utils.interval_widths import (
    CELL,
    LEVELS,
    METHODS,
    calibrated,
    cells_of,
    counts_of,
    family_widths,
    guide_error,
    joined,
    judged,
    load_widths,
    log_means,
    main,
    peer_rows,
    residual_laws,
    training_table,
    weighted_median,
    widths_by_group,
    widths_mark,
    widths_table,
)
from scaling_utils.kept import kept_path, mark_of
from scaling_utils.selection import largest_models, last_fraction
from tools.peers.run_simple_scaling_laws import COLUMNS
from tools.peers.run_simple_scaling_laws import LEVELS as PEER_LEVELS

TRUTH = np.array([1.7, 400.0, 2000.0, 0.35, 0.37])
SIGMA = 0.01


def points(noise: np.ndarray | float = 0.0) -> Checkpoints:
    n, d = (a.ravel() for a in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(1e10, 2e11, 8)))
    loss = TRUTH[0] + TRUTH[1] * n ** -TRUTH[3] + TRUTH[2] * d ** -TRUTH[4] + noise
    run = np.unique(n, return_inverse=True)[1]
    return Checkpoints(n, d, loss, 6 * n * d, run, np.zeros(len(n)), np.arange(len(n)))


@pytest.fixture
def target() -> Checkpoints:
    n, d = np.full(4, 1e11), np.linspace(2e11, 3e11, 4)
    none = np.zeros(4)
    return Checkpoints(n, d, none, none, none.astype("intp"), none, np.arange(4))


@pytest.fixture
def draws() -> Iterator[np.ndarray]:
    rng = np.random.default_rng(5)
    return (SIGMA * rng.standard_normal(48) for _ in range(120))


# --- Each method on data whose noise is as it assumes ---------------------------------------------


def test_the_error_of_the_guide_is_what_scipy_returns(target: Checkpoints) -> None:
    train = points(SIGMA * np.random.default_rng(1).standard_normal(48))

    def law(_: object, a: float, b: float, e: float, alpha: float, beta: float) -> np.ndarray:
        return np.exp(e) + np.exp(a) / train.params**alpha + np.exp(b) / train.tokens**beta

    bounds = ([-np.inf] * 3 + [0.0] * 2, [np.inf] * 5)
    best, cov = curve_fit(law, train.params, train.loss, p0=list(START.values()), bounds=bounds)

    def logs(v: np.ndarray) -> float:
        raw = np.array([np.exp(v[2]), np.exp(v[0]), np.exp(v[1]), v[3], v[4]])
        return float(log_means(raw[None], target.params, target.tokens)[0])

    step = 1e-6
    slope = [(logs(best + step * u) - logs(best - step * u)) / (2 * step) for u in np.eye(5)]
    middle, error = guide_error(train, target)
    assert middle == pytest.approx(logs(best), abs=1e-6)
    assert error == pytest.approx(np.sqrt(slope @ cov @ slope), rel=1e-3)


def test_intervals_of_the_guide_hold_where_checkpoints_are_independent_and_the_law_true(
    target: Checkpoints, draws: Iterator[np.ndarray]
) -> None:
    wanted = log_means(TRUTH[None], target.params, target.tokens)[0]
    scores = []
    for noise in draws:
        middle, error = guide_error(points(noise), target)
        scores.append(abs(middle - wanted) / error)
    for level in LEVELS:
        share = np.mean(np.array(scores) <= ndtri((1 + level) / 2))
        assert level - 0.1 <= share <= level + 0.1


def test_refits_to_residuals_spread_as_the_covariance_says(target: Checkpoints) -> None:
    train = points(SIGMA * np.random.default_rng(2).standard_normal(48))
    law, refits = residual_laws(train, 150, np.random.default_rng(0))
    found = fit_guide(train.params, train.tokens, train.loss, {})[0]
    np.testing.assert_allclose(law[3:], [found["alpha"], found["beta"]], rtol=1e-3)
    spread = log_means(refits, target.params, target.tokens).std()
    assert 0.75 < spread / guide_error(train, target)[1] < 1.25


def test_without_residuals_there_is_no_interval(target: Checkpoints) -> None:
    few = points().keep(np.arange(48) % 10 == 0)
    assert len(few.loss) == 5
    with pytest.raises(FitError, match="no residuals"):
        residual_laws(few, 3, np.random.default_rng(0))
    with pytest.raises(FitError, match="no covariance"):
        guide_error(few, target)


# --- Cells ----------------------------------------------------------------------------------------


def test_counts_begin_at_three_and_end_at_all() -> None:
    for available in range(3, 60):
        counts = counts_of(available)
        assert counts[0] == 3
        assert counts[-1] == available
        assert len(counts) == len(set(counts)) <= 4


def test_calibrated_intervals_are_those_of_the_study() -> None:
    runs = load_runs("house-conv")
    own = load_widths().query("family == 'house-conv' and method == 'calibrated'")
    losses = last_fraction(largest_models(runs), 0.7)["loss"]
    np.testing.assert_allclose(own["measured"], np.exp(np.log(losses).mean()), rtol=1e-12)
    again = pooled_cells(runs, (1.0,)).set_index("n_models")
    for level, part in own.groupby("level"):
        error = np.log(part["measured"] / part["predicted"]).to_numpy()
        wanted = again.loc[part["n_models"], "log_error"]
        np.testing.assert_allclose(error, wanted, rtol=1e-4, atol=1e-7)
        cells = coverage(load_study(), float(str(level))).query("fraction == 1.0")
        cells = cells[cells["family"] == "house-conv"].set_index("n_models").loc[part["n_models"]]
        assert judged(part)["inside"].tolist() == cells["inside"].tolist()
        np.testing.assert_allclose(judged(part)["width"], cells["width"])


def test_digests_change_with_one_loss_but_not_with_its_last_bits() -> None:
    runs = load_runs("house-conv")
    first = [cell.digest for cell in cells_of(runs)]
    assert len(set(first)) == len(first) >= 3
    smallest = runs["params"] == runs["params"].min()
    nudged = [
        [c.digest for c in cells_of(runs.assign(loss=runs["loss"] * (1 + by * smallest)))]
        for by in (1e-15, 1e-4)
    ]
    assert nudged[0] == first
    assert not set(nudged[1]) & set(first)


# --- Tables ---------------------------------------------------------------------------------------


def made_up() -> pd.DataFrame:
    rows = [
        # group, family, n_models, method, lower, upper, status
        ("a", "a1", 3, "runs", 2.4, 2.6, "ok"),
        ("a", "a1", 4, "runs", 2.6, 2.7, "ok"),
        ("a", "a2", 3, "runs", 2.6, 2.8, "ok"),
        ("b", "b1", 3, "runs", 2.0, 3.0, "ok"),
        ("b", "b1", 4, "runs", np.nan, np.nan, "too few"),
        ("a", "a1", 3, "peer", -1.0, 3.0, "ok"),
        ("a", "a1", 4, "peer", np.nan, np.nan, "not computed"),
    ]
    names = ["group", "family", "n_models", "method", "lower", "upper", "status"]
    table = pd.DataFrame(rows, columns=names).merge(pd.DataFrame({"level": LEVELS}), "cross")
    return table.assign(measured=2.5, predicted=2.5, flagged=table["method"] == "peer")


def test_a_table_counts_groups_alike_and_failures_openly() -> None:
    table = widths_table(made_up())
    assert table.index.tolist() == ["runs", "peer"]
    runs = table.loc["runs"]
    assert runs[["families", "cells", "failed", "flagged"]].tolist() == [3, 4, 1, 0]
    # Half for b1, which is held, and a quarter of a1's two cells.
    assert runs["held 90%"] == pytest.approx(0.5 + 0.25 / 2)
    assert runs["width 90%"] == pytest.approx(2.6 / 2.4 - 1)
    peer = table.loc["peer"]
    assert peer[["cells", "failed", "flagged", "held 90%"]].tolist() == [1, 0, 1, 1]
    assert np.isinf(peer["width 90%"])
    held, width = widths_by_group(made_up(), 0.9)
    assert held.loc["a", "runs"] == pytest.approx(0.25)
    assert held.loc["b", "runs"] == 1
    assert width.loc["b", "runs"] == pytest.approx(0.5)


def test_a_median_goes_by_weight() -> None:
    assert weighted_median([1, 2, 3], [0.2, 0.2, 0.6]) == 3
    assert weighted_median([3, 1, 2], [1, 1, 1]) == 2


def test_rows_of_other_training_sets_are_left_out() -> None:
    about = pd.DataFrame(
        {"family": "f", "n_models": [3], "scale_up": 2.0, "digest": ["new"], "measured": 2.5}
    )
    peer = pd.DataFrame([["f", 3, "old", "peer", 0.9, 2.5, 2.4, 2.6, "ok", True]], columns=COLUMNS)
    assert (joined(peer, about)["status"] == "not computed").all()
    found = joined(peer.assign(digest="new"), about)
    assert found["status"].eq("ok").sum() == found["flagged"].sum() == 1
    empty = joined(peer.iloc[:0], about)
    assert len(empty) == 2 * len(LEVELS)
    assert empty["lower"].isna().all()


# --- What is kept ---------------------------------------------------------------------------------


def test_every_cell_has_a_row_for_each_method_and_level() -> None:
    table = load_widths()
    keys = [*CELL, "method", "level"]
    assert not table.duplicated(keys).any()
    assert len(table) == len(table[CELL].drop_duplicates()) * len(METHODS) * len(LEVELS)
    ok = table[table["status"] == "ok"]
    assert (ok["lower"] <= ok["upper"]).all()
    assert ok[["predicted", "lower", "upper"]].notna().all().all()
    wide = table.pivot(index=[*CELL, "method"], columns="level", values=["lower", "upper"]).dropna()
    assert (wide["upper", 0.9] >= wide["upper", 0.5]).all()
    assert (wide["lower", 0.9] <= wide["lower", 0.5]).all()


def test_one_family_again_gives_the_kept_rows() -> None:
    again = family_widths("house-conv").set_index([*CELL, "method", "level"])
    # Where one local search ends depends on the processor; see scaling_utils.grids.processor.
    again = again.drop("curve_fit", level="method")
    kept = load_widths().set_index(again.index.names).loc[again.index]
    for name in ("measured", "predicted", "lower", "upper"):
        np.testing.assert_allclose(again[name], kept[name], rtol=1e-4)


def test_calibrated_intervals_come_nearest_to_what_they_claim() -> None:
    table = widths_table(load_widths())
    for level in LEVELS:
        short = (table[f"held {level:.0%}"] - level).abs()
        assert short.idxmin() == "calibrated"
        assert short["calibrated"] < 0.1


def test_a_fresh_table_is_not_computed_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert mark_of(kept_path("interval-widths")) == widths_mark()
    main([])
    assert capsys.readouterr().out == "interval-widths: fresh\n"


# --- The peer -------------------------------------------------------------------------------------


def test_the_peer_gets_the_training_sets_and_no_loss_of_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interval_widths, "covered", lambda: ["house-conv", "house-lstm"])
    main(["export", str(tmp_path / "sets.parquet")])
    table = pd.read_parquet(tmp_path / "sets.parquet")
    pd.testing.assert_frame_equal(table, training_table())
    assert table["loss"].isna().equals(table["role"] == "target")
    for family in ("house-conv", "house-lstm"):
        cells = {cell.n_models: cell for cell in cells_of(load_runs(family))}
        own = table[(table["family"] == family) & (table["role"] == "train")]
        assert own.groupby("n_models")["digest"].first().to_dict() == {
            n: cell.digest for n, cell in cells.items()
        }
        for n, part in own.groupby("n_models"):
            np.testing.assert_array_equal(part["loss"], cells[int(str(n))].train.loss)


def test_the_peer_answers_in_the_columns_that_are_read() -> None:
    assert peer_rows().columns.tolist() == COLUMNS
    assert PEER_LEVELS == LEVELS
    assert set(peer_rows()["method"]) == {name for name in METHODS if name.startswith("peer")}


def test_export_says_where_to() -> None:
    with pytest.raises(SystemExit):
        main(["export"])


def test_calibrated_takes_only_cells_that_are_asked_for() -> None:
    about = load_widths().drop_duplicates(CELL).head(2)[[*CELL, "scale_up", "measured"]]
    rows = calibrated(load_study(), about.assign(digest=""))
    assert len(rows) == 2 * len(LEVELS)
