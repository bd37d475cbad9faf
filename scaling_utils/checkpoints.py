"""Which checkpoints of published runs a law should see: studies behind chapters 6 and 7.

``python -m scaling_utils.checkpoints`` computes them; :func:`load_study` reads what is kept.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from scaling_utils import cuts, effective
from scaling_utils.cuts import SHARES, choose_share, cut_errors, drop_first_share
from scaling_utils.effective import autocorrelation, effective_checkpoints, effective_size, thin
from scaling_utils.errors import SelectionError
from scaling_utils.fetch import pinned_files
from scaling_utils.fitting import fit_law
from scaling_utils.grids import meaning
from scaling_utils.kept import kept_path, load_kept, save_kept
from scaling_utils.metrics import absolute_relative_error, signed_relative_error
from scaling_utils.published.catalogue import catalogue
from scaling_utils.runs import load_runs
from scaling_utils.selection import drop_first_tokens, sizes, split_target

FIRST_SHARE = 0.1
"""Share of each run that counts as its beginning wherever the cut is not the question."""

LATE_SHARES = (0.3, 0.5, 0.7, 0.9)
COUNTS = (2, 3, 5, 10, 20, 50)
FINAL_ONLY = {"B": 0.0, "beta": 0.35}
"""What is held where only final losses of equally long runs are fitted: no term for tokens."""

WARMUPS = {"gpt3": 3.75e8, "opt": 3.75e8, "pythia": 3e9, "pythia-deduped": 3e9}
"""Tokens of the warm-up, where papers or configurations state it.

GPT-3: 375 million tokens (Brown et al. 2020, appendix B); OPT: the same for its smaller models,
2,000 steps for the 175B (Zhang et al. 2022); Pythia: one hundredth of 143,000 steps of about two
million tokens (configurations in its repository).
"""

TIMES = (1.0, 3.0, 10.0, 30.0)
"""Multiples of the warm-up that are tried as cuts."""


WITHOUT = (
    *("olmo", "redpajama", "k2", "mamba-3b", "schedules"),  # too few sizes
    *("chinchilla", "gemstones-cool", "overtrain", "opt-finals", "bloom"),  # finished models
    *("pythia-intervention", "pythia-baseline"),  # the end of training only
)
"""Families, or groups, without trajectories of at least three sizes."""


def trajectory_families() -> tuple[str, ...]:
    """List published families that logged whole trajectories of at least three sizes.

    Families of finished models have no beginning to drop, and families that logged only the end
    of training neither.

    Returns
    -------
    tuple of str
        Names.

    Examples
    --------
    >>> {"gpt3", "opt"} <= set(trajectory_families()), "chinchilla" in trajectory_families()
    (True, False)
    """
    return tuple(
        name
        for name, family in catalogue().items()
        if name not in WITHOUT and family.group not in WITHOUT
    )


def study_family(runs: pd.DataFrame, warmup: float | None = None) -> pd.DataFrame:
    """Predict the largest model of a family from many choices of checkpoints.

    Parameters
    ----------
    runs : pandas.DataFrame
        Trajectories of one family of at least three sizes.
    warmup : float, optional
        Tokens of the warm-up; by default taken from a column ``lr`` if there is one.

    Returns
    -------
    pandas.DataFrame
        Columns ``question``, ``choice`` and ``value``.  Questions: ``"cut"`` (ARE after dropping
        a share of each run, ``"1e10"`` tokens, or the share chosen by ``"tail"`` or by
        ``"model"``), ``"warmup"`` (ARE after a multiple of the warm-up), ``"end"`` (ARE from the
        last checkpoint of each run: ``"five"`` parameters, or ``"three"`` without the term for
        tokens), ``"count"`` (ARE from so many checkpoints of each run), ``"chosen"`` (the shares
        chosen), ``"log"`` (the ``"first"`` checkpoint, and 1e10 tokens, as a share of the run; both
        for the middle run), ``"worth"`` (of :func:`scaling_utils.effective.effective_checkpoints`;
        names with ``own`` are about a smooth curve of each run rather than the law).
    """
    rows = list(_study(runs, warmup))
    return pd.DataFrame(rows, columns=["question", "choice", "value"])


def _study(runs: pd.DataFrame, warmup: float | None) -> Iterator[tuple[str, str, float]]:
    """Yield question, choice and value."""
    train, target = split_target(runs)
    for share, error in cut_errors(train, target, sorted({*SHARES, *LATE_SHARES})).items():
        yield "cut", f"{share:g}", float(error)
    guide = cut_errors(train, target, {"1e10": partial(drop_first_tokens, tokens=1e10)})
    yield "cut", "1e10", float(guide.iloc[0])
    for holdout in ("tail", "model"):
        try:
            share = choose_share(train, holdout=holdout).share
        except SelectionError:
            continue
        yield "chosen", holdout, share
        yield "cut", holdout, float(cut_errors(train, target, [share]).iloc[0])
    if warmup is not None or ("lr" in train.columns and train["lr"].notna().any()):
        # Runs that logged no learning rate stay whole.
        lengths: float | pd.Series = 0.0 if warmup is None else warmup
        if warmup is None:
            lengths = cuts.warmup_tokens(train).reindex(train["run"].unique(), fill_value=0.0)
        named = {f"{t:g}": partial(cuts.drop_warmup, warmup=lengths, times=t) for t in TIMES}
        for choice, error in cut_errors(train, target, named).items():
            yield "warmup", str(choice), float(error)
    ends = train.groupby("run")["tokens"].agg(["min", "max"])
    yield "log", "first", float((ends["min"] / ends["max"]).median())
    yield "log", "guide", float((1e10 / ends["max"]).median())
    later = drop_first_share(train, FIRST_SHARE)
    final = thin(train, 1)
    yield "end", "five", float(cut_errors(final, target, [0.0]).iloc[0])
    if len(sizes(train)) > 2:
        law = fit_law(final, fixed=FINAL_ONLY, method="least_squares")
        yield "end", "three", absolute_relative_error(law, target)
    for count in COUNTS:
        yield "count", f"{count}", float(cut_errors(thin(later, count), target, [0.0]).iloc[0])
    law = fit_law(later, method="least_squares")
    for choice, value in effective_checkpoints(later, law).items():
        yield "worth", str(choice), float(value)
    own = [smooth_residuals(r) for r in effective.residuals_by_run(later, law) if len(r) > 5]
    yield "worth", "own_neighbours", float(autocorrelation(own)[1])
    yield "worth", "own_per_run", effective_size(own) / len(own)


def smooth_residuals(series: np.ndarray) -> np.ndarray:
    """Take a parabola out of a series: what is left is noise rather than a wrong law.

    Parameters
    ----------
    series : numpy.ndarray
        Residuals of one run, in order.

    Returns
    -------
    numpy.ndarray
        The series less its least-squares parabola.

    Examples
    --------
    >>> bool(np.allclose(smooth_residuals(np.arange(6.0) ** 2), 0))
    True
    """
    at = np.linspace(-1, 1, len(series))
    columns = np.vander(at, 3)
    return series - columns @ np.linalg.lstsq(columns, series, rcond=None)[0]


def finished_or_not(raw: pd.DataFrame, decayed: pd.DataFrame) -> pd.Series:
    """Predict a finished and an unfinished model from finished and unfinished ones.

    Parameters
    ----------
    raw : pandas.DataFrame
        Checkpoints of one family under a constant learning rate.
    decayed : pandas.DataFrame
        Ends of runs of the same sizes whose learning rate was decayed.

    Returns
    -------
    pandas.Series
        ARE as a fraction: ``raw to raw``, ``final to raw`` (last checkpoints only, no term for
        tokens; missing for two training sizes), ``raw to finished``, its signed error ``too high
        by``, and ``finished to finished``.  The first tenth of each raw run is left out.
    """
    train, target = split_target(raw)
    ends = split_target(decayed)
    law = fit_law(drop_first_share(train, FIRST_SHARE), method="least_squares")
    final = np.nan
    if len(sizes(train)) > 2:
        of_ends = fit_law(thin(train, 1), fixed=FINAL_ONLY, method="least_squares")
        final = absolute_relative_error(of_ends, target)
    return pd.Series(
        {
            "raw to raw": absolute_relative_error(law, target),
            "final to raw": final,
            "raw to finished": absolute_relative_error(law, ends.target),
            "too high by": signed_relative_error(law, ends.target),
            "finished to finished": absolute_relative_error(
                fit_law(ends.train, method="least_squares"), ends.target
            ),
        }
    )


def study_published(names: Iterable[str] | None = None) -> pd.DataFrame:
    """Study published families of trajectories.

    Parameters
    ----------
    names : iterable of str, optional
        Families; by default all of :func:`trajectory_families`.

    Returns
    -------
    pandas.DataFrame
        Rows of :func:`study_family`, with ``family`` first.
    """
    parts = []
    for name in trajectory_families() if names is None else names:
        table = study_family(load_runs(name, progress=False), WARMUPS.get(name))
        table.insert(0, "family", name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def study_fingerprint() -> str:
    """Fingerprint of the code of the study and of its data.

    What the rest of the package does is checked by a test, which computes a part again.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    parts = [inspect.getsource(module) for module in (cuts, effective)]
    parts += [inspect.getsource(f) for f in (study_family, _study, smooth_residuals)]
    definitions = (SHARES, LATE_SHARES, COUNTS, FIRST_SHARE, FINAL_ONLY, WARMUPS, TIMES)
    parts += [repr(definitions)]
    files = dict.fromkeys(f for name in trajectory_families() for f in catalogue()[name].names)
    parts += [repr([pinned_files()[file].sha256 for file in files])]
    text = "\n".join(map(meaning, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_study(table: pd.DataFrame, path: Path | None = None) -> Path:
    """Keep a study, with the fingerprint of what made it.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`study_published`.
    path : pathlib.Path, optional
        Where; by default beside the package's grids.

    Returns
    -------
    pathlib.Path
        The file.
    """
    return save_kept(table, path or kept_path("checkpoints"), study_fingerprint())


def load_study(path: Path | None = None) -> pd.DataFrame:
    """Read the study that ships with the package.

    Parameters
    ----------
    path : pathlib.Path, optional
        The file; by default the package's own.

    Returns
    -------
    pandas.DataFrame
        As :func:`study_published` returns it.

    Raises
    ------
    DataFileError
        If it is missing, or was made by other code or from other data.
    """
    again = "'python -m scaling_utils.checkpoints'"
    return load_kept(path or kept_path("checkpoints"), study_fingerprint(), again)


def answers(study: pd.DataFrame, question: str) -> pd.DataFrame:
    """Lay out the answers of a study to one question.

    Parameters
    ----------
    study : pandas.DataFrame
        Result of :func:`study_published`.
    question : str
        One of those of :func:`study_family`.

    Returns
    -------
    pandas.DataFrame
        One family a row, one choice a column, both in their order.

    Examples
    --------
    >>> study = pd.DataFrame({
    ...     "family": ["b", "b", "a"], "question": ["count"] * 3, "choice": ["5", "10", "5"],
    ...     "value": [0.1, 0.2, 0.3]})
    >>> answers(study, "count").index.tolist(), answers(study, "count").columns.tolist()
    (['b', 'a'], ['5', '10'])
    """
    own = study[study["question"] == question]
    table = own.pivot_table(
        index="family", columns="choice", values="value", aggfunc="first", dropna=False
    )
    return table.loc[own["family"].unique(), own["choice"].unique()]


if __name__ == "__main__":
    # Under the name that others import it by, whose source the fingerprint reads.
    from scaling_utils import checkpoints

    print(checkpoints.save_study(checkpoints.study_published()).name)
