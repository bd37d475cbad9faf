import sys

import numpy as np
import pandas as pd
import pytest

from scaling_utils import backtest, load_runs
from scaling_utils.backtest import COLUMNS, training_flops
from scaling_utils.errors import UnknownOptionError
from scaling_utils.law import PARAMETERS
from tests.problems import TRUTH, grid_family

# Upstream's own published heat maps, per cent, single-run design, fractions 0.1 to 1.
PUBLISHED = {
    ("olmo", 1e9): [1.05, 1.48, 1.68, 1.68, 1.60, 1.47, 1.31, 1.15, 1.02, 0.94],
    ("olmo", 7e9): [1.52, 1.36, 1.40, 1.45, 1.56, 1.67, 1.80, 1.75, 1.39, 1.21],
    ("opt", 6.7e9): [2.41, 35.76, 37.49, 37.16, 36.79, 35.37, 34.71, 33.61, 32.99, 32.46],
    ("opt", 30e9): [np.nan, 23.30, 4.09, 18.40, 15.28, 12.47, 14.01, 14.57, 14.91, 15.02],
}


@pytest.mark.needs_published
@pytest.mark.parametrize(("family", "params"), PUBLISHED)
def test_reproduces_the_published_cells(family: str, params: float) -> None:
    runs = load_runs(family, variant="upstream")
    cells = backtest(runs, "single", method="curve_fit")
    row = cells[cells["largest_params"] == params].sort_values("fraction")
    np.testing.assert_allclose(
        100 * row["are"].to_numpy("float64"), PUBLISHED[family, params], atol=0.0101
    )


def test_columns_and_one_row_for_each_cell() -> None:
    cells = backtest(grid_family(), method="least_squares")
    assert list(cells.columns) == list(COLUMNS)
    assert len(cells) == 2 * 10
    status = cells.set_index("fraction")["status"]
    assert (status[0.1] == "failed: no training checkpoint beyond 1e+10 tokens").all()
    assert status[0.2].str.contains("checkpoint.s. for 5 free parameters").all()
    assert (status[0.4] == "ok").all()
    assert (cells["are"].isna() == (cells["status"] != "ok")).all()
    ok = cells[cells["status"] == "ok"]
    # Three sizes and three token counts, without noise, are predicted exactly; two are not enough.
    exact = (ok["n_models"] == 3) & (ok["fraction"] >= 0.4)
    assert exact.sum() == 7
    assert (ok.loc[exact, "are"] < 1e-6).all()


def test_a_cell_by_hand() -> None:
    cell = backtest(grid_family(), fractions=[0.5], n_models=3, method="least_squares").iloc[0]
    # Tokens 2e10, 4e10, 6e10, 8e10 are strictly below half of 2e11.
    assert cell["n_checkpoints"] == 3 * 4
    assert cell["n_target"] == 4  # 1.4e11 to 2e11
    assert cell["scale_up"] == 10.0
    assert cell["flops"] == pytest.approx(6 * 8e10 * (1e8 + 3e8 + 1e9), rel=1e-12)
    assert cell["target_loss"] == pytest.approx(
        np.mean(TRUTH.predict(1e10, np.array([1.4e11, 1.6e11, 1.8e11, 2e11]))), rel=1e-12
    )
    assert cell["predicted_loss"] == pytest.approx(cell["target_loss"], rel=1e-6)


def test_windows_slide_and_stop_below_the_target() -> None:
    cells = backtest(
        grid_family(sizes=(1e8, 2e8, 4e8, 8e8, 1.6e9)),
        "window",
        fractions=[1.0],
        method="least_squares",
    )
    assert cells[["n_models", "smallest_params", "largest_params"]].to_numpy().tolist() == [
        [3, 1e8, 4e8],
        [3, 2e8, 8e8],
        [4, 1e8, 8e8],
    ]


def test_single_borrows_and_includes_the_target_itself() -> None:
    cells = backtest(grid_family(), "single", fractions=[1.0], method="least_squares")
    assert cells["largest_params"].tolist() == [1e8, 3e8, 1e9, 1e10]
    assert cells["alpha"].to_numpy() == pytest.approx(0.3526596, rel=1e-9)
    own = backtest(
        grid_family(),
        "single",
        fractions=[1.0],
        fixed={"A": TRUTH.A, "alpha": TRUTH.alpha},
        method="least_squares",
    )
    assert (own["are"] < 1e-6).all()


def test_keep_last_drops_the_beginning() -> None:
    cells = backtest(
        grid_family(),
        keep="last",
        fractions=[0.5],
        n_models=3,
        skip_tokens=0,
        method="least_squares",
    )
    # 0.7 of 2e11 is 1.4e11, half of it 7e10: 8e10, 1e11 and 1.2e11 remain.
    assert cells["n_checkpoints"].tolist() == [3 * 3]
    everything = backtest(
        grid_family(),
        keep="last",
        fractions=[0.5],
        n_models=3,
        skip_tokens=0,
        until=1.0,
        method="least_squares",
    )
    assert everything["n_checkpoints"].tolist() == [3 * 5]


@pytest.mark.parametrize("method", ["best_seen", "most_trained"])
def test_baselines_have_errors_but_no_law(method: str) -> None:
    cells = backtest(grid_family(), method=method, fractions=[1.0], n_models=3)
    best = TRUTH.predict(1e9, 1.8e11)
    actual = TRUTH.predict(1e10, np.array([1.4e11, 1.6e11, 1.8e11, 2e11]))
    assert cells["are"].iloc[0] == pytest.approx(np.mean(np.abs(best / actual - 1)), rel=1e-12)
    assert cells["E"].isna().all()


def test_small_families_and_failures_are_rows() -> None:
    runs = pd.concat([grid_family(sizes=(1e9, 1e10), family="pair"), grid_family()])
    cells = backtest(runs, fractions=[1.0], method="least_squares")
    assert cells.loc[cells["family"] == "pair", "status"].tolist() == [
        "skipped: 2 size(s), this design needs 3"
    ]
    few = backtest(
        grid_family(tokens=(1e10, 2e10)), fractions=[1.0], n_models=2, method="least_squares"
    )
    assert few["status"].str.startswith("failed: ").all()


@pytest.mark.parametrize(
    "options",
    [{}, {"skip_tokens": 0.0}, {"design": "window"}, {"design": "single"}, {"keep": "last"}],
)
def test_cells_fitted_together_are_cells_fitted_alone(options, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(2)
    runs = grid_family(sizes=(1e8, 3e8, 1e9, 3e9, 1e10))
    runs["loss"] *= np.exp(rng.normal(0, 0.003, len(runs)))
    pair = grid_family(sizes=(1e9, 1e10), family="pair")
    both = pd.concat([runs, pair])
    together = backtest(both, method="least_squares", **options)
    module = sys.modules["scaling_utils.backtest"]  # the package's attribute is the function
    monkeypatch.setattr(module, "_fit_together", lambda *a: {})
    alone = backtest(both, method="least_squares", **options)
    assert (together["status"] == "ok").any()
    pd.testing.assert_frame_equal(
        together.drop(columns=list(PARAMETERS)),
        alone.drop(columns=list(PARAMETERS)),
        rtol=1e-6,
        atol=1e-8,
    )


def test_options_are_checked() -> None:
    for options in ({"design": "largest"}, {"method": "ols"}, {"keep": "middle"}):
        with pytest.raises(UnknownOptionError, match="choose one of"):
            backtest(grid_family(), **options)  # type: ignore[arg-type]


def test_flops_count_every_run_once() -> None:
    assert training_flops(grid_family(sizes=(1e9,), tokens=(1e9, 2e9))) == 6 * 1e9 * 2e9
