"""How much a prior pooled over families helps: with known truth, by number of models, by part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.accuracy import CELL, METHODS, same_cells
from scaling_utils.borrow import skip_of
from scaling_utils.errors import FitError
from scaling_utils.fitting.identify import check_identified
from scaling_utils.fitting.pooled import fit_pooled
from scaling_utils.fitting.prior import LEVEL_SPREAD, Prior, pooled_prior
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.law import PARAMETERS, ScalingLaw
from scaling_utils.pool import VAGUE
from scaling_utils.posterior import COORDINATES, Posterior
from scaling_utils.schedules import unfinished_share
from scaling_utils.selection import largest_models, last_fraction, sizes
from scaling_utils.simulate import simulate_family

Array = NDArray[np.float64]

COUNTS = (1, 2, 3, 4, 5)
"""Numbers of models that a law is fitted to."""

STEEPER = 3.0
"""By how many standard deviations the exponent of an unlike family is off."""

VARIANTS = ("default", "no schedule", "vague prior", "least squares")
"""What :func:`ablate` compares."""

LADDER = (*np.geomspace(1e8, 1.6e9, 5), 1.6e10)
"""Sizes of a simulated family; the last is predicted."""

TOKENS = tuple(np.geomspace(1e10, 1e11, 8))
"""Checkpoints of each simulated run."""

RANGES: dict[str, tuple[tuple[float, ...], tuple[str, ...]]] = {
    "scale_up": ((1, 3, 10, 30, np.inf), ("1-3", "3-10", "10-30", "over 30")),
    "n_models": ((1, 2, 3, 5, 10, np.inf), ("2", "3", "4-5", "6-10", "over 10")),
}
"""Edges and names of the ranges that the study is averaged over."""


def shape_spread(prior: Prior) -> Array:
    """Standard deviations of a prior's first five coordinates, with the level of losses set aside.

    Parameters
    ----------
    prior : Prior
        A prior.

    Returns
    -------
    numpy.ndarray of shape (5,)
        In logarithms.

    Examples
    --------
    >>> bool((shape_spread(pooled_prior()) > 0.09).all())
    True
    """
    variance = np.diag(prior.covariance)[:5].copy()
    variance[:3] -= LEVEL_SPREAD**2
    return np.sqrt(variance)


def levelled(table: pd.DataFrame) -> pd.DataFrame:
    """Give all groups the same loss at the reference, as the prior does.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of :func:`scaling_utils.fitting.prior.pool`.

    Returns
    -------
    pandas.DataFrame
        Indexed by group: ``E``, ``A0`` and ``B0`` (nats, at the mean level), ``alpha``, ``beta``,
        and ``floor``, ``params`` and ``tokens``, the shares of the loss at the reference.

    Examples
    --------
    >>> from scaling_utils.fitting.prior import pool
    >>> shares = levelled(pool())[["floor", "params", "tokens"]]
    >>> bool(np.allclose(shares.sum(axis=1), 1))
    True
    """
    theta = table[list(COORDINATES[:5])].to_numpy("float64")
    terms = np.exp(theta[:, :3])
    shares = terms / terms.sum(axis=1, keepdims=True)
    level = np.exp(np.log(terms.sum(axis=1)).mean())
    out = pd.DataFrame(shares * level, columns=["E", "A0", "B0"], index=table["group"])
    out[["alpha", "beta"]] = np.exp(theta[:, 3:5])
    out[["floor", "params", "tokens"]] = shares
    return out


def draw_laws(
    kind: str, count: int, rng: np.random.Generator, prior: Prior | None = None
) -> list[ScalingLaw]:
    """Draw laws that are like the pool, or not.

    Parameters
    ----------
    kind : {"from the prior", "twice as spread", "steeper"}
        Where laws come from: the prior; the prior with every deviation doubled; the prior with
        the exponent of parameters :data:`STEEPER` standard deviations higher.
    count : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.
    prior : Prior, optional
        By default the one pooled over all groups.

    Returns
    -------
    list of ScalingLaw
        The laws.

    Examples
    --------
    >>> laws = draw_laws("steeper", 20, np.random.default_rng(1))
    >>> bool(np.median([law.alpha for law in laws]) > 0.4)
    True
    """
    known = pooled_prior() if prior is None else prior
    mean = known.mean.copy()
    if kind == "steeper":
        mean[3] += STEEPER * shape_spread(known)[3]
    widen = 2.0 if kind == "twice as spread" else 1.0
    drawn = Posterior(mean, known.covariance).draw(count, rng, widen=widen)
    return [ScalingLaw(E, A, B, alpha, beta) for E, A, B, alpha, beta in drawn.tolist()]


def nearest_errors(
    runs: pd.DataFrame,
    counts: Iterable[int] = COUNTS,
    *,
    truth: ScalingLaw | None = None,
    prior: Prior | None = None,
) -> pd.DataFrame:
    """Predict the largest model from the one, two, ... sizes just below it.

    The scale-up is the same for every number of models, so that only their number differs.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.
    counts : iterable of int
        Numbers of sizes; those that the family does not have are left out.
    truth : ScalingLaw, optional
        What the target is compared with; by default the measured losses.
    prior : Prior, optional
        By default the one pooled without the family.

    Returns
    -------
    pandas.DataFrame
        ``family``, ``n_models``, ``method`` (``pooled`` or ``least_squares``), ``scale_up`` and
        ``are``, a fraction; no ARE where there is no law.
    """
    family = str(runs["family"].iloc[0])
    prior = pooled_prior(without=family) if prior is None else prior
    params, tokens, loss = (runs[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    run, decay = pd.factorize(runs["run"])[0], unfinished_share(runs)
    available, skip = sizes(runs), skip_of(runs)
    target = last_fraction(largest_models(runs), 0.7)
    rows = []
    for count in counts:
        if count > len(available) - 1:
            continue
        kept = np.isin(params, available[-1 - count : -1]) & (tokens > skip)
        some = params[kept], tokens[kept], loss[kept]
        for method in ("pooled", "least_squares"):
            try:
                if method == "pooled":
                    law, _, _ = fit_pooled(*some, {}, run=run[kept], decay=decay[kept], prior=prior)
                else:
                    check_identified(some[0], some[1], {})
                    law, _ = fit_varpro(*some, {})
                are = _error(law, target, truth)
            except FitError:
                are = np.nan
            rows.append((family, count, method, available[-1] / available[-2], are))
    return pd.DataFrame(rows, columns=["family", "n_models", "method", "scale_up", "are"])


def simulated_errors(
    laws: Mapping[str, list[ScalingLaw]],
    noises: Iterable[float],
    rng: np.random.Generator,
    counts: Iterable[int] = COUNTS,
) -> pd.DataFrame:
    """Simulate a family from each law and predict a model ten times as large as its largest.

    Parameters
    ----------
    laws : mapping of str to list of ScalingLaw
        True laws by kind.
    noises : iterable of float
        Relative standard deviations of whole runs.
    rng : numpy.random.Generator
        Source of the noise.
    counts : iterable of int
        Numbers of models.

    Returns
    -------
    pandas.DataFrame
        Mean ARE against the true law, with ``kind``, ``noise``, ``n_models`` and ``method``.
    """
    prior, counts = pooled_prior(), tuple(counts)
    parts = [
        nearest_errors(
            simulate_family(law, LADDER, TOKENS, rng, run_noise=noise),
            counts,
            truth=law,
            prior=prior,
        ).assign(kind=kind, noise=noise)
        for noise in noises
        for kind, own in laws.items()
        for law in own
    ]
    keys = ["noise", "kind", "method", "n_models"]
    return pd.concat(parts).groupby(keys, sort=False)["are"].mean().reset_index()


def ablate(runs: pd.DataFrame, fractions: Iterable[float] = (0.3, 0.5, 0.7, 1.0)) -> pd.DataFrame:
    """Take parts of the default estimator away and predict the largest model again.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.
    fractions : iterable of float
        Fractions of the longest training run that are trained on.

    Returns
    -------
    pandas.DataFrame
        A row for each training set of :func:`scaling_utils.accuracy.pooled_cells`, with
        ``family``, ``n_models``, ``fraction`` and the ARE of each of :data:`VARIANTS`.
    """
    family = str(runs["family"].iloc[0])
    prior = pooled_prior(without=family)
    params, tokens, loss = (runs[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    run, decay = pd.factorize(runs["run"])[0], unfinished_share(runs)
    available, skip = sizes(runs), skip_of(runs)
    target = last_fraction(largest_models(runs), 0.7)
    rows = []
    for count in range(2, len(available)):
        chosen = np.isin(params, available[:count])
        for fraction in fractions:
            kept = chosen & (tokens > skip) & (tokens < fraction * tokens[chosen].max())
            if not kept.any():
                continue
            some = params[kept], tokens[kept], loss[kept]
            own = run[kept]
            found = {
                "default": fit_pooled(*some, {}, run=own, decay=decay[kept], prior=prior)[0],
                "no schedule": fit_pooled(*some, {}, run=own, prior=prior)[0],
                "vague prior": fit_pooled(*some, {}, run=own, decay=decay[kept], prior=VAGUE)[0],
            }
            try:
                check_identified(some[0], some[1], {})
                found["least squares"] = fit_varpro(*some, {})[0]
            except FitError:
                continue
            errors = {name: _error(law, target) for name, law in found.items()}
            rows.append({"family": family, "n_models": count, "fraction": fraction} | errors)
    return pd.DataFrame(rows, columns=["family", "n_models", "fraction", *VARIANTS])


def accuracy_by(study: pd.DataFrame, by: str) -> pd.DataFrame:
    """Average the errors of the study by how far it is to the target, or by number of models.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`scaling_utils.accuracy.compute_study`.
    by : {"scale_up", "n_models"}
        What is cut into ranges.

    Returns
    -------
    pandas.DataFrame
        A row for each range and a column for each method, mean ARE (a fraction); families count
        alike within a group, and groups alike.  ``groups``: how many a range has.  ``ratio``: the
        default's over that of ``curve_fit``.

    Examples
    --------
    >>> study = pd.DataFrame({
    ...     "group": "g", "family": "f", "n_models": 2, "fraction": 0.3, "status": "ok",
    ...     "scale_up": 5.0, "method": ["pooled", "curve_fit"], "are": [0.01, 0.04]})
    >>> accuracy_by(study, "scale_up").to_dict("index")["3-10"]["ratio"]
    0.25
    """
    scale_up = study[study["method"] == "pooled"].set_index(CELL)["scale_up"]
    wide = same_cells(study).join(scale_up, on=CELL)
    edges, labels = RANGES[by]
    wide["range"] = pd.cut(wide[by], list(edges), labels=list(labels)).astype("str")
    methods = [m for m in METHODS if m in wide.columns]
    by_group = wide.groupby(["range", "group", "family"])[methods].mean()
    by_group = by_group.groupby(["range", "group"]).mean()
    out = by_group.groupby("range").mean()
    out.insert(0, "groups", by_group.groupby("range").size())
    out["ratio"] = out["pooled"] / out["curve_fit"]
    return out.loc[[label for label in labels if label in out.index]]


def _error(
    law: Mapping[str, float], target: pd.DataFrame, truth: ScalingLaw | None = None
) -> float:
    """Mean relative distance of a law from measured losses, or from a true law."""
    n, d = (target[c].to_numpy("float64") for c in ("params", "tokens"))
    true = target["loss"].to_numpy("float64") if truth is None else np.asarray(truth.predict(n, d))
    E, A, B, alpha, beta = (law[name] for name in PARAMETERS)
    predicted = np.asarray(ScalingLaw(E, A, B, alpha, beta).predict(n, d))
    return float(np.abs(predicted / true - 1).mean())
