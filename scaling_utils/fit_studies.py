"""What fitting methods do with families whose law is known, and with the guide's training sets.

Three questions: how far a single search comes, what one bad run does, and what weights change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.confidence import add_correlated_noise
from scaling_utils.effective import thin
from scaling_utils.errors import FitError, SelectionError
from scaling_utils.fitting.fit import as_training_set, fit_law
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.frame import tidy_runs
from scaling_utils.law import ScalingLaw

Array = NDArray[np.float64]

TRUTH = ScalingLaw(E=1.8172, A=477.9, B=2143.0, alpha=0.3473, beta=0.3672)
"""The refit of Besiroglu et al. 2024 (arXiv 2404.10102), at its minimum."""


def random_family(
    rng: np.random.Generator, noise: float = 0.005
) -> tuple[ScalingLaw, pd.DataFrame]:
    """Draw a law, and a family of runs that follows it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of everything.
    noise : float
        Relative standard deviation of each checkpoint, independent of all others.

    Returns
    -------
    ScalingLaw
        The law: exponents between 0.1 and 0.9, and terms that at the middle of the data are
        between a tenth of a nat and two nats.
    pandas.DataFrame
        Three to eight sizes between 1e6 and 1e10 parameters, eight checkpoints each.

    Examples
    --------
    >>> law, runs = random_family(np.random.default_rng(1))
    >>> len(runs) == 8 * runs["params"].nunique()
    True
    """
    alpha, beta = rng.uniform(0.1, 0.9, 2)
    params = np.sort(10 ** rng.uniform(6, 10, int(rng.integers(3, 9))))
    tokens = np.linspace(0.125, 1, 8) * 10 ** rng.uniform(9, 12)
    middle_n, middle_d = np.exp(np.log(params).mean()), np.exp(np.log(tokens).mean())
    law = ScalingLaw(
        E=float(rng.uniform(0.5, 3)),
        A=float(10 ** rng.uniform(-1, 0.3) * middle_n**alpha),
        B=float(10 ** rng.uniform(-1, 0.3) * middle_d**beta),
        alpha=float(alpha),
        beta=float(beta),
    )
    n, d = np.meshgrid(params, tokens, indexing="ij")
    loss = np.asarray(law.predict(n, d)) * np.exp(noise * rng.standard_normal(n.shape))
    runs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel(), "loss": loss.ravel()})
    runs["run"] = np.repeat([f"run {i}" for i in range(len(params))], len(tokens))
    return law, tidy_runs(runs, {"family": "random"})


def pair_methods(cells: pd.DataFrame, one: str, two: str, apart: float = 0.0) -> pd.DataFrame:
    """Put two fitting methods side by side on the same training sets.

    Parameters
    ----------
    cells : pandas.DataFrame
        Rows of :func:`scaling_utils.backtest`, one variant and design.
    one, two : str
        Methods.
    apart : float
        Only training sets whose two predictions differ by more than this fraction.

    Returns
    -------
    pandas.DataFrame
        One row for each training set for which both found a law: ``family``, ``n_models``,
        ``smallest_params``, ``largest_params``, ``fraction``, ``are_one``, ``are_two`` and
        ``apart``, the difference of the predicted losses over the second.

    Examples
    --------
    >>> cells = pd.DataFrame({
    ...     "method": ["a", "b"], "family": "opt", "n_models": 3, "smallest_params": 1e8,
    ...     "largest_params": 1e9, "fraction": 1.0, "are": [0.04, 0.02],
    ...     "predicted_loss": [2.1, 2.0], "status": "ok"})
    >>> pair_methods(cells, "a", "b")[["are_one", "are_two"]].to_dict("records")
    [{'are_one': 0.04, 'are_two': 0.02}]
    """
    keys = ["family", "n_models", "smallest_params", "largest_params", "fraction"]
    kept = cells.loc[cells["status"] == "ok", [*keys, "method", "are", "predicted_loss"]]
    first, second = (kept[kept["method"] == m].drop(columns="method") for m in (one, two))
    both = first.merge(second, on=keys, suffixes=("_one", "_two"))
    gap = (both["predicted_loss_one"] / both["predicted_loss_two"] - 1).abs()
    both = both.drop(columns=["predicted_loss_one", "predicted_loss_two"]).assign(apart=gap)
    return both[gap > apart].reset_index(drop=True)


# --- Weights --------------------------------------------------------------------------------------


def equal_run_weights(runs: pd.DataFrame) -> Array:
    """Weigh checkpoints so that every run counts the same, however often it was evaluated.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints with a column ``run``.

    Returns
    -------
    numpy.ndarray of shape (n,)
        Weights with mean one.

    Examples
    --------
    >>> equal_run_weights(pd.DataFrame({"run": ["a", "a", "a", "b"]})).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    count = runs.groupby("run")["run"].transform("size").to_numpy("float64")
    weights = 1 / count
    return np.asarray(weights / weights.mean())


def fit_weighted(runs: pd.DataFrame, weights: Array) -> ScalingLaw:
    """Fit a law by weighted least squares.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family and one metric.
    weights : numpy.ndarray of shape (n,)
        Weight of each squared residual, in the order of the rows; not negative.

    Returns
    -------
    ScalingLaw
        The law, without a report.

    Raises
    ------
    SelectionError
        If the weights are not one for each row, or one is negative.

    Examples
    --------
    >>> n, d = np.meshgrid([1e7, 1e8, 1e9], [1e9, 1e10, 1e11])
    >>> truth = ScalingLaw(E=1.7, A=400.0, B=2000.0, alpha=0.35, beta=0.37)
    >>> runs = pd.DataFrame({"params": n.ravel(), "tokens": d.ravel()})
    >>> runs["loss"] = truth.predict(runs["params"], runs["tokens"])
    >>> round(fit_weighted(runs, np.arange(1.0, 10.0)).beta, 4)
    0.37
    """
    given = np.asarray(weights, "float64")
    if given.shape != (len(runs),) or not np.all(given >= 0):
        raise SelectionError(
            f"weights of shape {given.shape} for {len(runs)} checkpoints, smallest "
            f"{given.min() if given.size else 'none'}: give one weight for each row, none negative."
        )
    table = as_training_set(runs)
    n, d, y = (table[c].to_numpy(dtype="float64") for c in ("params", "tokens", "loss"))
    found, _ = fit_varpro(n, d, y, {}, weights=given)
    return ScalingLaw(found["E"], found["A"], found["B"], found["alpha"], found["beta"])


WEIGHTS: Mapping[str, str] = MappingProxyType(
    {"checkpoints": "every checkpoint", "runs": "every run", "ten": "ten of each run"}
)
"""What counts the same in each fit of :func:`weight_study`."""


def weight_study(
    rng: np.random.Generator,
    *,
    length: float,
    draws: int = 40,
    params: Sequence[float] = tuple(np.geomspace(1e8, 1e10, 7)),
    every: float = 1e9,
    scale: float = 0.003,
    truth: ScalingLaw = TRUTH,
    target: tuple[float, float] = (1e11, 2e12),
) -> pd.DataFrame:
    """Measure what it changes to weigh runs equally, where long runs logged more checkpoints.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the noise.
    length : float
        Part of a run after which the correlation of its deviations has fallen to 1/e; 0 for
        independent ones.
    draws : int
        Simulated families.
    params : sequence of float
        Sizes, each trained on 20 tokens for each parameter.
    every : float
        Tokens from one checkpoint to the next; at least ten in each run, none in its first tenth.
    scale : float
        Relative standard deviation of a checkpoint.
    truth : ScalingLaw
        The law that the runs follow.
    target : tuple of float
        Parameters and tokens of the model to predict.

    Returns
    -------
    pandas.DataFrame
        A row for each draw: the relative, signed error of the target for each of :data:`WEIGHTS`.

    Examples
    --------
    >>> study = weight_study(np.random.default_rng(1), length=0.3, draws=2)
    >>> study.shape, list(study.columns)
    ((2, 3), ['checkpoints', 'runs', 'ten'])
    """
    wanted = float(truth.predict(*target))
    rows = []
    for _ in range(draws):
        parts = []
        for size in params:
            tokens = np.linspace(0.1, 1, max(10, round(20 * size / every))) * 20 * size
            clean = pd.DataFrame({"run": f"{size:.4g}", "params": size, "tokens": tokens})
            clean["loss"] = truth.predict(size, tokens)
            parts.append(add_correlated_noise(clean, rng, scale=scale, length=length * 20 * size))
        runs = tidy_runs(pd.concat(parts, ignore_index=True))
        few = thin(runs, 10)
        laws = {
            "checkpoints": fit_weighted(runs, np.ones(len(runs))),
            "runs": fit_weighted(runs, equal_run_weights(runs)),
            "ten": fit_weighted(few, np.ones(len(few))),
        }
        rows.append({name: float(law.predict(*target)) / wanted - 1 for name, law in laws.items()})
    return pd.DataFrame(rows)


# --- One bad run ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ladder:
    """A family whose law is known, for asking what one bad run does to a fit.

    Attributes
    ----------
    law : ScalingLaw
        The truth.
    sizes : int
        Models, evenly spaced in the logarithm from ``smallest`` to ``largest`` parameters.
    smallest, largest : float
        Parameters of the smallest and the largest model that trains the law.
    ratios : tuple of float
        Tokens for each parameter; each size is trained once to each of them, from scratch.
    target : tuple of float
        Parameters and tokens of the model to predict.
    noise : float
        Relative standard deviation of a run.
    """

    law: ScalingLaw = TRUTH
    sizes: int = 7
    smallest: float = 1e8
    largest: float = 1e10
    ratios: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 80.0)
    target: tuple[float, float] = (1e11, 2e12)
    noise: float = 0.003

    def runs(self, rng: np.random.Generator) -> pd.DataFrame:
        """Draw the final losses of all runs; a run is one row."""
        params = np.geomspace(self.smallest, self.largest, self.sizes)
        n, r = np.meshgrid(params, np.asarray(self.ratios), indexing="ij")
        n, d = n.ravel(), (n * r).ravel()
        loss = np.asarray(self.law.predict(n, d)) * np.exp(self.noise * rng.standard_normal(len(n)))
        table = pd.DataFrame({"params": n, "tokens": d, "loss": loss})
        return tidy_runs(table.assign(run=[f"run {i}" for i in range(len(n))]))


BAD: Mapping[str, str] = MappingProxyType(
    {"none": "no bad run", "one run": "one run too high", "one size": "all runs of the largest"}
)
"""What :func:`bad_run_study` makes bad."""


def bad_run_study(
    ladder: Ladder,
    methods: Sequence[str],
    rng: np.random.Generator,
    *,
    shift: float = 0.05,
    draws: int = 40,
) -> pd.DataFrame:
    """Measure what a bad run does to the prediction of each fitting method.

    Parameters
    ----------
    ladder : Ladder
        The family.
    methods : sequence of str
        Methods of :func:`scaling_utils.fit_law`.
    rng : numpy.random.Generator
        Source of the noise, and of which run is bad.
    shift : float
        How much too high the bad loss is, as a fraction.
    draws : int
        Families; all methods see the same ones.

    Returns
    -------
    pandas.DataFrame
        A row for each draw, kind of badness (:data:`BAD`) and method: ``error``, relative and
        signed, of the predicted target.  Missing where a method found no law.

    Examples
    --------
    >>> study = bad_run_study(Ladder(), ["least_squares"], np.random.default_rng(1), draws=2)
    >>> study.groupby("bad", sort=False).size().to_dict()
    {'none': 2, 'one run': 2, 'one size': 2}
    """
    wanted = float(ladder.law.predict(*ladder.target))
    rows = []
    for draw in range(draws):
        clean = ladder.runs(rng)
        one = int(rng.integers(len(clean)))
        masks = {
            "none": np.zeros(len(clean), dtype=bool),
            "one run": np.arange(len(clean)) == one,
            "one size": (clean["params"] == clean["params"].max()).to_numpy(),
        }
        for bad, mask in masks.items():
            seen = clean.assign(loss=clean["loss"] * np.where(mask, 1 + shift, 1.0))
            for method in methods:
                try:
                    found = float(fit_law(seen, method=method).predict(*ladder.target))
                except FitError:
                    found = np.nan
                rows.append(
                    {"draw": draw, "bad": bad, "method": method, "error": found / wanted - 1}
                )
    return pd.DataFrame(rows)


def root_mean_square(values: pd.Series) -> float:
    """Typical size of errors of either sign; missing ones are left out."""
    return float(np.sqrt(np.mean(values.dropna().to_numpy("float64") ** 2)))
