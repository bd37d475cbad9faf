"""The default estimator on the guide's grids, beside the methods that reproduce the guide.

The guide's chapters show its grids as ``curve_fit`` and least squares fill them.  This module fills
the same cells by the default of :func:`scaling_utils.fit_law`, whose prior never has anything of
the family's own group, and lays the three side by side.

``python -m scaling_utils.beside`` computes the cells; :func:`load_beside` reads what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scaling_utils.backtest import backtest
from scaling_utils.errors import UnknownOptionError
from scaling_utils.fitting.prior import pool
from scaling_utils.grids import GRIDS, code_mark, covered, fingerprint, load_grid, thinned
from scaling_utils.jobs import run_jobs
from scaling_utils.kept import kept_path, load_kept, mark_of, save_kept
from scaling_utils.published.catalogue import catalogue
from scaling_utils.runs import load_runs
from scaling_utils.selection import sizes

DESIGNS = ("smallest", "uncut", "window", "n-by-size", "last", "single")
"""Grids of :data:`scaling_utils.grids.GRIDS` that laws are fitted in."""

COMPARED = ("pooled", "least_squares", "curve_fit")
"""Methods side by side, the default first."""

CELL = ["grid", "family", "n_models", "smallest_params", "fraction"]
KEPT = [*CELL, "scale_up", "flops", "are", "signed_error", "status"]
CODE = ("posterior", "schedules", "fitting.pooled", "fitting.prior", "beside")


def default_cells(name: str, family: str) -> pd.DataFrame:
    """Fill one family's cells of a grid by the default estimator.

    Parameters
    ----------
    name : str
        One of :data:`DESIGNS`.
    family : str
        A published family, in the corrected variant of its runs.

    Returns
    -------
    pandas.DataFrame
        One row for each attempted cell: ``grid``, ``family``, ``n_models``, ``smallest_params``,
        ``fraction``, ``scale_up``, ``flops``, ``are``, ``signed_error`` and ``status``, as in
        :func:`scaling_utils.backtest`.

    Raises
    ------
    UnknownOptionError
        If no law is fitted in a grid of that name.

    Notes
    -----
    In the grid ``"single"`` the guide borrows *A* and alpha from other families.  The default holds
    nothing: its prior has the place of the loan.
    """
    if name not in DESIGNS:
        raise UnknownOptionError(f"{name!r} has no laws: choose one of {list(DESIGNS)}.")
    grid = GRIDS[name]
    runs = load_runs(family, progress=False)
    options = dict(grid.options)
    if grid.n_models == "thinned":
        options["n_models"] = thinned(len(sizes(runs)) - 1)
    cells = backtest(runs, method="pooled", fixed={}, **options).assign(grid=name)
    cells["status"] = np.where(cells["status"] == "ok", "ok", "failed")
    return cells[KEPT]


def compute_beside(*, n_jobs: int | None = None, progress: bool = False) -> pd.DataFrame:
    """Fill all grids by the default estimator.

    Parameters
    ----------
    n_jobs : int, optional
        Processes, for ``joblib.Parallel``; what ``joblib.parallel_config`` says by default.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        Result of :func:`default_cells` for each grid and family, one below the other.
    """
    work = [(name, family) for name in DESIGNS for family in covered()]
    parts = run_jobs(default_cells, work, n_jobs=n_jobs, name="default", progress=progress)
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(CELL, kind="stable", ignore_index=True)


def beside_mark() -> str:
    """Fingerprint of the code and the data behind the cells.

    Returns
    -------
    str
        Changes when the numbers could.
    """
    return code_mark(CODE, *map(fingerprint, covered()), pool().to_csv(index=False))


def load_default() -> pd.DataFrame:
    """Read the kept cells of the default estimator.

    Returns
    -------
    pandas.DataFrame
        As :func:`compute_beside` returns them.

    Raises
    ------
    DataFileError
        If they are missing or belong to other code or data.
    """
    return load_kept(kept_path("default"), beside_mark(), "'python -m scaling_utils.beside'")


def load_beside(name: str) -> pd.DataFrame:
    """Lay the methods side by side on the cells of a grid that all of them could fill.

    Parameters
    ----------
    name : str
        One of :data:`DESIGNS`.

    Returns
    -------
    pandas.DataFrame
        One row for each cell: ``group``, ``family``, ``n_models``, ``smallest_params``,
        ``largest_params``, ``fraction``, ``scale_up``, ``flops`` and the ARE (a fraction) of each
        of :data:`COMPARED`.

    Raises
    ------
    UnknownOptionError
        If no law is fitted in a grid of that name.
    DataFileError
        If a kept table is missing or belongs to other code or data.
    """
    if name not in DESIGNS:
        raise UnknownOptionError(f"{name!r} has no laws: choose one of {list(DESIGNS)}.")
    grid = load_grid(name)
    grid = grid[(grid["variant"] == "corrected") & grid["method"].isin(COMPARED)]
    own = load_default()
    both = pd.concat([grid, own[own["grid"] == name].assign(method="pooled")])
    both = both[both["status"] == "ok"]
    wide = both.pivot(index=CELL, columns="method", values="are").dropna()
    about = grid.drop_duplicates(CELL).set_index(CELL)[["largest_params", "scale_up", "flops"]]
    out = wide.join(about).reset_index().drop(columns="grid").rename_axis(columns=None)
    out.insert(0, "group", out["family"].map(lambda f: catalogue()[f].group))
    front = ["group", *CELL[1:], "largest_params", "scale_up", "flops"]
    return out[[*front, *COMPARED]]


def typical(
    cells: pd.DataFrame,
    by: str | None = None,
    *,
    statistic: str = "mean",
    methods: Sequence[str] = COMPARED,
) -> pd.DataFrame:
    """Average errors so that families count alike within a group, and groups alike.

    Parameters
    ----------
    cells : pandas.DataFrame
        Result of :func:`load_beside`, or a part of it, with a column to sort by if need be.
    by : str, optional
        Column to show apart, for instance ``"group"`` or ``"n_models"``; by default one row.
    statistic : {"mean", "median"}
        Average over the cells of a family.  A mean is what the guide prints; single laws that run
        away do not move a median.
    methods : sequence of str
        Columns to average.

    Returns
    -------
    pandas.DataFrame
        The error of each method (a fraction); ``ratio``, the first method's over the last's;
        ``groups`` and ``cells``, how many are behind a row.

    Raises
    ------
    UnknownOptionError
        If ``statistic`` is neither of the two.

    Examples
    --------
    >>> cells = pd.DataFrame({
    ...     "group": ["a", "a", "b"], "family": ["x", "x", "y"], "fraction": [0.5, 1.0, 1.0],
    ...     "pooled": [0.01, 0.03, 0.04], "curve_fit": [0.04, 0.04, 0.08]})
    >>> typical(cells, methods=["pooled", "curve_fit"]).round(3)
         pooled  curve_fit  ratio  groups  cells
    all    0.03       0.06    0.5       2      3
    """
    averages = ("mean", "median")
    if statistic not in averages:
        raise UnknownOptionError(f"statistic = {statistic!r}: choose 'mean' or 'median'.")
    table = cells.assign(_all="all") if by is None else cells.assign(_all=cells[by])
    table = table.assign(_group=table["group"], _family=table["family"])
    families = table.groupby(["_all", "_group", "_family"], observed=True)[list(methods)]
    groups = families.agg(statistic).groupby(["_all", "_group"], observed=True).mean()
    out = groups.groupby("_all", observed=True).mean()
    out["ratio"] = out[methods[0]] / out[methods[-1]]
    out["groups"] = groups.groupby("_all", observed=True).size()
    out["cells"] = table.groupby("_all", observed=True).size()
    return out.rename_axis(by)


def main() -> None:
    """Compute the cells and keep them."""
    path = kept_path("default")
    if mark_of(path) == beside_mark():
        print("default: fresh")
        return
    save_kept(compute_beside(n_jobs=-1, progress=True), path, beside_mark())
    for name in DESIGNS:
        print(name, typical(load_beside(name)).round(4).to_string(), sep="\n")


if __name__ == "__main__":
    main()
