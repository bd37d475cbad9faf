"""What a prediction is up against: noise near the end of training, and effects worth predicting."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from scaling_utils.aggregate import full_cells
from scaling_utils.backtest import backtest
from scaling_utils.errors import SelectionError, UnknownOptionError
from scaling_utils.law import PARAMETERS, ScalingLaw

Array = NDArray[np.float64]

FEWEST = 8
"""Checkpoints near the end without which a run says nothing about its noise."""

FARTHEST = 1e12
"""Growth of compute beyond which :func:`compute_for` gives up."""

CELL = ["variant", "method", "n_models", "fraction", "target_params"]
"""Columns in which two cells must agree for their predictions to be compared."""


def checkpoint_noise(
    runs: pd.DataFrame, tail: float = 0.3, *, degree: int = 2, fewest: int = FEWEST
) -> pd.DataFrame:
    r"""Scatter of the loss from checkpoint to checkpoint in the last part of each run.

    Parameters
    ----------
    runs : pandas.DataFrame
        A table of runs.
    tail : float
        Last part of each run that counts.
    degree : int
        Degree of the polynomial in tokens that is taken out first.
    fewest : int
        Runs with fewer checkpoints in the tail are left out.

    Returns
    -------
    pandas.DataFrame
        One row for each run: ``family``, ``run``, ``params``, ``n`` checkpoints, mean ``loss``,
        and three fractions of it: ``noise``, the standard deviation about the polynomial;
        ``jumps``, that of the part which is independent from one checkpoint to the next; ``drift``,
        how far the polynomial falls over the tail.

    Notes
    -----
    ``jumps`` comes from the distance of each checkpoint to the line between its neighbours (Gasser,
    Sroka and Jennen-Steinmetz 1986) and needs no model of the trend.  Where it is much smaller than
    ``noise``, neighbouring checkpoints err together: the curve was smoothed, or it wanders.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> loss = 2 + 0.02 * np.tile([1.0, -1.0], 20)
    >>> runs = pd.DataFrame({"family": "f", "run": "r", "params": 1e6, "loss": loss,
    ...                      "tokens": np.arange(1.0, 41.0)})
    >>> checkpoint_noise(runs)[["n", "noise"]].round(4).to_numpy().tolist()
    [[13.0, 0.0112]]
    """
    rows = []
    for (family, run), part in runs.groupby(["family", "run"], sort=False, observed=True):
        ends = part[part["tokens"] >= (1 - tail) * part["tokens"].max()].sort_values("tokens")
        if len(ends) < max(fewest, degree + 2):
            continue
        x = ends["tokens"].to_numpy("float64")
        y = ends["loss"].to_numpy("float64")
        x = 2 * (x - x[0]) / (x[-1] - x[0]) - 1
        trend = np.polynomial.polynomial.Polynomial.fit(x, y, degree, domain=[-1, 1])
        left = y - trend(x)
        rows.append(
            {
                "family": family,
                "run": run,
                "params": float(ends["params"].iloc[0]),
                "n": len(ends),
                "loss": y.mean(),
                "noise": np.sqrt((left**2).sum() / (len(y) - degree - 1)) / y.mean(),
                "jumps": neighbour_noise(x, y) / y.mean(),
                "drift": (trend(-1.0) - trend(1.0)) / y.mean(),
            }
        )
    columns = ["family", "run", "params", "n", "loss", "noise", "jumps", "drift"]
    return pd.DataFrame(rows, columns=columns)


def neighbour_noise(x: Array, y: Array) -> float:
    """Estimate independent noise from the distance of each point to the line of its neighbours.

    Parameters
    ----------
    x : numpy.ndarray
        Places, ascending.
    y : numpy.ndarray
        Values.

    Returns
    -------
    float
        Standard deviation of the noise.

    Examples
    --------
    >>> neighbour_noise(np.array([0.0, 1.0, 4.0]), np.array([1.0, 2.0, 5.0]))
    0.0
    """
    before = (x[2:] - x[1:-1]) / (x[2:] - x[:-2])
    off = before * y[:-2] + (1 - before) * y[2:] - y[1:-1]
    return float(np.sqrt(np.mean(off**2 / (before**2 + (1 - before) ** 2 + 1))))


def effect_sizes(law: ScalingLaw, params: float, tokens: float, factor: float = 2) -> pd.Series:
    """How far the loss falls when something is multiplied, by a law.

    Parameters
    ----------
    law : ScalingLaw
        The law.
    params, tokens : float
        Where to start.
    factor : float
        What to multiply by.

    Returns
    -------
    pandas.Series
        Fall of the loss as a fraction of it: ``params``, that many times as many; ``tokens``;
        ``compute``, the FLOPs, with parameters and tokens growing alike.

    Examples
    --------
    >>> law = ScalingLaw(E=1.0, A=10.0, B=0.0, alpha=0.5, beta=0.5)
    >>> effect_sizes(law, 100.0, 1e4, factor=4).round(3).to_dict()
    {'params': 0.25, 'tokens': 0.0, 'compute': 0.146}
    """
    before = float(law.predict(params, tokens))
    root = np.sqrt(factor)
    after = {
        "params": law.predict(factor * params, tokens),
        "tokens": law.predict(params, factor * tokens),
        "compute": law.predict(root * params, root * tokens),
    }
    return pd.Series({name: 1 - float(value) / before for name, value in after.items()})


def compute_for(law: ScalingLaw, params: float, tokens: float, gain: float) -> float:
    """How much more compute lowers the loss by a given part, by a law.

    Parameters
    ----------
    law : ScalingLaw
        The law.
    params, tokens : float
        Where to start.
    gain : float
        Fall of the loss wanted, as a fraction of it.

    Returns
    -------
    float
        Factor of FLOPs, parameters and tokens growing alike; infinite if the law's floor lies
        above, or if more than :data:`FARTHEST` times as much would be needed.

    Raises
    ------
    UnknownOptionError
        If ``gain`` is not between 0 and 1.

    Examples
    --------
    >>> law = ScalingLaw(E=1.0, A=10.0, B=0.0, alpha=0.5, beta=0.5)
    >>> round(compute_for(law, 100.0, 1e4, 0.25), 6), compute_for(law, 100.0, 1e4, 0.5)
    (16.0, inf)
    """
    if not 0 < gain < 1:
        raise UnknownOptionError(f"gain = {gain!r}: give a part of the loss between 0 and 1.")
    wanted = (1 - gain) * float(law.predict(params, tokens))

    def above(log_factor: float) -> float:
        root = np.exp(log_factor / 2)
        return float(law.predict(root * params, root * tokens)) - wanted

    most = float(np.log(FARTHEST))
    if above(most) > 0:
        return float("inf")
    return float(np.exp(brentq(above, 0.0, most, xtol=1e-12)))


def least_difference(are: float, level: float = 0.95, *, shared: float = 0.0) -> float:
    r"""Difference between two models that predictions with a given error put in the right order.

    Parameters
    ----------
    are : float
        Mean absolute relative error of each prediction.
    level : float
        How often the order shall be right.
    shared : float
        Correlation of the two errors.

    Returns
    -------
    float
        Difference as a fraction of the loss.

    Notes
    -----
    Errors are taken as normal with mean zero, so that their standard deviation is
    :math:`\sqrt{\pi/2}` times the ARE; the difference of two has variance
    :math:`2 (1 - \rho) \sigma^2`.

    Examples
    --------
    >>> round(least_difference(0.01), 4), round(least_difference(0.01, shared=0.9), 4)
    (0.0292, 0.0092)
    """
    if not (are >= 0 and 0.5 <= level < 1 and -1 <= shared <= 1):
        raise UnknownOptionError(
            f"are = {are!r}, level = {level!r}, shared = {shared!r}: give an error that is not "
            "negative, a level from 0.5 to below 1 and a correlation from -1 to 1."
        )
    sigma = are * np.sqrt(np.pi / 2)
    return float(norm.ppf(level) * sigma * np.sqrt(2 * (1 - shared)))


def ranked_pairs(cells: pd.DataFrame, text: pd.Series) -> pd.DataFrame:
    """Compare pairs of families measured on the same text, and see if their order was predicted.

    Parameters
    ----------
    cells : pandas.DataFrame
        Rows of back-tests, with ``predicted_loss`` and ``target_loss``; several families.
    text : pandas.Series
        For each family, what two must share to be compared, for instance group and metric.

    Returns
    -------
    pandas.DataFrame
        One row for each pair and cell: ``one``, ``other``, ``text``, the columns of :data:`CELL`,
        ``are`` (mean of both), ``difference`` (measured, as a fraction of the loss), ``right``
        (whether the predictions have the same order) and ``shared``, whether both errors have the
        same sign.

    Raises
    ------
    SelectionError
        If no two families can be compared.

    Examples
    --------
    >>> cells = pd.DataFrame({
    ...     "variant": "corrected", "method": "least_squares", "n_models": 2, "fraction": 1.0,
    ...     "target_params": 1e9, "family": ["a", "b"], "status": "ok", "are": [0.1, 0.1],
    ...     "signed_error": [0.1, 0.1], "target_loss": [2.0, 3.0], "predicted_loss": [2.2, 3.3],
    ... })
    >>> pairs = ranked_pairs(cells, pd.Series({"a": "same", "b": "same"}))
    >>> pairs[["difference", "right", "shared"]].to_dict("records")
    [{'difference': 0.4, 'right': True, 'shared': True}]
    """
    ok = cells[cells["status"] == "ok"].assign(text=lambda t: t["family"].map(text))
    parts = []
    for same, part in ok.groupby("text", sort=True):
        for one, other in combinations(sorted(part["family"].unique()), 2):
            columns = [*CELL, "are", "signed_error", "target_loss", "predicted_loss"]
            left, right = (part.loc[part["family"] == f, columns] for f in (one, other))
            both = left.merge(right, on=CELL, suffixes=("_a", "_b"))
            measured = both["target_loss_a"] - both["target_loss_b"]
            predicted = both["predicted_loss_a"] - both["predicted_loss_b"]
            middle = (both["target_loss_a"] + both["target_loss_b"]) / 2
            parts.append(
                both[CELL].assign(
                    one=one,
                    other=other,
                    text=same,
                    are=(both["are_a"] + both["are_b"]).astype("float64") / 2,
                    difference=(measured.abs() / middle).astype("float64"),
                    right=measured * predicted > 0,
                    shared=both["signed_error_a"] * both["signed_error_b"] > 0,
                )
            )
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if found.empty:
        raise SelectionError(
            "no two families share what they were measured on and the size of their target: there "
            "is nothing to put in order."
        )
    return found


def family_effects(
    cells: pd.DataFrame, runs: pd.DataFrame, *, most: float = 0.05, gain: float = 0.04
) -> pd.DataFrame:
    """Effects worth predicting, by the laws of families that their law predicts well.

    Parameters
    ----------
    cells : pandas.DataFrame
        Rows of back-tests of one design, variant and method; several families.
    runs : pandas.DataFrame
        The runs of these families, for the tokens of their targets.
    most : float
        Families whose law has a larger ARE, with all smaller models, are left out.
    gain : float
        Fall of the loss whose price is asked for.

    Returns
    -------
    pandas.DataFrame
        Indexed by family, at its largest model and the end of training: fall of the loss with
        ``2 x params``, ``2 x tokens``, ``2 x compute``, ``10 x compute``, and ``price``, the factor
        of compute for ``gain``.
    """
    full = full_cells(cells)
    full = full[(full["status"] == "ok") & (full["are"] <= most)].set_index("family")
    rows = {}
    for name, cell in full.iterrows():
        e, a, b, alpha, beta = (float(cell[k]) for k in PARAMETERS)
        law = ScalingLaw(E=e, A=a, B=b, alpha=alpha, beta=beta)
        params = float(cell["target_params"])
        part = runs[(runs["family"] == name) & np.isclose(runs["params"], params, rtol=1e-9)]
        if part.empty:
            continue
        tokens = float(part["tokens"].max())
        two, ten = (effect_sizes(law, params, tokens, k) for k in (2, 10))
        rows[str(name)] = {
            "2 x params": two["params"],
            "2 x tokens": two["tokens"],
            "2 x compute": two["compute"],
            "10 x compute": ten["compute"],
            "price": compute_for(law, params, tokens, gain),
        }
    columns = ["2 x params", "2 x tokens", "2 x compute", "10 x compute", "price"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def common_sizes(runs: pd.DataFrame, margin: float = 1.5) -> pd.DataFrame:
    """Cut families off at a size that all of them reach, so that their targets are alike.

    Parameters
    ----------
    runs : pandas.DataFrame
        Several families.
    margin : float
        A target may be this many times as large as the smallest one.

    Returns
    -------
    pandas.DataFrame
        Rows of ``runs``.

    Examples
    --------
    >>> runs = pd.DataFrame({"family": [*"aab"], "params": [1e6, 4e6, 1.2e6]})
    >>> common_sizes(runs)["params"].tolist()
    [1000000.0, 1200000.0]
    """
    least = runs.groupby("family", observed=True)["params"].max().min()
    return runs[runs["params"] <= margin * least]


def rank_choices(runs: pd.DataFrame) -> pd.DataFrame:
    """Predict families that were measured on the same text at a size all reach, and rank them.

    Parameters
    ----------
    runs : pandas.DataFrame
        Several families; those of one metric are compared, cut off by :func:`common_sizes`.

    Returns
    -------
    pandas.DataFrame
        Result of :func:`ranked_pairs`, for laws fitted to all sizes below the largest; no row if
        nothing can be compared.
    """
    parts = []
    for metric, same in runs.groupby("metric", sort=True, observed=True):
        if same["family"].nunique() < 2:
            continue
        for _, family in common_sizes(same).groupby("family", observed=True):
            if family["params"].nunique() < 3:
                continue
            cells = backtest(
                family, skip_tokens=0, fractions=[1.01], until=1.01, method="least_squares"
            )
            # Sizes of different architectures are never equal: they are alike, which is enough.
            full = full_cells(cells).assign(n_models=0, target_params=0.0, variant="corrected")
            parts.append(full.assign(metric=metric))
    try:
        cells = pd.concat(parts, ignore_index=True)
        return ranked_pairs(cells, cells.groupby("family")["metric"].first())
    except (SelectionError, ValueError):
        columns = ["one", "other", "text", "are", "difference", "right", "shared"]
        return pd.DataFrame(columns=columns)


def best_errors(cells: pd.DataFrame) -> pd.DataFrame:
    """How well each family can be predicted: with all there is, and with the luckiest choice.

    Parameters
    ----------
    cells : pandas.DataFrame
        Rows of back-tests of one design, variant and method; several families.

    Returns
    -------
    pandas.DataFrame
        Indexed by family: ``full``, the ARE with all smaller models and all their training;
        ``best``, the smallest ARE of any cell, which only hindsight could choose; ``cells``, out of
        how many; ``scale_up`` of the full cell.

    Examples
    --------
    >>> cells = pd.DataFrame({
    ...     "family": "opt", "method": "best_seen", "n_models": [2, 3], "fraction": 1.0,
    ...     "scale_up": [9.0, 3.0], "are": [0.01, 0.1], "status": "ok",
    ... })
    >>> best_errors(cells).loc["opt"].to_dict()
    {'full': 0.1, 'best': 0.01, 'cells': 2.0, 'scale_up': 3.0}
    """
    ok = cells[cells["status"] == "ok"]
    full = full_cells(cells).set_index("family")
    by = ok.groupby("family")["are"]
    table = pd.DataFrame(
        {
            "full": full["are"].astype("float64"),
            "best": by.min().astype("float64"),
            "cells": by.size(),
            "scale_up": full["scale_up"].astype("float64"),
        }
    )
    return table.dropna(subset=["best"])
