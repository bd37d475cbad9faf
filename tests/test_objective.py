import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad, nnls

from scaling_utils import ScalingLaw, fit_law, load_runs
from scaling_utils.errors import UnknownOptionError
from scaling_utils.fit_studies import random_family
from scaling_utils.fitting.guide import fit_guide
from scaling_utils.objective import (
    GUIDE_START,
    near_best,
    objective,
    search,
    start_grid,
    valley,
)
from tests.problems import TRUTH, grid_family

HOFFMANN = ScalingLaw(1.6934, 406.4, 410.7, 0.33917, 0.28491)
PRINTED = ScalingLaw(1.69, 406.4, 410.7, 0.34, 0.28)
BESIROGLU = ScalingLaw(1.8169, 482.01, 2085.43, 0.3478, 0.3659)


def arrays(runs: pd.DataFrame):  # type: ignore[no-untyped-def]
    return tuple(runs[c].to_numpy() for c in ("params", "tokens", "loss"))


def test_objective_by_hand() -> None:
    law = ScalingLaw(E=1.0, A=10.0, B=100.0, alpha=0.5, beta=0.5)  # 3 at the place below
    runs = pd.DataFrame({"params": [100.0] * 3, "tokens": [1e4] * 3, "loss": [3.0, 2.9, 3.0006]})
    assert objective(law, runs) == pytest.approx(0.1**2 + 0.0006**2, rel=1e-9)
    large, small = np.log(3 / 2.9), np.log(3.0006 / 3)
    huber = 1e-3 * (large - 0.5e-3) + small**2 / 2
    assert objective(law, runs, "log_huber") == pytest.approx(huber, rel=1e-9)
    assert objective(law, runs, "log_huber", delta=1.0) == pytest.approx(
        (large**2 + small**2) / 2, rel=1e-9
    )
    with pytest.raises(UnknownOptionError, match="log_huber"):
        objective(law, runs, "absolute")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.2), st.floats(0.05, 1.2))
def test_a_valley_of_squares_is_exact(seed: int, alpha: float, beta: float) -> None:
    _, runs = random_family(np.random.default_rng(seed))
    ground = valley(runs, [alpha], [beta])
    n, d, y = arrays(runs)
    columns = np.column_stack([np.ones_like(y), (n / n.mean()) ** -alpha, (d / d.mean()) ** -beta])
    _, norm = nnls(columns, y)
    assert ground.heights[0, 0] == pytest.approx(norm**2, rel=1e-5, abs=1e-9)
    assert objective(ground.law(0, 0), runs) == pytest.approx(
        ground.heights[0, 0], rel=1e-5, abs=1e-9
    )


@pytest.mark.parametrize("loss", ["squares", "log_huber"])
def test_the_law_of_a_place_has_the_height_of_the_place(loss: str) -> None:
    _, runs = random_family(np.random.default_rng(3))
    ground = valley(runs, np.linspace(0.1, 1, 4), np.linspace(0.1, 1, 5), loss)
    for i in range(4):
        for j in range(5):
            assert objective(ground.law(i, j), runs, loss) == pytest.approx(
                ground.heights[i, j], rel=1e-5
            )


@pytest.mark.parametrize(
    ("loss", "method"), [("squares", "least_squares"), ("log_huber", "log_huber")]
)
def test_no_place_is_lower_than_the_fit_and_one_comes_close(loss: str, method: str) -> None:
    _, runs = random_family(np.random.default_rng(4))
    law = fit_law(runs, method=method)
    assert law.report is not None
    best, alpha, beta = law.report.objective, law.alpha, law.beta
    near = valley(runs, alpha * np.linspace(0.9, 1.1, 21), beta * np.linspace(0.9, 1.1, 21), loss)
    assert near.heights.min() >= best * (1 - 1e-9)
    assert near.heights.min() == pytest.approx(best, rel=0.02)
    assert near.lowest.alpha == pytest.approx(alpha, rel=0.02)


def test_a_valley_lists_what_is_near_its_bottom() -> None:
    ground = valley(grid_family(), [0.3, 0.35, 0.4], [0.3, 0.37, 0.4])
    assert pytest.approx(TRUTH.E, rel=1e-5) == ground.lowest.E
    listed = ground.within(1.5, best=float(np.sort(ground.heights.ravel())[1]))
    assert len(listed) >= 2
    assert listed["objective"].max() <= 1.5 * np.sort(ground.heights.ravel())[1]
    row = listed.iloc[0]
    law = ScalingLaw(row["E"], row["A"], row["B"], row["alpha"], row["beta"])
    assert objective(law, grid_family()) == pytest.approx(row["objective"], rel=1e-4, abs=1e-8)
    with pytest.raises(UnknownOptionError, match="above zero"):
        valley(grid_family(), [0.0, 0.1], [0.1])


def test_starts_are_those_of_hoffmann() -> None:
    grid = start_grid()
    assert grid.shape == (4500, 5)
    assert len(np.unique(grid, axis=0)) == 4500
    assert grid.min(axis=0).tolist() == [0, 0, -1, 0, 0]
    assert grid.max(axis=0).tolist() == [25, 25, 1, 2, 2]
    some = start_grid(50, np.random.default_rng(1))
    assert len(np.unique(some, axis=0)) == 50
    assert {tuple(s) for s in some} <= {tuple(s) for s in grid}
    with pytest.raises(UnknownOptionError, match="4500"):
        start_grid(5)
    with pytest.raises(UnknownOptionError, match="4500"):
        start_grid(5000, np.random.default_rng(1))


def test_trf_is_the_search_of_the_guide() -> None:
    _, runs = random_family(np.random.default_rng(5))
    _, guide = fit_guide(*arrays(runs), {})
    end = search(runs, [GUIDE_START], algorithm="trf").iloc[0]
    assert end["objective"] == pytest.approx(guide, rel=1e-6)


@pytest.mark.parametrize("loss", ["squares", "log_huber"])
def test_a_search_goes_down_and_reports_its_own_objective(loss: str) -> None:
    _, runs = random_family(np.random.default_rng(6))
    start = np.array([3.0, 5.0, 0.2, 0.2, 0.3])
    a, b, e, alpha, beta = start
    first = objective(ScalingLaw(np.exp(e), np.exp(a), np.exp(b), alpha, beta), runs, loss)
    for scale in (1.0, 1e6):
        end = search(runs, [start], loss, scale=scale).iloc[0]
        law = ScalingLaw(end["E"], end["A"], end["B"], end["alpha"], end["beta"])
        assert objective(law, runs, loss) == pytest.approx(end["objective"], rel=1e-9)
        assert end["objective"] < first


@pytest.mark.parametrize("loss", ["squares", "log_huber"])
@pytest.mark.parametrize("theta", [[5.0, 6.0, 0.3, 0.3, 0.35], [2.0, 9.0, 0.7, 0.2, 0.5]])
def test_the_gradient_of_a_search_is_right(
    monkeypatch: pytest.MonkeyPatch, loss: str, theta: list[float]
) -> None:
    import scaling_utils.objective as module

    seen = {}

    class End:
        x = np.array(theta)
        nfev = 1

    def spy(function, start, **_options):  # type: ignore[no-untyped-def]
        seen["function"] = function
        return End()

    monkeypatch.setattr(module, "minimize", spy)
    search(grid_family(), [theta], loss)
    function = seen["function"]
    point = np.array(theta)
    slope = function(point)[1]
    wrong = check_grad(lambda t: function(t)[0], lambda t: function(t)[1], point, epsilon=1e-7)
    assert wrong <= 1e-3 * np.linalg.norm(slope)


def test_scale_moves_where_the_search_stops_and_not_what_it_reports() -> None:
    _, runs = random_family(np.random.default_rng(7))
    starts = start_grid(10, np.random.default_rng(8))
    report = fit_law(runs, method="log_huber").report
    assert report is not None
    mean, large = (search(runs, starts, "log_huber", scale=s) for s in (1 / len(runs), 1e6))
    assert large["objective"].min() < mean["objective"].min()
    assert large["evaluations"].median() > mean["evaluations"].median()
    assert large["objective"].min() >= report.objective * (1 - 1e-9)


def test_searches_refuse_what_they_cannot_do() -> None:
    runs = grid_family()
    with pytest.raises(UnknownOptionError, match="lbfgs"):
        search(runs, [GUIDE_START], algorithm="newton")
    with pytest.raises(UnknownOptionError, match="least squares only"):
        search(runs, [GUIDE_START], "log_huber", algorithm="trf")


def test_near_best_counts() -> None:
    assert near_best(pd.Series([1.0, 1.0099, 1.02, np.inf]), 1.0) == 0.5
    assert near_best(np.array([3.0]), 1.0, within=2.0) == 1.0


@pytest.mark.needs_published
def test_published_constants_and_the_minimum_of_their_objective() -> None:
    runs = load_runs("chinchilla")
    least = 1.018274e-3  # found by three independent programs
    assert objective(BESIROGLU, runs, "log_huber") / least == pytest.approx(1.00033, abs=2e-5)
    assert objective(HOFFMANN, runs, "log_huber") / least == pytest.approx(1.2094, abs=2e-4)
    assert objective(PRINTED, runs, "log_huber") / least == pytest.approx(4.047, abs=2e-3)
    ground = valley(runs, np.linspace(0.34, 0.355, 16), np.linspace(0.36, 0.375, 16), "log_huber")
    assert ground.heights.min() == pytest.approx(least, rel=1e-3)
    starts = [[6.0, 7.5, 0.6, 0.35, 0.37]]
    assert search(runs, starts, "log_huber", scale=1e6)["objective"].iloc[0] == pytest.approx(
        least, rel=1e-5
    )
