import numpy as np
import pandas as pd
import pytest

from scaling_utils.accuracy import pooled_cells
from scaling_utils.fitting.fit import fit_law
from scaling_utils.fitting.prior import LEVEL_SPREAD, pool, pooled_prior
from scaling_utils.law import ScalingLaw
from scaling_utils.metrics import absolute_relative_error
from scaling_utils.pooling_studies import (
    LADDER,
    STEEPER,
    TOKENS,
    VARIANTS,
    ablate,
    accuracy_by,
    draw_laws,
    levelled,
    nearest_errors,
    shape_spread,
    simulated_errors,
)
from scaling_utils.selection import last_fraction
from scaling_utils.simulate import simulate_family

TRUTH = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    family = simulate_family(TRUTH, LADDER, TOKENS, np.random.default_rng(1))
    return family.assign(schedule="cosine")


def test_levelled_groups_have_one_loss_and_the_priors_mean() -> None:
    groups = levelled(pool())
    total = groups[["E", "A0", "B0"]].sum(axis=1)
    assert np.ptp(total) == pytest.approx(0, abs=1e-12)
    means = np.log(groups[["E", "A0", "B0", "alpha", "beta"]]).mean()
    assert means.to_numpy() == pytest.approx(pooled_prior().mean[:5])


def test_spread_sets_the_level_aside() -> None:
    prior = pooled_prior()
    variance = np.diag(prior.covariance)[:5]
    assert variance - shape_spread(prior) ** 2 == pytest.approx([LEVEL_SPREAD**2] * 3 + [0] * 2)


def test_kinds_of_laws_differ_as_they_say() -> None:
    prior = pooled_prior()
    alphas = {
        kind: np.log([law.alpha for law in draw_laws(kind, 50, np.random.default_rng(2))])
        for kind in ("from the prior", "twice as spread", "steeper")
    }
    like = alphas["from the prior"]
    assert alphas["twice as spread"] - prior.mean[3] == pytest.approx(2 * (like - prior.mean[3]))
    assert alphas["steeper"] - like == pytest.approx(STEEPER * shape_spread(prior)[3])


def test_nearest_models_are_those_below_the_target(runs: pd.DataFrame) -> None:
    found = nearest_errors(runs, (1, 2, 9)).set_index(["n_models", "method"])["are"]
    assert sorted(found.index.unique("n_models")) == [1, 2]
    assert np.isnan(found[1, "least_squares"])
    # The first tokens are left out only in families longer than these.
    train = runs[runs["params"].isin(LADDER[-3:-1])]
    target = last_fraction(runs[runs["params"] == LADDER[-1]], 0.7)
    for method in ("pooled", "least_squares"):
        law = fit_law(train, method=method)
        assert found[2, method] == pytest.approx(absolute_relative_error(law, target), rel=1e-4)


def test_true_laws_are_recovered_without_noise() -> None:
    family = simulate_family(
        TRUTH, LADDER, TOKENS, np.random.default_rng(3), checkpoint_noise=0, run_noise=0
    )
    found = nearest_errors(family, (5,), truth=TRUTH).set_index("method")["are"]
    assert found["least_squares"] < 1e-5
    assert 1e-5 < found["pooled"] < 0.05  # drawn towards the others


def test_simulated_errors_name_every_case() -> None:
    laws = {"one": [TRUTH], "two": [TRUTH, TRUTH]}
    table = simulated_errors(laws, (0.0, 0.01), np.random.default_rng(4), counts=(1, 2))
    assert len(table) == 2 * 2 * 2 * 2
    none = table["are"].isna()
    assert (none == ((table["n_models"] == 1) & (table["method"] == "least_squares"))).all()


def test_ablation_starts_from_the_study(runs: pd.DataFrame) -> None:
    parts = ablate(runs, (0.5, 1.0))
    cells = pooled_cells(runs, (0.5, 1.0))
    assert parts["default"].to_numpy() == pytest.approx(cells["are"].to_numpy(), rel=1e-9)
    assert (parts["no schedule"] - parts["default"]).abs().min() > 0
    assert parts[list(VARIANTS)].notna().all().all()
    plain = ablate(runs.assign(schedule="unknown"), (1.0,))
    assert plain["no schedule"].tolist() == pytest.approx(plain["default"].tolist())


def test_ranges_weigh_groups_alike() -> None:
    rows = [("g", 2, 2.0, 0.1), ("g", 3, 2.0, 0.3), ("h", 2, 2.0, 0.6), ("h", 7, 50.0, 0.5)]
    study = pd.DataFrame(
        [
            (group, group, n, 1.0, scale, are * factor, method, "ok")
            for group, n, scale, are in rows
            for method, factor in (("pooled", 1.0), ("curve_fit", 2.0))
        ],
        columns=["group", "family", "n_models", "fraction", "scale_up", "are", "method", "status"],
    )
    table = accuracy_by(study, "scale_up")
    assert table.index.tolist() == ["1-3", "over 30"]
    assert table["groups"].tolist() == [2, 1]
    assert table["pooled"].tolist() == pytest.approx([(0.2 + 0.6) / 2, 0.5])
    assert table["ratio"].tolist() == pytest.approx([0.5, 0.5])
    assert accuracy_by(study, "n_models").index.tolist() == ["2", "3", "6-10"]
