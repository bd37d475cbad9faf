"""The default estimator asked the questions of chapters 10, 11 and 14 of the book.

Other chapters read :mod:`scaling_utils.beside`, whose cells are those of the guide's grids.  Here
are the comparisons that need other training sets: choices of seeds, single models that borrow, and
laws with fewer than five free numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.borrow import skipped
from scaling_utils.errors import SelectionError
from scaling_utils.fitting.pooled import fit_pooled
from scaling_utils.fitting.prior import Prior, pooled_prior
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.law import ScalingLaw
from scaling_utils.restricted import all_five
from scaling_utils.schedules import unfinished_share
from scaling_utils.seeds import draw_seeds, repeated_sizes
from scaling_utils.selection import largest_models, last_fraction, sizes, split_target

Array = NDArray[np.float64]

METHODS = ("pooled", "least_squares")
"""Methods that are compared on drawn seeds, the default first."""

FEWEST_TOKENS = 3
"""Token counts that a single model needs, as in :func:`scaling_utils.borrow.single_models`."""

SAME = 0.1
"""Relative difference of two least-squares errors below which their training sets are the same."""

FULL = all_five().name


def seed_errors(runs: pd.DataFrame, rng: np.random.Generator, draws: int = 30) -> pd.DataFrame:
    """Predict the largest size from one drawn seed of each smaller one, by two methods.

    Parameters
    ----------
    runs : pandas.DataFrame
        One family with the column ``seed`` and several seeds at some of its sizes.
    rng : numpy.random.Generator
        Source of the choice of seeds.
    draws : int
        Number of choices; both methods are fitted to each.

    Returns
    -------
    pandas.DataFrame
        A row for each draw and a column for each of :data:`METHODS`: the error with sign, a
        fraction of the measured loss, averaged over the target's token counts.

    Raises
    ------
    SelectionError
        If no size of the training set has several seeds.
    FitError
        If a choice of seeds determines no law.

    Notes
    -----
    Draws from a few seeds vary a little less than new seeds would, for both methods alike.

    Examples
    --------
    >>> from scaling_utils import load_runs
    >>> errors = seed_errors(load_runs("house-lstm"), np.random.default_rng(1), draws=2)
    >>> errors.shape, bool((errors.abs() < 0.1).all().all())
    ((2, 2), True)
    """
    train, target = split_target(runs)
    if all(len(found) < 2 for found in repeated_sizes(train).values()):
        raise SelectionError("no size of the training set has several seeds: nothing to choose.")
    goal = target.groupby(["params", "tokens"])["loss"].mean().reset_index()
    prior = pooled_prior(without=str(runs["family"].iloc[0]))
    train = train.reset_index(drop=True)
    decay = unfinished_share(train)
    rows = []
    for _ in range(draws):
        chosen = draw_seeds(train, rng).index.to_numpy()
        one = train.loc[chosen]
        params, tokens, loss = (one[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
        laws = (_default(one, decay[chosen], prior), fit_varpro(params, tokens, loss, {})[0])
        rows.append([float(_errors(law, goal).mean()) for law in laws])
    return pd.DataFrame(rows, columns=list(METHODS)).rename_axis("draw")


def default_errors(
    runs: pd.DataFrame,
    groups: Mapping[str, str],
    counts: Iterable[int] | None = None,
    *,
    target_tail: float = 0.3,
) -> pd.DataFrame:
    """Predict the largest model of each family by the default, where others borrow.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one or more families.  The first tokens are left out as
        :func:`scaling_utils.borrow.skip_of` says.
    groups : mapping of str to str
        Group of each family: the prior has nothing of it.
    counts : iterable of int, optional
        Train on so many of the smallest sizes; by default on each smaller size alone, if it has
        three token counts.
    target_tail : float
        The target is this last fraction of the largest size's training.

    Returns
    -------
    pandas.DataFrame
        One row for each training set: ``family``, ``n_models``, ``params`` of its largest model,
        ``are`` and ``signed_error`` (fractions).

    Raises
    ------
    FitError
        If a training set gives no law.

    Notes
    -----
    Training sets and targets are those of :func:`scaling_utils.borrow.single_models`, or with
    ``counts`` those of :func:`scaling_utils.borrow.against_own`.

    Examples
    --------
    >>> from scaling_utils import load_runs
    >>> code = load_runs("house-code")
    >>> default_errors(code, {"house-code": "house"}, counts=[1, 3])["n_models"].tolist()
    [1, 3]
    """
    rows = []
    for name, members in runs.groupby("family", sort=True):
        family = str(name)
        prior = pooled_prior(without=(family, groups[family]))
        kept = skipped(members).reset_index(drop=True)
        decay = unfinished_share(kept)
        target = last_fraction(largest_models(kept), 1 - target_tail)
        available = sizes(kept)[:-1]
        if counts is None:
            chosen = [available[k : k + 1] for k in range(len(available))]
        else:
            chosen = [available[:n] for n in counts if n <= len(available)]
        for some in chosen:
            train = kept[kept["params"].isin(some)]
            if counts is None and train["tokens"].nunique() < FEWEST_TOKENS:
                continue
            off = _errors(_default(train, decay[train.index.to_numpy()], prior), target)
            rows.append(
                {
                    "family": family,
                    "n_models": len(some),
                    "params": float(some[-1]),
                    "are": float(np.abs(off).mean()),
                    "signed_error": float(off.mean()),
                }
            )
    columns = ["family", "n_models", "params", "are", "signed_error"]
    return pd.DataFrame(rows, columns=columns)


def beside_restricted(study: pd.DataFrame, accuracy: pd.DataFrame) -> pd.DataFrame:
    """Lay the default beside laws with fewer free numbers, on the same training sets.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of ``scaling_utils.restricted.load_study()``.
    accuracy : pandas.DataFrame
        Result of :func:`scaling_utils.accuracy.load_study`.

    Returns
    -------
    pandas.DataFrame
        One row for each ``cell``, ``family`` and number of ``models``, with the ARE (a fraction) of
        each law, in the order of the study, and of the ``default``.  Rows are left out whose
        least-squares errors in the two studies differ by more than :data:`SAME`: these families
        were cut in two ways.

    Examples
    --------
    >>> study = pd.DataFrame({
    ...     "cell": "all", "family": ["f", "f", "g"], "models": 3, "are": [0.04, 0.05, 0.04],
    ...     "law": ["all five", "tied", "all five"]})
    >>> accuracy = pd.DataFrame({
    ...     "family": ["f", "f", "g", "g"], "n_models": 3, "fraction": 1.0, "status": "ok",
    ...     "method": ["pooled", "least_squares"] * 2, "are": [0.02, 0.041, 0.02, 0.06]})
    >>> beside_restricted(study, accuracy).to_dict("records")
    [{'cell': 'all', 'family': 'f', 'models': 3, 'all five': 0.04, 'tied': 0.05, 'default': 0.02}]
    """
    places = ["cell", "family", "models"]
    laws = list(study["law"].unique())
    wide = study.pivot(index=places, columns="law", values="are")[laws].reset_index()
    kept = accuracy[(accuracy["fraction"] == 1.0) & (accuracy["status"] == "ok")]
    kept = kept[kept["method"].isin(METHODS)].rename(columns={"n_models": "models"})
    own = kept.pivot(index=["family", "models"], columns="method", values="are").dropna()
    out = wide.merge(own.reset_index(), on=["family", "models"]).rename_axis(columns=None)
    same = (out[FULL] / out["least_squares"] - 1).abs() < SAME
    out = out[same].rename(columns={"pooled": "default"})
    return out[[*places, *laws, "default"]].sort_values(places, ignore_index=True)


def _default(train: pd.DataFrame, decay: Array, prior: Prior) -> dict[str, float]:
    """Fit the default as ``fit_law`` does, without its checks of the rows."""
    params, tokens, loss = (train[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    run = pd.factorize(train["run"])[0]
    return fit_pooled(params, tokens, loss, {}, run=run, decay=decay, prior=prior)[0]


def _errors(law: Mapping[str, float], target: pd.DataFrame) -> Array:
    """Relative errors with sign of a law at each checkpoint of the target."""
    found = ScalingLaw(law["E"], law["A"], law["B"], law["alpha"], law["beta"])
    predicted = found.predict(target["params"].to_numpy(), target["tokens"].to_numpy())
    return np.asarray(predicted) / target["loss"].to_numpy("float64") - 1
