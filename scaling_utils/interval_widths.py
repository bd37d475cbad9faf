"""Other methods' intervals beside the calibrated ones, on real families: how wide, what they held.

Every family with four sizes or more is predicted from its *n* smallest, for up to four numbers *n*
from three on, and from all of their training.  Training sets and target are those of
:mod:`scaling_utils.accuracy`.  Each method gives an interval for the target's loss:

``calibrated``
    The default estimator's, as :func:`scaling_utils.accuracy.coverage` checks it.
``residuals``
    Least squares, refitted to its own values plus residuals drawn again over all checkpoints
    (Efron 1979, section 7); percentiles of the refits.
``curve_fit``
    The guide's fit with the covariance that ``scipy.optimize.curve_fit`` returns; delta method on
    the logarithm of the loss, normal.
``runs``
    Least squares, refitted to runs drawn again (:func:`scaling_utils.bootstrap_laws`);
    percentiles of the refits.
``peer``, ``peer_ends``
    The package ``simple-scaling-laws`` 0.2 (a wild bootstrap over configurations; its interval for
    a new run), given every checkpoint as a run of its own, and the end of each run only.

The last two are computed in an environment of their own (``tools/peers/README.md``), by two
commands, the first here and the second there::

    python -m scaling_utils.interval_widths export training-sets.parquet
    python -m tools.peers.run_simple_scaling_laws training-sets.parquet \
        scaling_utils/results/peer-intervals.csv

Each row of that file names the digest of its training set, and rows of other training sets are
left out.  ``python -m scaling_utils.interval_widths`` then computes the rest and keeps the table
(two minutes on two free cores); :func:`load_widths` reads what is kept.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from scaling_utils.accuracy import coverage as calibrated_coverage
from scaling_utils.accuracy import covered, group_of, load_study, study_mark
from scaling_utils.backtest import Checkpoints, training_cells, training_sizes
from scaling_utils.bootstrap import bootstrap_laws
from scaling_utils.borrow import skip_of
from scaling_utils.calibration import cell_weights
from scaling_utils.errors import FitError
from scaling_utils.fitting.guide import fit_guide
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.grids import code_mark
from scaling_utils.jobs import run_jobs
from scaling_utils.kept import kept_path, load_kept, mark_of, save_kept
from scaling_utils.law import PARAMETERS
from scaling_utils.runs import load_runs
from scaling_utils.selection import largest_models, last_fraction, sizes

Array = NDArray[np.float64]

METHODS = {
    "calibrated": "calibrated",
    "residuals": "bootstrap of residuals",
    "curve_fit": "covariance of curve_fit",
    "runs": "bootstrap of runs",
    "peer": "simple-scaling-laws (checkpoints)",
    "peer_ends": "simple-scaling-laws (ends of runs)",
}
"""Methods, and what is written for them."""

LEVELS = (0.5, 0.9)
FEWEST = 3
"""Sizes that are trained on at least: two leave alpha to convention."""

MOST_COUNTS = 4
"""Training sets of one family at most."""

REFITS = 200
"""Refits of each bootstrap."""

CELL = ["family", "n_models"]
CODE = (
    "backtest",
    "bootstrap",
    "borrow",
    "fitting.batch",
    "fitting.guide",
    "fitting.nonnegative",
    "fitting.varpro",
    "interval_widths",
    "selection",
)


@dataclass(frozen=True)
class Cell:
    """A training set with its target.

    Attributes
    ----------
    family : str
        Name of the family.
    n_models : int
        Sizes in training.
    scale_up : float
        Parameters of the target over the largest in training.
    train, target : Checkpoints
        What is fitted, and the last 30 % of the largest model's training.
    """

    family: str
    n_models: int
    scale_up: float
    train: Checkpoints
    target: Checkpoints

    @property
    def measured(self) -> float:
        """Geometric mean of the target's losses, nats per token."""
        return float(np.exp(np.log(self.target.loss).mean()))

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that change with the training set or the target."""
        t, a = self.train, self.target
        digest = hashlib.sha256("\n".join(map(str, t.run)).encode())
        for values in (t.params, t.tokens, t.loss, a.params, a.tokens):
            # Nine digits: the last bits of a loss may depend on the processor that read it.
            digest.update("\n".join(f"{v:.8e}" for v in values).encode())
        return digest.hexdigest()[:12]


def counts_of(available: int, most: int = MOST_COUNTS) -> list[int]:
    """Choose numbers of sizes to train on.

    Parameters
    ----------
    available : int
        Sizes below the target's.
    most : int
        How many numbers at most.

    Returns
    -------
    list of int
        From three to all sizes, evenly spaced on a logarithmic scale; empty if there are fewer.

    Examples
    --------
    >>> counts_of(2), counts_of(5), counts_of(41)
    ([], [3, 4, 5], [3, 7, 17, 41])
    """
    if available < FEWEST:
        return []
    return [int(n) for n in np.unique(np.geomspace(FEWEST, available, most).round())]


def cells_of(runs: pd.DataFrame) -> Iterator[Cell]:
    """Cut the training sets out of one family, as the accuracy study does.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.

    Yields
    ------
    Cell
        One for each of :func:`counts_of`.
    """
    known = sizes(runs)
    points = Checkpoints.of(runs, decay=False)
    target = Checkpoints.of(last_fraction(largest_models(runs), 0.7), decay=False)
    chosen = training_sizes("smallest", known, counts_of(len(known) - 1))
    for cell, train in training_cells(points, chosen, (1.0,), skip_tokens=skip_of(runs)):
        if len(train.loss):
            yield Cell(
                family=str(runs["family"].iloc[0]),
                n_models=int(cell["n_models"]),
                scale_up=float(cell["scale_up"]),
                train=train,
                target=target,
            )


def log_means(laws: Array, params: Array, tokens: Array) -> Array:
    """Mean logarithm of what laws predict over some checkpoints.

    Parameters
    ----------
    laws : numpy.ndarray of shape (n, 5)
        Rows of ``E, A, B, alpha, beta``.
    params, tokens : numpy.ndarray of shape (m,)
        The checkpoints.

    Returns
    -------
    numpy.ndarray of shape (n,)
        A mean for each law.

    Examples
    --------
    >>> log_means(np.array([[1.0, 2.0, 0.0, 1.0, 1.0]]), np.array([1.0, 1.0]), np.ones(2)).round(3)
    array([1.099])
    """
    e, a, b, alpha, beta = (laws[:, [k]] for k in range(5))
    values = e + a * np.exp(-alpha * np.log(params)) + b * np.exp(-beta * np.log(tokens))
    return np.asarray(np.log(values).mean(axis=1))


def residual_laws(train: Checkpoints, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Refit a law to its own values plus residuals drawn again.

    Parameters
    ----------
    train : Checkpoints
        The training set; each checkpoint counts as independent, whatever its run.
    n : int
        Refits.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    law : numpy.ndarray of shape (5,)
        Least squares: ``E, A, B, alpha, beta``.
    refits : numpy.ndarray of shape (n, 5)
        The same of each refit.

    Raises
    ------
    FitError
        If there are no more checkpoints than parameters, so that no residuals are left.

    Examples
    --------
    >>> size, tokens = (a.ravel() for a in np.meshgrid([1e8, 1e9, 1e10], [1e10, 2e10, 4e10]))
    >>> loss = 1.7 + 400 * size**-0.35 + 2000 * tokens**-0.37
    >>> exact = Checkpoints.of(
    ...     pd.DataFrame({"params": size, "tokens": tokens, "loss": loss, "flops": 1, "run": size}),
    ...     decay=False,
    ... )
    >>> law, refits = residual_laws(exact, 3, np.random.default_rng(0))
    >>> law[3:].round(4), np.ptp(refits[:, 3]).round(4)
    (array([0.35, 0.37]), np.float64(0.0))
    """
    if len(train.loss) <= len(PARAMETERS):
        raise FitError(f"{len(train.loss)} checkpoints leave no residuals: add checkpoints.")
    law = _by_squares(train.params, train.tokens, train.loss)
    e, a, b, alpha, beta = law
    fitted = e + a * train.params**-alpha + b * train.tokens**-beta
    residual = train.loss - fitted
    drawn = rng.integers(0, len(residual), size=(n, len(residual)))
    refits = [_by_squares(train.params, train.tokens, fitted + residual[d]) for d in drawn]
    return law, np.array(refits)


def guide_error(train: Checkpoints, target: Checkpoints) -> tuple[float, float]:
    r"""Predict by the guide's fit, with the error that its covariance claims.

    Parameters
    ----------
    train, target : Checkpoints
        What is fitted, and what is predicted.

    Returns
    -------
    predicted : float
        Mean logarithm of the predicted losses.
    error : float
        Its standard error by the delta method, :math:`\sqrt{g^\top C g}` with *C* the covariance of
        the five parameters that ``curve_fit`` returns: each checkpoint is an independent
        observation of unknown noise.

    Raises
    ------
    FitError
        If the fit fails, or there are no more checkpoints than parameters.

    Notes
    -----
    ``fit_guide`` keeps the law only, so the covariance is computed
    again from its slopes, by SciPy's formula (a pseudo-inverse where they are dependent).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> size, tokens = (a.ravel() for a in np.meshgrid(np.geomspace(1e8, 1e10, 5), [1e10, 4e10]))
    >>> table = pd.DataFrame({"params": size, "tokens": tokens, "flops": 1.0, "run": size})
    >>> table["loss"] = 1.7 + 400 * size**-0.35 + 2000 * tokens**-0.37 + 1e-3 * rng.normal(size=10)
    >>> points = Checkpoints.of(table, decay=False)
    >>> 0 < guide_error(points, points.keep(points.params == 1e10))[1] < 0.01
    True
    """
    free = len(train.loss) - len(PARAMETERS)
    if free <= 0:
        raise FitError(f"{len(train.loss)} checkpoints have no covariance: add checkpoints.")
    found, squares = fit_guide(train.params, train.tokens, train.loss, {})
    law = np.array([found[name] for name in PARAMETERS])
    _, values, right = np.linalg.svd(_guide_slopes(law, train), full_matrices=False)
    known = values > np.finfo(float).eps * len(train.loss) * values[0]
    slopes = _guide_slopes(law, target)
    # The first column is E, so that slopes over the loss are those of its logarithm.
    losses = np.exp(
        [log_means(law[None], target.params[[k]], target.tokens[[k]]) for k in range(len(slopes))]
    )
    along = right[known] @ (slopes / losses).mean(axis=0) / values[known]
    mean = float(log_means(law[None], target.params, target.tokens)[0])
    return mean, float(np.sqrt(squares / free * (along @ along)))


def family_widths(family: str, refits: int = REFITS) -> pd.DataFrame:
    """Predict one family with an interval of each method that this package computes by itself.

    Parameters
    ----------
    family : str
        Name of a family at hand.
    refits : int
        Refits of each bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row for each cell, method and level: ``family``, ``n_models``, ``scale_up``,
        ``digest``, ``measured``, ``method``, ``level``, ``predicted``, ``lower``, ``upper`` (nats
        per token) and ``status``, ``"ok"`` or why there is no interval.  Empty for families of
        fewer than four sizes.
    """
    rows = []
    for cell in cells_of(load_runs(family, progress=False)):
        rng = np.random.default_rng([cell.n_models, 17])
        for method in ("residuals", "curve_fit", "runs"):
            try:
                ends = _log_ends(method, cell, refits, rng)
                status = "ok"
            except FitError as error:
                ends = np.full((len(LEVELS), 3), np.nan)
                status = str(error).split(":")[0]
            for level, (predicted, lower, upper) in zip(LEVELS, np.exp(ends), strict=True):
                rows.append(
                    {
                        "family": cell.family,
                        "n_models": cell.n_models,
                        "scale_up": cell.scale_up,
                        "digest": cell.digest,
                        "measured": cell.measured,
                        "method": method,
                        "level": level,
                        "predicted": predicted,
                        "lower": lower,
                        "upper": upper,
                        "status": status,
                    }
                )
    return pd.DataFrame(rows)


def compute_widths(*, n_jobs: int | None = None, progress: bool = False) -> pd.DataFrame:
    """Lay the intervals of all methods side by side, on all families.

    Parameters
    ----------
    n_jobs : int, optional
        Processes, for ``joblib.Parallel``; what ``joblib.parallel_config`` says by default.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        The rows of :func:`family_widths`, with those of the calibrated intervals and of the peer,
        and with ``group``; ``flagged`` where the peer itself marks a fit with an error.

    Raises
    ------
    DataFileError
        If the accuracy study is missing or stale.
    """
    work = [(name,) for name in covered()]
    parts = run_jobs(family_widths, work, n_jobs=n_jobs, name="widths", progress=progress)
    own = pd.concat([part for part in parts if len(part)], ignore_index=True)
    about = own.drop_duplicates(CELL)[[*CELL, "scale_up", "digest", "measured"]]
    table = pd.concat(
        [own.assign(flagged=False), calibrated(load_study(), about), joined(peer_rows(), about)],
        ignore_index=True,
    )
    table.insert(0, "group", table["family"].map(group_of))
    rank = table["method"].map({name: k for k, name in enumerate(METHODS)})
    order = ["group", *CELL, "rank", "level"]
    table = table.assign(rank=rank).sort_values(order, kind="stable", ignore_index=True)
    return table.drop(columns=["rank", "digest"])


def calibrated(study: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Take calibrated intervals of some cells out of the accuracy study.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`scaling_utils.accuracy.compute_study`.
    about : pandas.DataFrame
        ``family``, ``n_models``, ``scale_up``, ``digest`` and ``measured`` of each cell.

    Returns
    -------
    pandas.DataFrame
        Rows as of :func:`compute_widths`, two for each cell, the factor always from other groups.
    """
    parts = []
    for level in LEVELS:
        cells = calibrated_coverage(study, level)
        cells = about.merge(cells[cells["fraction"] == 1.0][[*CELL, "log_error", "width"]], on=CELL)
        predicted = cells["measured"] * np.exp(-cells["log_error"])
        ratio = np.sqrt(1 + cells["width"])
        parts.append(
            cells[about.columns].assign(
                method="calibrated",
                level=level,
                predicted=predicted,
                lower=predicted / ratio,
                upper=predicted * ratio,
                status="ok",
                flagged=False,
            )
        )
    return pd.concat(parts, ignore_index=True)


def peer_path() -> Path:
    """Return where the peer's intervals lie."""
    return Path(str(resources.files("scaling_utils"))) / "results" / "peer-intervals.csv"


def peer_rows() -> pd.DataFrame:
    """Read the peer's intervals.

    Returns
    -------
    pandas.DataFrame
        ``family``, ``n_models``, ``digest``, ``method``, ``level``, ``predicted``, ``lower``,
        ``upper``, ``status`` and ``flagged``; no rows if there is no file.
    """
    columns = [*CELL, "digest", "method", "level", "predicted", "lower", "upper", "status"]
    if not peer_path().is_file():
        return pd.DataFrame(columns=[*columns, "flagged"])
    return pd.read_csv(peer_path(), dtype={"digest": "str"})[[*columns, "flagged"]]


def joined(peer: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Keep the peer's rows that belong to the training sets of today.

    Parameters
    ----------
    peer : pandas.DataFrame
        Result of :func:`peer_rows`.
    about : pandas.DataFrame
        ``family``, ``n_models``, ``scale_up``, ``digest`` and ``measured`` of each cell.

    Returns
    -------
    pandas.DataFrame
        Rows as of :func:`compute_widths`.  A cell without the peer's word has the status ``"not
        computed"``.

    Examples
    --------
    >>> about = pd.DataFrame(
    ...     {"family": "f", "n_models": [3, 4], "scale_up": 2.0, "digest": ["a", "b"],
    ...      "measured": 2.5})
    >>> peer = pd.DataFrame(
    ...     {"family": "f", "n_models": [3, 4], "digest": ["a", "old"], "method": "peer",
    ...      "level": 0.9, "predicted": 2.5, "lower": 2.4, "upper": 2.6, "status": "ok",
    ...      "flagged": False})
    >>> found = joined(peer, about)
    >>> found.loc[found["method"].eq("peer") & found["level"].eq(0.9), "status"].tolist()
    ['ok', 'not computed']
    """
    asked = about.merge(
        pd.DataFrame({"method": [m for m in METHODS if m.startswith("peer")]}), "cross"
    )
    asked = asked.merge(pd.DataFrame({"level": LEVELS}), "cross")
    out = asked.merge(peer, "left", [*CELL, "digest", "method", "level"])
    ends = {name: out[name].astype("float64") for name in ("predicted", "lower", "upper")}
    flagged = out["flagged"].eq(True)
    return out.assign(status=out["status"].fillna("not computed"), flagged=flagged, **ends)


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Say of each interval whether it held what came, and how wide it is.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`compute_widths`.

    Returns
    -------
    pandas.DataFrame
        Rows with an interval, with ``inside``, ``width`` (upper over lower bound less one;
        infinite if the lower is not above zero) and ``weight`` (groups alike, and families within
        groups, for each method and level).

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"group": "g", "family": "f", "method": "runs", "level": 0.9, "status": "ok",
    ...      "measured": 2.5, "lower": [2.0, -1.0, 2.6], "upper": [3.0, 3.0, 2.6]})
    >>> judged(table)[["inside", "width"]].to_numpy().tolist()
    [[True, 0.5], [True, inf], [False, 0.0]]
    """
    rows = table[table["status"] == "ok"].reset_index(drop=True)
    inside = rows["measured"].between(rows["lower"], rows["upper"])
    low = rows["lower"].where(rows["lower"] > 0)
    width = (rows["upper"] / low - 1).fillna(np.inf)
    parts = [
        part.assign(weight=cell_weights(part))
        for _, part in rows.assign(inside=inside, width=width).groupby(["method", "level"])
    ]
    return pd.concat(parts).sort_index()


def widths_table(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise each method: how many targets its intervals held, and how wide they are.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`compute_widths`.

    Returns
    -------
    pandas.DataFrame
        Indexed by method, in the order of :data:`METHODS`: ``families`` and ``cells`` with an
        interval; ``failed`` and ``flagged`` cells (without an interval; with one that the method
        itself marks with an error); ``off``, the median of predicted over measured loss, or the
        other way round, less one (infinite where a loss below zero is predicted); for each of
        ``LEVELS`` the share held and the median width.  Groups count alike, and families within a
        group, in shares and in medians.
    """
    rows = judged(table)
    out: dict[str, dict[str, Any]] = {}
    for method in (name for name in METHODS if name in set(rows["method"])):
        own = rows[rows["method"] == method]
        asked = table[(table["method"] == method) & (table["status"] != "not computed")]
        line: dict[str, Any] = {
            "families": own["family"].nunique(),
            "cells": len(own.drop_duplicates(CELL)),
            "failed": len(asked[asked["status"] != "ok"].drop_duplicates(CELL)),
            "flagged": len(own[own["flagged"]].drop_duplicates(CELL)),
        }
        ratio = own["predicted"].where(own["predicted"] > 0) / own["measured"]
        off = np.nan_to_num(np.expm1(np.abs(np.log(ratio))), nan=np.inf)
        line["off"] = weighted_median(off, own["weight"])
        for level in LEVELS:
            part = own[own["level"] == level]
            line[f"held {level:.0%}"] = float((part["inside"] * part["weight"]).sum())
            line[f"width {level:.0%}"] = weighted_median(part["width"], part["weight"])
        out[method] = line
    return pd.DataFrame(out.values(), index=pd.Index(out, name="method"))


def widths_by_group(table: pd.DataFrame, level: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Share held and median width of each method in each group of families.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`compute_widths`.
    level : float
        One of ``LEVELS``.

    Returns
    -------
    held, width : pandas.DataFrame
        A row for each group and a column for each method; families count alike.
    """
    rows = judged(table)
    rows = rows[rows["level"] == level]
    held: dict[tuple[str, str], float] = {}
    width: dict[tuple[str, str], float] = {}
    for (group, method), part in rows.groupby(["group", "method"]):
        weight = part["weight"] / part["weight"].sum()
        held[str(group), str(method)] = float((part["inside"] * weight).sum())
        width[str(group), str(method)] = weighted_median(part["width"], weight)
    names = [name for name in METHODS if name in set(rows["method"])]
    shares, medians = (pd.Series(values).unstack()[names] for values in (held, width))
    return shares.rename_axis("group"), medians.rename_axis("group")


def weighted_median(values: ArrayLike, weights: ArrayLike) -> float:
    """Smallest value that at least half of the weight does not exceed.

    Parameters
    ----------
    values, weights : array_like of shape (n,)
        Weights are not negative.

    Returns
    -------
    float
        The median.

    Examples
    --------
    >>> weighted_median([3.0, 1.0, np.inf], [0.2, 0.5, 0.3])
    1.0
    """
    at, weight = np.asarray(values, "float64"), np.asarray(weights, "float64")
    order = np.argsort(at, kind="stable")
    reached = np.cumsum(weight[order]) >= weight.sum() / 2 - 1e-12
    return float(at[order][np.argmax(reached)])


def training_table() -> pd.DataFrame:
    """Lay all training sets, and their targets, out in one table for the peer.

    Returns
    -------
    pandas.DataFrame
        ``family``, ``n_models``, ``digest``, ``role`` (``"train"`` or ``"target"``), ``run`` (a
        number), ``params``, ``tokens`` and ``loss`` (nats per token; missing for the target).
    """
    parts = []
    for family in covered():
        for cell in cells_of(load_runs(family, progress=False)):
            for role, points in (("train", cell.train), ("target", cell.target)):
                parts.append(
                    pd.DataFrame(
                        {
                            "family": cell.family,
                            "n_models": cell.n_models,
                            "digest": cell.digest,
                            "role": role,
                            "run": points.run,
                            "params": points.params,
                            "tokens": points.tokens,
                            "loss": points.loss if role == "train" else np.nan,
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True)


def widths_mark() -> str:
    """Fingerprint of the code and the data behind the table.

    Returns
    -------
    str
        Changes when the numbers could, the peer's among them.
    """
    return code_mark(CODE, study_mark(), peer_rows().to_csv(index=False))


def load_widths() -> pd.DataFrame:
    """Read the kept table.

    Returns
    -------
    pandas.DataFrame
        As :func:`compute_widths` returns it.

    Raises
    ------
    DataFileError
        If it is missing or belongs to other code or data.
    """
    again = "'python -m scaling_utils.interval_widths'"
    return load_kept(kept_path("interval-widths"), widths_mark(), again)


def main(arguments: list[str] | None = None) -> None:
    """Compute the table and keep it, or write the training sets for the peer.

    Parameters
    ----------
    arguments : list of str, optional
        ``["export", FILE]``, or nothing; by default those of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m scaling_utils.interval_widths")
    parser.add_argument("what", nargs="?", choices=["compute", "export"], default="compute")
    parser.add_argument("file", nargs="?", type=Path, help="where training sets are written")
    asked = parser.parse_args(arguments)
    if asked.what == "export":
        if asked.file is None:
            parser.error("export needs a file to write, for instance training-sets.parquet.")
        training_table().to_parquet(asked.file, index=False)
        return
    path = kept_path("interval-widths")
    if mark_of(path) == widths_mark():
        print("interval-widths: fresh")
        return
    table = compute_widths(n_jobs=-1, progress=True)
    save_kept(table, path, widths_mark())
    missing = table[table["status"] == "not computed"].drop_duplicates(CELL)
    if len(missing):
        print(f"the peer has not seen {len(missing)} cells: see tools/peers/README.md")
    print(widths_table(table).round(4).to_string())


def _by_squares(params: Array, tokens: Array, loss: Array) -> Array:
    """Fit a law by least squares; E, A, B, alpha and beta."""
    found = fit_varpro(params, tokens, loss, {})[0]
    return np.array([found[name] for name in PARAMETERS])


def _guide_slopes(law: Array, points: Checkpoints) -> Array:
    """Differentiate losses in ln E, ln A, ln B, alpha and beta, which the guide fits."""
    e, a, b, alpha, beta = law
    one, other = a * points.params**-alpha, b * points.tokens**-beta
    slopes = [np.full_like(one, e), one, other]
    return np.column_stack([*slopes, -one * np.log(points.params), -other * np.log(points.tokens)])


def _log_ends(method: str, cell: Cell, refits: int, rng: np.random.Generator) -> Array:
    """Logarithms of the prediction and of both bounds, a row for each level."""
    target = cell.target
    if method == "curve_fit":
        middle, error = guide_error(cell.train, target)
        half = ndtri((1 + np.array(LEVELS)) / 2) * error
        return np.column_stack([np.full_like(half, middle), middle - half, middle + half])
    if method == "residuals":
        law, laws = residual_laws(cell.train, refits, rng)
    else:
        names = ("run", "params", "tokens", "loss")
        table = pd.DataFrame({name: getattr(cell.train, name) for name in names})
        laws = bootstrap_laws(table, refits, seed=rng)[list(PARAMETERS)].to_numpy("float64")
        law = _by_squares(cell.train.params, cell.train.tokens, cell.train.loss)
    values = log_means(laws, target.params, target.tokens)
    middle = float(log_means(law[None], target.params, target.tokens)[0])
    tails = (1 - np.array(LEVELS)) / 2
    low, high = np.quantile(values, tails), np.quantile(values, 1 - tails)
    return np.column_stack([np.full_like(low, middle), low, high])


if __name__ == "__main__":
    main()
