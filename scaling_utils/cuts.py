"""Cuts: which first part of every run a fit should not see, and how to choose it.

The guide drops the first 1e10 tokens of every run (Choshen, Zhang and Andreas, arXiv 2410.11840,
section 6.1).  Here a cut can also follow the length of a run or its warm-up, or be chosen by how
well it predicts a model that is already trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scaling_utils.errors import RunsError, ScalingError, SelectionError, UnknownOptionError
from scaling_utils.fitting import fit_law
from scaling_utils.law import ScalingLaw
from scaling_utils.metrics import absolute_relative_error
from scaling_utils.selection import Split, largest_models, last_fraction, sizes

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of each run that are tried as cuts."""

Cut = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class ChosenCut:
    """A cut and what it was chosen from.

    Attributes
    ----------
    share : float
        Share of each run to drop.
    errors : pandas.Series
        Validation error of each share, as a fraction; missing where no law could be fitted.
    """

    share: float
    errors: pd.Series


def drop_first_share(runs: pd.DataFrame, share: float) -> pd.DataFrame:
    """Drop the first part of every run, relative to its own length.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints with ``run`` and ``tokens``.
    share : float
        From 0 to 1: checkpoints with *more* than this part of their own run's tokens are kept; 0
        keeps all.

    Returns
    -------
    pandas.DataFrame
        Some of the rows.

    Raises
    ------
    SelectionError
        If ``share`` is no fraction.

    Examples
    --------
    >>> runs = pd.DataFrame({"run": list("aabb"), "tokens": [1e9, 1e10, 1e10, 1e12]})
    >>> drop_first_share(runs, 0.1)["tokens"].tolist()
    [10000000000.0, 1000000000000.0]
    """
    if not 0 <= share < 1:
        raise SelectionError(f"share = {share!r}: give a number from 0 to less than 1.")
    return runs[runs["tokens"] > share * runs.groupby("run")["tokens"].transform("max")]


def warmup_tokens(runs: pd.DataFrame) -> pd.Series:
    """Tokens at which each run's learning rate first reaches its peak.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints with ``run``, ``tokens`` and ``lr``.

    Returns
    -------
    pandas.Series
        Indexed by run; runs that logged no learning rate are left out.  As coarse as the log, and
        never too early.

    Raises
    ------
    RunsError
        If there is no column ``lr``.

    Examples
    --------
    >>> runs = pd.DataFrame({"run": "a", "tokens": [1., 2., 3., 4.], "lr": [0.5, 1., 1., 0.3]})
    >>> warmup_tokens(runs).to_dict()
    {'a': 2.0}
    """
    if "lr" not in runs.columns:
        raise RunsError(
            "the runs have no column 'lr': without logged learning rates, pass the warm-up from "
            "the recipe."
        )
    logged = runs.dropna(subset=["lr"])
    at_peak = logged["lr"] >= 0.999 * logged.groupby("run")["lr"].transform("max")
    return logged[at_peak].groupby("run")["tokens"].min().rename("warmup_tokens")


def drop_warmup(
    runs: pd.DataFrame, warmup: Mapping[str, float] | pd.Series | float, times: float = 1.0
) -> pd.DataFrame:
    """Drop the warm-up of every run, or a multiple of it.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints with ``run`` and ``tokens``.
    warmup : mapping of str to float, or float
        Tokens of the warm-up, for each run or for all.
    times : float
        Multiple of it to drop.

    Returns
    -------
    pandas.DataFrame
        Rows with more tokens than that.

    Raises
    ------
    SelectionError
        If a run has no warm-up.

    Examples
    --------
    >>> runs = pd.DataFrame({"run": "a", "tokens": [1.0, 2.0, 3.0, 4.0]})
    >>> drop_warmup(runs, {"a": 1.5}, times=2)["tokens"].tolist()
    [4.0]
    """
    if isinstance(warmup, int | float):
        return runs[runs["tokens"] > times * warmup]
    given = runs["run"].map(dict(warmup))
    if given.isna().any():
        lacking = sorted(runs.loc[given.isna(), "run"].unique())
        raise SelectionError(f"no warm-up is given for the runs {lacking[:5]}.")
    return runs[runs["tokens"] > times * given]


def held_out(train: pd.DataFrame, holdout: str = "tail", target_tail: float = 0.3) -> Split:
    """Split a training set once more, to judge choices without looking at the target.

    Parameters
    ----------
    train : pandas.DataFrame
        Checkpoints of the training models of one family; the target is not among them.
    holdout : {"tail", "model"}
        What is set aside is always the last part of the largest training model.  ``"tail"`` keeps
        the rest of that model to train on; ``"model"`` does not, and needs three sizes.
    target_tail : float
        Length of the last part.

    Returns
    -------
    Split
        What to fit and what to predict.

    Raises
    ------
    UnknownOptionError
        If ``holdout`` is neither of the two.
    SelectionError
        If ``holdout="model"`` would leave one size.

    Examples
    --------
    >>> runs = pd.DataFrame({
    ...     "run": ["a", "b", "b"], "params": [1e6, 2e6, 2e6], "tokens": [9e9, 1e9, 9e9]})
    >>> [len(part) for part in held_out(runs)]
    [2, 1]
    """
    if holdout not in ("tail", "model"):
        raise UnknownOptionError(f"holdout = {holdout!r}: choose 'tail' or 'model'.")
    largest = largest_models(train)
    tail = last_fraction(largest, 1 - target_tail)
    if holdout == "tail":
        return Split(train[~train.index.isin(tail.index)], tail)
    if len(sizes(train)) < 3:
        raise SelectionError(
            f"{len(sizes(train))} training sizes: holding one out leaves too few; use "
            "holdout='tail'."
        )
    return Split(train[train["params"] < train["params"].max()], tail)


def cut_errors(
    train: pd.DataFrame, target: pd.DataFrame, cuts: Mapping[Any, Cut] | Iterable[float] = SHARES
) -> pd.Series:
    """Error of a prediction after each of several cuts.

    Parameters
    ----------
    train : pandas.DataFrame
        Checkpoints to cut, then to fit.
    target : pandas.DataFrame
        Checkpoints to predict; they are not cut.
    cuts : mapping of label to function, or iterable of float
        Functions from runs to some of their rows; numbers stand for :func:`drop_first_share`.

    Returns
    -------
    pandas.Series
        ARE, missing where no law could be fitted.

    Examples
    --------
    >>> n, d = np.meshgrid([1e8, 1e9, 1e10], np.linspace(1, 10, 10) * 1e10)
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> runs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> runs["run"] = runs["params"].astype(str)
    >>> runs["loss"] = truth.predict(runs["params"], runs["tokens"])
    >>> bool((cut_errors(runs, runs.tail(3), [0.0, 0.3]) < 1e-6).all())
    True
    """
    if not isinstance(cuts, Mapping):
        cuts = {share: _share_cut(share) for share in cuts}
    errors = {}
    for label, cut in cuts.items():
        try:
            errors[label] = absolute_relative_error(
                fit_law(cut(train), method="least_squares"), target
            )
        except ScalingError:
            errors[label] = np.nan
    return pd.Series(errors, dtype="float64", name="are")


def choose_share(
    train: pd.DataFrame, shares: Iterable[float] = SHARES, *, holdout: str = "tail"
) -> ChosenCut:
    """Choose a cut by how well it predicts the end of the largest training model.

    Parameters
    ----------
    train : pandas.DataFrame
        Checkpoints of the training models of one family, without the target.
    shares : iterable of float
        Shares of each run that may be dropped.
    holdout : {"tail", "model"}
        As for :func:`held_out`.

    Returns
    -------
    ChosenCut
        The share with the smallest error; the smallest such share on a tie.

    Raises
    ------
    SelectionError
        If no share gives a law.

    Examples
    --------
    >>> n, d = np.meshgrid([1e8, 1e9, 1e10], np.linspace(1, 50, 50) * 1e10)
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> runs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> runs["run"] = runs["params"].astype(str)
    >>> runs["loss"] = slow_start(truth, runs["params"], runs["tokens"], lag=2e10)
    >>> choose_share(runs, [0.0, 0.2]).share
    0.2
    """
    fit, judge = held_out(train, holdout)
    # Shares refer to whole runs, so mark the rows before the held-out part goes.
    kept = {s: drop_first_share(train, s).index for s in shares}
    cuts: dict[float, Cut] = {s: _index_cut(index) for s, index in kept.items()}
    errors = cut_errors(fit, judge, cuts)
    if errors.isna().all():
        raise SelectionError("no cut leaves enough checkpoints to fit a law.")
    return ChosenCut(share=float(str(errors.idxmin())), errors=errors)


def slow_start(
    law: ScalingLaw,
    params: np.ndarray | pd.Series,
    tokens: np.ndarray | pd.Series,
    *,
    lag: float,
    ceiling: float = 10.8,
) -> np.ndarray:
    r"""Loss of runs that follow a law, but lose their first tokens to a slow start.

    Parameters
    ----------
    law : ScalingLaw
        The law that holds later.
    params, tokens : array_like
        Checkpoints.
    lag : float
        Tokens that are lost in the end; most of them within the first ``lag``, as while the
        learning rate warms up.
    ceiling : float
        Loss before training, in nats per token: the logarithm of the size of the vocabulary.

    Returns
    -------
    numpy.ndarray
        The law at :math:`D - \text{lag}\,(1 - e^{-D/\text{lag}})` tokens, at most ``ceiling``.

    Examples
    --------
    >>> law = ScalingLaw(E=1.0, A=0.0, B=100.0, alpha=0.5, beta=0.5)
    >>> slow_start(law, np.array([1e9, 1e9]), np.array([1.0, 1e6]), lag=100.0).round(3).tolist()
    [10.8, 1.1]
    """
    n, d = np.asarray(params, "float64"), np.asarray(tokens, "float64")
    used = d if lag == 0 else d + lag * np.expm1(-d / lag)
    return np.minimum(np.asarray(law.predict(n, np.maximum(used, 1e-300))), ceiling)


def _share_cut(share: float) -> Cut:
    return lambda runs: drop_first_share(runs, share)


def _index_cut(index: pd.Index) -> Cut:
    return lambda runs: runs[runs.index.isin(index)]
