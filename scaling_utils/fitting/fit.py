"""The one entry to every fitting method: check the runs, fit, report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.errors import FitError, RunsError, UnknownOptionError
from scaling_utils.fitting.guide import fit_guide
from scaling_utils.fitting.identify import check_identified, fit_warnings
from scaling_utils.fitting.log_huber import fit_log_huber
from scaling_utils.fitting.pooled import fit_pooled
from scaling_utils.fitting.prior import Prior, pooled_prior
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.frame import COLUMNS, NUMERIC, check_runs, tidy_runs
from scaling_utils.law import PARAMETERS, FitReport, ScalingLaw
from scaling_utils.posterior import Posterior
from scaling_utils.schedules import PLANNED, unfinished_share

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]


VAST = 1e100
"""Largest value of a held parameter, or of params to a held exponent."""


class Fitter(Protocol):
    """A fitting method: arrays of checkpoints in, the five parameters and the objective out."""

    def __call__(
        self, params: Array, tokens: Array, loss: Array, fixed: Mapping[str, float]
    ) -> tuple[dict[str, float], float]:
        """Fit one law."""


def _most_probable(
    params: Array, tokens: Array, loss: Array, fixed: Mapping[str, float]
) -> tuple[dict[str, float], float]:
    """Fit by the default estimator where only checkpoints are known: a run for each size."""
    law, objective, _ = fit_pooled(params, tokens, loss, fixed)
    return law, objective


METHODS: dict[str, Callable[..., tuple[dict[str, float], float]]] = {
    "pooled": _most_probable,
    "least_squares": fit_varpro,
    "log_huber": fit_log_huber,
    "curve_fit": fit_guide,
}
"""Fitting methods by name."""


def fit_law(
    runs: pd.DataFrame,
    method: str = "pooled",
    *,
    fixed: Mapping[str, float] | None = None,
    prior: Prior | None = None,
) -> ScalingLaw:
    r"""Fit :math:`E + A\,N^{-\alpha} + B\,D^{-\beta}` to the checkpoints of one family.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family and one metric: at least ``params`` (parameters), ``tokens``
        (tokens) and ``loss`` (nats per token).  The default method also uses ``run``,
        ``schedule`` and ``planned_tokens`` (where the schedule ends), if they are there.
    method : {"pooled", "least_squares", "log_huber", "curve_fit"}
        ``"pooled"`` finds the most probable law given the runs and a prior pooled over other
        families: runs rather than checkpoints are its observations, and it alone gives
        intervals.  It predicted best in back-tests (:mod:`scaling_utils.accuracy`).  For the
        others every row is one observation.  ``"least_squares"`` minimises the sum of squared
        residuals over all laws with non-negative parameters and exponents between 0.01 and 3, by
        variable projection, and always finds that minimum.  ``"log_huber"`` minimises the sum of
        Huber losses (turning at 0.001) of the residuals of the logarithm of the loss, over the
        same laws: the robust objective of Hoffmann et al., which a few bad checkpoints hardly
        move.  ``"curve_fit"`` is
        the guide's protocol, for reproducing it: one local search from a fixed start.
    fixed : mapping of str to float, optional
        Parameters to hold, for instance ``{"A": 521.0, "alpha": 0.353}``: what one family lends
        to another that has a single model.
    prior : Prior, optional
        For ``"pooled"``: by default :func:`scaling_utils.pooled_prior` without
        whatever group the runs' family belongs to.

    Returns
    -------
    ScalingLaw
        The law, with a :class:`FitReport` in ``report``.

    Raises
    ------
    RunsError
        If the table breaks the rules of :func:`check_runs`, or mixes families or metrics.
    FitError
        If the checkpoints cannot determine the parameters that are to be fitted (with a prior,
        one checkpoint is enough, though not for much).
    UnknownOptionError
        If ``method`` or a name in ``fixed`` is unknown, or ``prior`` is given to another method.

    Notes
    -----
    The form is that of Hoffmann et al. 2022 (arXiv 2203.15556); the protocol of ``"curve_fit"``
    that of Choshen et al. 2024 (arXiv 2410.11840, section 3).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> n, d = np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 1e11])
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> logs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> logs["loss"] = truth.predict(logs["params"], logs["tokens"])
    >>> law = fit_law(logs, method="least_squares")
    >>> print(f"E = {law.E:.4f}, alpha = {law.alpha:.4f}, beta = {law.beta:.4f}")
    E = 1.7000, alpha = 0.3500, beta = 0.3700
    >>> law = fit_law(logs)
    >>> low, high = law.interval(params=1e10, tokens=2e11)
    >>> bool(low < truth.predict(1e10, 2e11) < high)
    True
    """
    if method not in METHODS:
        raise UnknownOptionError(
            f"method = {method!r} is not a fitting method: choose one of {sorted(METHODS)}."
        )
    if prior is not None and method != "pooled":
        raise UnknownOptionError(
            f"prior is given to method = {method!r}: only method = 'pooled' takes one."
        )
    held = check_fixed(fixed)
    table = in_order(as_training_set(runs))
    params, tokens, loss = (
        table[c].to_numpy(dtype="float64") for c in ("params", "tokens", "loss")
    )
    check_reachable(params, tokens, held)
    if method not in ("pooled", "curve_fit"):  # the guide's protocol fits whatever it is given
        check_identified(params, tokens, held)
    run, decay = pd.factorize(table["run"])[0], unfinished_share(table)
    if method == "pooled" and prior is None:
        prior = pooled_prior(without=str(table["family"].iloc[0]))

    def fit(rows: Rows) -> tuple[dict[str, float], float, Posterior | None]:
        some = params[rows], tokens[rows], loss[rows], held
        with finite_only(method, loss[rows]):
            if method == "pooled":
                law, objective, posterior = fit_pooled(
                    *some, run=run[rows], decay=decay[rows], prior=prior
                )
            else:
                law, objective = METHODS[method](*some)
                posterior = None
            if not all(np.isfinite(v) and v >= 0 for v in law.values()) or not np.isfinite(
                objective
            ):
                found = ", ".join(f"{name} = {value:.4g}" for name, value in law.items())
                raise FloatingPointError(found)
        return law, objective, posterior

    law, objective, posterior = fit(np.ones(len(table), dtype=bool))
    report = FitReport(
        method=method,
        objective=objective,
        n_checkpoints=len(table),
        n_runs=int(table["run"].nunique()),
        n_sizes=len(np.unique(params)),
        params_range=(float(params.min()), float(params.max())),
        tokens_range=(float(tokens.min()), float(tokens.max())),
        fixed=MappingProxyType(held),
        warnings=fit_warnings(table, law, held, lambda rows: fit(rows)[0]),
    )
    return ScalingLaw(law["E"], law["A"], law["B"], law["alpha"], law["beta"], report, posterior)


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort checkpoints, so that the order in which they come changes not even the last digit."""
    order = np.lexsort([table[c].to_numpy() for c in ("loss", "tokens", "params")])
    return table if bool((np.diff(order) == 1).all()) else table.iloc[order]


@contextmanager
def finite_only(method: str, loss: Array) -> Iterator[None]:
    """Let a search pass through overflows, and refuse where it ends in one."""
    try:
        with np.errstate(all="ignore"):
            yield
    except (np.linalg.LinAlgError, FloatingPointError) as error:
        raise FitError(
            f"{method} found no law that is finite and not negative ({error}): values are too "
            f"extreme for it (losses run from {loss.min():.3g} to {loss.max():.3g}). Check the "
            "units, or hold nothing."
        ) from error


def check_reachable(params: Array, tokens: Array, held: Mapping[str, float]) -> None:
    """Refuse held parameters that take the law out of what floating-point numbers can hold."""
    largest = dict.fromkeys(PARAMETERS, VAST)
    for name, values in (("alpha", params), ("beta", tokens)):
        largest[name] = np.log(VAST) / max(1.0, float(np.abs(np.log(values)).max()))
    for name, value in held.items():
        if value > largest[name]:
            raise FitError(
                f"fixed[{name!r}] = {value:.4g} is more than {largest[name]:.4g}, beyond which the "
                "law leaves the range of floating-point numbers at these checkpoints: hold a value "
                "from a law of models like these, in the same units."
            )


def check_fixed(fixed: Mapping[str, float] | None) -> dict[str, float]:
    """Return the held parameters as floats, or say which is wrong."""
    held = {}
    for name, value in (fixed or {}).items():
        if name not in PARAMETERS:
            raise UnknownOptionError(
                f"fixed = {{{name!r}: ...}} names no parameter of the law: use {PARAMETERS}."
            )
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not np.isfinite(number) or number < 0:
            raise UnknownOptionError(
                f"fixed[{name!r}] = {value!r}: a held parameter must be finite and not negative."
            )
        held[name] = number
    return held


def is_tidy(runs: pd.DataFrame) -> bool:
    """Whether a table has all columns, each once, and its numbers as numbers."""
    return (
        isinstance(runs, pd.DataFrame)
        and sorted(c for c in runs.columns if c in COLUMNS) == sorted(COLUMNS)
        and all(runs[c].dtype == "float64" for c in (*NUMERIC, PLANNED) if c in runs.columns)
        and runs["seed"].dtype == "Int64"
    )


def as_training_set(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs as one checked table of one family and one metric."""
    if isinstance(runs, pd.DataFrame) and len(runs) == 0:
        raise RunsError(
            "the table of runs is empty: a law needs checkpoints. Loosen the selection (a large "
            "skip_tokens, say) or load other runs."
        )
    if is_tidy(runs):
        table = runs
        check_runs(table)
    else:
        table = tidy_runs(runs)
    for column, advice in (
        ("family", "fit each family by itself, for instance in a loop over groupby('family')"),
        ("metric", "choose one, for instance runs[runs['metric'] == ...]"),
    ):
        found = table[column].unique()
        if len(found) > 1:
            raise RunsError(
                f"the table holds {len(found)} values of {column!r} ({', '.join(found[:3])}"
                f"{', ...' if len(found) > 3 else ''}): one law describes one {column}; {advice}."
            )
    return table
