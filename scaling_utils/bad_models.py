"""Bad models: those of the published families, and planted ones whose truth is known.

``python -m scaling_utils.bad_models`` computes the study of the published families;
:func:`load_study` reads what is kept.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from scaling_utils import outliers
from scaling_utils.errors import FitError, SelectionError
from scaling_utils.fitting.fit import fit_law
from scaling_utils.fitting.varpro import fit_varpro
from scaling_utils.grids import meaning
from scaling_utils.kept import kept_path, load_kept, save_kept
from scaling_utils.law import ScalingLaw
from scaling_utils.metrics import absolute_relative_error, signed_relative_error
from scaling_utils.outliers import (
    LEVEL,
    cross_validate,
    fit_huber,
    huber_of,
    model_shifts,
    shifts_of,
    suspect,
)
from scaling_utils.runs import families, load_runs
from scaling_utils.selection import drop_first_tokens, sizes, split_target
from scaling_utils.synthetic import synthetic_factors

Array = NDArray[np.float64]


# --- The study of the published families ----------------------------------------------------------


def study_family(runs: pd.DataFrame, skip_tokens: float = 1e10) -> pd.DataFrame:
    """Say of each model of a family how well it fits, and what the prediction is without it.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family with at least four sizes below the target's.
    skip_tokens : float
        Checkpoints with no more tokens are not trained on.

    Returns
    -------
    pandas.DataFrame
        One row for each model below the target: the columns of :func:`model_shifts`; ``cv_error``
        and ``target_without`` from :func:`cross_validate`; and the same in each row: ``all`` (ARE
        of all models on the target), ``signed`` (with its sign), ``huber`` (of
        :func:`fit_huber`), ``screened`` and ``trimmed`` (of :func:`fit_without_suspect` at the
        level of :data:`LEVEL` and at 1).

    Raises
    ------
    SelectionError
        If there are too few sizes.
    """
    split = split_target(runs)
    train = drop_first_tokens(split.train, skip_tokens)
    if len(sizes(train)) < 4:
        raise SelectionError(
            f"{len(sizes(train))} sizes to train on: leaving one out needs at least four."
        )
    law = fit_law(train, method="least_squares")
    table = model_shifts(train, law)
    checked = cross_validate(train, split.target)
    table["cv_error"] = checked["error"].to_numpy("float64")
    table["target_without"] = checked["target_error"].to_numpy("float64")
    table["all"] = absolute_relative_error(law, split.target)
    table["signed"] = signed_relative_error(law, split.target)
    table["huber"] = absolute_relative_error(fit_huber(train, start=law), split.target)
    for name, level in (("screened", LEVEL), ("trimmed", 1.0)):
        gone = suspect(table, level)
        other = (
            law if gone is None else fit_law(train[train["params"] != gone], method="least_squares")
        )
        table[name] = absolute_relative_error(other, split.target)
    return table


def study_released(runs: pd.DataFrame) -> pd.DataFrame:
    """Cross-validate a family as the guide's released script does.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family, as the guide's code read them.

    Returns
    -------
    pandas.DataFrame
        Result of :func:`cross_validate`, with the guide's protocol, training until 70 % and the
        next smaller model left out as well.
    """
    split = split_target(runs)
    train = split.train
    kept = drop_first_tokens(train, 1e10)
    return cross_validate(kept, split.target, method="curve_fit", until=0.7, as_released=True)


def study_published(names: Iterable[str] | None = None) -> pd.DataFrame:
    """Study every published family that has enough sizes, corrected and as the guide released it.

    Parameters
    ----------
    names : iterable of str, optional
        Families; by default all published ones.

    Returns
    -------
    pandas.DataFrame
        Rows of :func:`study_family` with ``variant`` ``"corrected"``, and rows of
        :func:`study_released` with ``variant`` ``"upstream"`` for the families that the guide's
        script takes (four to nineteen sizes below the target's).
    """
    about = families("published")
    parts = []
    for name in about.index if names is None else names:
        try:
            table = study_family(load_runs(name, progress=False))
        except (SelectionError, FitError):
            continue
        parts.append(table.assign(family=name, variant="corrected"))
    for name in about.index if names is None else names:
        if not about.loc[name, "upstream_name"]:
            continue
        runs = load_runs(name, variant="upstream", progress=False)
        if 4 <= len(sizes(runs)) - 1 < 20:
            table = study_released(runs).rename(
                columns={"error": "cv_error", "target_error": "target_without"}
            )
            parts.append(table.drop(columns="status").assign(family=name, variant="upstream"))
    return pd.concat(parts, ignore_index=True)


def study_fingerprint() -> str:
    """Fingerprint of the code of :func:`study_published`.

    What the code reads is checked by a test, which computes the study again.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    parts = [inspect.getsource(outliers)]
    parts += [inspect.getsource(f) for f in (study_family, study_released, study_published)]
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
    return save_kept(table, path or kept_path("bad-models"), study_fingerprint())


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
        If it is missing, or was made by other code.
    """
    again = "'python -m scaling_utils.bad_models'"
    return load_kept(path or kept_path("bad-models"), study_fingerprint(), again)


def by_model(study: pd.DataFrame) -> pd.DataFrame:
    """Sum up a study: whether leaving a model out helps, and what tells which one.

    Parameters
    ----------
    study : pandas.DataFrame
        Rows of one variant of :func:`study_published`.

    Returns
    -------
    pandas.DataFrame
        Indexed by family: ``models``; ``all``, ARE with every model; ``best`` and ``worst``, the
        ARE after leaving out the one model for which it becomes smallest or largest; ``cv``, the
        ARE after leaving out the one that the others predict worst; ``random``, the mean over
        models; ``rank``, Spearman's correlation, over models, of the cross-validated error with
        the gain from leaving the model out; ``hit``, whether the model predicted worst is the
        one whose absence helps most; ``match``, whether it is the one whose absence *harms* most,
        which is what the guide's script counts; ``released``, the same for the model that the
        script as released picks (:func:`released_pick`); and, where known, ``huber``,
        ``screened`` and ``trimmed``, and ``flagged``, the model that stands out.
    """
    rows = {}
    for family, found in study.groupby("family", sort=True):
        table = found.dropna(subset=["cv_error", "target_without"])
        error, without = (table[c].to_numpy("float64") for c in ("cv_error", "target_without"))
        if len(table) < 3:
            continue
        row: dict[str, object] = {"models": len(found)}
        if found["all"].notna().any():
            row |= {n: found[n].iloc[0] for n in ("all", "huber", "screened", "trimmed")}
            row["flagged"] = suspect(found)
        row |= {"best": without.min(), "worst": without.max(), "random": without.mean()}
        row |= {"cv": without[error.argmax()], "rank": float(spearmanr(error, -without)[0])}
        row |= {"hit": error.argmax() == without.argmin()}
        row |= {"match": error.argmax() == without.argmax()}
        row |= {"released": released_pick(error, without) == without.argmax()}
        rows[family] = row
    columns = ["models", "all", "best", "worst", "random", "cv", "rank", "hit", "match"]
    columns += ["released"]
    columns += ["huber", "screened", "trimmed", "flagged"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("family")


def released_pick(error: Array, target_error: Array) -> int:
    """Pick a model as the guide's released script does.

    Parameters
    ----------
    error, target_error : numpy.ndarray of shape (n,)
        For each model left out, the error of the others on it and on the target.

    Returns
    -------
    int
        Place of the last model whose error exceeds the *target's* error at the previous pick; the
        script stores that where it should store the model's own.

    Examples
    --------
    >>> released_pick(np.array([0.30, 0.02, 0.20]), np.array([0.01, 0.01, 0.01]))
    2
    """
    bar, pick = 0.0, 0
    for place, (own, target) in enumerate(zip(error, target_error, strict=True)):
        if own > bar:
            bar, pick = float(target), place
    return pick


# --- Planted bad models ---------------------------------------------------------------------------


TRUTH = ScalingLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37)
"""A law of the size that is found for large language models."""


@dataclass(frozen=True)
class Plan:
    """A family with a known truth, in which a bad model can be planted.

    Attributes
    ----------
    truth : ScalingLaw
        What gives the losses.
    smallest, largest : float
        Range of the sizes, which are evenly spaced in logarithms.
    tokens : tuple of float
        Tokens of the checkpoints of every run.
    scale_up : float
        Parameters of the target over the largest.
    model_noise, noise : float
        Standard deviations of the errors of models and of checkpoints, relative to the loss.
    """

    truth: ScalingLaw = TRUTH
    smallest: float = 1e8
    largest: float = 6e9
    tokens: tuple[float, ...] = tuple(3e11 * k / 8 for k in range(1, 9))
    scale_up: float = 5.0
    model_noise: float = 0.002
    noise: float = 0.0005

    def sizes(self, models: int) -> Array:
        """Sizes of the models to train."""
        return np.geomspace(self.smallest, self.largest, models)

    def draw(
        self, models: int, rng: np.random.Generator, shift: float = 0.0, place: int = 0
    ) -> tuple[Array, Array, Array]:
        """Parameters, tokens and losses of a training set in which one model is off."""
        params = np.repeat(self.sizes(models), len(self.tokens))
        tokens = np.tile(self.tokens, models)
        factors = synthetic_factors(
            models, len(self.tokens), rng, self.model_noise, self.noise
        ) + shift * (params == self.sizes(models)[place])
        return params, tokens, np.asarray(self.truth.predict(params, tokens)) * factors

    def miss(self, law: ScalingLaw) -> float:
        """Error of a law at the end of the target's training, as a fraction."""
        at = (self.scale_up * self.largest, self.tokens[-1])
        truth = float(np.asarray(self.truth.predict(*at)))
        return abs(float(np.asarray(law.predict(*at))) / truth - 1)


def detection_rates(
    plan: Plan,
    models: Iterable[int],
    shifts: Iterable[float],
    repeats: int,
    rng: np.random.Generator,
    level: float = LEVEL,
) -> pd.DataFrame:
    """How often a planted bad model is found, and how often a good one is accused.

    Parameters
    ----------
    plan : Plan
        The family.
    models : iterable of int
        Numbers of models.
    shifts : iterable of float
        By how much, relative to the loss, the middle model is off.
    repeats : int
        Families drawn for each pair.
    rng : numpy.random.Generator
        Source of the noise.
    level : float
        As for :func:`suspect`.

    Returns
    -------
    pandas.DataFrame
        One row for each pair: ``models``, ``shift``; ``found``, the part in which the bad model
        was named; ``wrong``, the part in which another one was.
    """
    rows = []
    for count in models:
        bad = count // 2
        for shift in shifts:
            named = []
            for _ in range(repeats):
                data = plan.draw(count, rng, shift, bad)
                named.append(suspect(shifts_of(*data, _least_squares(*data)), level))
            size = plan.sizes(count)[bad] if shift else None
            hits = sum(name is not None and name == size for name in named)
            alarms = sum(name is not None for name in named)
            row = {"models": count, "shift": shift, "found": hits / repeats}
            rows.append(row | {"wrong": (alarms - hits) / repeats})
    return pd.DataFrame(rows)


def number_errors(
    plan: Plan, models: Iterable[int], repeats: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Error on the target against the number of models, all from the same range of sizes.

    Parameters
    ----------
    plan : Plan
        The family; no model is bad.
    models : iterable of int
        Numbers of models.
    repeats : int
        Families drawn for each.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    pandas.DataFrame
        Indexed by the number of models: ``mean`` and ``nine in ten`` (the 90 % quantile) of the
        error as a fraction, and ``cost``, FLOPs over those of the first number.
    """
    rows = {}
    for count in models:
        laws = (_least_squares(*plan.draw(count, rng)) for _ in range(repeats))
        errors = [plan.miss(law) for law in laws]
        cost = 6 * plan.sizes(count).sum() * plan.tokens[-1]
        rows[count] = {"mean": np.mean(errors), "nine in ten": np.quantile(errors, 0.9)}
        rows[count]["cost"] = cost
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("models")
    return table.assign(cost=table["cost"] / table["cost"].iloc[0])


FITS = ("least squares", "Huber", "screened", "always drop one", "bad one known")
"""Ways to fit that :func:`planted_errors` compares."""


def planted_errors(
    plan: Plan, models: int, shift: float, repeats: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Errors of several fits where a bad model is the smallest, the middle, the largest, or none.

    Parameters
    ----------
    plan : Plan
        The family.
    models : int
        Number of models.
    shift : float
        By how much, relative to the loss, the bad model is off.
    repeats : int
        Families drawn for each place.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    pandas.DataFrame
        One row for each draw: ``bad`` (``"none"``, ``"smallest"``, ``"middle"`` or ``"largest"``)
        and the error of each of :data:`FITS` on the target, as a fraction.
    """
    places = {"none": -1, "smallest": 0, "middle": models // 2, "largest": models - 1}
    rows = []
    for name, place in places.items():
        for _ in range(repeats):
            data = plan.draw(models, rng, shift if place >= 0 else 0.0, max(place, 0))
            law = _least_squares(*data)
            table = shifts_of(*data, law)
            named = [suspect(table, level) for level in (LEVEL, 1.0)]
            known = plan.sizes(models)[place] if place >= 0 else None
            laws = [law, huber_of(*data, law)]
            laws += [law if gone is None else _without(data, gone) for gone in (*named, known)]
            errors = [plan.miss(one) for one in laws]
            rows.append({"bad": name, **dict(zip(FITS, errors, strict=True))})
    return pd.DataFrame(rows)


def _least_squares(params: Array, tokens: Array, loss: Array) -> ScalingLaw:
    """Least-squares law of checkpoints that need no checking."""
    law, _ = fit_varpro(params, tokens, loss, {})
    return ScalingLaw(law["E"], law["A"], law["B"], law["alpha"], law["beta"])


def _without(data: tuple[Array, Array, Array], size: float) -> ScalingLaw:
    """Least-squares law of all models but one."""
    keep = data[0] != size
    params, tokens, loss = (column[keep] for column in data)
    return _least_squares(params, tokens, loss)


if __name__ == "__main__":
    print(save_study(study_published()).name)
