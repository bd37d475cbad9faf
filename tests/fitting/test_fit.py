import numpy as np
import pandas as pd
import pytest

from scaling_utils import fit_law, tidy_runs
from scaling_utils.errors import FitError, RunsError, UnknownOptionError
from scaling_utils.law import PARAMETERS
from tests.problems import TRUTH, grid_family


@pytest.mark.parametrize("method", ["least_squares", "log_huber", "curve_fit"])
def test_fit_and_report(method: str) -> None:
    runs = grid_family()
    law = fit_law(runs, method)
    assert law.report is not None
    assert law.report.method == method
    assert law.report.n_checkpoints == len(runs)
    assert law.report.n_runs == law.report.n_sizes == 4
    assert law.report.params_range == (1e8, 1e10)
    assert law.report.warnings == ()
    assert law.predict(1e10, 2e11) == pytest.approx(TRUTH.predict(1e10, 2e11), rel=1e-4)


def test_three_columns_are_enough() -> None:
    runs = grid_family()[["params", "tokens", "loss"]]
    law = fit_law(runs, method="least_squares")
    for name in PARAMETERS:
        assert getattr(law, name) == pytest.approx(getattr(TRUTH, name), rel=1e-6)


def test_fixed_is_held_and_reported() -> None:
    law = fit_law(grid_family(), fixed={"E": 1.7}, method="least_squares")
    assert law.E == 1.7
    assert law.report is not None
    assert dict(law.report.fixed) == {"E": 1.7}


@pytest.mark.parametrize("fixed", [{"gamma": 1.0}, {"A": -1.0}, {"A": float("nan")}])
def test_refuses_bad_fixed(fixed: dict[str, float]) -> None:
    with pytest.raises(UnknownOptionError, match="fixed"):
        fit_law(grid_family(), fixed=fixed, method="least_squares")


def test_refuses_unknown_method() -> None:
    with pytest.raises(UnknownOptionError, match="curve_fit"):
        fit_law(grid_family(), "ols")


def test_refuses_mixtures_and_emptiness() -> None:
    two = pd.concat([grid_family(family="a"), grid_family(family="b")])
    with pytest.raises(RunsError, match="'family'"):
        fit_law(two, method="least_squares")
    mixed = grid_family()
    mixed.loc[0, "metric"] = "perplexity"
    with pytest.raises(RunsError, match="'metric'"):
        fit_law(mixed, method="least_squares")
    with pytest.raises(RunsError, match="empty"):
        fit_law(grid_family().iloc[:0], method="least_squares")


def test_refuses_what_cannot_be_identified() -> None:
    one_size = grid_family(sizes=(1e9,))
    with pytest.raises(FitError, match="every checkpoint has params = 1e\\+09"):
        fit_law(one_size, method="least_squares")
    law = fit_law(one_size, fixed={"A": TRUTH.A, "alpha": TRUTH.alpha}, method="least_squares")
    np.testing.assert_allclose(law.E, TRUTH.E, rtol=1e-6)
    with pytest.raises(FitError, match="every checkpoint has tokens = 2e\\+10"):
        fit_law(
            grid_family(tokens=(2e10,), sizes=(1e7, 1e8, 3e8, 1e9, 1e10)), method="least_squares"
        )
    with pytest.raises(FitError, match="4 checkpoint"):
        fit_law(grid_family().iloc[[0, 11, 22, 33]], method="least_squares")


def warning_names(runs: pd.DataFrame, **options: object) -> set[str]:
    report = fit_law(runs, **options, method="least_squares").report  # type: ignore[arg-type]
    assert report is not None
    return {w.split(":")[0] for w in report.warnings}


def test_warns_of_two_sizes() -> None:
    runs = grid_family(sizes=(1e9, 1e10))
    assert "few-sizes" in warning_names(runs)
    assert "few-sizes" not in warning_names(runs, fixed={"A": TRUTH.A, "alpha": TRUTH.alpha})


def test_warns_of_a_constant_ratio() -> None:
    params = np.geomspace(1e8, 1e10, 6)
    runs = tidy_runs(
        pd.DataFrame(
            {"params": params, "tokens": 20 * params, "loss": TRUTH.predict(params, 20 * params)}
        )
    )
    assert "constant-ratio" in warning_names(runs)


def test_warns_of_a_vanishing_floor_and_of_bounds() -> None:
    n, d = np.meshgrid(np.geomspace(1e7, 1e10, 5), np.geomspace(1e9, 1e12, 5))
    flat = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    # A loss that falls in a straight line on a logarithmic axis has no floor to find.
    flat["loss"] = 8 - 0.3 * np.log10(flat["params"]) - 0.2 * np.log10(flat["tokens"])
    names = warning_names(flat)
    assert {"no-floor", "exponent-at-bound"} & names


def test_warns_when_size_has_no_effect() -> None:
    runs = grid_family()
    runs["loss"] = 2.0 + 1e4 * runs["tokens"] ** -0.5
    assert "no-effect" in warning_names(runs) or "exponent-at-bound" in warning_names(runs)
