"""Which intervals hold what comes: in made-up families, in one family, and in the kept study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from scaling_utils.accuracy import coverage
from scaling_utils.calibration import cell_weights
from scaling_utils.confidence import prediction_error
from scaling_utils.errors import SelectionError, UnknownOptionError
from scaling_utils.fitting.fit import fit_law
from scaling_utils.fitting.prior import Prior, pool, pooled_prior
from scaling_utils.law import ScalingLaw
from scaling_utils.posterior import COORDINATES, to_raw
from scaling_utils.selection import largest_models, sizes
from scaling_utils.simulate import simulate_family

Array = NDArray[np.float64]

KINDS = ("checkpoints", "runs", "calibrated")
"""Kinds of interval: least squares with checkpoints, or runs, as the independent observations; and
that of the default estimator."""

CLAIMS = ("posterior", "claim", "calibrated")
"""What an interval can take at its word: the posterior alone; the posterior with the spread of runs
and the error of laws; the same, times the factor of other groups."""

LEVELS = tuple(float(level) for level in np.linspace(0.1, 0.95, 18))
"""Claimed shares at which coverage is looked at."""

TRAIN_SIZES = tuple(float(size) for size in np.geomspace(1e7, 1e9, 5))
TARGET = (1e10, 3e10)
"""Parameters and tokens of the model that is predicted in made-up families."""


def half_widths(
    runs: pd.DataFrame,
    params: float,
    tokens: float,
    level: float = 0.9,
    *,
    prior: Prior | None = None,
) -> pd.DataFrame:
    """Predict one model with an interval of each kind.

    Parameters
    ----------
    runs : pandas.DataFrame
        The training set: checkpoints of two runs or more, of one family.
    params, tokens : float
        The model to predict.
    level : float
        Share of intervals that are to hold what comes.
    prior : Prior, optional
        For the default estimator; by default without the family's own group.

    Returns
    -------
    pandas.DataFrame
        Indexed by :data:`KINDS`: ``predicted`` (nats per token) and ``half``, half the width of
        the interval over the prediction.

    Raises
    ------
    UnknownOptionError
        If ``level`` is not between 0 and 1.
    FitError, SelectionError
        If the runs are too few for least squares or its errors.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> truth = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
    >>> runs = simulate_family(truth, TRAIN_SIZES, np.arange(1, 31) * 1e9, rng)
    >>> table = half_widths(runs, *TARGET)
    >>> bool(table.loc["checkpoints", "half"] < table.loc["calibrated", "half"])
    True
    """
    if not 0 < level < 1:
        raise UnknownOptionError(
            f"level = {level!r}: an interval holds a share between 0 and 1, for instance 0.9."
        )
    squares = fit_law(runs, method="least_squares")
    default = fit_law(runs, method="pooled", prior=prior)
    normal = float(ndtri((1 + level) / 2))
    seen = float(squares.predict(params, tokens))
    rows = {
        units: {
            "predicted": seen,
            "half": normal * prediction_error(squares, runs, params, tokens, units=units) / seen,
        }
        for units in KINDS[:2]
    }
    low, high = default.interval(params, tokens, level)
    middle = float(default.predict(params, tokens))
    rows["calibrated"] = {"predicted": middle, "half": float(high - low) / 2 / middle}
    return pd.DataFrame(rows).T


def pool_laws() -> dict[str, ScalingLaw]:
    """Return the laws of the groups of families that priors are pooled over.

    Returns
    -------
    dict of str to ScalingLaw
        By group.

    Examples
    --------
    >>> all(0.1 < law.alpha < 1 for law in pool_laws().values())
    True
    """
    table = pool().set_index("group")
    raw = to_raw(table[list(COORDINATES)].to_numpy("float64")).tolist()
    return {
        str(group): ScalingLaw(e, a, b, alpha, beta)
        for group, (e, a, b, alpha, beta) in zip(table.index, raw, strict=True)
    }


def known_truth_study(
    rng: np.random.Generator,
    *,
    each: int = 6,
    level: float = 0.9,
    run_noise: float = 0.005,
    checkpoint_noise: float = 0.003,
) -> pd.DataFrame:
    """Predict made-up families that follow laws of real ones, which the prior never saw.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the noise.
    each : int
        Families for each law of :func:`pool_laws`.
    level : float
        Share of intervals that are to hold what comes.
    run_noise, checkpoint_noise : float
        Relative standard deviations of what all checkpoints of a run share, and of each one alone.

    Returns
    -------
    pandas.DataFrame
        One row for each family and kind: ``group`` whose law it follows, ``draw``, ``kind``,
        ``half``, ``curve`` and ``run``: by how much the truth, and a new run, are off the
        prediction, relative to it.

    Examples
    --------
    >>> study = known_truth_study(np.random.default_rng(1), each=1)
    >>> sorted(study["kind"].unique()) == sorted(KINDS)
    True
    """
    tokens = [TARGET[1] * k / 30 for k in range(1, 31)]
    parts = []
    for group, truth in pool_laws().items():
        prior = pooled_prior(without=group)
        aim = float(truth.predict(*TARGET))
        for draw in range(each):
            runs = simulate_family(
                truth,
                TRAIN_SIZES,
                tokens,
                rng,
                checkpoint_noise=checkpoint_noise,
                run_noise=run_noise,
            )
            new = aim * (1 + run_noise * rng.standard_normal())
            table = half_widths(runs, *TARGET, level, prior=prior)
            table = table.assign(
                curve=aim / table["predicted"] - 1, run=new / table["predicted"] - 1
            )
            table = table.rename_axis("kind").reset_index()
            parts.append(table.assign(group=group, draw=draw))
    return pd.concat(parts, ignore_index=True)


def held(study: pd.DataFrame) -> pd.DataFrame:
    """Summarise how often each kind of interval holds what came.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`known_truth_study`.

    Returns
    -------
    pandas.DataFrame
        Indexed by kind: ``curve`` and ``run``, shares held; ``half``, the median half width;
        ``error``, the root mean square of the error against the curve.

    Examples
    --------
    >>> study = pd.DataFrame({
    ...     "kind": "runs", "half": [0.02, 0.02], "curve": [0.01, -0.03], "run": [0.0, 0.01]})
    >>> held(study).round(4).loc["runs"].tolist()
    [0.5, 1.0, 0.02, 0.0224]
    """
    inside = pd.DataFrame(
        {of: study[of].abs() <= study["half"] for of in ("curve", "run")} | {"kind": study["kind"]}
    )
    table = inside.groupby("kind", sort=False)[["curve", "run"]].mean()
    by = study.groupby("kind", sort=False)
    table["half"] = by["half"].median()
    table["error"] = by["curve"].apply(lambda e: float(np.sqrt(np.mean(e**2))))
    return table


def ladder(runs: pd.DataFrame, level: float = 0.9, *, fewest: int = 3) -> pd.DataFrame:
    """Predict the end of a family's largest model from ever more of the smaller ones.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.
    level : float
        Share of intervals that are to hold what comes.
    fewest : int
        Sizes to begin with.

    Returns
    -------
    pandas.DataFrame
        One row for each number of smallest sizes and kind: ``n_models``, ``scale_up``, ``kind``,
        ``predicted``, ``half``, ``measured`` (nats per token), ``inside``.

    Raises
    ------
    SelectionError
        If there is no size above the fewest.
    """
    known = sizes(runs)
    if len(known) <= fewest:
        raise SelectionError(
            f"{len(known)} sizes leave none to predict from the {fewest} smallest: lower fewest."
        )
    largest = largest_models(runs)
    last = largest.loc[largest["tokens"].idxmax()]
    params, tokens, measured = (float(last[c]) for c in ("params", "tokens", "loss"))
    parts = []
    for count in range(fewest, len(known)):
        seen = runs[runs["params"] <= known[count - 1]]
        table = half_widths(seen, params, tokens, level).rename_axis("kind").reset_index()
        table.insert(0, "n_models", count)
        table.insert(1, "scale_up", params / float(known[count - 1]))
        parts.append(table)
    out = pd.concat(parts, ignore_index=True).assign(measured=measured)
    off = (out["measured"] / out["predicted"] - 1).abs()
    return out.assign(inside=off <= out["half"])


def coverage_curve(study: pd.DataFrame, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """Compare claimed with held shares, for each of :data:`CLAIMS`.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`scaling_utils.accuracy.compute_study`.
    levels : sequence of float
        Claimed shares.

    Returns
    -------
    pandas.DataFrame
        One row for each level, claim and group: ``level``, ``claim``, ``group``, ``held`` (families
        of a group count alike) and ``width``, the median upper over lower bound less one.
    """
    own = study[study["method"] == "pooled"].reset_index(drop=True)
    claim = own["log_error"].abs() / own["score"].abs()
    scales = {"posterior": own["log_sd"], "claim": claim}
    parts = []
    for level in levels:
        normal = float(ndtri((1 + level) / 2))
        tables = {
            name: own.assign(
                inside=own["log_error"].abs() <= normal * scale,
                width=np.expm1(2 * normal * scale),
                weight=cell_weights(own),
            )
            for name, scale in scales.items()
        }
        tables["calibrated"] = coverage(study, level)
        for name, cells in tables.items():
            weight = cells["weight"]
            share = (cells["inside"] * weight).groupby(cells["group"]).sum()
            table = pd.DataFrame(
                {
                    "held": share / weight.groupby(cells["group"]).sum(),
                    "width": cells.groupby("group")["width"].median(),
                }
            ).reset_index()
            parts.append(table.assign(level=level, claim=name))
    return pd.concat(parts, ignore_index=True)
