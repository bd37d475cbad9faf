import numpy as np
import pandas as pd
import pytest

from scaling_utils import ScalingLaw, fit_law, tidy_runs
from scaling_utils.bootstrap import bootstrap_laws
from scaling_utils.errors import FitError, UnknownOptionError
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


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(FitError, match="drawing runs again needs at least 3"):
        bootstrap_laws(family(2))
    with pytest.raises(UnknownOptionError, match="at least one"):
        bootstrap_laws(family(), 0)
