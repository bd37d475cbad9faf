r"""Intervals that cover: how far off predictions of known families were, in units of the claim.

A posterior says how far noise lets the law move, not how far the law itself is wrong.  So every
cell of the accuracy study (:mod:`scaling_utils.accuracy`) gives a *score*: the error of the log of
the target's loss over the claimed standard deviation.  An interval at level *p* takes the
*p*-quantile of the scores of **other** groups of families as its factor.  This is split-conformal
prediction (Vovk et al. 2005) whose calibration set shares nothing with the family at hand.  A new
family's score is taken to be exchangeable with the score of a random cell of a random family of a
random group, so each group has the same weight in the quantile, and each family within its group.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib import resources

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scaling_utils.errors import DataFileError, UnknownOptionError

Array = NDArray[np.float64]

RUN_SPREAD = 0.005
"""Relative spread between runs that differ in nothing but their seed, and the like."""

LAW_SPREAD = 0.003
"""Relative error of the law itself for each factor e of scale-up."""

TRUSTED_SCATTER = 0.015
"""Relative residuals up to which a posterior is taken at its word."""


def claimed_sd(log_sd: ArrayLike, scatter: float, scale_up: ArrayLike) -> Array:
    r"""Relative standard deviation that is claimed for a new run's loss, before calibration.

    Parameters
    ----------
    log_sd : array_like
        Standard deviation of the logarithm of the law (:meth:`scaling_utils.Posterior.log_sd`).
    scatter : float
        Root mean square of the law's relative residuals.
    scale_up : array_like
        Parameters to predict over the largest in training.

    Returns
    -------
    numpy.ndarray
        :math:`\sqrt{s^2 (1 + (r / 0.015)^2) + 0.005^2 + (0.003 \log u)^2}` with *s* the
        posterior's standard deviation, *r* the scatter and *u* the scale-up, at least 1.

    Examples
    --------
    >>> claimed_sd([0.01, 0.0], scatter=0.0, scale_up=1.0).round(4).tolist()
    [0.0112, 0.005]
    """
    s = np.asarray(log_sd, dtype="float64")
    steps = np.log(np.maximum(np.asarray(scale_up, dtype="float64"), 1.0))
    noisy = 1 + (scatter / TRUSTED_SCATTER) ** 2
    return np.asarray(np.sqrt(s**2 * noisy + RUN_SPREAD**2 + (LAW_SPREAD * steps) ** 2))


@lru_cache(maxsize=1)
def scores() -> pd.DataFrame:
    """Read the scores of the accuracy study.

    Returns
    -------
    pandas.DataFrame
        One row for each cell: ``group``, ``family``, ``scale_up``, ``score`` (signed).

    Raises
    ------
    DataFileError
        If the table that ships with the package is missing.
    """
    file = resources.files("scaling_utils").joinpath("results", "scores.csv")
    if not file.is_file():
        raise DataFileError(
            "scores.csv is missing: it ships with the package; install that again, or run "
            "'python -m scaling_utils.accuracy' where the published runs are at hand."
        )
    with file.open() as handle:
        return pd.read_csv(handle)


def largest_tested() -> float:
    """Largest scale-up at which predictions were ever compared with what came.

    Returns
    -------
    float
        Parameters of the target over the largest in training.

    Examples
    --------
    >>> largest_tested() > 100
    True
    """
    return float(scores()["scale_up"].max())


def factor(level: float, without: Iterable[str] = ()) -> float:
    """Claimed standard deviations to either side that hold a share of what comes.

    Parameters
    ----------
    level : float
        Share, between 0 and 1.
    without : iterable of str
        Names of families or groups: every group that has one of them is left out.

    Returns
    -------
    float
        The weighted quantile of the absolute scores.

    Raises
    ------
    UnknownOptionError
        If ``level`` is not between 0 and 1.

    Examples
    --------
    >>> factor(0.5) < factor(0.9) < factor(0.99)
    True
    """
    if not 0 < level < 1:
        raise UnknownOptionError(
            f"level = {level!r}: an interval holds a share between 0 and 1, for instance 0.9."
        )
    table = scores()
    names = set(without)
    own = table.loc[table["group"].isin(names) | table["family"].isin(names), "group"]
    return factor_of(table[~table["group"].isin(own)], level)


def factor_of(table: pd.DataFrame, level: float) -> float:
    """Weighted quantile of the absolute scores of some cells.

    Parameters
    ----------
    table : pandas.DataFrame
        ``group``, ``family`` and ``score`` of each cell.
    level : float
        Share, between 0 and 1.

    Returns
    -------
    float
        The smallest absolute score that at least this share does not exceed, if every group, and
        every family within its group, has the same weight.

    Examples
    --------
    >>> cells = pd.DataFrame({"group": ["a", "a", "b"], "family": ["a", "a", "b"]})
    >>> factor_of(cells.assign(score=[1.0, -2.0, 3.0]), 0.5)
    2.0
    """
    weight = cell_weights(table)
    size = table["score"].abs().to_numpy("float64")
    order = np.argsort(size, kind="stable")
    reached = np.cumsum(weight[order]) >= level * weight.sum() - 1e-12
    return float(size[order][np.argmax(reached)])


def cell_weights(table: pd.DataFrame) -> Array:
    """Weights that give every group, and every family within its group, the same say.

    Parameters
    ----------
    table : pandas.DataFrame
        ``group`` and ``family`` of each cell.

    Returns
    -------
    numpy.ndarray of shape (n,)
        They add up to one.

    Examples
    --------
    >>> cells = pd.DataFrame({"group": [*"aab"], "family": ["a1", "a2", "b1"]})
    >>> cell_weights(cells).tolist()
    [0.25, 0.25, 0.5]
    """
    cells = table.groupby("family")["family"].transform("size").to_numpy("float64")
    members = table.groupby("group")["family"].transform("nunique").to_numpy("float64")
    return 1 / (cells * members * table["group"].nunique())
