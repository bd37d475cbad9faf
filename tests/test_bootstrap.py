import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, fit_law, tidy_runs
from scaling_utils.bootstrap import bootstrap_laws
from scaling_utils.errors import FitError, UnknownOptionError
from scaling_utils.fitting.log_huber import fit_log_huber
from scaling_utils.law import PARAMETERS

TRUTH = ScalingLaw(E=1.8, A=400.0, B=1500.0, alpha=0.33, beta=0.34)


def family(runs: int = 7, noise: float = 0.003) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    parts = []
    for k, size in enumerate(np.geomspace(1e8, 3e9, runs)):
        tokens = np.linspace(0.05, 1, 30) * 2e11
        loss = TRUTH.predict(size, tokens) * (1 + noise * rng.standard_normal())
        parts.append(pd.DataFrame({"run": f"r{k}", "params": size, "tokens": tokens, "loss": loss}))
    return tidy_runs(pd.concat(parts))


def test_refits_lie_about_the_fit_and_the_seed_fixes_them() -> None:
    runs = family()
    laws = bootstrap_laws(runs, 300, seed=4)
    pd.testing.assert_frame_equal(laws, bootstrap_laws(runs, 300, seed=4))
    law = fit_law(runs, method="least_squares")
    low, high = laws["E"].quantile([0.05, 0.95])
    assert low < law.E < high
    assert (laws[list(PARAMETERS)] >= 0).all(axis=None)
    assert laws["runs"].between(2, 7).all()


def test_a_refit_is_the_fit_of_its_runs() -> None:
    runs = family()
    laws = bootstrap_laws(runs, 50, seed=2)
    rng = np.random.default_rng(2)
    first = rng.multinomial(7, np.full(7, 1 / 7), size=50)[0]
    drawn = pd.concat(
        [
            runs[runs["run"] == f"r{k}"].assign(run=f"r{k}-{i}")
            for k, times in enumerate(first)
            for i in range(times)
        ]
    )
    law = fit_law(drawn, method="least_squares")
    at = (1e10, 1e12)
    e, a, b, alpha, beta = laws.loc[0, list(PARAMETERS)]
    assert e + a * at[0] ** -alpha + b * at[1] ** -beta == pytest.approx(law.predict(*at), rel=1e-6)


def test_quiet_runs_do_not_move() -> None:
    laws = bootstrap_laws(family(noise=0.0), 100)
    kept = laws[laws["runs"] >= 3]
    np.testing.assert_allclose(kept["beta"], TRUTH.beta, rtol=1e-5)


def test_every_refit_determines_a_law_and_says_what_it_holds() -> None:
    # Six of eight runs are of one size: many a first draw holds no other.
    runs = family(8)
    runs.loc[runs["params"] < 1e9, "params"] = 1e8
    laws = bootstrap_laws(runs, 400, seed=1)
    assert laws.notna().all(axis=None)
    assert laws["sizes"].min() == 2
    assert laws["sizes"].max() == runs["params"].nunique()
    assert (laws["sizes"] <= laws["runs"]).all()
    by_size = bootstrap_laws(runs, 50, seed=1, cluster="params")
    assert (by_size["sizes"] == by_size["runs"]).all()


def test_a_robust_refit_is_the_robust_fit_of_its_runs() -> None:
    runs = family()
    laws = bootstrap_laws(runs, 3, seed=2, method="log_huber")
    times = np.random.default_rng(2).multinomial(7, np.full(7, 1 / 7), size=3)[1]
    params, tokens, loss = (runs[c].to_numpy() for c in ("params", "tokens", "loss"))
    weights = times[pd.factorize(runs["run"])[0]].astype(float)
    law, _ = fit_log_huber(params, tokens, loss, {}, weights)
    assert laws.loc[1, list(PARAMETERS)].to_list() == [law[name] for name in PARAMETERS]


def test_seeds_may_be_generators_and_portions_do_not_matter(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    runs = family()
    whole = bootstrap_laws(runs, 60, seed=np.random.default_rng(3))
    monkeypatch.setattr("scaling_utils.bootstrap.PORTION", 7)
    pd.testing.assert_frame_equal(whole, bootstrap_laws(runs, 60, seed=3), rtol=1e-6)


def test_what_cannot_be_resampled_is_refused(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FitError, match="drawing runs again needs at least 3"):
        bootstrap_laws(family(2))
    with pytest.raises(UnknownOptionError, match="at least one"):
        bootstrap_laws(family(), 0)
    with pytest.raises(UnknownOptionError, match="resample by one of"):
        bootstrap_laws(family(), method="curve_fit")
    with pytest.raises(UnknownOptionError, match="is no column"):
        bootstrap_laws(family(), cluster="site")
    alike = family(4)
    alike.loc[alike["run"] != "r3", "params"] = 1e8
    with monkeypatch.context() as patch:
        patch.setattr("scaling_utils.bootstrap.MOST_TRIES", 1)
        with pytest.raises(FitError, match="do not determine a law"):
            bootstrap_laws(alike, 200)
