import joblib
import pandas as pd
import pytest
from joblib.parallel import ThreadingBackend

from scaling_utils import backtest
from scaling_utils.bootstrap import bootstrap_laws
from scaling_utils.grids import compute_grid
from scaling_utils.jobs import run_jobs
from tests.problems import grid_family


class OnlyLists(ThreadingBackend):
    """A backend that cannot hand out results one by one."""

    supports_retrieve_callback = False


def test_results_are_in_order_and_a_bar_is_drawn_if_asked(capsys) -> None:  # type: ignore[no-untyped-def]
    work = [(k, 3) for k in range(20)]
    expected = [divmod(*pair) for pair in work]
    assert run_jobs(divmod, work, name="pairs") == expected
    assert capsys.readouterr().err == ""
    assert run_jobs(divmod, work, n_jobs=1, name="pairs", progress=True) == expected
    assert "pairs: 100%" in capsys.readouterr().err
    assert run_jobs(divmod, []) == []


def test_a_backend_without_generators_will_do() -> None:
    joblib.register_parallel_backend("only-lists", OnlyLists)
    with joblib.parallel_config("only-lists", n_jobs=2):
        with pytest.raises(ValueError, match="does not support return_as=generator"):
            joblib.Parallel(return_as="generator")
        assert run_jobs(divmod, [(7, 2), (9, 4)]) == [(3, 1), (2, 1)]


@pytest.fixture(scope="module")
def cluster():  # type: ignore[no-untyped-def]
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as machines,
        distributed.Client(machines) as client,
    ):
        yield client


def test_a_cluster_gives_the_numbers_of_one_process(cluster) -> None:  # type: ignore[no-untyped-def]
    runs = grid_family()
    here = bootstrap_laws(runs, 600, seed=5)
    with joblib.parallel_config("dask"):
        there = bootstrap_laws(runs, 600, seed=5)
        cells = run_jobs(backtest, [(runs, "smallest"), (runs, "window")], progress=True)
    pd.testing.assert_frame_equal(here, there)
    pd.testing.assert_frame_equal(cells[1], backtest(runs, "window"))


@pytest.mark.needs_published
def test_a_cluster_gives_the_grid_of_one_process(cluster) -> None:  # type: ignore[no-untyped-def]
    some = {"families": ["opt", "olmo"], "methods": ["least_squares"]}
    here = compute_grid("single", **some)  # type: ignore[arg-type]
    with joblib.parallel_config("dask"):
        there = compute_grid("single", **some)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(here, there)
