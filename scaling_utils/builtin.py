"""Built-in families: training runs that ship with the package.

The tables ``house/runs.parquet`` (made by the trainer) and ``house/markov.parquet`` (made by
:mod:`scaling_utils.live`) hold every checkpoint of every run, of three kinds told apart by the
column ``kind``: ``"decayed"`` (the end of a run whose learning rate was decayed), ``"raw"``
(inside a schedule), ``"averaged"`` (weights averaged over the last part of a run so far).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
import pandas as pd

from scaling_utils.errors import DataFileError

PROTOCOLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "corrected": (("decayed",), ("wsd",)),
    "upstream": (("decayed",), ("wsd",)),
    "checkpoints": (("raw",), ("constant",)),
    "averaged": (("averaged",), ("constant",)),
    "cosine": (("raw", "decayed"), ("cosine", "cosine-half")),
    "decayed": (("decayed",), ("wsd", "cosine", "cosine-half")),
    "seeds": (("decayed",), ("wsd",)),
}
"""Kinds and schedules of the rows that each variant keeps."""

WITH_HALF_SEEDS = ("seeds", "all")
"""Variants with runs of which only one of the two seeds is another: no independent repeats."""

VARIANTS = (*PROTOCOLS, "all")
"""Variants of every built-in family; ``upstream`` is ``corrected`` here."""

NEEDED = ("family", "run", "params", "tokens", "loss", "schedule", "kind", "status")
"""Columns without which the table cannot be used."""

FILES = ("runs.parquet", "markov.parquet")
"""Shipped tables."""

HELDOUT = "heldout.parquet"

LICENCE = "MIT"
CITATION = "this book"


@lru_cache(maxsize=1)
def table() -> pd.DataFrame:
    """Read the table of built-in runs.

    Returns
    -------
    pandas.DataFrame
        Every row, as shipped; empty if the package ships none.

    Raises
    ------
    DataFileError
        If the table is there but cannot be read or lacks a column.
    """
    parts = [part for part in map(_read, FILES) if part is not None]
    if not parts:
        return pd.DataFrame({column: pd.Series(dtype="str") for column in NEEDED})
    return pd.concat(parts, ignore_index=True)


def _read(name: str) -> pd.DataFrame | None:
    """Read one of the shipped tables; None if the package does not ship it."""
    file = resources.files("scaling_utils").joinpath("house", name)
    if not file.is_file():
        return None
    with resources.as_file(file) as path:
        try:
            runs = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise DataFileError(
                f"{path} cannot be read ({error}): it ships with the package; install that again."
            ) from error
    missing = [column for column in NEEDED if column not in runs.columns]
    if missing:
        raise DataFileError(
            f"{path} lacks the column(s) {missing}: it ships with the package; install that again."
        )
    return runs


def heldout() -> pd.DataFrame:
    """Return the losses of finished built-in runs on more text than at their checkpoints.

    Returns
    -------
    pandas.DataFrame
        One row for each decayed run: ``run``; ``loss`` on the sample that is used at checkpoints
        and ``loss_full`` on all held-out text, nats per byte; ``loss_full_se``, the standard error
        of the latter over windows.  Empty if the package ships none.

    Examples
    --------
    >>> {"run", "loss", "loss_full"} <= {*heldout().columns}
    True
    """
    file = resources.files("scaling_utils").joinpath("house", HELDOUT)
    if not file.is_file():
        return pd.DataFrame(columns=["run", "loss", "loss_full", "loss_full_se"])
    with resources.as_file(file) as path:
        return pd.read_parquet(path)


def builtin_families() -> tuple[str, ...]:
    """Return the names of the built-in families.

    Returns
    -------
    tuple of str
        In the order of the table; empty if the package ships none.
    """
    return tuple(dict.fromkeys(table()["family"].astype("str")))


def load_builtin(name: str, variant: str = "corrected") -> pd.DataFrame:
    """Return the rows of one built-in family, before tidying.

    Parameters
    ----------
    name : str
        A name of :func:`builtin_families`.
    variant : str, default "corrected"
        One protocol: ``"corrected"`` for the ends of runs with warm-up, constant rate and decay
        (WSD), ``"checkpoints"`` for the trunks at constant rate that these branch off,
        ``"averaged"`` for averages of the trunks' weights, ``"cosine"`` for runs under a cosine
        with their checkpoints.  Several: ``"decayed"`` for the ends under any schedule,
        ``"seeds"`` for those of ``"corrected"`` and of runs of which only the weights or only the
        order of the data come from another seed, ``"all"`` for every row, of diverged runs too.

    Returns
    -------
    pandas.DataFrame
        A table for :func:`scaling_utils.frame.tidy_runs`.  Runs that diverged are left out unless
        ``variant="all"``, rows without a finite loss always.  In ``"all"`` the run of an averaged
        row ends in ``-averaged``, since its raw twin is there too.  Runs whose two seeds differ
        share one of them with others and are no independent repeats: only ``"seeds"`` and
        ``"all"`` have them.
    """
    runs = table()
    runs = runs[runs["family"] == name]
    if variant == "all":
        twin = runs["kind"] == "averaged"
        runs = runs.assign(run=runs["run"].where(~twin, runs["run"].astype("str") + "-averaged"))
    else:
        kinds, schedules = PROTOCOLS[variant]
        runs = runs[runs["kind"].isin(kinds) & runs["schedule"].isin(schedules)]
        runs = runs[~runs["status"].astype("str").str.contains("diverged")]
    if variant not in WITH_HALF_SEEDS and {"init_seed", "data_seed"} <= {*runs.columns}:
        both = runs["init_seed"].notna() & runs["data_seed"].notna()
        runs = runs[~(both & (runs["init_seed"] != runs["data_seed"])).astype("bool")]
    return runs[np.isfinite(runs["loss"].astype("float64"))].reset_index(drop=True)
