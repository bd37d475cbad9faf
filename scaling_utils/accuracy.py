"""Which estimator predicts best, and how often its intervals hold: a study over all families.

Every family with three sizes or more, built-in and published, is predicted from its *n* smallest
models, for every *n* from two on, and from the first 30, 50, 70 or 100 % of their training.  The
prior of the default estimator never has anything of the family's own group.  The target is the
guide's: the last 30 % of the largest model's training.

``python -m scaling_utils.accuracy`` computes the study and the scores that intervals are calibrated
with; :func:`load_study` reads what is kept.
"""

from __future__ import annotations

from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.backtest import Checkpoints, backtest, training_cells, training_sizes
from scaling_utils.borrow import skip_of
from scaling_utils.builtin import builtin_families
from scaling_utils.calibration import cell_weights, claimed_sd, factor_of
from scaling_utils.fitting.pooled import fit_pooled
from scaling_utils.fitting.prior import pool, pooled_prior
from scaling_utils.grids import code_mark, fingerprint
from scaling_utils.jobs import run_jobs
from scaling_utils.kept import kept_path, load_kept, mark_of, save_kept
from scaling_utils.law import ScalingLaw
from scaling_utils.published.catalogue import catalogue
from scaling_utils.runs import load_runs
from scaling_utils.selection import largest_models, last_fraction, sizes

Array = NDArray[np.float64]

FRACTIONS = (0.3, 0.5, 0.7, 1.0)
METHODS = ("pooled", "least_squares", "log_huber", "curve_fit", "best_seen")
"""Methods that are compared, the default first."""

CELL = ["family", "n_models", "fraction"]
LEVELS = (0.5, 0.9)

FINALS = ("opt-finals", "bloom-finals")
"""Families of final points at one token count, which no law of tokens is fitted to."""

HOUSE = "house"
"""Group of all built-in families: they share texts, trainer and protocol."""

SCALE_UPS = (1.0, 3.0, 10.0, 30.0, np.inf)
"""Edges of the ranges of scale-up that coverage is shown for."""

CODE = (
    "accuracy",
    "calibration",
    "posterior",
    "schedules",
    "fitting.log_huber",
    "fitting.pooled",
    "fitting.prior",
)
FEWEST_SIZES = 3


def group_of(family: str) -> str:
    """Name the group of families that a family belongs to, the built-in ones being one.

    Parameters
    ----------
    family : str
        Name of a family.

    Returns
    -------
    str
        Name of its group.

    Examples
    --------
    >>> group_of("datablations-c4-4"), group_of("house-lstm")
    ('datablations', 'house')
    """
    known = catalogue().get(family)
    return known.group if known else HOUSE


def pooled_cells(runs: pd.DataFrame, fractions: tuple[float, ...] = FRACTIONS) -> pd.DataFrame:
    """Predict the largest model of one family by the default estimator, and its uncertainty.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.
    fractions : tuple of float
        Fractions of the longest training run that are trained on.

    Returns
    -------
    pandas.DataFrame
        One row for each cell of :func:`scaling_utils.backtest` with its ``are`` and
        ``signed_error``, and ``log_error``, the mean logarithm of measured over predicted loss;
        ``log_sd`` and ``scatter`` of the posterior; ``score``, the error in units of what
        :func:`scaling_utils.calibration.claimed_sd` claims.
    """
    family = str(runs["family"].iloc[0])
    prior = pooled_prior(without=(family, group_of(family)))
    points = Checkpoints.of(runs, decay=True)
    target = Checkpoints.of(last_fraction(largest_models(runs), 0.7), decay=False)
    chosen = training_sizes("smallest", sizes(runs), None)
    rows = []
    for cell, train in training_cells(points, chosen, fractions, skip_tokens=skip_of(runs)):
        if len(train.loss) == 0:
            continue
        found, _, posterior = fit_pooled(
            train.params,
            train.tokens,
            train.loss,
            {},
            run=train.run,
            decay=train.decay,
            prior=prior,
        )
        law = ScalingLaw(found["E"], found["A"], found["B"], found["alpha"], found["beta"])
        ratio = np.asarray(law.predict(target.params, target.tokens)) / target.loss
        log_sd = float(posterior.log_sd(target.params, target.tokens).mean())
        log_error = -float(np.log(ratio).mean())
        claim = float(claimed_sd(log_sd, posterior.scatter, cell["scale_up"]))
        rows.append(
            {
                "family": family,
                "n_models": cell["n_models"],
                "fraction": cell["fraction"],
                "scale_up": cell["scale_up"],
                "are": float(np.abs(ratio - 1).mean()),
                "signed_error": float((ratio - 1).mean()),
                "log_error": log_error,
                "log_sd": log_sd,
                "scatter": posterior.scatter,
                "score": log_error / claim,
            }
        )
    return pd.DataFrame(rows)


def family_study(family: str) -> pd.DataFrame:
    """Compare all methods on one family.

    Parameters
    ----------
    family : str
        Name of a family at hand.

    Returns
    -------
    pandas.DataFrame
        One row for each cell and method; empty for families of fewer than three sizes.
    """
    runs = load_runs(family, progress=False)
    if len(sizes(runs)) < FEWEST_SIZES:
        return pd.DataFrame()
    parts = [pooled_cells(runs).assign(method="pooled", status="ok")]
    columns = [*CELL, "scale_up", "are", "signed_error", "method", "status"]
    for method in METHODS[1:]:
        cells = backtest(runs, method=method, fractions=FRACTIONS, skip_tokens=skip_of(runs))
        cells["status"] = np.where(cells["status"] == "ok", "ok", "failed")
        parts.append(cells[columns])
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "group", group_of(family))
    return table


def covered() -> list[str]:
    """List the families of the study.

    Returns
    -------
    list of str
        Built-in and published families of three sizes or more.
    """
    return [name for name in (*builtin_families(), *catalogue()) if name not in FINALS]


def compute_study(*, n_jobs: int | None = None, progress: bool = False) -> pd.DataFrame:
    """Compute the study on all families.

    Parameters
    ----------
    n_jobs : int, optional
        Processes, for ``joblib.Parallel``; what ``joblib.parallel_config`` says by default.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        Result of :func:`family_study` for each family, one below the other.
    """
    work = [(name,) for name in covered()]
    parts = run_jobs(family_study, work, n_jobs=n_jobs, name="accuracy", progress=progress)
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table["n_models"] = table["n_models"].astype("int64")
    return table.sort_values(["group", *CELL, "method"], kind="stable", ignore_index=True)


def study_mark() -> str:
    """Fingerprint of the code and the data behind the study.

    Returns
    -------
    str
        Changes when the numbers could.
    """
    house = resources.files("scaling_utils").joinpath("house")
    return code_mark(
        CODE,
        *(fingerprint(family) for family in covered() if family in catalogue()),
        pool().to_csv(index=False),
        *(house.joinpath(file).read_bytes() for file in ("runs.parquet", "markov.parquet")),
    )


def load_study() -> pd.DataFrame:
    """Read the kept study.

    Returns
    -------
    pandas.DataFrame
        As :func:`compute_study` returns it.

    Raises
    ------
    DataFileError
        If it is missing or belongs to other code or data.
    """
    return load_kept(kept_path("accuracy"), study_mark(), "'python -m scaling_utils.accuracy'")


def accuracy_table(study: pd.DataFrame, by: str = "group") -> pd.DataFrame:
    """Average errors by group of families, on the cells that every law method could fit.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`compute_study`.
    by : str
        ``"group"``, ``"fraction"`` or another column of the study.

    Returns
    -------
    pandas.DataFrame
        A row for each group and a column for each method, mean ARE (a fraction); families count
        alike within a group.  ``ratio``: the default's over that of ``curve_fit``.

    Examples
    --------
    >>> study = pd.DataFrame({
    ...     "group": "g", "family": "f", "n_models": 2, "fraction": 0.3, "status": "ok",
    ...     "method": ["pooled", "curve_fit"], "are": [0.01, 0.04]})
    >>> accuracy_table(study)["ratio"].tolist()
    [0.25]
    """
    wide = same_cells(study)
    methods = [m for m in METHODS if m in wide.columns]
    keys = list(dict.fromkeys([by, "group", "family"]))
    within = wide.groupby(keys)[methods].mean()
    if by != "group":
        within = within.groupby([by, "group"]).mean()
    out = within.groupby(by).mean()
    return out.assign(ratio=out["pooled"] / out["curve_fit"])


def same_cells(study: pd.DataFrame) -> pd.DataFrame:
    """Lay methods side by side on the cells where ``curve_fit`` and the default both have a law.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`compute_study`.

    Returns
    -------
    pandas.DataFrame
        One row for each cell, ``group``, ``CELL`` and the ARE of each method.
    """
    ok = study[study["status"] == "ok"]
    wide = ok.pivot(index=["group", *CELL], columns="method", values="are")
    return wide.dropna(subset=["pooled", "curve_fit"]).reset_index()


def scores_of(study: pd.DataFrame) -> pd.DataFrame:
    """Extract the scores that intervals are calibrated with.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`compute_study`.

    Returns
    -------
    pandas.DataFrame
        ``group``, ``family``, ``scale_up`` and ``score`` of each cell of the default method.
    """
    own = study[study["method"] == "pooled"]
    return own[["group", "family", "scale_up", "score"]].reset_index(drop=True)


def coverage(study: pd.DataFrame, level: float) -> pd.DataFrame:
    """Mark which targets an interval would have held that is calibrated on other groups only.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`compute_study`.
    level : float
        Share that the intervals are to hold.

    Returns
    -------
    pandas.DataFrame
        Cells of the default method with ``inside``, ``width`` (upper over lower bound less one),
        ``weight`` (groups alike, and families within groups) and ``range`` of scale-up.
    """
    own = study[study["method"] == "pooled"].reset_index(drop=True)
    parts = []
    for group, cells in own.groupby("group", sort=True):
        half = factor_of(own[own["group"] != group], level)
        claim = cells["log_error"].abs() / cells["score"].abs()
        parts.append(
            cells.assign(inside=cells["score"].abs() <= half, width=np.expm1(2 * half * claim))
        )
    out = pd.concat(parts, ignore_index=True)
    labels = [f"{a:g}-{b:g}" for a, b in pairwise(SCALE_UPS)]
    labels[-1] = f"over {SCALE_UPS[-2]:g}"
    out["range"] = pd.cut(out["scale_up"], list(SCALE_UPS), labels=labels).astype("str")
    return out.assign(weight=cell_weights(out))


def coverage_table(study: pd.DataFrame, by: str) -> pd.DataFrame:
    """Share of targets that calibrated intervals held.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`compute_study`.
    by : str
        ``"group"``, ``"family"``, ``"range"`` (of scale-up) or ``"fraction"``.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``by``: ``families``, ``cells`` and, for each of ``LEVELS``, the weighted
        share inside and the median width.
    """
    columns: dict[str, pd.Series] = {}
    for level in LEVELS:
        cells = coverage(study, level)
        grouped = cells.groupby(by, sort=True)
        columns["families"] = grouped["family"].nunique()
        columns["cells"] = grouped.size()
        inside = (cells["inside"] * cells["weight"]).groupby(cells[by]).sum()
        columns[f"inside {level:.0%}"] = inside / grouped["weight"].sum()
        columns[f"width {level:.0%}"] = grouped["width"].median()
    return pd.DataFrame(columns)


def main() -> None:
    """Compute the study and keep it, with the scores for :mod:`scaling_utils.calibration`."""
    path = kept_path("accuracy")
    if mark_of(path) == study_mark():
        print("accuracy: fresh")
        return
    study = compute_study(n_jobs=-1, progress=True)
    save_kept(study, path, study_mark())
    results = Path(str(resources.files("scaling_utils"))) / "results"
    scores_of(study).round(6).to_csv(results / "scores.csv", index=False, lineterminator="\n")
    print(accuracy_table(study).round(4).to_string())


if __name__ == "__main__":
    main()
