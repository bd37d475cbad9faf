import numpy as np
import pandas as pd
import pytest

from scaling_utils.errors import SelectionError
from scaling_utils.law import ScalingLaw
from scaling_utils.seeds import (
    CHANGES,
    amplification,
    by_what_changes,
    draw_seeds,
    equal_cost_designs,
    family_amplification,
    gradient,
    ladder_repeats,
    refit_by_seed,
    resample_seeds,
    run_units,
    seed_share,
    seed_table,
    simulate_seeds,
    simulated_designs,
    spread_ratio,
    spread_trend,
)
from scaling_utils.selection import split_target
from scaling_utils.synthetic import synthetic_runs

LAW = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
SIZES = np.geomspace(1e8, 3.2e9, 6)
TOKENS = np.geomspace(2e10, 2e11, 4)


def simulated(seeds: int, noise: float, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return simulate_seeds(LAW, SIZES, TOKENS, rng, seeds=seeds, run_noise=noise)


def crossed(rng: np.random.Generator, count: int, weights: float, data: float) -> pd.DataFrame:
    """One size with so many seeds of each kind, whose effects on the loss add up."""
    w, d = rng.normal(0, weights, count + 1), rng.normal(0, data, count + 1)
    w[0] = d[0] = 0.0
    pairs = [(i, i) for i in range(count + 1)]
    pairs += [(i, 0) for i in range(1, count + 1)] + [(0, i) for i in range(1, count + 1)]
    rows = [
        {
            "run": f"r-{i}-{j}",
            "init_seed": i,
            "data_seed": j,
            "loss": 2 * (1 + w[i] + d[j]),
        }
        for i, j in pairs
    ]
    return pd.DataFrame(rows).assign(family="f", params=1e6, tokens=1e8)


def test_parts_of_the_seed_are_told_apart() -> None:
    runs = crossed(np.random.default_rng(20), 400, weights=0.004, data=0.001)
    table = seed_table(runs).set_index("changes")
    assert tuple(table.index) == CHANGES
    assert (table["n"] == 401).all()
    both = np.hypot(0.004, 0.001)
    np.testing.assert_allclose(table["spread"], [both, 0.004, 0.001], rtol=0.1)
    assert table["spread"].between(table["low"], table["high"]).all()


def test_every_part_holds_runs_that_differ_in_that_alone() -> None:
    parts = by_what_changes(crossed(np.random.default_rng(21), 3, 0.01, 0.01))
    assert (parts["weights and data"]["init_seed"] == parts["weights and data"]["data_seed"]).all()
    assert set(parts["weights"]["data_seed"]) == set(parts["data"]["init_seed"]) == {0}
    assert all(len(part) == 4 for part in parts.values())


def test_kinds_of_change_are_compared_at_the_same_tokens() -> None:
    runs = crossed(np.random.default_rng(22), 2, 0.01, 0.01)
    equal = runs["init_seed"] == runs["data_seed"]
    longer = runs[equal].assign(tokens=4e8, run=runs["run"] + "-long")
    other = runs[equal].assign(params=2e6, run=runs["run"] + "-large")
    table = seed_table(pd.concat([runs, longer, other, other.assign(tokens=4e8)]))
    assert table["params"].tolist() == [1e6, 1e6, 1e6, 2e6]
    assert table["tokens"].tolist() == [1e8, 1e8, 1e8, 4e8]
    with pytest.raises(SelectionError, match="needs repeats"):
        seed_table(runs.head(1))


def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(23)
    inside = 0
    for _ in range(400):
        one, other = (
            pd.DataFrame({"n": [4, 4], "spread": s * np.sqrt(rng.chisquare(3, 2) / 3)})
            for s in (0.03, 0.01)
        )
        ratio, low, high = spread_ratio(one, other)
        assert low < ratio < high
        inside += low < 3.0 < high
    assert inside / 400 == pytest.approx(0.9, abs=0.045)


def test_trend_recovers_the_exponent() -> None:
    rng = np.random.default_rng(2)
    params = np.repeat(np.geomspace(1e6, 1e9, 300), 1)
    spread = 0.01 * (params / 1e6) ** -0.25 * np.sqrt(rng.chisquare(2, params.size) / 2)
    exponent, error = spread_trend(pd.DataFrame({"params": params, "spread": spread, "n": 3}))
    assert exponent == pytest.approx(-0.25, abs=2.5 * error)
    assert error < 0.03
    with pytest.raises(SelectionError, match="two sizes"):
        spread_trend(pd.DataFrame({"params": [1.0], "spread": [0.1], "n": [3]}))


def test_trend_knows_its_error() -> None:
    rng = np.random.default_rng(3)
    params = np.geomspace(1e6, 1e9, 8)
    found = []
    for _ in range(600):
        spread = 0.01 * np.sqrt(rng.chisquare(4, 8) / 4)
        found.append(spread_trend(pd.DataFrame({"params": params, "spread": spread, "n": 5})))
    slopes, errors = np.array(found).T
    assert slopes.mean() == pytest.approx(0.0, abs=0.01)
    assert slopes.std() == pytest.approx(errors.mean(), rel=0.1)


def test_a_draw_keeps_one_seed_of_each_size() -> None:
    kept = draw_seeds(simulated(4, 0.01), np.random.default_rng(4))
    assert (kept.groupby("params")["seed"].agg(set).map(len) == 1).all()
    assert len(kept) == len(SIZES) * len(TOKENS)


@pytest.mark.parametrize("count", [1, 4])
def test_resampled_seeds_vary_as_much_as_seeds_do(count: int) -> None:
    runs = simulated(3, 0.01)
    runs = runs[runs["params"] == SIZES[0]]
    rng = np.random.default_rng(5)
    drawn = pd.concat([resample_seeds(runs, rng, count) for _ in range(500)])
    first = drawn[np.isclose(drawn["tokens"], TOKENS[0])]["loss"]
    own = runs[np.isclose(runs["tokens"], TOKENS[0])]["loss"]
    assert first.std() == pytest.approx(own.std() / np.sqrt(count), rel=0.12)
    assert first.mean() == pytest.approx(own.mean(), rel=1e-3)


def test_without_noise_every_refit_finds_the_law() -> None:
    train, target = split_target(simulated(2, 0.0))
    table = refit_by_seed(train, target, np.random.default_rng(6), 3)
    np.testing.assert_allclose(table["error"], 0.0, atol=1e-8)


def test_amplification_agrees_with_simulation() -> None:
    noise, found = 0.001, []
    rng = np.random.default_rng(7)
    runs = synthetic_runs(LAW, SIZES, TOKENS, rng)
    for _ in range(80):
        table = synthetic_runs(LAW, SIZES, TOKENS, rng, model_noise=noise).assign(seed=0)
        goal = runs[runs["params"] == SIZES[-1]].assign(params=4 * SIZES[-1], seed=0)
        found.append(refit_by_seed(table, goal.tail(1), rng, 1)["predicted"].iloc[0])
    computed = amplification(LAW, runs, 4 * SIZES[-1], TOKENS[-1])
    assert np.std(found) / np.mean(found) == pytest.approx(noise * computed, rel=0.25)


def test_two_seeds_divide_the_variance_by_two() -> None:
    runs = synthetic_runs(LAW, SIZES, TOKENS, np.random.default_rng(8))
    twice = pd.concat([runs, runs.assign(run=runs["run"].astype("str") + "-again")])
    one, two = (amplification(LAW, r, 1e10, 2e11) for r in (runs, twice))
    assert two == pytest.approx(one / np.sqrt(2), rel=1e-9)


def test_what_a_fit_holds_does_not_move() -> None:
    runs = synthetic_runs(LAW, SIZES[:2], TOKENS, np.random.default_rng(9))
    free = gradient(LAW, runs["params"], runs["tokens"])[:, [0, 1, 2, 4]]
    at = gradient(LAW, [1e10], np.array([2e11]))[0][[0, 1, 2, 4]]
    weights = at @ np.linalg.pinv(free, rcond=1e-14) * LAW.predict(runs["params"], runs["tokens"])
    by_run = pd.Series(weights).groupby(run_units(runs).to_numpy()).sum()
    expected = np.sqrt((by_run**2).sum()) / LAW.predict(1e10, 2e11)
    assert amplification(LAW, runs, 1e10, 2e11) == pytest.approx(expected, rel=1e-6)


def test_gradient_is_the_derivative() -> None:
    step = 1e-6
    numbers = np.array([LAW.E, np.log(LAW.A), np.log(LAW.B), LAW.alpha, LAW.beta])

    def value(v: np.ndarray) -> float:
        law = ScalingLaw(E=v[0], A=np.exp(v[1]), B=np.exp(v[2]), alpha=v[3], beta=v[4])
        return float(law.predict(1e9, 1e11))

    found = [
        (value(numbers + step * unit) - value(numbers - step * unit)) / (2 * step)
        for unit in np.eye(5)
    ]
    np.testing.assert_allclose(gradient(LAW, [1e9], np.array([1e11]))[0], found, rtol=1e-6)


def test_family_amplification_takes_the_law_of_the_cell() -> None:
    runs = synthetic_runs(LAW, SIZES, TOKENS, np.random.default_rng(10), family="f")
    numbers = {"E": LAW.E, "A": LAW.A, "B": LAW.B, "alpha": LAW.alpha, "beta": LAW.beta}
    cell = {"family": ["f"], "method": "least_squares", "n_models": 5, "fraction": 1.0}
    cells = pd.DataFrame(cell | {"status": "ok", "are": 0.01} | numbers)
    train = split_target(runs).train
    expected = amplification(LAW, train, SIZES[-1], TOKENS[-1])
    assert family_amplification(cells, runs)["f"] == pytest.approx(expected)


def test_share_is_all_seeds_where_the_law_is_true() -> None:
    found = seed_share(simulated(20, 0.003), np.random.default_rng(11), 20)
    assert found["repeated"] == found["sizes"] == len(SIZES) - 1
    assert found["share"] > 0.5  # the rest is the chance in the mean of twenty seeds
    assert found["target"] == pytest.approx(0.003, rel=0.5)
    with pytest.raises(SelectionError, match="nothing to choose"):
        seed_share(simulated(1, 0.003), np.random.default_rng(12))


def test_ladder_repeats_need_both_trainings() -> None:
    runs = pd.DataFrame(
        {
            "run": ["a-1xc", "a-1xc-rerun", "b-1xc"],
            "params": [1e8, 1e8, 2e8],
            "tokens": [2e9, 2e9, 4e9],
            "loss": [3.6, 3.5, 3.2],
        }
    )
    assert ladder_repeats(runs)["run"].tolist() == ["a-1xc", "a-1xc-rerun"]


def test_designs_cost_the_same() -> None:
    table = equal_cost_designs(simulated(6, 0.001), np.random.default_rng(13), 10)
    assert table["seeds"].tolist() == [1, 2]
    assert table["cost"].between(0.9, 1.1).all()
    assert equal_cost_designs(simulated(1, 0.001), np.random.default_rng(13), 10).empty


def test_repeats_do_not_make_up_for_a_farther_jump() -> None:
    rng = np.random.default_rng(14)
    table = simulated_designs(LAW, SIZES, TOKENS, rng, run_noise=0.002, draws=40)
    assert table["seeds"].tolist() == [1, 2]
    assert table["spread"].iloc[1] > table["spread"].iloc[0]
    at = SIZES[-1], TOKENS[-1]
    runs = synthetic_runs(LAW, SIZES[:-1], TOKENS, rng)
    assert table["spread"].iloc[0] == pytest.approx(0.002 * amplification(LAW, runs, *at), rel=0.3)
