r"""How far a run's learning-rate schedule has come, and what is still to be gained from it.

A checkpoint inside a schedule shows a higher loss than a run that ends there: its learning rate has
not come down yet.  A law is about finished runs, so a fit has to know which checkpoints are not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

PLANNED = "planned_tokens"
"""Column that says at how many tokens a run's schedule ends."""

REPEATS_WORTH = 15.387756
"""Repetitions after which a repeated token is worth 1/e of a fresh one: the constant
:math:`R_D^*` of Muennighoff et al. 2023 (arXiv 2305.16264)."""


def planned_tokens(runs: pd.DataFrame) -> Array:
    """Tokens at which the schedule of each checkpoint's run ends.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints with ``run`` and ``tokens``, and ``planned_tokens`` where it is known.

    Returns
    -------
    numpy.ndarray of shape (n,)
        The column ``planned_tokens``; where it is missing, the last tokens of the run in this
        table, as if its schedule ended there.

    Examples
    --------
    >>> runs = pd.DataFrame({"run": ["a", "a", "b"], "tokens": [1e9, 2e9, 3e9]})
    >>> planned_tokens(runs).tolist()
    [2000000000.0, 2000000000.0, 3000000000.0]
    >>> planned_tokens(runs.assign(planned_tokens=[8e9, 8e9, None])).tolist()
    [8000000000.0, 8000000000.0, 3000000000.0]
    """
    last = runs.groupby("run")["tokens"].transform("max").to_numpy("float64")
    if PLANNED not in runs.columns:
        return last
    planned = pd.to_numeric(runs[PLANNED]).to_numpy("float64", na_value=np.nan)
    return np.maximum(np.where(np.isfinite(planned), planned, last), last)


def unfinished(schedule: str, share: ArrayLike) -> Array:
    r"""Part of a schedule's decay that is still to come.

    Parameters
    ----------
    schedule : str
        The schedule in words; what counts is whether it says ``cosine`` or ``linear decay``.
    share : array_like
        Tokens over planned tokens.

    Returns
    -------
    numpy.ndarray
        1 at the start, 0 at the end: :math:`(1 + \cos \pi x)/2` for a cosine, :math:`1 - x` for a
        linear decay.  0 throughout for any other schedule, whose checkpoints are all alike or of
        which nothing is known.

    Examples
    --------
    >>> unfinished("cosine", [0.0, 0.5, 1.0]).round(3).tolist()
    [1.0, 0.5, 0.0]
    >>> unfinished("linear decay", [0.25]).tolist(), unfinished("constant", [0.25]).tolist()
    ([0.75], [0.0])
    """
    x = np.clip(np.asarray(share, dtype="float64"), 0.0, 1.0)
    name = schedule.lower()
    if "cosine" in name:
        return (1 + np.cos(np.pi * x)) / 2
    if "linear decay" in name:
        return 1 - x
    return np.zeros_like(x)


def unfinished_share(runs: pd.DataFrame) -> Array:
    r"""Part of its schedule's decay that each checkpoint has still before it.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints with ``run``, ``tokens`` and ``schedule``; ``planned_tokens`` and
        ``unique_tokens`` (tokens before the data repeat) where they are known.

    Returns
    -------
    numpy.ndarray of shape (n,)
        :func:`unfinished` for each row.  On repeated data a decay gains less, so that it is
        multiplied by what a token of the last repetition is worth, :math:`e^{-R/R_D^*}` with
        *R* the planned repetitions (Muennighoff et al. 2023, :data:`REPEATS_WORTH`).

    Examples
    --------
    >>> runs = pd.DataFrame({"run": "a", "tokens": [1e9, 2e9], "schedule": "cosine"})
    >>> unfinished_share(runs).round(3).tolist()
    [0.5, 0.0]
    """
    planned = planned_tokens(runs)
    share = runs["tokens"].to_numpy("float64") / planned
    names = runs["schedule"].astype("str") if "schedule" in runs.columns else None
    out = np.zeros(len(runs))
    if names is not None:
        values = names.to_numpy()
        for name in dict.fromkeys(values):
            rows = values == name
            out[rows] = unfinished(str(name), share[rows])
    if "unique_tokens" in runs.columns:
        unique = pd.to_numeric(runs["unique_tokens"]).to_numpy("float64", na_value=np.nan)
        repeats = np.where(unique > 0, planned / np.where(unique > 0, unique, 1.0) - 1, 0.0)
        out *= np.exp(-np.maximum(repeats, 0.0) / REPEATS_WORTH)
    return out
