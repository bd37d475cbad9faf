"""The one entry to every fitting method: check the runs, fit, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.errors import RunsError, UnknownOptionError
from scaling_utils.fitting.guide import fit_guide
from scaling_utils.fitting.identify import check_identified, fit_warnings
from scaling_utils.fitting.log_huber import fit_log_huber
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.frame import COLUMNS, check_runs, tidy_runs
from scaling_utils.law import PARAMETERS, FitReport, ScalingLaw

Array = NDArray[np.float64]


class Fitter(Protocol):
    """A fitting method: arrays of checkpoints in, the five parameters and the objective out."""

    def __call__(
        self, params: Array, tokens: Array, loss: Array, fixed: Mapping[str, float]
    ) -> tuple[dict[str, float], float]:
        """Fit one law."""


METHODS: dict[str, Callable[..., tuple[dict[str, float], float]]] = {
    "least_squares": fit_varpro,
    "log_huber": fit_log_huber,
    "curve_fit": fit_guide,
}
"""Fitting methods by name."""


def fit_law(
    runs: pd.DataFrame,
    method: str = "least_squares",
    *,
    fixed: Mapping[str, float] | None = None,
) -> ScalingLaw:
    r"""Fit :math:`E + A\,N^{-\alpha} + B\,D^{-\beta}` to the checkpoints of one family.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family and one metric: at least ``params`` (parameters), ``tokens``
        (tokens) and ``loss`` (nats per token).  Every row is one observation.
    method : {"least_squares", "log_huber", "curve_fit"}
        ``"least_squares"`` minimises the sum of squared residuals over all laws with
        non-negative parameters and exponents between 0.01 and 3, by variable projection, and
        always finds that minimum.  ``"log_huber"`` minimises the sum of Huber losses (turning at
        0.001) of the residuals of the logarithm of the loss, over the same laws: the robust
        objective of Hoffmann et al., which a few bad checkpoints hardly move.  ``"curve_fit"`` is
        the guide's protocol, for reproducing it: one local search from a fixed start.
    fixed : mapping of str to float, optional
        Parameters to hold, for instance ``{"A": 521.0, "alpha": 0.353}``: what one family lends
        to another that has a single model.

    Returns
    -------
    ScalingLaw
        The law, with a :class:`FitReport` in ``report``.

    Raises
    ------
    RunsError
        If the table breaks the rules of :func:`check_runs`, or mixes families or metrics.
    FitError
        If the checkpoints cannot determine the parameters that are to be fitted.
    UnknownOptionError
        If ``method`` or a name in ``fixed`` is unknown.

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
    >>> law = fit_law(logs)
    >>> print(f"E = {law.E:.4f}, alpha = {law.alpha:.4f}, beta = {law.beta:.4f}")
    E = 1.7000, alpha = 0.3500, beta = 0.3700
    """
    if method not in METHODS:
        raise UnknownOptionError(
            f"method = {method!r} is not a fitting method: choose one of {sorted(METHODS)}."
        )
    held = check_fixed(fixed)
    table = as_training_set(runs)
    params, tokens, loss = (
        table[c].to_numpy(dtype="float64") for c in ("params", "tokens", "loss")
    )
    if method != "curve_fit":  # the guide's protocol fits whatever it is given
        check_identified(params, tokens, held)
    law, objective = METHODS[method](params, tokens, loss, held)
    report = FitReport(
        method=method,
        objective=objective,
        n_checkpoints=len(table),
        n_runs=int(table["run"].nunique()),
        n_sizes=len(np.unique(params)),
        params_range=(float(params.min()), float(params.max())),
        tokens_range=(float(tokens.min()), float(tokens.max())),
        fixed=MappingProxyType(held),
        warnings=fit_warnings(table, law, held, METHODS[method]),
    )
    return ScalingLaw(**law, report=report)


def check_fixed(fixed: Mapping[str, float] | None) -> dict[str, float]:
    """Return the held parameters as floats, or say which is wrong."""
    held = {}
    for name, value in (fixed or {}).items():
        if name not in PARAMETERS:
            raise UnknownOptionError(
                f"fixed = {{{name!r}: ...}} names no parameter of the law: use {PARAMETERS}."
            )
        number = float(value)
        if not np.isfinite(number) or number < 0:
            raise UnknownOptionError(
                f"fixed[{name!r}] = {value!r}: a held parameter must be finite and not negative."
            )
        held[name] = number
    return held


def as_training_set(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs as one checked table of one family and one metric."""
    if len(runs) == 0:
        raise RunsError(
            "the table of runs is empty: a law needs checkpoints. Loosen the selection (a large "
            "skip_tokens, say) or load other runs."
        )
    if set(COLUMNS) <= set(runs.columns):
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
