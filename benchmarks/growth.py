"""How time grows with checkpoints and with laws, and what the guide's grids take."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.timing import in_turn
from scaling_utils import ScalingLaw, backtest, fit_law
from scaling_utils.bootstrap import bootstrap_laws
from scaling_utils.fitting.guide import fit_guide
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.grids import GRIDS, VARIANTS, Grid, covered, thinned
from scaling_utils.jobs import run_jobs
from scaling_utils.published.catalogue import catalogue
from scaling_utils.runs import load_runs
from scaling_utils.selection import sizes
from scaling_utils.simulate import simulate_family

TRUTH = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
RUNS = 7
METHODS = ("least_squares", "log_huber", "pooled", "curve_fit")
LAW_GRIDS = ("smallest", "uncut", "window", "n-by-size", "last", "single")


def family(checkpoints: int) -> pd.DataFrame:
    """Make seven runs of so many checkpoints in all.

    Parameters
    ----------
    checkpoints : int
        At least seven.

    Returns
    -------
    pandas.DataFrame
        A family with known truth.
    """
    each = -(-checkpoints // RUNS)
    runs = simulate_family(
        TRUTH,
        np.geomspace(1e8, 1e10, RUNS).tolist(),
        (3e11 * np.arange(1, each + 1) / each).tolist(),
        np.random.default_rng(each),
        checkpoint_noise=0.003,
        run_noise=0.003,
    )
    return runs.groupby("run").head(each).iloc[:checkpoints]


def by_checkpoints(counts: Iterable[int], rounds: int) -> pd.DataFrame:
    """Time ``fit_law``, its checks and warnings included, on ever more checkpoints.

    Parameters
    ----------
    counts : iterable of int
        Numbers of checkpoints.
    rounds : int
        Rounds for the smallest of them; fewer where one takes long.

    Returns
    -------
    pandas.DataFrame
        ``method``, ``size``, ``seconds`` and ``ratio`` to ``least_squares``.
    """
    parts = []
    for count in counts:
        runs = family(count)
        work = {method: partial(quiet_fit, runs, method) for method in METHODS}
        table = in_turn(work, max(1, min(rounds, 100_000 // count))).rename_axis("method")
        parts.append(table.reset_index().assign(size=count))
    return pd.concat(parts, ignore_index=True)


def quiet_fit(runs: pd.DataFrame, method: str) -> ScalingLaw:
    """Fit without printing the warnings, which cost what they cost."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_law(runs, method=method)


def by_laws(counts: Iterable[int], runs: pd.DataFrame) -> pd.DataFrame:
    """Time resampled refits of one family, all at once, and one by one.

    Parameters
    ----------
    counts : iterable of int
        Numbers of laws that are fitted at once.
    runs : pandas.DataFrame
        The family.

    Returns
    -------
    pandas.DataFrame
        ``method``, ``size``, ``seconds`` (of all laws) and ``ratio``, the time of a law over that
        of a law in the largest batch.  One by one, a hundred are fitted.
    """
    rows = []
    for count in counts:
        begin = time.process_time()
        bootstrap_laws(runs, count, n_jobs=1)
        rows.append(("all at once", count, time.process_time() - begin))
    columns = [runs[c].to_numpy("float64") for c in ("params", "tokens", "loss")]
    group, names = pd.factorize(runs["run"])
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=100)
    drawn = drawn[(drawn > 0).sum(axis=1) > 2]

    def all_by(fit: Callable[[np.ndarray], object]) -> float:
        begin = time.process_time()
        for times in drawn:
            fit(np.repeat(np.arange(len(group)), times[group]))
        return time.process_time() - begin

    one, guide = (
        all_by(lambda row, fit=fit: fit(*(c[row] for c in columns), {}))  # type: ignore[misc]
        for fit in (fit_varpro, fit_guide)
    )
    rows += [("one by one", len(drawn), one), ("curve_fit, one by one", len(drawn), guide)]
    table = pd.DataFrame(rows, columns=["method", "size", "seconds"])
    each = table["seconds"] / table["size"]
    at_once = each[table["method"] == "all at once"]
    return table.assign(ratio=each / at_once.iloc[-1])


def fill(runs: pd.DataFrame, grid: Grid, method: str) -> tuple[int, float]:
    """Fill one family's cells of a grid; return how many have a law, and CPU seconds."""
    options = dict(grid.options)
    if grid.n_models == "thinned":
        options["n_models"] = thinned(len(sizes(runs)) - 1)
    begin = time.process_time()
    cells = backtest(runs, method=method, **options)
    return int((cells["status"] == "ok").sum()), time.process_time() - begin


def guide_grids(
    method: str, names: Iterable[str] = LAW_GRIDS, *, progress: bool = False
) -> pd.DataFrame:
    """Time the guide's grids on one core, with the runs loaded before.

    Parameters
    ----------
    method : str
        Fitting method.
    names : iterable of str
        Grids.
    progress : bool
        Show a bar.

    Returns
    -------
    pandas.DataFrame
        ``method``, ``task`` (the grid), ``size`` (laws) and ``seconds``.
    """
    loaded = {
        (one, variant): load_runs(one, variant=variant, progress=False)
        for one in covered()
        for variant in VARIANTS
        if variant == "corrected" or catalogue()[one].upstream_name
    }
    rows = []
    for name in names:
        work = [(runs, GRIDS[name], method) for runs in loaded.values()]
        done = run_jobs(fill, work, n_jobs=1, name=f"{name}, {method}", progress=progress)
        laws, seconds = (sum(column) for column in zip(*done, strict=True))
        rows.append((method, name, laws, seconds))
    return pd.DataFrame(rows, columns=["method", "task", "size", "seconds"])
