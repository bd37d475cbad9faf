"""How far a law moves when its runs are drawn again: a thousand refits at once.

Checkpoints of a run are not independent, so whole runs are resampled (a clustered bootstrap;
Cameron and Miller 2015, section 6).  Drawing a run twice gives it the weight two, so all refits
share their sums over checkpoints (:mod:`scaling_utils.fitting.batch`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.errors import FitError, UnknownOptionError
from scaling_utils.fitting.batch import fit_batch
from scaling_utils.fitting.fit import as_training_set
from scaling_utils.fitting.identify import check_identified
from scaling_utils.fitting.log_huber import fit_log_huber
from scaling_utils.jobs import run_jobs
from scaling_utils.law import PARAMETERS

Array = NDArray[np.float64]

FEWEST_SIZES = 2
"""Sizes that a resample must hold: with fewer it says nothing of A and alpha."""

MOST_TRIES = 50
"""Times that a resample is drawn again before it is given up."""

PORTION = 250
"""Refits that are computed together, and sent to another process together."""

REFITS = {"least_squares": None, "log_huber": fit_log_huber}
"""Methods that take weights; those without a function of their own are fitted all at once."""


def bootstrap_laws(
    runs: pd.DataFrame,
    n: int = 1000,
    *,
    seed: int | np.random.Generator = 0,
    method: str = "least_squares",
    cluster: str = "run",
    n_jobs: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Refit a law to resampled runs.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family and one metric, at least three runs of two sizes.
    n : int
        Refits.
    seed : int or numpy.random.Generator
        Seed or source of the resampling.
    method : {"least_squares", "log_huber"}
        Fitting method, as for :func:`scaling_utils.fit_law`.
    cluster : str
        Column whose values are drawn as a whole: ``"run"``, or ``"params"`` where runs of one size
        share more than their size.
    n_jobs : int, optional
        Processes; by default what a surrounding ``joblib.parallel_config`` says, else one.  The
        refits do not depend on it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        A row for each refit: ``E`` (nats per token), ``A``, ``B``, ``alpha``, ``beta``, and
        ``runs`` and ``sizes``, the numbers of different clusters and sizes in it.  A resample that
        does not determine a law is drawn again; one with two sizes has an alpha by convention.

    Raises
    ------
    FitError
        If there are too few runs or sizes to resample, or the runs do not determine a law.
    UnknownOptionError
        If ``n`` is less than one, or ``method`` or ``cluster`` is unknown.

    Notes
    -----
    The spread of the refits is that of noise between runs; it says nothing about how wrong the
    law's form is, and with few runs it is itself uncertain.  For a prediction use
    :meth:`scaling_utils.ScalingLaw.interval`.

    Examples
    --------
    >>> sizes, tokens = np.meshgrid([1e8, 2e8, 4e8, 8e8, 2e9], np.geomspace(1e9, 1e11, 8))
    >>> logs = pd.DataFrame({"params": sizes.ravel(), "tokens": tokens.ravel()})
    >>> logs["loss"] = 1.7 + 400 * logs["params"] ** -0.35 + 2000 * logs["tokens"] ** -0.37
    >>> laws = bootstrap_laws(logs, 20)
    >>> len(laws), laws["beta"].round(3).unique().tolist()
    (20, [0.37])
    """
    if n < 1:
        raise UnknownOptionError(f"n = {n!r}: draw at least one resample.")
    if method not in REFITS:
        raise UnknownOptionError(f"method = {method!r}: resample by one of {sorted(REFITS)}.")
    table = as_training_set(runs)
    if cluster not in table.columns:
        raise UnknownOptionError(
            f"cluster = {cluster!r} is no column: name one of {sorted(map(str, table.columns))}."
        )
    checkpoints = tuple(table[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    check_identified(checkpoints[0], checkpoints[1], {})
    group, names = pd.factorize(table[cluster])
    if len(names) < FEWEST_SIZES + 1:
        raise FitError(
            f"{len(names)} run(s): drawing runs again needs at least {FEWEST_SIZES + 1}. Add runs."
        )
    rows = np.bincount(group).astype("float64")
    spans = [_span(values, group) for values in checkpoints[:2]]
    weights = _resample(rows, spans, n, np.random.default_rng(seed))
    portions = [
        (method, *checkpoints, group, weights[start : start + PORTION])
        for start in range(0, n, PORTION)
    ]
    laws = run_jobs(_refit, portions, n_jobs=n_jobs, name="refits", progress=progress)
    out = pd.DataFrame(np.concatenate(laws), columns=list(PARAMETERS))
    distinct, size = np.unique(checkpoints[0], return_inverse=True)
    held = np.zeros((len(names), len(distinct)))
    held[group, size] = 1
    sizes = (weights @ held > 0).sum(axis=1)
    return out.assign(runs=(weights > 0).sum(axis=1), sizes=sizes)


def _span(values: Array, group: NDArray[np.intp]) -> tuple[Array, Array]:
    """Smallest and largest value of each cluster."""
    least = np.full(int(group.max()) + 1, np.inf)
    most = np.full(len(least), -np.inf)
    np.minimum.at(least, group, values)
    np.maximum.at(most, group, values)
    return least, most


def _refit(
    method: str, params: Array, tokens: Array, loss: Array, group: NDArray[np.intp], weights: Array
) -> Array:
    """Fit one law for each row of weights; rows of E, A, B, alpha and beta."""
    one_by_one = REFITS[method]
    if one_by_one is None:
        return fit_batch(params, tokens, loss, group, weights)[0]
    laws = [one_by_one(params, tokens, loss, {}, w[group])[0] for w in weights]
    return np.array([[law[name] for name in PARAMETERS] for law in laws])


def _resample(
    rows: Array, spans: list[tuple[Array, Array]], n: int, rng: np.random.Generator
) -> Array:
    """Times that each cluster is drawn in each resample, every one of which determines a law.

    It does with two sizes, two token counts and as many checkpoints as parameters.
    """
    count = len(rows)
    out = np.zeros((n, count))
    left = np.arange(n)
    for _ in range(MOST_TRIES):
        out[left] = rng.multinomial(count, np.full(count, 1 / count), size=len(left))
        drawn = out[left] > 0
        good = drawn @ rows >= len(PARAMETERS)
        for least, most in spans:
            low = np.where(drawn, least, np.inf).min(axis=1)
            good &= low < np.where(drawn, most, -np.inf).max(axis=1)
        left = left[~good]
        if len(left) == 0:
            return out
    raise FitError(
        f"{len(left)} of {n} resamples do not determine a law: nearly all runs are of one size, or "
        "hold hardly a checkpoint. Add runs of other sizes, or more checkpoints."
    )
