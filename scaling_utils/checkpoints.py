"""Which checkpoints of published runs a law should see: studies behind chapters 6 and 7.

``python -m scaling_utils.checkpoints`` computes them; :func:`load_study` reads what is kept.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from scaling_utils import cuts, effective
from scaling_utils.cuts import SHARES, choose_share, cut_errors, drop_first_share
from scaling_utils.effective import autocorrelation, effective_checkpoints, effective_size, thin
from scaling_utils.errors import FitError, SelectionError
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


SCHEDULES = {"constant": "checkpoints", "averaged": "averaged", "cosine": "cosine"}
"""Checkpoints inside a schedule of the built-in families, and the variant that holds them."""


def inside_schedules(name: str) -> dict[str, pd.DataFrame]:
    """Checkpoints of a built-in family whose learning rate had not come down, by schedule.

    Parameters
    ----------
    name : str
        A built-in family.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``"constant"``: the trunks; ``"averaged"``: averages of their weights; ``"cosine"``: inside
        cosine runs, their ends left out.  Schedules of which the family has no run are missing.

    Examples
    --------
    >>> {"constant", "averaged"} <= set(inside_schedules("house-lstm"))
    True
    """
    found = {}
    for schedule, variant in SCHEDULES.items():
        runs = load_runs(name, variant=variant)
        if "kind" in runs and len(runs := runs[runs["kind"] != "decayed"]):
            found[schedule] = runs
    return found


def above_finished(inside: pd.DataFrame, finished: pd.DataFrame) -> pd.DataFrame:
    """How far the loss inside a schedule lies above that of a model finished at the same tokens.

    Parameters
    ----------
    inside : pandas.DataFrame
        Checkpoints of one family with ``init_seed`` and ``data_seed``.
    finished : pandas.DataFrame
        Ends of runs of that family.

    Returns
    -------
    pandas.DataFrame
        One row for each end and each run of the same size and seeds that passes its tokens:
        ``run``, ``params``, ``tokens``; ``part`` of the run's own schedule (of its last checkpoint
        where no column ``budget_tokens`` says more); ``above``, the difference as a fraction of
        the finished loss.  Between two checkpoints the loss is taken as straight in the logarithm
        of tokens.

    Examples
    --------
    >>> same = {"params": 1e6, "init_seed": 0, "data_seed": 0}
    >>> inside = pd.DataFrame([
    ...     {"run": "r", "tokens": t, "loss": v, **same} for t, v in ((1e6, 4.0), (4e6, 2.0))])
    >>> finished = pd.DataFrame([{"tokens": 2e6, "loss": 2.5, **same}])
    >>> above_finished(inside, finished)[["part", "above"]].round(3).to_numpy().tolist()
    [[0.5, 0.2]]
    """
    same = ["params", "init_seed", "data_seed"]
    ends = dict(iter(finished.groupby(same, observed=True)))
    rows = []
    for (*key, run), part in inside.groupby([*same, "run"], observed=True):
        curve = part.sort_values("tokens")
        tokens = curve["tokens"].to_numpy("float64")
        loss = curve["loss"].to_numpy("float64")
        planned = float(curve["budget_tokens"].max()) if "budget_tokens" in curve else tokens[-1]
        passed = ends.get(tuple(key), finished.head(0))
        passed = passed[passed["tokens"].between(tokens[0], tokens[-1])]
        at = passed["tokens"].to_numpy("float64")
        there = np.interp(np.log(at), np.log(tokens), loss)
        above = there / passed["loss"].to_numpy("float64") - 1
        rows.append(
            pd.DataFrame(
                {"run": run, "params": key[0], "tokens": at, "part": at / planned, "above": above}
            )
        )
    if not rows:
        return pd.DataFrame(columns=["run", "params", "tokens", "part", "above"])
    return pd.concat(rows, ignore_index=True)


def predict_finished(inside: Mapping[str, pd.DataFrame], finished: pd.DataFrame) -> pd.DataFrame:
    """Predict the largest finished model of a family from checkpoints of several schedules.

    Parameters
    ----------
    inside : mapping of str to pandas.DataFrame
        Checkpoints by schedule, as from :func:`inside_schedules`; those of the smaller sizes are
        fitted, without the first tenth of each run.
    finished : pandas.DataFrame
        Ends of runs of that family, of the largest size, too.

    Returns
    -------
    pandas.DataFrame
        One row for each schedule and one, ``"finished"``, for the ends of the smaller sizes:
        ``sizes`` and ``checkpoints`` fitted, and the signed ``error`` of the prediction as a
        fraction (missing where a schedule has too few sizes for a law).
    """
    ends = split_target(finished)
    largest = float(ends.target["params"].iloc[0])
    rows = {}
    for name, runs in {**inside, "finished": finished}.items():
        train = runs[runs["params"] < largest]
        if name != "finished":
            train = drop_first_share(train, FIRST_SHARE)
        error = np.nan
        if len(sizes(train)) > 2:
            try:
                law = fit_law(train, method="least_squares")
                error = signed_relative_error(law, ends.target)
            except FitError:
                pass
        rows[name] = {"sizes": len(sizes(train)), "checkpoints": len(train), "error": error}
    return pd.DataFrame.from_dict(rows, orient="index")


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
