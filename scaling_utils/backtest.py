"""Predict, over and over, a model whose loss is known: the experiment behind every claim.

A back-test hides the end of the largest model's training, fits a law to a *cell* (some of the
smaller models, up to some fraction of their training) and compares.  The designs are those of
Choshen, Zhang and Andreas (arXiv 2410.11840).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from scaling_utils.baselines import BASELINES
from scaling_utils.errors import FitError, SelectionError, UnknownOptionError
from scaling_utils.fitting.batch import fit_batch
from scaling_utils.fitting.fit import METHODS, check_fixed
from scaling_utils.fitting.guide import SINGLE_RUN_FIXED
from scaling_utils.fitting.identify import check_identified
from scaling_utils.fitting.pooled import fit_pooled
from scaling_utils.fitting.prior import Prior, pooled_prior
from scaling_utils.law import PARAMETERS, ScalingLaw
from scaling_utils.metrics import Predictor
from scaling_utils.schedules import unfinished_share
from scaling_utils.selection import (
    drop_first_tokens,
    largest_models,
    last_fraction,
    sizes,
)

Array = NDArray[np.float64]

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Fractions of training that the guide's grids use."""

LAST_FRACTIONS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
"""Fractions that the guide uses where only the last checkpoints are kept."""

COLUMNS = (
    "family",
    "design",
    "method",
    "keep",
    "n_models",
    "smallest_params",
    "largest_params",
    "target_params",
    "scale_up",
    "fraction",
    "are",
    "signed_error",
    "predicted_loss",
    "target_loss",
    "n_checkpoints",
    "n_target",
    "flops",
    *PARAMETERS,
    "status",
)


@dataclass(frozen=True)
class Design:
    """How training sets are chosen from the sizes of a family.

    Attributes
    ----------
    name : str
        Name of the design.
    fewest_sizes : int
        Sizes that a family needs, the target's included.
    cut_target : bool
        Whether the first tokens are also dropped from the target.
    """

    name: str
    fewest_sizes: int
    cut_target: bool


@dataclass(frozen=True)
class Checkpoints:
    """Checkpoints as plain arrays, which a grid of thousands of cells selects from quickly.

    Attributes
    ----------
    params, tokens, loss, flops : numpy.ndarray of shape (n,)
        Columns of the table of runs.
    run : numpy.ndarray of shape (n,)
        A number for each run.
    decay : numpy.ndarray of shape (n,)
        Part of the run's learning-rate decay that is still to come.
    row : numpy.ndarray of shape (n,)
        Number of the row in the table of the family.
    """

    params: Array
    tokens: Array
    loss: Array
    flops: Array
    run: NDArray[np.intp]
    decay: Array
    row: NDArray[np.intp]

    @classmethod
    def of(cls, runs: pd.DataFrame, *, decay: bool) -> Checkpoints:
        """Take the columns of a table of one family; ``decay``, which costs most, if asked to."""
        params, tokens, loss, flops = (
            runs[c].to_numpy("float64") for c in ("params", "tokens", "loss", "flops")
        )
        run = pd.factorize(runs["run"])[0]
        to_come = unfinished_share(runs) if decay else np.zeros(len(run))
        return cls(params, tokens, loss, flops, run, to_come, np.arange(len(run)))

    def keep(self, mask: NDArray[np.bool_]) -> Checkpoints:
        """Select rows."""
        return Checkpoints(
            self.params[mask],
            self.tokens[mask],
            self.loss[mask],
            self.flops[mask],
            self.run[mask],
            self.decay[mask],
            self.row[mask],
        )

    def spent(self) -> float:
        """FLOPs of every run up to its last checkpoint here."""
        if len(self.run) == 0:
            return 0.0
        last = np.zeros(self.run.max() + 1)
        np.maximum.at(last, self.run, self.flops)
        return float(last.sum())


DESIGNS = {
    "smallest": Design("smallest", fewest_sizes=3, cut_target=False),
    "window": Design("window", fewest_sizes=3, cut_target=True),
    "single": Design("single", fewest_sizes=2, cut_target=True),
}
"""Designs by name: the n smallest sizes, n neighbouring sizes, one size."""


def training_sizes(
    design: str, available: np.ndarray, n_models: Iterable[int] | None
) -> Iterator[np.ndarray]:
    """Choose the sets of sizes to train on, for one family.

    Parameters
    ----------
    design : {"smallest", "window", "single"}
        ``"smallest"``: the n smallest sizes; ``"window"``: every n neighbouring sizes;
        ``"single"``: every size by itself, the target's included.
    available : numpy.ndarray
        Sizes of the family, smallest first; the last is the target's.
    n_models : iterable of int or None
        Which n; by default every n from 2 on for ``"smallest"``, and 3 and 4 for ``"window"``.

    Yields
    ------
    numpy.ndarray
        Parameters of the models to train on.

    Examples
    --------
    >>> import numpy as np
    >>> [s.tolist() for s in training_sizes("smallest", np.array([1.0, 2.0, 4.0, 8.0]), None)]
    [[1.0, 2.0], [1.0, 2.0, 4.0]]
    """
    smaller = available[:-1]
    if design == "single":
        yield from (available[i : i + 1] for i in range(len(available)))
        return
    default = range(2, len(smaller) + 1) if design == "smallest" else (3, 4)
    for n in default if n_models is None else n_models:
        starts = range(1) if design == "smallest" else range(len(smaller) - n + 1)
        for start in starts:
            if start + n <= len(smaller):
                yield smaller[start : start + n]


def training_cells(
    points: Checkpoints,
    chosen: Iterable[np.ndarray],
    fractions: Sequence[float],
    *,
    keep: str = "first",
    skip_tokens: float = 1e10,
    until: float = 1.0,
) -> Iterator[tuple[dict[str, Any], Checkpoints]]:
    """Cut the training sets of a back-test out of one family.

    Parameters
    ----------
    points : Checkpoints
        The family, its largest size included.
    chosen : iterable of numpy.ndarray
        Sizes to train on (:func:`training_sizes`).
    fractions, keep, skip_tokens, until
        As for :func:`backtest`.

    Yields
    ------
    cell : dict of str
        What the cell is, by names of :data:`COLUMNS`.
    train : Checkpoints
        Its training set, which may be empty.
    """
    largest = float(points.params.max())
    for some in chosen:
        models = points.keep(np.isin(points.params, some))
        longest = float(models.tokens.max())
        kept = models.keep(models.tokens > skip_tokens)
        for fraction in fractions:
            if keep == "first":
                low, high = 0.0, min(fraction, until) * longest
            else:
                low, high = fraction * until * longest, until * longest
            train = kept.keep((kept.tokens >= low) & (kept.tokens < high))
            cell: dict[str, Any] = {
                "n_models": len(some),
                "smallest_params": some[0],
                "largest_params": some[-1],
                "scale_up": largest / some[-1],
                "fraction": fraction,
                "n_checkpoints": len(train.loss),
                "flops": train.spent(),
            }
            yield cell, train


def backtest(
    runs: pd.DataFrame,
    design: str = "smallest",
    *,
    method: str = "pooled",
    fractions: Sequence[float] | None = None,
    n_models: Iterable[int] | int | None = None,
    keep: str = "first",
    skip_tokens: float = 1e10,
    target_tail: float = 0.3,
    until: float | None = None,
    fixed: Mapping[str, float] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Fit laws to parts of families and measure how well each predicts the largest model.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one or more families, as :func:`scaling_utils.load_runs` gives them.
    design : {"smallest", "window", "single"}
        Which sizes train a law: the n smallest; n neighbours; one by itself (the guide's figures
        1b and 5; 1a and 1c; 6).
    method : str
        A fitting method of :func:`scaling_utils.fit_law` (``"pooled"`` leaves the family's own
        group out of its prior and knows where each run's schedule ends), or a baseline:
        ``"best_seen"`` (the lowest loss of the training set) or ``"most_trained"`` (the loss where
        parameters times tokens are largest).
    fractions : sequence of float, optional
        With ``keep="first"``: train on checkpoints with *fewer* tokens than this fraction of the
        longest training run (0.1 to 1 by default).  With ``keep="last"``: train on those with *at
        least* this fraction (0.1 to 0.99 by default).
    n_models : int or iterable of int, optional
        Numbers of sizes to train on; by default every number from 2 on, and 3 and 4 for windows.
    keep : {"first", "last"}
        Which part of training to keep.
    skip_tokens : float
        Checkpoints with no more tokens than this are not trained on (the guide: 1e10).  For runs
        shorter than that, pass 0 or a tenth of their length.
    target_tail : float
        The target is this last fraction of the largest size's training.
    until : float, optional
        Train only on checkpoints with fewer tokens than this fraction of the longest training
        run.  By default 1 for ``keep="first"`` and, as in the guide, 0.7 for ``keep="last"``,
        whose ``fractions`` are then parts of that.
    fixed : mapping of str to float, optional
        Parameters to hold in every fit.  By default none, and for ``design="single"`` the A and
        alpha that the guide borrows, without which one size cannot be fitted.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        One row for each attempted cell, failures included: ``status`` is ``"ok"`` or says why
        there is no number.  ``are`` and ``signed_error`` are fractions; ``scale_up`` is the
        target's parameters over the largest in training; ``flops`` counts every training run up
        to its last checkpoint used; the law's parameters are in raw units and missing for
        baselines.

    Raises
    ------
    UnknownOptionError
        If an option is none of the allowed values.

    Notes
    -----
    Models are counted by their size: several runs of one size (seeds, token budgets) enter
    together.  Families with too few sizes for the design give one row that says so.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scaling_utils import ScalingLaw, tidy_runs
    >>> n, d = np.meshgrid([1e8, 3e8, 1e9, 1e10], np.linspace(1, 10, 10) * 2e10)
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> logs["loss"] = truth.predict(logs["params"], logs["tokens"])
    >>> cells = backtest(
    ...     tidy_runs(logs), method="least_squares", fractions=[0.5, 1.0], n_models=3
    ... )
    >>> cells[["family", "n_models", "scale_up", "fraction", "status"]].round(1)
      family  n_models  scale_up  fraction status
    0   mine         3      10.0       0.5     ok
    1   mine         3      10.0       1.0     ok
    >>> bool((cells["are"] < 1e-6).all())
    True
    """
    _choose("design", design, DESIGNS)
    _choose("method", method, [*METHODS, *BASELINES])
    _choose("keep", keep, ["first", "last"])
    plan = DESIGNS[design]
    if fractions is None:
        fractions = FRACTIONS if keep == "first" else LAST_FRACTIONS
    if until is None:
        until = 1.0 if keep == "first" else 0.7
    counts = [n_models] if isinstance(n_models, int) else n_models
    counts = None if counts is None else list(counts)
    if fixed is None:
        fixed = SINGLE_RUN_FIXED if design == "single" else {}
    held = check_fixed(fixed)

    rows: list[dict[str, object]] = []
    by_family = list(runs.groupby("family", sort=True))
    for family, members in tqdm(by_family, desc="families", disable=not progress):
        available = sizes(members)
        base: dict[str, object] = {
            "family": family,
            "design": design,
            "method": method,
            "keep": keep,
            "target_params": available[-1],
        }
        if len(available) < plan.fewest_sizes:
            status = f"skipped: {len(available)} size(s), this design needs {plan.fewest_sizes}"
            rows.append(base | {"status": status})
            continue
        target = last_fraction(largest_models(members), 1 - target_tail)
        if plan.cut_target or keep == "last":
            target = drop_first_tokens(target, skip_tokens)
        points = Checkpoints.of(members, decay=method == "pooled")
        aim = Checkpoints.of(target, decay=False)
        prior = pooled_prior(without=str(family)) if method == "pooled" else None
        base["n_target"] = len(target)
        chosen = training_sizes(design, available, counts)
        cells = list(
            training_cells(
                points, chosen, fractions, keep=keep, skip_tokens=skip_tokens, until=until
            )
        )
        together = method == "least_squares" and len(aim.loss) > 0
        laws = _fit_together(points, [t for _, t in cells], held) if together else {}
        for number, (cell, train) in enumerate(cells):
            fitted = laws.get(number)
            result = _attempt(train, aim, method, held, skip_tokens, prior, fitted)
            rows.append(base | cell | result)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("n_models", "n_checkpoints", "n_target"):
        table[column] = table[column].astype("Int64")
    return table


def training_flops(train: pd.DataFrame) -> float:
    """FLOPs spent on a training set: each run up to its last checkpoint used.

    Parameters
    ----------
    train : pandas.DataFrame
        Checkpoints with ``family``, ``run`` and ``flops``.

    Returns
    -------
    float
        FLOPs; zero for an empty set.

    Examples
    --------
    >>> import pandas as pd
    >>> training_flops(pd.DataFrame({"family": "f", "run": ["a", "a", "b"], "flops": [1., 3., 5.]}))
    8.0
    """
    run = train["family"].astype("str") + "/" + train["run"].astype("str")
    return float(train["flops"].groupby(run.to_numpy()).max().sum())


def _attempt(
    train: Checkpoints,
    target: Checkpoints,
    method: str,
    held: Mapping[str, float],
    skip_tokens: float,
    prior: Prior | None,
    fitted: ScalingLaw | None,
) -> dict[str, object]:
    """Fit one cell, if that is not done yet, and measure it, or say why not."""
    if len(target.loss) == 0:
        return {"status": f"failed: the target has no checkpoint beyond {skip_tokens:.3g} tokens"}
    if len(train.loss) == 0:
        return {"status": f"failed: no training checkpoint beyond {skip_tokens:.3g} tokens"}
    law: Predictor
    try:
        if method in BASELINES:
            law = BASELINES[method](train)
        else:
            law = fitted or _fit(train, method, held, prior)
    except (FitError, SelectionError) as error:
        return {"status": f"failed: {error}"}
    loss = target.loss
    errors = (np.asarray(law.predict(target.params, target.tokens)) - loss) / loss
    if not np.isfinite(errors).all():
        return {"status": "failed: the law predicts a loss that is not finite"}
    parameters = {p: getattr(law, p) for p in PARAMETERS} if isinstance(law, ScalingLaw) else {}
    return {
        "are": float(np.abs(errors).mean()),
        "signed_error": float(errors.mean()),
        "predicted_loss": float((loss * (1 + errors)).mean()),
        "target_loss": float(loss.mean()),
        "status": "ok",
        **parameters,
    }


def _fit_together(
    points: Checkpoints, cells: Sequence[Checkpoints], held: Mapping[str, float]
) -> dict[int, ScalingLaw]:
    """Fit by least squares, at once, the cells of a family that determine a law.

    Checkpoints that are in the same cells form a group, which is summed once for all of them.
    """
    able = []
    for number, train in enumerate(cells):
        try:
            check_identified(train.params, train.tokens, held)
        except FitError:
            continue  # said when the cell is measured
        able.append(number)
    if not able:
        return {}
    member = np.zeros((len(able), len(points.loss)), dtype=bool)
    for mask, number in zip(member, able, strict=True):
        mask[cells[number].row] = True
    used = np.flatnonzero(member.any(axis=0))
    packed = np.ascontiguousarray(np.packbits(member[:, used], axis=0).T)
    _, first, group = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    columns = points.params[used], points.tokens[used], points.loss[used]
    laws, _ = fit_batch(*columns, group.ravel(), member[:, used[first]].astype("float64"), held)
    return {
        number: ScalingLaw(e, a, b, alpha, beta)
        for number, (e, a, b, alpha, beta) in zip(able, laws.tolist(), strict=True)
    }


def _fit(
    train: Checkpoints, method: str, held: Mapping[str, float], prior: Prior | None
) -> ScalingLaw:
    """Fit one law to checked rows, without the checks and the report of ``fit_law``."""
    if method == "pooled":
        some = train.params, train.tokens, train.loss, held
        law = fit_pooled(*some, run=train.run, decay=train.decay, prior=prior)[0]
        return ScalingLaw(law["E"], law["A"], law["B"], law["alpha"], law["beta"])
    if method != "curve_fit":  # the guide's protocol fits whatever it is given
        check_identified(train.params, train.tokens, held)
    law, _ = METHODS[method](train.params, train.tokens, train.loss, held)
    return ScalingLaw(law["E"], law["A"], law["B"], law["alpha"], law["beta"])


def _choose(option: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse an option that is not among the allowed values."""
    if value not in allowed:
        raise UnknownOptionError(f"{option} = {value!r}: choose one of {sorted(allowed)}.")
