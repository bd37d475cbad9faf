"""The one table that everything here reads and writes: a row for each (run, checkpoint)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scaling_utils.errors import RunsError
from scaling_utils.schedules import PLANNED

COLUMNS: dict[str, str] = {
    "family": "scaled family: models that differ only in parameters and tokens seen",
    "run": "one training run of one model; unique within its family",
    "params": "parameters (non-embedding where the source allows it)",
    "tokens": "training tokens seen at this checkpoint",
    "loss": "loss at this checkpoint, nats per token unless `metric` says otherwise",
    "metric": "what the loss is: unit and evaluation set",
    "seed": "random seed, where recorded",
    "architecture": "kind of network",
    "corpus": "training corpus",
    "flops": "training FLOPs up to this checkpoint: 6 * params * tokens unless measured",
    "schedule": "learning-rate schedule",
    "source": "where the numbers come from",
}
"""Columns of a table of runs, in order, and what each holds."""

NUMERIC = ("params", "tokens", "loss", "flops")
TEXT = ("family", "run", "metric", "architecture", "corpus", "schedule", "source")
KEY = ["family", "run", "metric", "tokens"]
ORDER = ["family", "metric", "params", "run", "tokens"]


def tidy_runs(table: pd.DataFrame, defaults: Mapping[str, object] | None = None) -> pd.DataFrame:
    """Bring a table of checkpoints into the shape that the rest of the package expects.

    Adds the columns that are missing, computes ``flops`` as ``6 * params * tokens`` where it is
    not given, sorts by family, metric, parameters, run and tokens, and checks the result with
    :func:`check_runs`.  Columns beyond the standard ones are kept, to the right; one of them is
    ``planned_tokens``, where a run's learning-rate schedule ends, which is taken to be its last
    checkpoint unless given: give it for runs that are still going.

    Parameters
    ----------
    table : pandas.DataFrame
        At least ``params`` (parameters), ``tokens`` (tokens) and ``loss`` (nats per token).
        Without ``run``, every distinct ``params`` is one run.
    defaults : mapping of str to object, optional
        Values for standard columns that ``table`` lacks, for instance ``{"family": "mine"}``.

    Returns
    -------
    pandas.DataFrame
        One row for each (run, checkpoint), with the columns of :data:`COLUMNS` first.

    Raises
    ------
    RunsError
        If a required column is missing or :func:`check_runs` finds a fault.

    Examples
    --------
    >>> import pandas as pd
    >>> logs = pd.DataFrame({"params": [1e6, 1e6], "tokens": [2e9, 1e9], "loss": [3.0, 3.2]})
    >>> tidy_runs(logs, {"family": "mine"})[["run", "tokens", "loss", "flops"]]
               run        tokens  loss         flops
    0  mine-1e+06  1.000000e+09   3.2  6.000000e+15
    1  mine-1e+06  2.000000e+09   3.0  1.200000e+16
    """
    given = dict(defaults or {})
    _check_columns(table)
    missing = [c for c in ("params", "tokens", "loss") if c not in table.columns]
    if missing:
        raise RunsError(
            f"the table lacks the column(s) {missing}: a table of runs needs 'params', 'tokens' "
            "and 'loss' for each checkpoint. Rename yours, for instance "
            "table.rename(columns={'step_tokens': 'tokens'})."
        )
    out = table.reset_index(drop=True)
    for column in (*NUMERIC, PLANNED):
        if column in out.columns:
            out[column] = _numbers(out[column])
    if "family" not in out.columns:
        out["family"] = given.get("family", "mine")
    if "run" not in out.columns:
        out["run"] = out["family"].astype("str") + "-" + _size_names(out["params"])
    fill = {
        "metric": "nats/token",
        "seed": pd.NA,
        "architecture": "unknown",
        "corpus": "unknown",
        "schedule": "unknown",
        "source": "user",
    }
    for column, value in {**fill, **given}.items():
        if column not in out.columns:
            out[column] = value
    try:
        out["seed"] = pd.to_numeric(out["seed"]).astype("Int64")
    except (ValueError, TypeError) as error:
        raise RunsError(
            f"column 'seed' holds something other than whole numbers ({error}): a seed is the "
            "number that the random generator started from, or missing. Correct it or leave the "
            "column out."
        ) from error
    flops = 6.0 * out["params"] * out["tokens"]
    out["flops"] = out["flops"].fillna(flops) if "flops" in out.columns else flops
    for column in TEXT:
        out[column] = out[column].astype("str")
    extras = [c for c in out.columns if c not in COLUMNS]
    out = out[[*COLUMNS, *extras]].sort_values(ORDER, kind="stable").reset_index(drop=True)
    check_runs(out)
    if PLANNED not in out.columns:
        # Kept beside the rows, so that it survives when the end of a run is cut off for a test.
        out[PLANNED] = out.groupby(["family", "run"], sort=False)["tokens"].transform("max")
    return out


def check_runs(runs: pd.DataFrame) -> None:
    """Refuse a table of runs that would mislead a fit.

    Parameters
    ----------
    runs : pandas.DataFrame
        A table as :func:`tidy_runs` returns it.

    Raises
    ------
    RunsError
        If a column is missing, a value is absent, infinite or not positive, one run has two
        sizes, or the same checkpoint appears twice.  The message names the first offending row.

    Notes
    -----
    Rows whose extra column ``variant`` says ``"upstream"`` may repeat a checkpoint: they are what
    the guide's own code fitted, repeated points included, and dropping these would not reproduce
    its numbers.
    """
    missing = [c for c in COLUMNS if c not in runs.columns]
    if missing:
        raise RunsError(
            f"the table lacks the column(s) {missing}: pass it through tidy_runs() first, which "
            "adds what can be added."
        )
    _check_columns(runs)
    for column in ("family", "run", "metric"):
        absent = runs[column].isna()
        if absent.any():
            raise RunsError(
                f"{int(absent.sum())} row(s) have no {column!r}: rows without it cannot be told "
                f"apart. Fill the column, or leave it out of the table for tidy_runs() to add."
            )
    for column in NUMERIC:
        if runs[column].dtype != "float64":
            raise RunsError(
                f"column {column!r} holds {runs[column].dtype} rather than float64: pass the table "
                "through tidy_runs() first, which converts what can be converted."
            )
        values = runs[column].to_numpy()
        bad = ~np.isfinite(values) | (values <= 0)
        if bad.any():
            row = runs.iloc[int(np.flatnonzero(bad)[0])]
            raise RunsError(
                f"{column} = {float(row[column])!r} in run {row['run']!r} "
                f"(family {row['family']!r}, tokens {row['tokens']:.6g}), and "
                f"{int(bad.sum())} such "
                f"row(s) in all: {column} must be finite and positive. Drop these rows, or correct "
                "them at the source."
            )
    sizes = runs.groupby(["family", "run"], sort=False)["params"].nunique()
    if (sizes > 1).any():
        family, run = sizes[sizes > 1].index[0]
        raise RunsError(
            f"run {run!r} of family {family!r} has {int(sizes.max())} different values of "
            "params: one run is one model. Give each model its own name in the column 'run'."
        )
    twice = runs.duplicated(KEY, keep=False)
    if "variant" in runs.columns:
        twice &= runs["variant"].ne("upstream").fillna(True)
    if twice.any():
        row = runs[twice].iloc[0]
        raise RunsError(
            f"run {row['run']!r} of family {row['family']!r} has more than one loss at "
            f"{row['tokens']:.6g} tokens for metric {row['metric']!r}: one checkpoint has one "
            "loss. Average them, or give repeated trainings different names in 'run'."
        )


def _check_columns(table: pd.DataFrame) -> None:
    """Refuse what is no table, and a table in which a standard column stands twice."""
    if not isinstance(table, pd.DataFrame):
        raise RunsError(
            f"a table of runs is a pandas DataFrame, not {type(table).__name__}: build one with "
            "pd.DataFrame({'params': ..., 'tokens': ..., 'loss': ...})."
        )
    twice = [c for c in (*COLUMNS, PLANNED) if list(table.columns).count(c) > 1]
    if twice:
        raise RunsError(
            f"the table has more than one column {twice[0]!r}: which one is meant? Rename or drop "
            "the other."
        )


def _numbers(values: pd.Series) -> pd.Series:
    """Turn a column into plain numbers, missing ones as nan."""
    try:
        if values.dtype == "category":
            values = values.astype(values.cat.categories.dtype)
        kind = pd.api.types
        # These convert without complaint: True to 1, a date to nanoseconds.
        for refused in (
            kind.is_bool_dtype,
            kind.is_complex_dtype,
            kind.is_datetime64_any_dtype,
            kind.is_timedelta64_dtype,
        ):
            if refused(values.dtype):
                raise TypeError(f"it holds {values.dtype}")
        return pd.to_numeric(values).astype("float64")
    except (ValueError, TypeError, OverflowError) as error:
        raise RunsError(
            f"column {values.name!r} is not numeric ({error}): it must hold plain numbers, "
            "for instance 1.3e9 rather than '1.3B'. Convert it first."
        ) from error


def _size_names(params: pd.Series) -> pd.Series:
    """Short texts for numbers of parameters, longer where short ones would be the same."""
    code, levels = pd.factorize(params, use_na_sentinel=False)
    short = [f"{level:.4g}" for level in levels]
    names = short if len(set(short)) == len(levels) else [repr(float(level)) for level in levels]
    return pd.Series(np.array(names, dtype="object")[code], params.index, dtype="str")
