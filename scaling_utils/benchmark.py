"""What the fits take and how exact they are: a kept table.

``python -m benchmarks``, in the repository, measures it (``--full --keep`` for the table that is
kept); :func:`load_benchmark` reads it.  Seconds are those of one processor; ratios travel better.
"""

from __future__ import annotations

import pandas as pd

from scaling_utils.grids import code_mark
from scaling_utils.kept import kept_path, load_kept

SECTIONS = ("squares", "inside", "log_huber", "recovery", "checkpoints", "laws", "grids", "machine")
"""Parts of the table, see :func:`load_benchmark`."""

COLUMNS = ("section", "task", "method", "size", "seconds", "ratio", "arrived", "excess", "note")

CODE = (
    "backtest",
    "bootstrap",
    "objective",
    "fitting.batch",
    "fitting.fit",
    "fitting.guide",
    "fitting.log_huber",
    "fitting.nonnegative",
    "fitting.pooled",
    "fitting.varpro",
)
"""Modules that are measured."""


def benchmark_mark() -> str:
    """Fingerprint of the code that is measured.

    Returns
    -------
    str
        Changes when the figures could for reasons other than the machine.
    """
    return code_mark(CODE)


def load_benchmark(section: str | None = None) -> pd.DataFrame:
    """Read the kept benchmark.

    Parameters
    ----------
    section : str, optional
        ``"squares"`` and ``"log_huber"``: random problems, by each method (``size`` problems,
        CPU ``seconds`` of the median problem, ``ratio`` of times to the first method, the share
        that ``arrived``, the largest ``excess``); ``"inside"``: the same of least squares where no
        exponent is at an edge of its box; ``"recovery"``: largest relative error without
        noise (``excess``); ``"checkpoints"``: seconds of one ``fit_law`` by number of checkpoints;
        ``"laws"``: seconds of all laws, by number of laws; ``"grids"``: of the guide's grids;
        ``"machine"``: what it was measured on (``task`` and ``note``).  By default all.

    Returns
    -------
    pandas.DataFrame
        Columns ``COLUMNS`` of this module; those that a section does not fill are dropped if it is
        named.

    Raises
    ------
    DataFileError
        If the table is missing or was measured on other code.
    """
    again = "'python -m benchmarks --full --keep' in the repository"
    table = load_kept(kept_path("benchmark"), benchmark_mark(), again)
    if section is None:
        return table
    return table[table["section"] == section].dropna(axis=1, how="all").reset_index(drop=True)
