import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from scaling_utils import ScalingLaw, fit_law, tidy_runs
from scaling_utils.errors import FitError, UnknownOptionError
from scaling_utils.fitting.pooled import SCALE, fit_pooled, weigh
from scaling_utils.fitting.prior import pooled_prior
from scaling_utils.posterior import log_loss
from scaling_utils.schedules import unfinished

TRUTH = ScalingLaw(E=1.8, A=400.0, B=1500.0, alpha=0.33, beta=0.34)


def family(
    sizes: tuple[float, ...] = (1e8, 3e8, 1e9, 3e9),
    *,
    noise: float = 0.0,
    decay: float = 0.0,
    seed: int = 0,
    checkpoints: int = 20,
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for size in sizes:
        tokens = np.linspace(0.05, 1, checkpoints) * 2e11
        loss = TRUTH.predict(size, tokens) * np.exp(decay * unfinished("cosine", tokens / 2e11))
        loss = loss * (1 + noise * rng.standard_normal())
        parts.append(pd.DataFrame({"params": size, "tokens": tokens, "loss": loss}))
    return tidy_runs(pd.concat(parts), {"schedule": "cosine"})


def test_many_good_runs_overrule_the_prior() -> None:
    law = fit_law(family(tuple(np.geomspace(5e7, 5e9, 40))))
    for at in ((1e10, 4e11), (1e11, 2e12)):
        assert law.predict(*at) == pytest.approx(TRUTH.predict(*at), rel=0.01)


def test_one_model_is_enough_to_start_and_says_that_it_knows_little() -> None:
    one, four = fit_law(family((1e8,))), fit_law(family())
    assert one.posterior is not None
    assert four.posterior is not None
    target = (1e10, 2e11)
    assert one.predict(*target) == pytest.approx(TRUTH.predict(*target), rel=0.15)
    wide, narrow = one.interval(*target), four.interval(*target)
    assert wide[1] / wide[0] > narrow[1] / narrow[0]
    assert "few-sizes" in " ".join(one.report.warnings if one.report else ())


def test_checkpoints_inside_a_schedule_are_not_taken_for_finished_runs() -> None:
    cut = family(decay=0.06)
    cut = cut[cut["tokens"] <= 1e11]
    aware, blind = fit_law(cut), fit_law(cut.assign(schedule="constant"))
    wanted = TRUTH.predict(3e9, 2e11)
    assert abs(aware.predict(3e9, 2e11) / wanted - 1) < 0.5 * abs(
        blind.predict(3e9, 2e11) / wanted - 1
    )


def test_no_law_nearby_is_more_probable() -> None:
    runs = family(noise=0.01)
    n, d, y = (runs[c].to_numpy() for c in ("params", "tokens", "loss"))
    run = pd.factorize(runs["run"])[0]
    prior = pooled_prior()
    _, objective, posterior = fit_pooled(n, d, y, {}, run=run, decay=np.zeros(len(y)))
    e = weigh(n, d, y, run, np.zeros(len(y)))
    precision = np.linalg.inv(prior.far_from(e.log_n.mean(), e.log_d.mean()).covariance)

    def value(theta: np.ndarray) -> float:
        residual = (e.log_y - log_loss(theta, e.log_n, e.log_d, e.decay)[0]) / SCALE
        away = theta - prior.mean
        return float(e.weight @ (2 * (np.sqrt(1 + residual**2) - 1)) + away @ precision @ away)

    assert value(posterior.mean) == pytest.approx(objective, rel=1e-9)
    rng = np.random.default_rng(1)
    for _ in range(10):
        start = prior.mean + 0.3 * rng.standard_normal(6)
        with np.errstate(all="ignore"):
            assert objective <= minimize(value, start, method="BFGS").fun * (1 + 1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 5.0))
def test_order_and_the_number_of_checkpoints_do_not_matter_much(seed: int, unit: float) -> None:
    runs = family(noise=0.01, seed=seed)
    law = fit_law(runs)
    shuffled = fit_law(runs.sample(frac=1, random_state=seed))
    assert shuffled.predict(1e10, 1e12) == pytest.approx(law.predict(1e10, 1e12), rel=1e-6)
    # The same runs, evaluated ten times as often, say the same.
    often = fit_law(family(noise=0.01, seed=seed, checkpoints=191))
    assert often.predict(1e10, 1e12) == pytest.approx(law.predict(1e10, 1e12), rel=0.01)
    # Another unit of the loss, say another tokeniser, is another unit of the prediction.
    scaled = fit_law(runs.assign(loss=unit * runs["loss"]))
    assert scaled.predict(1e10, 1e12) / unit == pytest.approx(law.predict(1e10, 1e12), rel=0.05)


@pytest.mark.parametrize(
    "fixed",
    [
        {"A": 400.0},
        {"B": 1500.0, "beta": 0.34},
        {"E": 0.0},
        {"A": 0.0, "alpha": 0.3},
        {"E": 1.8, "A": 400.0, "B": 1500.0, "alpha": 0.33, "beta": 0.34},
    ],
)
def test_what_is_held_stays(fixed: dict[str, float]) -> None:
    law = fit_law(family(noise=0.01), fixed=fixed)
    for name, value in fixed.items():
        assert getattr(law, name) == value
    low, high = law.interval(1e10, 1e12)
    assert low < law.predict(1e10, 1e12) < high
    for name, (a, b) in law.parameter_intervals().items():
        if name in fixed:
            assert a == pytest.approx(fixed[name], rel=1e-5)
            assert b == pytest.approx(fixed[name], rel=1e-5)


def test_intervals_of_the_numbers_and_of_the_optimum() -> None:
    law = fit_law(family(noise=0.005))
    for name, (low, high) in law.parameter_intervals(0.9).items():
        assert low < getattr(law, name) < high
    inner, outer = law.parameter_intervals(0.5), law.parameter_intervals(0.9)
    assert outer["E"][0] < inner["E"][0] < inner["E"][1] < outer["E"][1]
    best = law.compute_optimal(1e22)
    bounds = law.compute_optimal_interval(1e22)
    assert bounds["params"][0] < best[0] < bounds["params"][1]
    assert bounds["tokens"][0] < best[1] < bounds["tokens"][1]


def test_a_prior_without_the_family_is_the_default() -> None:
    law = fit_law(family().assign(family="gpt3"))
    assert law.posterior is not None
    assert "gpt3" not in law.posterior.groups
    with pytest.raises(UnknownOptionError, match="only method = 'pooled'"):
        fit_law(family(), "least_squares", prior=pooled_prior())


def test_losses_that_are_like_no_family_are_refused() -> None:
    runs = family()
    wild = runs.assign(loss=np.where(np.arange(len(runs)) % 2, 1e-4, 1e4))
    with pytest.raises(FitError, match="nothing like the families"):
        fit_law(wild)
    with pytest.raises(FitError, match="no checkpoint"):
        fit_pooled(*(np.empty(0) for _ in range(3)), {})


def test_laws_of_other_methods_have_no_interval() -> None:
    for law in (TRUTH, fit_law(family(), "least_squares")):
        with pytest.raises(FitError, match="only method='pooled'"):
            law.interval(1e10, 1e12)
