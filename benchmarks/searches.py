"""Does the search arrive: our fits against the best of many starts on random problems."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from scaling_utils import fit_law
from scaling_utils.errors import FitError
from scaling_utils.fit_studies import random_family
from scaling_utils.fitting.guide import fit_guide
from scaling_utils.fitting.log_huber import fit_log_huber
from scaling_utils.fitting.varpro import EXPONENT_BOX, fit_varpro
from scaling_utils.grids import code_mark
from scaling_utils.jobs import run_jobs
from scaling_utils.objective import search, start_grid

ARRIVED = 1e-6
"""Relative excess over the lowest value that anyone found, up to which a search has arrived."""

SEED = 16
POLISHED = 3
"""Ends of L-BFGS that are polished: by itself it stops short in a narrow valley."""

SCALE = {"squares": 1e3, "log_huber": 1e6}
"""What the opponent's objective is multiplied by, so that its stopping rule is not met at once."""

FITS: dict[str, Callable[..., tuple[dict[str, float], float]]] = {
    "squares": fit_varpro,
    "log_huber": fit_log_huber,
}
COLUMNS = ("params", "tokens", "loss")
NAMES = {"squares": "least_squares", "log_huber": "log_huber"}


def many_starts(runs: pd.DataFrame, starts: np.ndarray, loss: str) -> tuple[float, float]:
    """Search by L-BFGS from many starts, and polish what looks best.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.
    starts : numpy.ndarray of shape (k, 5)
        Starts.
    loss : {"squares", "log_huber"}
        Objective.

    Returns
    -------
    float
        The lowest objective found.
    float
        CPU seconds.
    """
    begin = time.process_time()
    scale = SCALE[loss]
    ends = search(runs, starts, loss, scale=scale, most=300).nsmallest(POLISHED, "objective")
    with np.errstate(divide="ignore"):
        logs = np.clip(np.log(ends[["A", "B", "E"]].to_numpy("float64")), -40, 60)
    again = np.column_stack([logs, ends[["alpha", "beta"]]])
    further = search(runs, again, loss, scale=1e3 * scale)["objective"].tolist()
    if loss == "squares":
        further += search(runs, again, algorithm="trf")["objective"].tolist()
    return float(min([*ends["objective"], *further])), time.process_time() - begin


def problem(number: int, starts: int, loss: str, _code: str) -> dict[str, float]:
    """Solve one random problem by every method.

    Parameters
    ----------
    number : int
        Which problem.
    starts : int
        Starts of the opponent.
    loss : {"squares", "log_huber"}
        Objective.
    _code : str
        Mark of the code, so that a kept result is not used after a change.

    Returns
    -------
    dict of str to float
        ``{method} objective`` and ``{method} seconds``.
    """
    rng = np.random.default_rng([SEED, number])
    _, runs = random_family(rng)
    drawn = start_grid(max(starts, 1), rng)
    params, tokens, losses = (runs[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    out: dict[str, float] = {}

    def record(name: str, function: Callable[[], float]) -> None:
        begin = time.process_time()
        try:
            out[f"{name} objective"] = function()
        except FitError:  # one local search can give up
            out[f"{name} objective"] = np.inf
        out[f"{name} seconds"] = time.process_time() - begin

    record(NAMES[loss], lambda: FITS[loss](params, tokens, losses, {})[1])
    one = drawn[:1]
    if loss == "squares":
        record("curve_fit, guide's start", lambda: fit_guide(params, tokens, losses, {})[1])
        record(
            "TRF, one start", lambda: float(search(runs, one, algorithm="trf")["objective"].iloc[0])
        )
    record(
        "L-BFGS, one start",
        lambda: float(search(runs, one, loss, scale=SCALE[loss])["objective"].iloc[0]),
    )
    name = f"L-BFGS, {starts} starts"
    out[f"{name} objective"], out[f"{name} seconds"] = many_starts(runs, drawn, loss)
    return out


def code(loss: str) -> str:
    """Mark of the code that decides what the results of a problem are."""
    ours = {
        "squares": ("fitting.guide", "fitting.varpro"),
        "log_huber": ("fitting.log_huber", "fitting.varpro"),
    }
    return code_mark(("objective", "fit_studies", *ours[loss]))


def solve(
    problems: int, starts: int, loss: str, *, folder: Path | None, n_jobs: int, progress: bool
) -> pd.DataFrame:
    """Solve many random problems, keeping each on the way.

    Parameters
    ----------
    problems, starts : int
        How many.
    loss : {"squares", "log_huber"}
        Objective.
    folder : pathlib.Path or None
        Where solved problems are kept, so that an interrupted benchmark goes on.
    n_jobs : int
        Processes.
    progress : bool
        Show a bar.

    Returns
    -------
    pandas.DataFrame
        One row for each problem, as :func:`problem` returns it.
    """
    function: Any = problem
    if folder is not None:
        function = joblib.Memory(folder, verbose=0).cache(problem)
    work = [(number, starts, loss, code(loss)) for number in range(problems)]
    name = f"{loss}, {problems} problems"
    return pd.DataFrame(run_jobs(function, work, n_jobs=n_jobs, name=name, progress=progress))


def summary(solved: pd.DataFrame) -> pd.DataFrame:
    """Sum up solved problems by method.

    Parameters
    ----------
    solved : pandas.DataFrame
        Result of :func:`solve`.

    Returns
    -------
    pandas.DataFrame
        Indexed by method: ``seconds`` (median CPU time of a problem), ``ratio`` (median over
        problems of the time over that of the first method), ``arrived`` (share of problems within
        :data:`ARRIVED` of the lowest value found by anyone), ``excess`` (the largest relative
        excess over the best of the other methods where there is a law; negative if always lower)
        and ``failed`` (problems for which there is none).

    Examples
    --------
    >>> solved = pd.DataFrame({
    ...     "a objective": [1.0, 1.0], "a seconds": [1.0, 1.0],
    ...     "b objective": [1.0, 2.0], "b seconds": [3.0, 3.0]})
    >>> summary(solved)[["ratio", "arrived"]].values.tolist()
    [[1.0, 1.0], [3.0, 0.5]]
    """
    names = [c.removesuffix(" objective") for c in solved.columns if c.endswith(" objective")]
    found = solved[[f"{name} objective" for name in names]].set_axis(names, axis=1)
    times = solved[[f"{name} seconds" for name in names]].set_axis(names, axis=1)
    lowest = found.min(axis=1)
    others = pd.DataFrame({name: found.drop(columns=name).min(axis=1) for name in names})
    return pd.DataFrame(
        {
            "seconds": times.median(),
            "ratio": times.div(times[names[0]], axis=0).median(),
            "arrived": (found.div(lowest, axis=0) <= 1 + ARRIVED).mean(),
            "excess": (found / others - 1).where(np.isfinite(found)).max(),
            "failed": (~np.isfinite(found)).sum(),
        }
    ).rename_axis("method")


def inside_the_box(solved: pd.DataFrame) -> pd.DataFrame:
    """Look apart at problems whose least squares has no exponent at an edge of its box.

    A search by L-BFGS knows no box.  Where an exponent leaves that of
    :mod:`scaling_utils.fitting.varpro` its term is all but a constant, or all but gone, and the two
    differ by construction; ``fit_law`` warns of it.

    Parameters
    ----------
    solved : pandas.DataFrame
        Result of :func:`solve` for squares.

    Returns
    -------
    pandas.DataFrame
        One row: ``size``, problems inside; ``arrived`` and ``excess`` of least squares there, as in
        :func:`summary`.
    """
    low, high = EXPONENT_BOX
    inside = []
    for number in range(len(solved)):
        _, runs = random_family(np.random.default_rng([SEED, number]))
        params, tokens, losses = (runs[c].to_numpy("float64") for c in COLUMNS)
        law, _ = fit_varpro(params, tokens, losses, {})
        ends = law["alpha"], law["beta"]
        inside.append(low * (1 + ARRIVED) < min(ends) and max(ends) < high * (1 - ARRIVED))
    table = summary(solved[inside])
    row = table.loc[[NAMES["squares"]], ["arrived", "excess"]]
    return row.assign(size=sum(inside)).rename_axis("method").reset_index()


def recovery(problems: int) -> float:
    """Return the largest relative error of any of five numbers on problems without noise.

    Parameters
    ----------
    problems : int
        How many.

    Returns
    -------
    float
        Over problems whose parameters the data determine: five sizes or more.
    """
    worst, number, done = 0.0, 0, 0
    while done < problems:
        law, runs = random_family(np.random.default_rng([SEED + 1, number]), noise=0.0)
        number += 1
        if runs["params"].nunique() < 5:
            continue
        done += 1
        found = fit_law(runs, method="least_squares")
        for name in ("E", "A", "B", "alpha", "beta"):
            worst = max(worst, abs(getattr(found, name) / getattr(law, name) - 1))
    return worst
