"""What seeds do to a prediction, and whether to spend a budget on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import digamma, polygamma
from scipy.stats import f as fisher

from scaling_utils.aggregate import full_cells
from scaling_utils.errors import FitError, SelectionError
from scaling_utils.fitting import fit_law
from scaling_utils.law import PARAMETERS, ScalingLaw
from scaling_utils.metrics import Predictor
from scaling_utils.selection import sizes, split_target
from scaling_utils.spread import seed_spread
from scaling_utils.synthetic import synthetic_runs

Array = NDArray[np.float64]

FEWEST_SIZES = 4
"""Sizes that a design keeps at least: three would leave the law without a check."""

CHANGES = ("weights and data", "weights", "data")
"""What may come from another seed: both, or one while the other is that of seed 0."""

ONE_SIZE = ["family", "params"]


def by_what_changes(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Sort runs by what their seeds change: each part holds runs that differ in that alone.

    Parameters
    ----------
    runs : pandas.DataFrame
        Runs with the columns ``init_seed`` (initial weights) and ``data_seed`` (order of the data),
        as ``load_runs(..., variant="seeds")`` gives them.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each of :data:`CHANGES`: the runs whose two seeds are equal; those with the data of seed
        0; those with the weights of seed 0.  The run of seed 0 itself is in all three.

    Examples
    --------
    >>> runs = pd.DataFrame({"init_seed": [0, 1, 1, 0], "data_seed": [0, 1, 0, 1]})
    >>> {what: part.index.tolist() for what, part in by_what_changes(runs).items()}
    {'weights and data': [0, 1], 'weights': [0, 2], 'data': [0, 3]}
    """
    weights, data = runs["init_seed"], runs["data_seed"]
    kept = (weights == data, data == 0, weights == 0)
    return {what: runs[keep.fillna(False)] for what, keep in zip(CHANGES, kept, strict=True)}


def seed_table(runs: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Spread between seeds by family, size and what the seed changes.

    Parameters
    ----------
    runs : pandas.DataFrame
        As for :func:`by_what_changes`; several families and sizes.
    level : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Rows of :func:`scaling_utils.spread.seed_spread`, whose intervals are those of the
        chi-squared distribution, with the column ``changes``.  Of each size one number of tokens:
        the longest training among those for which most kinds of change were repeated, so that
        the kinds are compared at the same place.

    Raises
    ------
    SelectionError
        If nothing was repeated.

    Examples
    --------
    >>> runs = pd.DataFrame({
    ...     "family": "f", "params": 1e6, "tokens": 1e8, "run": [*"abcd"],
    ...     "init_seed": [0, 1, 1, 0], "data_seed": [0, 1, 0, 1], "loss": [2.0, 2.04, 2.02, 2.0]})
    >>> seed_table(runs)[["changes", "n", "spread"]].round(4).to_numpy().tolist()
    [['weights and data', 2, 0.014], ['weights', 2, 0.007], ['data', 2, 0.0]]
    """
    parts = []
    for what, part in by_what_changes(runs).items():
        try:
            parts.append(seed_spread(part, level=level).assign(changes=what))
        except SelectionError:
            continue
    if not parts:
        raise SelectionError(
            "no size was trained with two seeds: a spread needs repeats. families() shows how many "
            "seeds each family has."
        )
    table = pd.concat(parts, ignore_index=True)
    kinds = table.groupby([*ONE_SIZE, "tokens"], observed=True)["changes"].transform("size")
    most = table.assign(kinds=kinds).sort_values(["kinds", "tokens"], kind="stable")
    place = most.groupby(ONE_SIZE, observed=True)["tokens"].transform("last")
    kept = most[most["tokens"] == place].drop(columns="kinds")
    order = kept["changes"].map(CHANGES.index)
    kept = kept.assign(order=order).sort_values([*ONE_SIZE, "order"], ignore_index=True)
    return kept.drop(columns="order")


def spread_ratio(
    one: pd.DataFrame, other: pd.DataFrame, level: float = 0.9
) -> tuple[float, float, float]:
    r"""How many times as large one pooled spread is as another.

    Parameters
    ----------
    one, other : pandas.DataFrame
        Rows of :func:`scaling_utils.spread.seed_spread`.
    level : float
        Level of the interval.

    Returns
    -------
    ratio, low, high : float
        Ratio of the two pooled standard deviations, and its interval.

    Notes
    -----
    For independent normal losses the ratio of the variances over that of the true ones follows an
    F distribution with the two numbers of degrees of freedom.  Where both share a run, as parts of
    :func:`by_what_changes` do, the interval is approximate.

    Examples
    --------
    >>> one, other = (pd.DataFrame({"n": [5, 5], "spread": s}) for s in (0.02, 0.01))
    >>> [round(v, 2) for v in spread_ratio(one, other)]
    [2.0, 1.08, 3.71]
    """
    freedom = [float((table["n"] - 1).sum()) for table in (one, other)]
    variances = [
        float(((table["n"] - 1) * table["spread"] ** 2).sum()) / count
        for table, count in zip((one, other), freedom, strict=True)
    ]
    ratio = variances[0] / variances[1]
    low = ratio / fisher.ppf((1 + level) / 2, *freedom)
    high = ratio / fisher.ppf((1 - level) / 2, *freedom)
    return float(np.sqrt(ratio)), float(np.sqrt(low)), float(np.sqrt(high))


def spread_trend(table: pd.DataFrame) -> tuple[float, float]:
    r"""How the spread between seeds changes with size.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of :func:`scaling_utils.spread.seed_spread`, one for each size.

    Returns
    -------
    exponent, error : float
        Slope of the logarithm of the spread against that of the parameters, and its standard error.

    Raises
    ------
    SelectionError
        If there are fewer than two sizes.

    Notes
    -----
    With :math:`\nu = n - 1` degrees of freedom the logarithm of a sample variance lies
    :math:`\psi(\nu/2) - \ln(\nu/2)` beside that of the variance and has itself the variance
    :math:`\psi'(\nu/2)`, whatever the truth is; that gives the line its weights and its error.

    Examples
    --------
    >>> table = pd.DataFrame({"params": [1e4, 1e6], "spread": [0.01, 0.001], "n": 5})
    >>> [round(v, 2) for v in spread_trend(table)]
    [-0.5, 0.12]
    """
    if table["params"].nunique() < 2:
        raise SelectionError("a trend needs two sizes with several seeds: add seeds at another.")
    half = (table["n"].to_numpy("float64") - 1) / 2
    y = 2 * np.log(table["spread"].to_numpy("float64")) - digamma(half) + np.log(half)
    weight = 1 / polygamma(1, half)
    x = np.log(table["params"].to_numpy("float64"))
    x = x - np.average(x, weights=weight)
    precision = float((weight * x**2).sum())
    return float((weight * x * y).sum() / precision) / 2, float(precision**-0.5) / 2


def repeated_sizes(runs: pd.DataFrame) -> dict[float, list[int]]:
    """Seeds of each size.

    Parameters
    ----------
    runs : pandas.DataFrame
        A family with the column ``seed``.

    Returns
    -------
    dict of float to list of int
        Ascending in both.

    Examples
    --------
    >>> repeated_sizes(pd.DataFrame({"params": [1e6, 1e6, 2e6], "seed": [1, 0, 0]}))
    {1000000.0: [0, 1], 2000000.0: [0]}
    """
    return {
        float(str(params)): sorted(int(s) for s in part["seed"].dropna().unique())
        for params, part in runs.groupby("params", sort=True)
    }


def draw_seeds(runs: pd.DataFrame, rng: np.random.Generator, count: int = 1) -> pd.DataFrame:
    """Keep some seeds of each size, chosen at random.

    Runs of different sizes have nothing in common, so that any combination of seeds is as good a
    family as any other.

    Parameters
    ----------
    runs : pandas.DataFrame
        A family with the column ``seed``.
    rng : numpy.random.Generator
        Source of the choice.
    count : int
        Seeds of each size to keep; fewer where there are fewer.

    Returns
    -------
    pandas.DataFrame
        Rows of ``runs``.

    Examples
    --------
    >>> runs = pd.DataFrame({"params": [1e6, 1e6, 2e6], "seed": [0, 1, 0]})
    >>> draw_seeds(runs, np.random.default_rng(1))["params"].tolist()
    [1000000.0, 2000000.0]
    """
    keep = pd.Series(False, index=runs.index)
    for params, seeds in repeated_sizes(runs).items():
        chosen = rng.choice(seeds, size=min(count, len(seeds)), replace=False)
        keep |= (runs["params"] == params) & runs["seed"].isin(chosen)
    return runs[keep]


def resample_seeds(runs: pd.DataFrame, rng: np.random.Generator, count: int = 1) -> pd.DataFrame:
    r"""Make a family as other seeds might have given it, from the seeds that there are.

    For each size ``count`` seeds are drawn with replacement and averaged.

    Parameters
    ----------
    runs : pandas.DataFrame
        A family with the column ``seed``.
    rng : numpy.random.Generator
        Source of the choice.
    count : int
        Seeds to average.

    Returns
    -------
    pandas.DataFrame
        One row for each size and number of tokens: ``params``, ``tokens``, ``loss``.

    Notes
    -----
    Draws from *k* seeds vary less than seeds do, by :math:`\sqrt{(k - 1)/k}`; deviations from the
    mean are enlarged by as much, so that the variance comes out right on average.  A size with one
    seed does not vary.
    """
    return _resample(_seed_tables(runs), rng, count)


def _seed_tables(runs: pd.DataFrame) -> list[tuple[float, Array, Array]]:
    """Split a family into sizes: parameters, tokens, and losses with a column for each seed."""
    tables = []
    for params, part in runs.groupby("params", sort=True):
        wide = part.pivot_table(index="tokens", columns="seed", values="loss")
        tokens = wide.index.to_numpy("float64")
        tables.append((float(str(params)), tokens, wide.to_numpy("float64")))
    return tables


def _resample(
    tables: list[tuple[float, Array, Array]], rng: np.random.Generator, count: int
) -> pd.DataFrame:
    """Draw one family from the seeds of each size."""
    params, tokens, losses = [], [], []
    for size, places, found in tables:
        seeds = found.shape[1]
        mean = np.nanmean(found, axis=1)
        # A seed that lacks a budget stands aside there.
        off = np.nan_to_num(found - mean[:, None])
        chosen = off[:, rng.integers(0, seeds, size=count)].mean(axis=1)
        larger = np.sqrt(seeds / (seeds - 1)) if seeds > 1 else 0.0
        params.append(np.full(len(places), size))
        tokens.append(places)
        losses.append(mean + larger * chosen)
    table = pd.DataFrame(
        {
            "params": np.concatenate(params),
            "tokens": np.concatenate(tokens),
            "loss": np.concatenate(losses),
        }
    )
    return table.assign(run=table["params"].astype("str"), family="resampled")


def refit_by_seed(
    train: pd.DataFrame,
    target: pd.DataFrame,
    rng: np.random.Generator,
    draws: int = 60,
    *,
    count: int = 1,
) -> pd.DataFrame:
    """Predict a target again and again, each time from other seeds of the same sizes.

    Parameters
    ----------
    train, target : pandas.DataFrame
        What to fit, and what to predict.
    rng : numpy.random.Generator
        Source of the choice of seeds.
    draws : int
        Number of refits.
    count : int
        Seeds of each size that are averaged, see :func:`resample_seeds`.

    Returns
    -------
    pandas.DataFrame
        One row for each refit that gave a law: its five numbers, ``predicted``, the mean predicted
        loss of the target, and ``error``, relative to the mean measured loss.

    Raises
    ------
    SelectionError
        If no refit gave a law.
    """
    places = target.groupby(["params", "tokens"], as_index=False)["loss"].mean()
    measured = float(places["loss"].mean())
    tables = _seed_tables(train)
    rows = []
    for _ in range(draws):
        try:
            law = fit_law(_resample(tables, rng, count), method="least_squares")
        except FitError:
            continue
        predicted = float(np.mean(law.predict(places["params"], places["tokens"])))
        numbers = {name: getattr(law, name) for name in PARAMETERS}
        rows.append({**numbers, "predicted": predicted, "error": predicted / measured - 1})
    if not rows:
        raise SelectionError("no choice of seeds gave a law: add runs of other sizes or tokens.")
    return pd.DataFrame(rows)


def seed_share(runs: pd.DataFrame, rng: np.random.Generator, draws: int = 60) -> dict[str, float]:
    r"""Split the error of a prediction into what seeds did and what the law did.

    Parameters
    ----------
    runs : pandas.DataFrame
        A family with several seeds at some of its sizes; the largest is predicted.
    rng : numpy.random.Generator
        Source of the choice of seeds.
    draws : int
        Number of refits.

    Returns
    -------
    dict of str to float
        ``sizes`` of the training set and ``repeated``, how many of them have several seeds;
        ``bias``, the mean signed error; ``spread``, the standard deviation of the error between
        choices of training seeds; ``target``, that of one run of the target between its own seeds
        (missing with a single one); ``share``, the part of the mean squared error of a prediction
        of one run that is due to seeds.

    Raises
    ------
    SelectionError
        If no size of the training set has several seeds.

    Notes
    -----
    The mean squared error is :math:`\mathrm{bias}^2 + \mathrm{spread}^2 + \mathrm{target}^2`.  The
    bias holds chance, too, since the seeds at hand are few; it is not taken out, so that ``share``
    is a lower bound.
    """
    train, target = split_target(runs)
    seeds = repeated_sizes(train)
    repeated = sum(len(found) > 1 for found in seeds.values())
    if not repeated:
        raise SelectionError("no size of the training set has several seeds: nothing to choose.")
    errors = refit_by_seed(train, target, rng, draws)["error"]
    by_seed = target.groupby("seed")["loss"].mean()
    own = float(by_seed.std() / by_seed.mean()) if len(by_seed) > 1 else float("nan")
    bias, spread = float(errors.mean()), float(errors.std())
    chance = spread**2 + (0.0 if np.isnan(own) else own**2)
    return {
        "sizes": float(len(seeds)),
        "repeated": float(repeated),
        "bias": bias,
        "spread": spread,
        "target": own,
        "share": chance / (chance + bias**2),
    }


def amplification(law: ScalingLaw, train: pd.DataFrame, params: float, tokens: float) -> float:
    r"""How much larger the noise of a prediction is than that of the runs behind it.

    Parameters
    ----------
    law : ScalingLaw
        The law fitted to ``train``, or the truth.
    train : pandas.DataFrame
        Runs; rows of one run, and of runs that branch off one ``trunk``, are taken to err together.
    params, tokens : float
        Where to predict.

    Returns
    -------
    float
        Relative standard deviation of the prediction over that of one run.

    Notes
    -----
    To first order a least-squares fit is linear in its data: the prediction moves by
    :math:`\sum_i w_i\,\delta L_i` with :math:`w = g^\top (J^\top J)^{-1} J^\top`, where *J* holds
    the derivatives of the law at the training points and *g* those at the target.  Errors of one
    run are equal parts of its losses, so its weights add up before they are squared.  What the fit
    holds does not move: a term at zero, and an exponent that fewer than three sizes (or numbers of
    tokens) leave to convention.

    Examples
    --------
    >>> law = ScalingLaw(E=2.0, A=400.0, B=400.0, alpha=0.35, beta=0.35)
    >>> train = pd.DataFrame(
    ...     [(n, d, law.predict(n, d)) for n in (1e6, 4e6, 16e6) for d in (1e8, 1e9, 1e10)],
    ...     columns=["params", "tokens", "loss"]).assign(run=lambda t: t["params"].astype(str))
    >>> near, far = (amplification(law, train, n, 1e10) for n in (2e7, 2e9))
    >>> bool(near < far)
    True
    """
    free = [law.E > 0, law.A > 0, law.B > 0, law.A > 0, law.B > 0]
    free[3] &= train["params"].nunique() > 2
    free[4] &= train["tokens"].nunique() > 2
    jacobian = gradient(law, train["params"], train["tokens"])[:, free]
    at = gradient(law, np.array([params]), np.array([tokens]))[0][free]
    # Columns of very different size: scale them before the pseudo-inverse.
    scale = np.sqrt((jacobian**2).sum(axis=0))
    scale[scale == 0] = 1.0
    weights = (at / scale) @ np.linalg.pinv(jacobian / scale)
    moved = pd.Series(weights * np.asarray(law.predict(train["params"], train["tokens"])))
    per_run = moved.groupby(run_units(train).to_numpy()).sum().to_numpy()
    return float(np.sqrt((per_run**2).sum()) / float(law.predict(params, tokens)))


def family_amplification(cells: pd.DataFrame, runs: pd.DataFrame, skip: float = 1e10) -> pd.Series:
    """Amplification of each family, for its law on all smaller models.

    Parameters
    ----------
    cells : pandas.DataFrame
        Rows of back-tests of one design, variant and method; several families.
    runs : pandas.DataFrame
        The runs of these families.
    skip : float
        First tokens of every run that the laws did not see.

    Returns
    -------
    pandas.Series
        Result of :func:`amplification` at the end of the target's training, by family.
    """
    full = full_cells(cells)
    full = full[full["status"] == "ok"].set_index("family")
    found = {}
    for name, cell in full.iterrows():
        e, a, b, alpha, beta = (float(cell[k]) for k in PARAMETERS)
        train, target = split_target(runs[runs["family"] == name])
        train = train[train["tokens"] > skip]
        law = ScalingLaw(E=e, A=a, B=b, alpha=alpha, beta=beta)
        at = float(target["params"].iloc[0]), float(target["tokens"].max())
        found[str(name)] = amplification(law, train, *at)
    return pd.Series(found, dtype="float64")


def run_units(runs: pd.DataFrame) -> pd.Series:
    """Name what was trained independently: the trunk that a run branches off, or the run itself.

    Parameters
    ----------
    runs : pandas.DataFrame
        A table of runs, with or without the column ``trunk``.

    Returns
    -------
    pandas.Series
        A name for each row.

    Examples
    --------
    >>> runs = pd.DataFrame({"run": ["a", "b", "c"], "trunk": ["t", "t", None]})
    >>> run_units(runs).tolist()
    ['t', 't', 'c']
    """
    own = runs["run"].astype("object")
    if "trunk" not in runs:
        return own
    trunk = runs["trunk"].astype("object")
    return trunk.where(trunk.notna() & (trunk != ""), own)


def gradient(
    law: ScalingLaw, params: pd.Series | Array | Sequence[float], tokens: pd.Series | Array
) -> Array:
    """Derivatives of a law's prediction by E, ln A, ln B, alpha and beta.

    Parameters
    ----------
    law : ScalingLaw
        The law.
    params, tokens : array_like
        Where.

    Returns
    -------
    numpy.ndarray of shape (n, 5)
        A row for each place.
    """
    n, d = np.asarray(params, "float64"), np.asarray(tokens, "float64")
    a, b = law.A * n**-law.alpha, law.B * d**-law.beta
    return np.column_stack([np.ones_like(n), a, b, -a * np.log(n), -b * np.log(d)])


def simulate_seeds(
    truth: Predictor,
    params: Sequence[float] | Array,
    tokens: Sequence[float] | Array,
    rng: np.random.Generator,
    *,
    seeds: int,
    run_noise: float,
) -> pd.DataFrame:
    """Draw a family of which every size was trained several times.

    Parameters
    ----------
    truth : ScalingLaw or other predictor
        What gives the expected losses.
    params, tokens : sequence of float
        Sizes, and tokens of the checkpoints.
    rng : numpy.random.Generator
        Source of the noise.
    seeds : int
        Runs of each size.
    run_noise : float
        Relative standard deviation between them.

    Returns
    -------
    pandas.DataFrame
        A table of runs with the column ``seed``.
    """
    parts = []
    for seed in range(seeds):
        part = synthetic_runs(truth, params, tokens, rng, model_noise=run_noise)
        parts.append(part.assign(seed=seed, run=part["run"].astype("str") + f"-s{seed}"))
    return pd.concat(parts, ignore_index=True)


def equal_cost_designs(
    runs: pd.DataFrame, rng: np.random.Generator, draws: int = 40
) -> pd.DataFrame:
    """Spend one budget on larger models, or on more seeds of smaller ones.

    The budget is that of one seed of every size below the target.  Each further design gives up
    the largest size left and spends what that saves on seeds of all the others.

    Parameters
    ----------
    runs : pandas.DataFrame
        A family with several seeds at its sizes; the largest is predicted.
    rng : numpy.random.Generator
        Source of the choice of seeds.
    draws : int
        Choices of seeds for each design.

    Returns
    -------
    pandas.DataFrame
        One row for each design: ``largest`` training size, ``scale_up``, ``sizes``, ``seeds`` of
        each, ``cost`` relative to the budget, and over the choices the ``bias``, the ``spread`` and
        the ``error``, the root of the mean square of both.  Designs that need a size with a single
        seed are left out, since it would seem not to vary.
    """
    train, target = split_target(runs)
    available = {size: len(found) for size, found in repeated_sizes(train).items()}
    cost = train.groupby(["params", "seed"])["flops"].sum().groupby("params").mean()
    biggest = float(sizes(target)[-1])
    rows = []
    for kept, count, relative in ladders(cost):
        if min(available[size] for size in kept) < 2:
            continue
        part = train[train["params"].isin(kept)]
        try:
            errors = refit_by_seed(part, target, rng, draws, count=count)["error"]
        except SelectionError:
            continue
        rows.append(_design(kept, count, relative, biggest, errors))
    return pd.DataFrame(rows)


def simulated_designs(
    truth: Predictor,
    params: Sequence[float] | Array,
    tokens: Sequence[float] | Array,
    rng: np.random.Generator,
    *,
    run_noise: float,
    draws: int = 40,
) -> pd.DataFrame:
    """Spend one budget in several ways where the truth is known, with new seeds each time.

    Parameters
    ----------
    truth : ScalingLaw or other predictor
        What gives the expected losses.
    params, tokens : sequence of float
        Sizes, the largest of which is predicted, and tokens of the checkpoints.
    rng : numpy.random.Generator
        Source of the noise.
    run_noise : float
        Relative standard deviation between seeds.
    draws : int
        Families for each design.

    Returns
    -------
    pandas.DataFrame
        As from :func:`equal_cost_designs`; errors are from the expected loss of the target.
    """
    ladder = [float(size) for size in np.sort(np.asarray(params, "float64"))]
    goal, most = ladder[-1], float(np.max(tokens))
    expected = float(np.asarray(truth.predict(goal, most)))
    rows = []
    for kept, count, relative in ladders(pd.Series(ladder[:-1], index=ladder[:-1])):
        found = []
        for _ in range(draws):
            # The mean of so many seeds, which is what least squares makes of them.
            part = synthetic_runs(
                truth, kept, tokens, rng, model_noise=run_noise / float(np.sqrt(count))
            )
            found.append(
                float(fit_law(part, method="least_squares").predict(goal, most)) / expected - 1
            )
        rows.append(_design(kept, count, relative, goal, pd.Series(found)))
    return pd.DataFrame(rows)


def ladders(cost: pd.Series) -> list[tuple[list[float], int, float]]:
    """Ways to spend one budget: the sizes below the target, or fewer of them more than once.

    Parameters
    ----------
    cost : pandas.Series
        Cost of one seed of each size, by size in ascending order.

    Returns
    -------
    list of tuple
        Sizes, seeds of each, and the cost of all relative to one seed of every size.

    Examples
    --------
    >>> ladders(pd.Series([1.0, 2, 4, 8, 16], index=[1.0, 2, 4, 8, 16]))[1]
    ([1.0, 2.0, 4.0, 8.0], 2, 0.967741935483871)
    """
    budget = float(cost.sum())
    found = []
    for drop in range(max(1, len(cost) - FEWEST_SIZES + 1)):
        kept = cost.iloc[: len(cost) - drop]
        count = max(1, round(budget / float(kept.sum())))
        names = [float(str(size)) for size in kept.index]
        found.append((names, count, count * float(kept.sum()) / budget))
    return found


def _design(
    kept: list[float], count: int, cost: float, goal: float, errors: pd.Series
) -> dict[str, float]:
    """Sum up one way to spend the budget."""
    bias, spread = float(errors.mean()), float(errors.std())
    return {
        "largest": kept[-1],
        "scale_up": goal / kept[-1],
        "sizes": len(kept),
        "seeds": count,
        "cost": cost,
        "bias": bias,
        "spread": spread,
        "error": float(np.hypot(bias, spread)),
    }


def ladder_repeats(ladder: pd.DataFrame) -> pd.DataFrame:
    """Ends of the runs that the OLMo ladder trained twice.

    Parameters
    ----------
    ladder : pandas.DataFrame
        The family ``olmo-ladder``.

    Returns
    -------
    pandas.DataFrame
        Two rows for each size that was repeated, with the column ``budget``, since the two differ
        slightly in their last tokens.

    Examples
    --------
    >>> runs = pd.DataFrame({
    ...     "run": ["a-1xc", "a-1xc", "a-1xc-rerun", "a-2xc"], "params": 1e8,
    ...     "tokens": [1e9, 2e9, 2e9, 4e9], "loss": [4.0, 3.6, 3.5, 3.4]})
    >>> ladder_repeats(runs)["loss"].tolist()
    [3.6, 3.5]
    """
    pairs = ladder[ladder["run"].astype("str").str.contains("-1xc")]
    ends = pairs.sort_values("tokens", kind="stable").groupby("run", sort=False).tail(1)
    twice = ends.groupby("params")["loss"].transform("size") == 2
    return ends[twice].assign(budget="1xC")


def match_checkpoints(runs: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """Thin out runs to the checkpoints nearest to those of others of the same sizes.

    Parameters
    ----------
    runs, like : pandas.DataFrame
        Tables with one run for each size.

    Returns
    -------
    pandas.DataFrame
        Rows of ``runs``.

    Examples
    --------
    >>> runs = pd.DataFrame({"params": 1.0, "tokens": [1.0, 2.0, 3.0, 4.0]})
    >>> match_checkpoints(runs, runs.iloc[[1, 3]])["tokens"].tolist()
    [2.0, 4.0]
    """
    keep: list[int] = []
    for params, part in runs.groupby("params", sort=True):
        wanted = like.loc[like["params"] == params, "tokens"].to_numpy("float64")
        off = np.abs(np.subtract.outer(wanted, part["tokens"].to_numpy("float64")))
        keep += part.index[np.unique(off.argmin(axis=1))].tolist()
    return runs.loc[keep]
