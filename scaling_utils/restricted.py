r"""Laws with fewer than five free numbers, and what they predict.

A restriction says that the five coordinates of a law (``a = log A``, ``b = log B``, ``e = log E``,
``alpha``, ``beta``) lie on a plane: a point plus a few directions.  Tied exponents, exponents held
at usual values, the lines of :math:`\\log A` on :math:`\\alpha`, and a few principal components are
all of this kind, so one fit serves them all.

``python -m scaling_utils.restricted`` back-tests them on every published family;
:func:`load_study` reads what is kept.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from scaling_utils.baselines import best_seen
from scaling_utils.components import (
    COORDINATES,
    complete,
    coordinates,
    group_weights,
    laws_of_families,
    line_of,
    principal_components,
)
from scaling_utils.errors import FitError, SelectionError
from scaling_utils.fitting.fit import as_training_set, fit_law
from scaling_utils.grids import fingerprint, meaning, module_meaning
from scaling_utils.kept import kept_path, load_kept, save_kept
from scaling_utils.law import PARAMETERS, ScalingLaw
from scaling_utils.metrics import absolute_relative_error
from scaling_utils.runs import families, load_runs
from scaling_utils.selection import drop_first_tokens, first_fraction, sizes, split_target

Array = NDArray[np.float64]

USUAL = 0.35
"""Exponent of both terms where they are not fitted."""

LOWEST_EXPONENT = 0.01
STEEPEST = 3.0
LARGEST_POWER = 50.0
STARTS = 3
FEWEST_TO_FIT = 3
"""Training sizes below which alpha cannot be fitted."""


@dataclass(frozen=True)
class Restriction:
    """A plane of laws.

    Attributes
    ----------
    name : str
        What to call it.
    origin : numpy.ndarray of shape (5,)
        A point of the plane, in the order of :data:`scaling_utils.components.COORDINATES`.
    directions : numpy.ndarray of shape (5, k)
        What may change, a column for each free number.
    """

    name: str
    origin: Array
    directions: Array

    @property
    def free(self) -> int:
        """How many numbers are fitted."""
        return self.directions.shape[1]

    def nearest(self, points: Array) -> Array:
        """Free numbers of the laws of the plane next to some points, a row for each."""
        solution, *_ = np.linalg.lstsq(self.directions, (points - self.origin).T, rcond=None)
        return np.asarray(solution.T)


def all_five() -> Restriction:
    """No restriction.

    Returns
    -------
    Restriction
        The full law.

    Examples
    --------
    >>> all_five().free
    5
    """
    return Restriction("all five", np.zeros(5), np.eye(5))


def tied_exponents() -> Restriction:
    """One exponent for both terms.

    Returns
    -------
    Restriction
        Four free numbers.
    """
    directions = np.zeros((5, 4))
    directions[[0, 1, 2], [0, 1, 2]] = 1.0
    directions[[3, 4], 3] = 1.0
    return Restriction("α = β", np.zeros(5), directions)


def held_exponents(alpha: float = USUAL, beta: float = USUAL) -> Restriction:
    """Exponents that are not fitted.

    Parameters
    ----------
    alpha, beta : float
        Their values.

    Returns
    -------
    Restriction
        Three free numbers.
    """
    return Restriction("α, β held", np.array([0.0, 0.0, 0.0, alpha, beta]), np.eye(5)[:, :3])


def on_lines(
    table: pd.DataFrame,
    terms: Iterable[tuple[str, str]],
    name: str,
    weights: pd.Series | None = None,
) -> Restriction:
    """Sizes of terms that follow from their exponents, by lines through other families' laws.

    Parameters
    ----------
    table : pandas.DataFrame
        Laws of other families, columns as in :data:`scaling_utils.components.COORDINATES`.
    terms : iterable of tuple of str
        For each line the size and the exponent, ``("a", "alpha")`` or ``("b", "beta")``.
    name : str
        What to call it.
    weights : pandas.Series, optional
        Weight of each law.

    Returns
    -------
    Restriction
        One free number less for each line.
    """
    origin, directions = np.zeros(5), np.eye(5)
    gone = []
    for size, exponent in terms:
        height, slope = line_of(table, size, exponent, weights)
        i, j = COORDINATES.index(size), COORDINATES.index(exponent)
        origin[i] = height
        directions[i, j] = slope
        gone.append(i)
    return Restriction(name, origin, np.delete(directions, gone, axis=1))


def on_components(
    table: pd.DataFrame,
    count: int,
    name: str,
    *,
    standardised: bool = False,
    weights: pd.Series | None = None,
) -> Restriction:
    """Laws in the plane of the first principal components of other families' laws.

    Parameters
    ----------
    table : pandas.DataFrame
        Laws of other families.
    count : int
        Number of components.
    name : str
        What to call it.
    standardised : bool
        As for :func:`scaling_utils.components.principal_components`.
    weights : pandas.Series, optional
        Weight of each law.

    Returns
    -------
    Restriction
        As many free numbers as components.
    """
    found = principal_components(table, standardised=standardised, weights=weights)
    rows = found.directions.iloc[:count].to_numpy() * found.scale.to_numpy()
    return Restriction(name, found.mean.to_numpy(), rows.T)


def restrictions(others: pd.DataFrame, weights: pd.Series | None = None) -> dict[str, Restriction]:
    """Restrictions that the guide's section 9 suggests, learned from other families.

    Parameters
    ----------
    others : pandas.DataFrame
        Laws of other families, columns as in :data:`scaling_utils.components.COORDINATES`.
    weights : pandas.Series, optional
        Weight of each law.

    Returns
    -------
    dict of str to Restriction
        By name, most free numbers first.

    Examples
    --------
    >>> others = pd.DataFrame(
    ...     np.random.default_rng(1).normal(size=(9, 5)), columns=list(COORDINATES))
    >>> {name: one.free for name, one in restrictions(others).items()}
    {'all five': 5, 'α = β': 4, 'A on α': 4, 'B on β': 4, 'both lines': 3, 'α, β held': 3, '3 components': 3, '3 standardised': 3}
    """  # noqa: E501
    a, b = ("a", "alpha"), ("b", "beta")
    found = (
        all_five(),
        tied_exponents(),
        on_lines(others, [a], "A on α", weights),
        on_lines(others, [b], "B on β", weights),
        on_lines(others, [a, b], "both lines", weights),
        held_exponents(),
        on_components(others, 3, "3 components", weights=weights),
        on_components(others, 3, "3 standardised", standardised=True, weights=weights),
    )
    return {one.name: one for one in found}


def fit_restricted(
    runs: pd.DataFrame, restriction: Restriction, starts: pd.DataFrame
) -> ScalingLaw:
    """Fit a restricted law by least squares, from the nearest laws of several others.

    Parameters
    ----------
    runs : pandas.DataFrame
        Training set, as for :func:`scaling_utils.fit_law`.
    restriction : Restriction
        The plane to search.
    starts : pandas.DataFrame
        Laws, columns as in :data:`scaling_utils.components.COORDINATES`: the search starts from
        the three that, brought to the plane, fit best.

    Returns
    -------
    ScalingLaw
        The best law found.

    Raises
    ------
    FitError
        If no start leads to a law.

    Notes
    -----
    Exponents below 0.01 or above 3, the box of ``fit_law``, are kept off by a penalty.
    """
    rows = as_training_set(runs)
    n, d = (np.log(rows[c].to_numpy("float64")) for c in ("params", "tokens"))
    loss = rows["loss"].to_numpy("float64")
    stiff = 10 * np.sqrt(len(loss)) * float(loss.std() + 1e-3)

    def parts(free: Array) -> tuple[Array, Array]:
        point = restriction.origin + restriction.directions @ free
        powers = np.column_stack(
            [point[0] - point[3] * n, point[1] - point[4] * d, np.full_like(n, point[2])]
        )
        return point, np.exp(np.minimum(powers, LARGEST_POWER))

    def residuals(free: Array) -> Array:
        point, terms = parts(free)
        outside = np.minimum(point[3:] - LOWEST_EXPONENT, 0) + np.maximum(point[3:] - STEEPEST, 0)
        return np.concatenate([terms.sum(axis=1) - loss, stiff * outside])

    def slopes(free: Array) -> Array:
        point, terms = parts(free)
        wall = ((point[3:] < LOWEST_EXPONENT) | (point[3:] > STEEPEST)) * stiff
        full = np.zeros((len(n) + 2, 5))
        full[:-2, :3] = terms
        full[:-2, 3], full[:-2, 4] = -n * terms[:, 0], -d * terms[:, 1]
        full[-2, 3], full[-1, 4] = wall
        return np.asarray(full @ restriction.directions)

    candidates = restriction.nearest(starts[list(COORDINATES)].to_numpy("float64"))
    order = np.argsort([float((residuals(z) ** 2).sum()) for z in candidates], kind="stable")
    best: tuple[float, Array] | None = None
    for start in order[:STARTS]:
        try:
            found = least_squares(residuals, candidates[start], slopes, x_scale="jac", max_nfev=400)
        except (ValueError, np.linalg.LinAlgError):
            continue
        if best is None or found.cost < best[0]:
            best = (float(found.cost), np.asarray(found.x))
    if best is None:
        raise FitError(
            f"no law {restriction.name!r} fits: no start gave finite losses. Give other starts."
        )
    point = restriction.origin + restriction.directions @ best[1]
    size = np.exp(np.minimum(point[:3], 300.0))
    return ScalingLaw(
        E=float(size[2]),
        A=float(size[0]),
        B=float(size[1]),
        alpha=max(float(point[3]), 0.0),
        beta=max(float(point[4]), 0.0),
    )


def compare_restrictions(
    runs: pd.DataFrame,
    others: pd.DataFrame,
    *,
    weights: pd.Series | None = None,
    n_models: int | None = None,
    fraction: float | None = 1.0,
    skip_tokens: float = 1e10,
) -> pd.DataFrame:
    """Back-test laws with five and with fewer free numbers on one family.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.
    others : pandas.DataFrame
        Laws of other families, columns as in :data:`scaling_utils.components.COORDINATES`, that
        lines and components are learned from.
    weights : pandas.Series, optional
        Weight of each of these.
    n_models : int, optional
        Train on this many of the smallest models; by default on all but the largest.
    fraction : float or None
        Train on checkpoints with fewer tokens than this part of the longest run, as the guide
        does; ``None`` keeps all.
    skip_tokens : float
        Train on checkpoints with more tokens than this.

    Returns
    -------
    pandas.DataFrame
        A row for each restriction: ``law``, ``free``, ``fit`` (root of the mean squared residual
        on the training set), ``are`` on the target, ``baseline`` (the ARE of the best loss seen),
        ``models`` and ``scale_up``.

    Raises
    ------
    FitError, SelectionError
        If the training set does not determine a law, or nothing is left of it.
    """
    train, target = split_target(runs)
    chosen = sizes(train) if n_models is None else sizes(train)[:n_models]
    longest = float(train["tokens"].max())
    kept = drop_first_tokens(train[train["params"].isin(chosen)], skip_tokens)
    if fraction is not None:
        kept = first_fraction(kept, fraction, of=longest)
    if len(kept) == 0:
        raise SelectionError("nothing is left to train on: lower skip_tokens or raise fraction.")
    full = fit_law(
        kept, method="least_squares"
    )  # the global minimum, which the restricted laws are compared with
    own = coordinates(pd.DataFrame([{name: getattr(full, name) for name in PARAMETERS}]))
    starts = pd.concat([own, others], ignore_index=True)
    rows = []
    for name, one in restrictions(others, weights).items():
        law = full if name == "all five" else fit_restricted(kept, one, starts)
        off = np.asarray(law.predict(kept["params"], kept["tokens"])) - kept["loss"].to_numpy()
        rows.append(
            {
                "law": name,
                "free": one.free,
                "fit": float(np.sqrt(np.mean(off**2))),
                "are": absolute_relative_error(law, target),
                "baseline": absolute_relative_error(best_seen(kept), target),
                "models": len(sizes(kept)),
                "scale_up": float(target["params"].max() / kept["params"].max()),
            }
        )
    return pd.DataFrame(rows)


def other_groups(
    table: pd.DataFrame, family: str, groups: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.Series]:
    """Complete laws of families outside a family's group, and weights that count groups once.

    Parameters
    ----------
    table : pandas.DataFrame
        Laws, indexed by family.
    family : str
        The family to predict, whose group is left out.
    groups : mapping of str to str
        Group of each family.

    Returns
    -------
    tuple of pandas.DataFrame and pandas.Series
        Laws and weights.
    """
    own = groups[family]
    kept = complete(table[[groups[str(name)] != own for name in table.index]])
    return kept, group_weights(kept.index, groups)


# --- The study of the published families ----------------------------------------------------------


def study_published(names: Iterable[str] | None = None) -> pd.DataFrame:
    """Back-test restricted laws on published families, from all smaller models and from half.

    Lines and components are learned from the least-squares laws of other groups of families.

    Parameters
    ----------
    names : iterable of str, optional
        Families; by default all published ones of three sizes or more.

    Returns
    -------
    pandas.DataFrame
        Rows of :func:`compare_restrictions`, after ``family`` and ``cell``: ``"all"``, every
        smaller model; ``"half"``, the smaller half of these, where that is three or more.  Families
        that determine no law are left out.
    """
    about = families()
    groups = {str(name): str(group) for name, group in about["group"].items()}
    laws = laws_of_families("corrected", "least_squares")
    wanted = about.index[(about["kind"] == "published") & (about["sizes"] >= FEWEST_TO_FIT)]
    tables = []
    trajectories = set(about.index[about["checkpoints"] > 1])
    for name in wanted if names is None else names:
        runs = load_runs(name, progress=False)
        others, weights = other_groups(laws, name, groups)
        count = len(sizes(runs)) - 1
        cells = {"all": count}
        if count > FEWEST_TO_FIT:
            cells["half"] = max(FEWEST_TO_FIT, (count + 1) // 2)
        for cell, n_models in cells.items():
            try:
                table = compare_restrictions(
                    runs,
                    others,
                    weights=weights,
                    n_models=n_models,
                    skip_tokens=1e10 if name in trajectories else 0.0,
                )
            except (FitError, SelectionError):
                continue
            table.insert(0, "family", name)
            table.insert(1, "cell", cell)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def study_fingerprint() -> str:
    """Fingerprint of the code and data behind :func:`study_published`.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    parts: list[Any] = [
        fit_restricted,
        compare_restrictions,
        study_published,
        other_groups,
        restrictions,
    ]
    parts += [all_five, tied_exponents, held_exponents, on_lines, on_components]
    text = [meaning(inspect.getsource(part)) for part in parts]
    text.append(module_meaning("scaling_utils.components"))
    text += [fingerprint(name) for name in laws_of_families("corrected", "least_squares").index]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


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
    return save_kept(table, path or kept_path("restricted"), study_fingerprint())


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
    again = "'python -m scaling_utils.restricted'"
    return load_kept(path or kept_path("restricted"), study_fingerprint(), again)


if __name__ == "__main__":
    print(save_study(study_published()).name)
