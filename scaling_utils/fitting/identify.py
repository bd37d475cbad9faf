"""What a set of checkpoints can and cannot tell about a law."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling_utils.errors import FitError
from scaling_utils.fitting.linearised import (
    Linearised,
    exponent_covariance,
    heights,
    linearise,
    without_each_run,
)
from scaling_utils.fitting.varpro import EXPONENT_BOX
from scaling_utils.law import PARAMETERS, FitReport

Array = NDArray[np.float64]

CLOSE_TO_BOUND = 1.02


def check_identified(params: Array, tokens: Array, fixed: Mapping[str, float]) -> None:
    """Refuse checkpoints that leave a whole term of the law undetermined.

    Parameters
    ----------
    params, tokens : numpy.ndarray of shape (n,)
        Parameters and tokens of the checkpoints.
    fixed : mapping of str to float
        Parameters that are held.

    Raises
    ------
    FitError
        If there are fewer checkpoints than free parameters, or a term that is not held has been
        seen at a single value only.
    """
    free = len(PARAMETERS) - len(fixed)
    if len(params) < free:
        raise FitError(
            f"{len(params)} checkpoint(s) for {free} free parameters: a law needs at least as "
            "many observations as unknowns. Add checkpoints, or hold parameters with fixed={...}."
        )
    terms = (
        ("params", params, "A", "alpha", "sizes"),
        ("tokens", tokens, "B", "beta", "token counts"),
    )
    for column, values, factor, exponent, word in terms:
        if len(np.unique(values)) == 1 and not {factor, exponent} <= set(fixed):
            raise FitError(
                f"every checkpoint has {column} = {values[0]:.6g}: a law can learn {factor} and "
                f"{exponent} only from different {word}. Add runs that vary {column}, or borrow "
                f"both with fixed={{'{factor}': ..., '{exponent}': ...}}."
            )


WARNINGS: dict[str, str] = {
    "few-runs": "fewer than two runs",
    "few-checkpoints": "fewer checkpoints than parameters to fit",
    "few-sizes": "fewer than three model sizes",
    "few-token-counts": "fewer than three token counts",
    "constant-ratio": "tokens follow params, so that the two terms move together",
    "exponent-at-bound": "an exponent at the edge of its range",
    "no-floor": "E at zero",
    "no-effect": "a term at zero",
    "flat-valley": "alpha and beta that the checkpoints cannot tell from quite different ones",
    "seed-noise": "repeated runs that differ by more than size explains",
    "residual-noise": "residuals larger than what a term explains",
    "one-run": "one run that decides what the law predicts",
}
"""Warnings of a fit by name, and what each is about, in the order in which they are given."""

SAME_RATIO = 1.05
"""Ratios of tokens to params within this factor of each other count as one ratio."""

SAME_LINE = 0.99
"""Squared correlation of log tokens with log params from which they count as one variable."""

VALLEY = float(np.log(2))
"""Change of the logarithm of an exponent that a fit ought to notice: a factor of two."""

WIDTH = 2.0
"""Standard deviations to either side that hold most of what noise does."""

FAR = 10.0
"""Scale-up at which the effect of a single run is judged."""

DECISIVE = 0.02
"""Change of a prediction, as a part of it, by which one run is said to decide it."""


def fit_warnings(
    table: pd.DataFrame,
    law: Mapping[str, float],
    fixed: Mapping[str, float],
    refit: Callable[[NDArray[np.bool_]], Mapping[str, float]],
) -> tuple[str, ...]:
    """Name what makes a fitted law fragile.

    Parameters
    ----------
    table : pandas.DataFrame
        The training set, as :func:`scaling_utils.tidy_runs` returns it.
    law : mapping of str to float
        The fitted parameters.
    fixed : mapping of str to float
        Parameters that were held.
    refit : callable
        Fits the same way to some of the rows, given as a mask, and returns the parameters: called
        at most once, without the run that seems to decide the law.

    Returns
    -------
    tuple of str
        Warnings, each a name of ``WARNINGS``, a colon, what is wrong and what to do about it.

    Notes
    -----
    Exponents, noise and runs are judged with the law linearised at its parameters.  Only a run
    that may decide the law costs a second fit.
    """
    seen = _Seen.of(table, fixed)
    # Two levels are met by every exponent, so the one that is given is a convention.
    convention = {
        exponent
        for exponent, levels in (("alpha", seen.sizes), ("beta", seen.counts))
        if len(levels) < 3
    }
    lines = linearise(
        seen.params, seen.tokens, seen.loss, seen.run, law, still={*fixed, *convention}
    )
    found = [
        *_few(seen),
        *_ratio(seen),
        *_edges(seen, law),
        *_valley(lines),
        *_noise(seen, table, lines),
        *_one_run(seen, table, lines, refit),
    ]
    return tuple(f"{name}: {text}" for name, text in found)


def warning_names(report: FitReport | Iterable[str] | None) -> tuple[str, ...]:
    """Take the names from warnings.

    Parameters
    ----------
    report : FitReport, iterable of str, or None
        What a fit reported, or warnings by themselves; None, of a law that was not fitted, has
        none.

    Returns
    -------
    tuple of str
        The short names, each once, in the order given.

    Examples
    --------
    >>> warning_names(["few-sizes: 2 model sizes cannot ...", "no-floor: the fit puts ..."])
    ('few-sizes', 'no-floor')
    """
    texts = () if report is None else report.warnings if isinstance(report, FitReport) else report
    return tuple(dict.fromkeys(text.split(":")[0] for text in texts))


@dataclass(frozen=True)
class _Seen:
    """A training set as arrays, with its levels of size and of tokens, each found only once."""

    params: Array
    tokens: Array
    loss: Array
    run: NDArray[np.intp]
    runs: int
    sizes: Array
    size: NDArray[np.intp]
    counts: Array
    count: NDArray[np.intp]
    fixed: Mapping[str, float]

    @classmethod
    def of(cls, table: pd.DataFrame, fixed: Mapping[str, float]) -> _Seen:
        """Take the columns of a table."""
        params, tokens, loss = (table[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
        run, names = pd.factorize(table["run"])
        size, sizes = pd.factorize(params)
        count, counts = pd.factorize(tokens)
        return cls(params, tokens, loss, run, len(names), sizes, size, counts, count, fixed)

    @property
    def borrowed(self) -> set[str]:
        """Columns whose term is held altogether, so that nothing is learned about it."""
        terms = {"params": {"A", "alpha"}, "tokens": {"B", "beta"}}
        return {word for word, names in terms.items() if names <= set(self.fixed)}


def _few(seen: _Seen) -> Iterator[tuple[str, str]]:
    """Too few runs, sizes or token counts."""
    sizes, counts = len(seen.sizes), len(seen.counts)
    if seen.runs < 2:
        yield (
            "few-runs",
            "a single run cannot show what another would do: how much runs differ and what size "
            "does are assumed, not measured; train a second run.",
        )
    unknown = len(PARAMETERS) - len(seen.fixed)
    if len(seen.loss) < unknown:
        yield (
            "few-checkpoints",
            f"{len(seen.loss)} checkpoint{'s' * (len(seen.loss) != 1)} cannot determine {unknown} "
            "parameters, so what you see is partly where the search began, or a prior; add "
            "checkpoints, or hold parameters.",
        )
    if sizes < 3 and "params" not in seen.borrowed:
        yield (
            "few-sizes",
            f"{sizes} model size{'s' * (sizes != 1)} cannot separate E, A and alpha, so "
            "predictions at other sizes rest on a convention or a prior; train a third size or "
            "borrow A and alpha.",
        )
    if counts < 3 and "tokens" not in seen.borrowed:
        yield (
            "few-token-counts",
            f"{counts} token count{'s' * (counts != 1)} cannot separate E, B and beta, so "
            "predictions for longer training rest on a convention or a prior; use more "
            "checkpoints.",
        )


def _ratio(seen: _Seen) -> Iterator[tuple[str, str]]:
    """Tokens that are a multiple or a power of params."""
    if seen.borrowed or len(seen.sizes) < 2:
        return
    x, y = np.log(seen.params), np.log(seen.tokens)
    ratio = y - x
    if np.ptp(ratio) < np.log(SAME_RATIO):
        yield (
            "constant-ratio",
            f"tokens are always about {np.exp(np.median(ratio)):.3g} times params, so the two "
            "terms cannot be told apart; add runs at another ratio.",
        )
        return
    x, y = x - x.mean(), y - y.mean()
    power = float(x @ y / (x @ x))
    if len(seen.sizes) > 2 and (x @ y) ** 2 > SAME_LINE * (x @ x) * (y @ y) > 0:
        yield (
            "constant-ratio",
            f"tokens grow almost exactly as params to the power {power:.2g}, so the two terms "
            "cannot be told apart; add runs with more, or fewer, tokens for their size.",
        )


def _edges(seen: _Seen, law: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Parameters at the edge of what is allowed."""
    low, high = EXPONENT_BOX
    for name, factor in (("alpha", "A"), ("beta", "B")):
        inside = low * CLOSE_TO_BOUND < law[name] < high / CLOSE_TO_BOUND
        # The exponent of a term that is zero means nothing; the term itself is named below.
        if name not in seen.fixed and law[factor] > 0 and not inside:
            yield (
                "exponent-at-bound",
                f"{name} = {law[name]:.3g} lies at or beyond the edge of the range {low} to "
                f"{high}; the data do not determine it.",
            )
    if "E" not in seen.fixed and law["E"] < 1e-6 * float(np.mean(seen.loss)):
        yield (
            "no-floor",
            "the fit puts E at zero, so the law promises a loss that falls for ever; do not "
            "extrapolate it far.",
        )
    for factor, word in (("A", "params"), ("B", "tokens")):
        if factor not in seen.fixed and law[factor] == 0:
            yield (
                "no-effect",
                f"{factor} = 0, so the law says that {word} do not matter; the range of {word} is "
                "too narrow or its effect is hidden by noise.",
            )


def _valley(lines: Linearised) -> Iterator[tuple[str, str]]:
    """Exponents that may change by a factor of two for less than noise changes the objective."""
    spread, axes = np.linalg.eigh(exponent_covariance(lines))
    axis = axes[:, -1] / np.abs(axes[:, -1]).max()
    if WIDTH * np.sqrt(max(spread[-1], 0.0)) * np.abs(axes[:, -1]).max() <= VALLEY:
        return
    axis = axis * VALLEY * (1 if axis[0] >= 0 else -1)
    names = ("alpha", "beta")
    ends = [
        " with ".join(
            f"{name} = {lines.law[name] * np.exp(sign * step):.2g}"
            for name, step in zip(names, axis, strict=True)
            if name in lines.names
        )
        for sign in (-1, 1)
    ]
    yield (
        "flat-valley",
        f"{ends[0]} fits about as well as {ends[1]}: between the two the objective changes by less "
        "than noise would change it; add runs at other sizes and token counts, or borrow an "
        "exponent.",
    )


def _noise(seen: _Seen, table: pd.DataFrame, lines: Linearised) -> Iterator[tuple[str, str]]:
    """Noise that is as large as what it should be measured against."""
    drops = {}
    for word, levels, factor, exponent in (
        ("params", seen.sizes, "A", "alpha"),
        ("tokens", seen.counts, "B", "beta"),
    ):
        if len(levels) > 1 and lines.law[factor] > 0 and word not in seen.borrowed:
            drops[word] = float(np.ptp(heights(levels, lines.law[factor], lines.law[exponent])))
    # A number for each pair of size and token count: repeats are rare, and looking costs little.
    pairs = seen.size * len(seen.counts) + seen.count
    repeated = len(pd.unique(pairs)) < len(pairs)
    seeds, repeats = seed_spread(table) if repeated else (0.0, 0)
    if repeats and "params" in drops and WIDTH * seeds >= drops["params"]:
        yield (
            "seed-noise",
            f"runs that differ only in their seed spread by {seeds:.2g} nats (standard "
            f"deviation), while all sizes together differ by {drops['params']:.2g}; average more "
            "seeds, or train models further apart in size.",
        )
        return
    small = {word: drop for word, drop in drops.items() if WIDTH * lines.noise >= drop}
    if small:
        explained = " and ".join(f"{word} explain {drop:.2g}" for word, drop in small.items())
        yield (
            "residual-noise",
            f"losses lie {lines.noise:.2g} nats (standard deviation) off the law, while "
            f"{explained}; find out what else the runs differ in, drop the beginning of training, "
            f"or widen the range of {' and '.join(small)}.",
        )


def seed_spread(table: pd.DataFrame) -> tuple[float, int]:
    """Standard deviation of the loss between runs that differ only in their seed.

    Parameters
    ----------
    table : pandas.DataFrame
        Checkpoints of one family, as :func:`scaling_utils.tidy_runs` returns them.

    Returns
    -------
    spread : float
        Pooled over all sizes and token counts with repeats, nats; zero without any.
    repeats : int
        Checkpoints beyond the first of each size and token count.

    Notes
    -----
    Runs of the same size and the same recorded seed are no repeats: something else differs.
    Runs without a recorded seed are.

    Examples
    --------
    >>> from scaling_utils import tidy_runs
    >>> runs = tidy_runs(pd.DataFrame({
    ...     "run": ["a", "b", "c"], "params": [1e6, 1e6, 2e6], "tokens": 1e9,
    ...     "loss": [3.0, 3.2, 2.9]}))
    >>> spread, repeats = seed_spread(runs)
    >>> round(spread, 4), repeats
    (0.1414, 1)
    """
    same = ["params", "tokens", "architecture", "corpus", "schedule"]
    again = table[table.duplicated(["params", "tokens"], keep=False)]
    again = again.drop_duplicates([*same, "run"])
    known = again[again["seed"].notna()].drop_duplicates([*same, "seed"])
    groups = [part for part in (known, again[again["seed"].isna()]) if len(part)]
    square, freedom = 0.0, 0
    for part in groups:
        losses = part.groupby(same, observed=True, sort=False)["loss"]
        square += float(((part["loss"] - losses.transform("mean")) ** 2).sum())
        freedom += len(part) - losses.ngroups
    return (float(np.sqrt(square / freedom)), freedom) if freedom else (0.0, 0)


def _one_run(
    seen: _Seen,
    table: pd.DataFrame,
    lines: Linearised,
    refit: Callable[[NDArray[np.bool_]], Mapping[str, float]],
) -> Iterator[tuple[str, str]]:
    """A run without which the law would predict something else."""
    at = FAR * float(seen.sizes.max()), float(seen.counts.max())
    here = _predict(lines.law, *at)
    which, change = without_each_run(lines, *at, allowed=_spare(seen))
    # Half of what is decisive: the straight line may fall short of the refit.
    if which < 0 or abs(change) < DECISIVE / 2 * here:
        return
    rest = seen.run != which
    name = table["run"].iloc[int(np.argmin(rest))]
    try:
        law = refit(rest)
    except FitError:  # one local search that fails says nothing about the run
        return
    there = _predict(law, *at)
    if abs(there - here) >= DECISIVE * here:
        yield (
            "one-run",
            f"without run {name!r} the prediction at {FAR:g} times the largest params moves by "
            f"{(there - here) / here:+.1%}; look at its loss curve and its settings, repeat it, or "
            "fit with and without it.",
        )


def _spare(seen: _Seen) -> NDArray[np.bool_]:
    """Runs without which there are still as many levels and checkpoints as a fit needs.

    The third of three sizes decides the law whatever its loss is; that is no fault of the run.
    """
    unknown = len(PARAMETERS) - len(seen.fixed)
    spare = len(seen.run) - np.bincount(seen.run, minlength=seen.runs) >= unknown
    for word, levels, level in (
        ("params", seen.sizes, seen.size),
        ("tokens", seen.counts, seen.count),
    ):
        if word in seen.borrowed:
            continue
        pairs = pd.unique(level * seen.runs + seen.run)  # a number for each level of each run
        of, who = np.divmod(pairs, seen.runs)
        alone = np.bincount(of)[of] == 1
        lost = np.bincount(who[alone], minlength=seen.runs)
        spare &= len(levels) - lost >= min(3, len(levels))
    return spare


def _predict(law: Mapping[str, float], params: float, tokens: float) -> float:
    """Loss that the five numbers of a law give."""
    one = heights(np.array([params]), law["A"], law["alpha"])
    return float(law["E"] + one[0] + heights(np.array([tokens]), law["B"], law["beta"])[0])
