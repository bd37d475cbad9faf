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
from scaling_utils.law import PARAMETERS

Array = NDArray[np.float64]

FEWEST_SIZES = 2
"""Sizes that a resample must hold: with fewer it says nothing of A and alpha."""

MOST_TRIES = 50
"""Times that a resample is drawn again before it is given up."""


def bootstrap_laws(runs: pd.DataFrame, n: int = 1000, *, seed: int = 0) -> pd.DataFrame:
    """Refit a least-squares law to resampled runs.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family and one metric, at least three runs of two sizes.
    n : int
        Refits.
    seed : int
        Seed of the resampling.

    Returns
    -------
    pandas.DataFrame
        A row for each refit: ``E`` (nats per token), ``A``, ``B``, ``alpha``, ``beta``, and
        ``runs``, the number of different runs in it.  A resample with fewer than two sizes is
        drawn again.

    Raises
    ------
    FitError
        If there are too few runs or sizes to resample, or the runs do not determine a law.
    UnknownOptionError
        If ``n`` is less than one.

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
    table = as_training_set(runs)
    params, tokens, loss = (table[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    check_identified(params, tokens, {})
    run, names = pd.factorize(table["run"])
    count = len(names)
    size_of_run = np.zeros(count)
    size_of_run[run] = params
    if count < FEWEST_SIZES + 1:
        raise FitError(
            f"{count} run(s): drawing runs again needs at least {FEWEST_SIZES + 1}. Add runs."
        )
    weights = _resample(size_of_run, n, np.random.default_rng(seed))
    laws, _ = fit_batch(params, tokens, loss, run, weights)
    out = pd.DataFrame(laws, columns=list(PARAMETERS))
    return out.assign(runs=(weights > 0).sum(axis=1))


def _resample(size_of_run: Array, n: int, rng: np.random.Generator) -> Array:
    """Times that each run is drawn in each resample; two sizes or more in every one."""
    count = len(size_of_run)
    out = np.zeros((n, count))
    open_rows = np.arange(n)
    for _ in range(MOST_TRIES):
        out[open_rows] = rng.multinomial(count, np.full(count, 1 / count), size=len(open_rows))
        drawn = np.where(out[open_rows] > 0, size_of_run, np.nan)
        few = np.nanmax(drawn, axis=1) == np.nanmin(drawn, axis=1)
        open_rows = open_rows[few]
        if len(open_rows) == 0:
            return out
    raise FitError(
        f"{len(open_rows)} of {n} resamples hold one size only: nearly all runs are of one size. "
        "Add runs of other sizes."
    )
