"""A model that does not fit its family: finding it, and fitting in spite of it.

A *bad* model is one whose whole curve lies above or below what its family would give, because its
learning rate was wrong, its data were cut, or its curve was misread.  Its checkpoints agree with
each other, so that they cannot be judged one by one; models are the units here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.stats import t

from scaling_utils.errors import FitError, RunsError
from scaling_utils.fitting.fit import as_training_set, fit_law
from scaling_utils.law import ScalingLaw
from scaling_utils.metrics import absolute_relative_error
from scaling_utils.selection import last_fraction, sizes

Array = NDArray[np.float64]

LEVEL = 0.05
"""Chance of a false alarm that :func:`suspect` aims at, over all models of a family."""

SHIFTS = ("params", "checkpoints", "shift", "error", "t", "df", "p")
"""Columns of :func:`model_shifts`."""

HUBER_DELTA = 1e-3
"""Where the Huber loss of Hoffmann et al. 2022 turns from a square into a line."""


def gradient(law: ScalingLaw, params: ArrayLike, tokens: ArrayLike) -> Array:
    """Change of the predicted loss with each parameter of a law.

    Parameters
    ----------
    law : ScalingLaw
        The law.
    params, tokens : array_like of shape (n,)
        Where.

    Returns
    -------
    numpy.ndarray of shape (n, 5)
        Derivatives with respect to ``E, A, B, alpha, beta``.

    Examples
    --------
    >>> law = ScalingLaw(E=1.0, A=10.0, B=100.0, alpha=0.5, beta=0.5)
    >>> gradient(law, [100.0], [1e4])[0, :3].tolist()
    [1.0, 0.1, 0.01]
    """
    n, d = np.asarray(params, "float64"), np.asarray(tokens, "float64")
    by_n, by_d = n**-law.alpha, d**-law.beta
    columns = [np.ones_like(by_n), by_n, by_d, -law.A * by_n * np.log(n), -law.B * by_d * np.log(d)]
    return np.column_stack(columns)


def model_shifts(runs: pd.DataFrame, law: ScalingLaw | None = None) -> pd.DataFrame:
    r"""How far each model lies from the law of the others, and whether that is more than chance.

    Parameters
    ----------
    runs : pandas.DataFrame
        Training set of one family; a model is a size.
    law : ScalingLaw, optional
        Law fitted to all of them; by default by least squares.

    Returns
    -------
    pandas.DataFrame
        One row for each model: ``params``; ``checkpoints``; ``shift``, its distance from the law
        of the others over its mean loss (0.02: 2 % too high); ``error``, the standard error of
        that; ``t``, their ratio; ``df``, degrees of freedom; ``p``, the chance of a larger
        absolute ``t`` if no model is bad, times the number of models (at most 1).  Missing where
        the other models cannot say what this one should be.

    Notes
    -----
    The model is :math:`L = \hat L + \delta_m + u`, with one :math:`u` for each model and the law
    linearised: an externally studentised residual (Cook and Weisberg 1982) of models in place of
    checkpoints.  Every model has the same weight.

    Examples
    --------
    >>> n, d = np.meshgrid(np.geomspace(1e8, 1e10, 7), np.linspace(1, 10, 6) * 1e10)
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> bad = logs["params"].between(9e8, 1.1e9)
    >>> logs["loss"] = truth.predict(logs["params"], logs["tokens"]) * np.where(bad, 1.03, 1.0)
    >>> table = model_shifts(logs)
    >>> int(table["t"].abs().idxmax()), f"{table['shift'].iloc[3]:.3f}"
    (3, '0.029')
    """
    table = as_training_set(runs)
    law = fit_law(table, method="least_squares") if law is None else law
    params, tokens, loss = (table[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    return shifts_of(params, tokens, loss, law)


def shifts_of(params: Array, tokens: Array, loss: Array, law: ScalingLaw) -> pd.DataFrame:
    """Do what :func:`model_shifts` does, for arrays of checkpoints.

    Parameters
    ----------
    params, tokens, loss : numpy.ndarray of shape (n,)
        Training set.
    law : ScalingLaw
        Law fitted to it.

    Returns
    -------
    pandas.DataFrame
        As for :func:`model_shifts`.
    """
    models, which, count = np.unique(params, return_inverse=True, return_counts=True)
    root = 1 / np.sqrt(count[which])
    units = np.zeros((len(loss), len(models)))
    units[np.arange(len(loss)), which] = root
    slopes = gradient(law, params, tokens) * root[:, None]
    norms = np.linalg.norm(slopes, axis=0)
    left, strength, _ = np.linalg.svd(slopes / np.where(norms > 0, norms, 1), full_matrices=False)
    space = left[:, strength > 1e-9 * strength[0]]
    residual = (loss - np.asarray(law.predict(params, tokens))) * root
    # What a shift of each model leaves once the law has adapted, and what was found of it.
    left_over = units.T @ units - (units.T @ space) @ (space.T @ units)
    score = units.T @ residual - (units.T @ space) @ (space.T @ residual)
    rows = []
    for m in range(len(models)):
        own = float(left_over[m, m])
        row: dict[str, float] = {"params": models[m], "checkpoints": int(count[m])}
        freedom = 0.0
        if own > 1e-6:
            others = left_over - np.outer(left_over[:, m], left_over[m]) / own
            square = others @ others
            freedom = float(np.trace(square))
        if freedom > 0.5:
            rest = score - left_over[:, m] * score[m] / own
            noise = np.sqrt(rest @ rest / freedom)
            shift = score[m] / own
            error = noise * np.sqrt((left_over @ left_over)[m, m]) / own
            df = freedom**2 / float(np.trace(square @ square))
            ratio = shift / error if error > 0 else np.copysign(np.inf, shift)
            mean_loss = float(loss[which == m].mean())
            row |= {"shift": shift / mean_loss, "error": error / mean_loss, "t": float(ratio)}
            row |= {"df": df, "p": min(1.0, 2 * len(models) * float(t.sf(abs(ratio), df)))}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(SHIFTS))


def suspect(table: pd.DataFrame, level: float = LEVEL) -> float | None:
    """Name the model that fits its family least, if that is more than chance.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`model_shifts`.
    level : float
        Largest ``p`` that counts; 1 always names a model.

    Returns
    -------
    float or None
        Parameters of the model, or None if none stands out.

    Examples
    --------
    >>> table = pd.DataFrame({"params": [1e8, 1e9], "t": [0.5, -9.0], "p": [1.0, 0.01]})
    >>> suspect(table)
    1000000000.0
    >>> suspect(table, level=0.001) is None
    True
    """
    known = table.dropna(subset=["p"])
    found = known[known["p"] <= level]
    if len(found) == 0:
        return None
    worst = int(np.argmax(found["t"].abs().to_numpy("float64")))
    return float(found["params"].iloc[worst])


def fit_without_suspect(
    runs: pd.DataFrame, level: float = LEVEL
) -> tuple[ScalingLaw, float | None]:
    """Fit a law, and fit it again without the model that stands out, if one does.

    Parameters
    ----------
    runs : pandas.DataFrame
        Training set of one family.
    level : float
        As in :func:`suspect`: 1 always leaves one model out.

    Returns
    -------
    law : ScalingLaw
        The law.
    dropped : float or None
        Parameters of the model that was left out.

    Examples
    --------
    >>> n, d = np.meshgrid(np.geomspace(1e8, 1e10, 7), np.linspace(1, 10, 6) * 1e10)
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> bad = logs["params"].between(9e8, 1.1e9)
    >>> logs["loss"] = truth.predict(logs["params"], logs["tokens"]) * np.where(bad, 1.03, 1.0)
    >>> law, dropped = fit_without_suspect(logs)
    >>> round(dropped / 1e9, 3), round(law.alpha, 4)
    (1.0, 0.35)
    """
    law = fit_law(runs, method="least_squares")
    dropped = suspect(model_shifts(runs, law), level)
    if dropped is not None:
        law = fit_law(runs[runs["params"] != dropped], method="least_squares")
    return law, dropped


def fit_huber(
    runs: pd.DataFrame, delta: float = HUBER_DELTA, start: ScalingLaw | None = None
) -> ScalingLaw:
    """Fit a law by the Huber loss of residuals of the logarithm, checkpoint by checkpoint.

    Parameters
    ----------
    runs : pandas.DataFrame
        Training set of one family.
    delta : float
        Relative residuals beyond this count by their size, not by their square.
    start : ScalingLaw, optional
        Where the search starts; by default the least-squares law of the same runs.

    Returns
    -------
    ScalingLaw
        The law.

    Notes
    -----
    Approach 3 of Hoffmann et al. 2022 (arXiv 2203.15556, Eq. 3), from one start.

    Examples
    --------
    >>> n, d = np.meshgrid(np.geomspace(1e8, 1e10, 7), np.linspace(1, 10, 6) * 1e10)
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> logs["loss"] = truth.predict(logs["params"], logs["tokens"])
    >>> logs.loc[5, "loss"] *= 1.2
    >>> round(fit_huber(logs).alpha, 3)
    0.35
    """
    table = as_training_set(runs)
    start = fit_law(table, method="least_squares") if start is None else start
    params, tokens, loss = (table[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    return huber_of(params, tokens, loss, start, delta)


def huber_of(
    params: Array, tokens: Array, loss: Array, start: ScalingLaw, delta: float = HUBER_DELTA
) -> ScalingLaw:
    """Do what :func:`fit_huber` does, for arrays of checkpoints.

    Parameters
    ----------
    params, tokens, loss : numpy.ndarray of shape (n,)
        Training set.
    start : ScalingLaw
        Where the search starts.
    delta : float
        As for :func:`fit_huber`.

    Returns
    -------
    ScalingLaw
        The law.
    """
    centre_n, centre_d = np.exp(np.log(params).mean()), np.exp(np.log(tokens).mean())
    floor = 1e-4 * float(loss.min())
    terms = [start.E, start.A * centre_n**-start.alpha, start.B * centre_d**-start.beta]
    first = [*np.log(np.maximum(terms, floor)), start.alpha, start.beta]
    log_n, log_d, log_loss = np.log(params / centre_n), np.log(tokens / centre_d), np.log(loss)

    def parts(x: Array) -> Array:
        return np.exp([x[0] + 0 * log_n, x[1] - x[3] * log_n, x[2] - x[4] * log_d])

    def residuals(x: Array) -> Array:
        return np.log(parts(x).sum(axis=0)) - log_loss

    def slopes(x: Array) -> Array:
        e, a, b = parts(x) / parts(x).sum(axis=0)
        return np.column_stack([e, a, b, -a * log_n, -b * log_d])

    low, high = [-30.0, -30.0, -30.0, 0.0, 0.0], [5.0, 5.0, 5.0, 3.0, 3.0]
    found = least_squares(
        residuals,
        np.clip(first, np.array(low) + 1e-9, np.array(high) - 1e-9),
        jac=slopes,
        bounds=(low, high),
        loss="huber",
        f_scale=delta,
        x_scale="jac",
        max_nfev=500,
    )
    e, a, b, alpha, beta = (float(v) for v in found.x)
    return ScalingLaw(
        E=float(np.exp(e)),
        A=float(np.exp(a) * centre_n**alpha),
        B=float(np.exp(b) * centre_d**beta),
        alpha=alpha,
        beta=beta,
    )


class Fold(NamedTuple):
    """A training set without one of its models."""

    params: float
    """Size of the model that is left out."""
    train: pd.DataFrame
    """The other models."""
    held_out: pd.DataFrame
    """The end of training of the model that is left out."""


def folds(train: pd.DataFrame, *, until: float = 1.0, as_released: bool = False) -> list[Fold]:
    """Leave out one model at a time.

    Parameters
    ----------
    train : pandas.DataFrame
        Training set of one family.
    until : float
        The others are kept up to this part of the longest run among them.
    as_released : bool
        Do as the guide's script does: the next smaller model is left out as well.

    Returns
    -------
    list of Fold
        One for each model, smallest first.

    Examples
    --------
    >>> runs = pd.DataFrame({"params": [1e8, 1e9, 1e10], "tokens": 1e11, "loss": [3.0, 2.5, 2.1]})
    >>> [fold.train["params"].tolist() for fold in folds(runs)][1]
    [100000000.0, 10000000000.0]
    >>> [fold.train["params"].tolist() for fold in folds(runs, as_released=True)][1]
    [10000000000.0]
    """
    every = sizes(train)
    out = []
    for i, size in enumerate(every):
        gone = every[max(i - 1, 0) : i + 1] if as_released else every[i : i + 1]
        rest = train[~train["params"].isin(gone)]
        if until < 1.0 and len(rest):
            rest = rest[rest["tokens"] < until * rest["tokens"].max()]
        own = train[train["params"] == size]
        out.append(Fold(float(size), rest, last_fraction(own, 0.7)))
    return out


def cross_validate(
    train: pd.DataFrame,
    target: pd.DataFrame,
    *,
    method: str = "least_squares",
    until: float = 1.0,
    as_released: bool = False,
) -> pd.DataFrame:
    """Leave out each model, predict it from the others, and predict the target as well.

    Parameters
    ----------
    train, target : pandas.DataFrame
        Training set of one family, and what it should predict.
    method : str
        Fitting method.
    until : float
        As in :func:`folds`.
    as_released : bool
        As in :func:`folds`.

    Returns
    -------
    pandas.DataFrame
        One row for each model: ``params``; ``error``, ARE of the law of the others on the end of
        this model's training; ``target_error``, their ARE on the target; ``status``.

    Notes
    -----
    Choshen et al. 2024 (arXiv 2410.11840, appendix D) ask whether the first column tells which
    model to leave out.
    """
    rows = []
    for fold in folds(train, until=until, as_released=as_released):
        row: dict[str, object] = {"params": fold.params, "status": "ok"}
        try:
            law = fit_law(fold.train, method)
            row["error"] = absolute_relative_error(law, fold.held_out)
            row["target_error"] = absolute_relative_error(law, target)
        except (FitError, RunsError) as error:
            row["status"] = f"failed: {error}"
        rows.append(row)
    return pd.DataFrame(rows, columns=["params", "error", "target_error", "status"])
