r"""What other families say about a law before its own runs do: a prior pooled over families.

Families of language models are near each other once the two terms are compared at a common size
(one billion parameters, 100 billion tokens): the shares of the loss that are floor, parameters and
tokens, and the two exponents, spread by a few tenths.  That spread, between groups of families that
share nothing, is the prior.  A family's own group is left out of its prior.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.errors import DataFileError, FitError
from scaling_utils.posterior import COORDINATES, LOG_REFERENCE

Array = NDArray[np.float64]

SMALLEST_SPREAD = np.array([0.10, 0.15, 0.15, 0.10, 0.10])
"""Standard deviations below which a handful of groups cannot be believed."""

FLOOR_SPREAD = 0.30
"""Added to the spread of log E: a corpus of another kind has another floor."""

LEVEL_SPREAD = 0.50
"""Spread of all three terms together: another tokeniser, unit or evaluation set."""

DECAY = (0.05, 0.03)
"""Mean and spread of ``c``, what a decay of the learning rate gains in the log of the loss."""

KNOWN_RANGE = ((1e8, 1e11), (1e10, 1e13))
"""Parameters and tokens, lowest and highest, about which the pooled families know something."""

STRANGENESS = 0.2
"""Spread added to a term for each factor e by which a family lies outside :data:`KNOWN_RANGE`."""

FEWEST_GROUPS = 3


@dataclass(frozen=True)
class Prior:
    """A normal distribution over the coordinates of a law.

    Attributes
    ----------
    mean : numpy.ndarray of shape (6,)
        In the order of ``scaling_utils.posterior.COORDINATES``.
    covariance : numpy.ndarray of shape (6, 6)
        Its covariance.
    groups : tuple of str
        Groups of families that it was pooled over.
    left_out : tuple of str
        Names of families or groups whose groups were left out.
    """

    mean: Array
    covariance: Array
    groups: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def far_from(self, log_n: float, log_d: float) -> Prior:
        """Widen the prior for a family of other sizes than those that it was pooled over.

        Parameters
        ----------
        log_n, log_d : float
            Mean logarithms of the family's parameters and tokens, over the reference.

        Returns
        -------
        Prior
            The same, with more spread in the terms of parameters and of tokens.
        """
        covariance = self.covariance.copy()
        for k, (value, limits) in enumerate(zip((log_n, log_d), KNOWN_RANGE, strict=True)):
            low, high = np.log(limits) - LOG_REFERENCE[k]
            outside = max(0.0, low - value, value - high)
            covariance[k + 1, k + 1] += (STRANGENESS * outside) ** 2
        return replace(self, covariance=covariance)


@lru_cache(maxsize=1)
def pool() -> pd.DataFrame:
    """Read the laws of the groups of families that priors are pooled over.

    Returns
    -------
    pandas.DataFrame
        One row for each group: ``group``, ``families`` (separated by spaces) and the coordinates
        of its law, averaged over its families.

    Raises
    ------
    DataFileError
        If the table that ships with the package is missing.

    Examples
    --------
    >>> sorted(pool()["group"])[:3]
    ['chinchilla', 'datablations', 'gemstones']
    """
    file = resources.files("scaling_utils").joinpath("results", "pool.csv")
    if not file.is_file():
        raise DataFileError(
            "pool.csv is missing: it ships with the package; install that again, or run "
            "'python -m scaling_utils.pool' where the published runs are at hand."
        )
    with file.open() as handle:
        return pd.read_csv(handle)


def pooled_prior(without: str | Iterable[str] = ()) -> Prior:
    """Pool a prior over the groups of families, leaving some out.

    Parameters
    ----------
    without : str or iterable of str
        Names of families or of groups: every group that has one of them is left out.

    Returns
    -------
    Prior
        Mean over groups and spread between them.

    Raises
    ------
    FitError
        If fewer than three groups are left.

    Examples
    --------
    >>> prior = pooled_prior(without="gpt3")
    >>> "gpt3" in prior.groups, len(prior.groups) >= 5
    (False, True)
    """
    names = {without} if isinstance(without, str) else set(without)
    table = pool()
    own = table["group"].isin(names) | table["families"].map(lambda f: bool(names & set(f.split())))
    return replace(prior_of(table[~own]), left_out=tuple(sorted(names)))


def prior_of(table: pd.DataFrame) -> Prior:
    """Pool a prior over given groups.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows as :func:`pool` returns them.

    Returns
    -------
    Prior
        Mean over groups and spread between them.

    Raises
    ------
    FitError
        If there are fewer than three groups.
    """
    if len(table) < FEWEST_GROUPS:
        raise FitError(
            f"{len(table)} group(s) of families are left to pool a prior over: at least "
            f"{FEWEST_GROUPS} are needed to see a spread. Leave fewer out."
        )
    theta = table[list(COORDINATES[:5])].to_numpy("float64", copy=True)
    # Losses of different tokenisers differ by a factor, which says nothing about a law's shape.
    level = np.log(np.exp(theta[:, :3]).sum(axis=1))
    theta[:, :3] += (level.mean() - level)[:, None]
    spread = np.maximum(theta.std(axis=0, ddof=1), SMALLEST_SPREAD)
    covariance = np.zeros((6, 6))
    covariance[:5, :5] = np.diag(spread**2)
    covariance[0, 0] += FLOOR_SPREAD**2
    covariance[:3, :3] += LEVEL_SPREAD**2
    covariance[5, 5] = DECAY[1] ** 2
    return Prior(np.append(theta.mean(axis=0), DECAY[0]), covariance, tuple(table["group"]))
