"""The guide's grids of back-tests: thousands of laws, computed once and kept with the package.

``python -m scaling_utils grids`` computes them; :func:`load_grid` reads what is kept.  Every table
carries a fingerprint of the code and of the data that made it, so a table that no longer belongs
to the code beside it is refused rather than shown.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scaling_utils.backtest import backtest
from scaling_utils.errors import DataFileError, UnknownOptionError
from scaling_utils.fetch import pinned_files
from scaling_utils.jobs import run_jobs
from scaling_utils.published.catalogue import catalogue
from scaling_utils.runs import load_runs
from scaling_utils.selection import sizes

CODE = (
    "backtest",
    "baselines",
    "fitting.batch",
    "fitting.guide",
    "fitting.identify",
    "fitting.nonnegative",
    "fitting.varpro",
    "frame",
    "law",
    "metrics",
    "selection",
)
"""Modules whose meaning decides what every grid holds; a family's loader comes on top."""


@dataclass(frozen=True)
class Grid:
    """One grid of the guide: a design, and what it varies.

    Attributes
    ----------
    name : str
        Name of the grid.
    figure : str
        Where the guide shows it.
    options : mapping
        Options of :func:`scaling_utils.backtest`.
    n_models : {"default", "thinned", "all"}
        Which numbers of sizes: what the design does by default; from 2 on, in steps for families
        of more than twenty sizes, as the guide does.
    methods : tuple of str
        Fitting methods and baselines to run it with.
    """

    name: str
    figure: str
    options: Mapping[str, Any] = field(default_factory=dict)
    n_models: str = "default"
    methods: tuple[str, ...] = ("curve_fit", "least_squares")


GRIDS = {
    grid.name: grid
    for grid in (
        Grid("smallest", "figures 1b and 5", n_models="thinned"),
        Grid("uncut", "figure 5b", {"skip_tokens": 0.0}, n_models="thinned"),
        Grid("window", "figure 1a", {"design": "window"}),
        Grid(
            "n-by-size", "figure 1c", {"design": "window", "fractions": (1.0,)}, n_models="thinned"
        ),
        Grid("last", "figure 4", {"keep": "last"}, n_models="thinned"),
        Grid("single", "figure 6", {"design": "single"}),
        Grid("baselines", "section 5.2", n_models="thinned", methods=("best_seen", "most_trained")),
    )
}
"""The grids by name."""

FINGERPRINTS = b"scaling_utils.fingerprints"
PROCESSOR = b"scaling_utils.processor"
VARIANTS = ("upstream", "corrected")
ORDER = ["variant", "method", "family", "n_models", "smallest_params", "fraction"]
SINGLE_SIZE = ("k2", "mamba-3b", "schedules-25m", "schedules-100m", "schedules-400m")
"""Families of one size, which no design can hold a target out of."""


def thinned(count: int) -> list[int]:
    """Return numbers of sizes to train on, fewer where there are many.

    Parameters
    ----------
    count : int
        Sizes below the target's.

    Returns
    -------
    list of int
        From 2 to at most ``count``: every number up to twenty sizes, else in steps, as in the
        guide's code.

    Examples
    --------
    >>> thinned(5), thinned(42)
    ([2, 3, 4, 5], [2, 10, 18, 26, 34, 42])
    """
    step = 10 if count > 60 else count // 5 if count > 20 else 1
    return list(range(2, count + 1, step))


@lru_cache
def fingerprint(family: str) -> str:
    """Fingerprint of the code and the data behind the grids of one family.

    Comments, docstrings and layout do not count; the meaning of the modules in :data:`CODE` and of
    the family's loader, the checksums of its files and the definitions of the grids do.

    Parameters
    ----------
    family : str
        A published family.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    entry = catalogue()[family]
    reader = entry.read.func if isinstance(entry.read, partial) else entry.read
    arguments = (
        (entry.read.args, sorted(entry.read.keywords.items()))
        if isinstance(entry.read, partial)
        else ()
    )
    digest = hashlib.sha256()
    for name in (*(f"scaling_utils.{c}" for c in CODE), reader.__module__):
        digest.update(f"{name}\n{module_meaning(name)}\n".encode())
    sums = [pinned_files()[name].sha256 for name in entry.names]
    grids = sorted((g.name, repr(g)) for g in GRIDS.values())
    digest.update(repr((family, arguments, sums, grids, thinned(42))).encode())
    return digest.hexdigest()[:16]


@lru_cache
def module_meaning(name: str) -> str:
    """Return the meaning of the code of a module."""
    return meaning(Path(str(importlib.import_module(name).__file__)).read_text())


def code_mark(modules: Iterable[str], *data: str | bytes) -> str:
    """Fingerprint modules of this package, and what else a kept table was made from.

    Parameters
    ----------
    modules : iterable of str
        Names of modules below ``scaling_utils``, such as ``"fitting.varpro"``.
    *data : str or bytes
        Anything else, such as the fingerprints of families.

    Returns
    -------
    str
        Changes with the meaning of a module or with the data.

    Examples
    --------
    >>> code_mark(["law"], "a") == code_mark(["law"], "a") != code_mark(["law"], "b")
    True
    """
    digest = hashlib.sha256()
    for name in modules:
        digest.update(module_meaning(f"scaling_utils.{name}").encode())
    for part in data:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()


def meaning(source: str) -> str:
    r"""Code without what does not change what it does: comments, docstrings, layout.

    Parameters
    ----------
    source : str
        Python code.

    Returns
    -------
    str
        A canonical form of it.

    Examples
    --------
    >>> meaning("def f(x):\n    'Add one.'\n    return x + 1  # why") == meaning(
    ...     "def f(x): return x+1")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        node.body = [  # type: ignore[attr-defined]
            part
            for part in body
            if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        ]
    return ast.unparse(tree)


def compute_grid(
    name: str,
    families: Iterable[str] | None = None,
    *,
    variants: Iterable[str] = VARIANTS,
    methods: Iterable[str] | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Compute a grid for published families.

    Parameters
    ----------
    name : str
        A key of :data:`GRIDS`.
    families : iterable of str, optional
        Families; by default all published ones of two sizes or more.
    variants : iterable of str
        ``"upstream"`` (what the guide's code fitted; families that it did not fit are left out)
        and ``"corrected"``.
    methods : iterable of str, optional
        Methods, by default those of the grid.
    n_jobs : int, optional
        Processes; by default what a surrounding ``joblib.parallel_config`` says, else one.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        The rows of :func:`scaling_utils.backtest`, with columns ``grid`` and ``variant`` first.

    Raises
    ------
    UnknownOptionError
        If there is no such grid.
    """
    grid = _grid(name)
    wanted = covered() if families is None else list(families)
    tasks = [
        (family, variant, method)
        for family in wanted
        for variant in variants
        for method in (grid.methods if methods is None else methods)
        if not (variant == "upstream" and not catalogue()[family].upstream_name)
    ]
    work = [(grid, *task) for task in tasks]
    parts = run_jobs(_part, work, n_jobs=n_jobs, name=name, progress=progress)
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(ORDER, kind="stable", ignore_index=True)


def load_grid(name: str, folder: Path | None = None) -> pd.DataFrame:
    """Read a grid that was computed before.

    Parameters
    ----------
    name : str
        A key of :data:`GRIDS`.
    folder : pathlib.Path, optional
        Where the tables are; by default those that ship with the package.

    Returns
    -------
    pandas.DataFrame
        As :func:`compute_grid` returns it.

    Raises
    ------
    UnknownOptionError
        If there is no such grid.
    DataFileError
        If the table is missing, or was made by other code or from other data.
    """
    path = _path(_grid(name).name, folder)
    if not path.is_file():
        raise DataFileError(
            f"{path.name} is missing: the grid {name!r} has not been computed. Run "
            f"'python -m scaling_utils grids {name}'."
        )
    stale = stale_families(name, folder)
    if stale:
        raise DataFileError(
            f"{path.name} is stale for {', '.join(stale)}: the code or the data that made it have "
            f"changed since. Run 'python -m scaling_utils grids {name}'."
        )
    return pd.read_parquet(path)


def processor() -> str:
    """Name the vector instructions by which NumPy sums here.

    Processors round sums differently in the last digit, which a single local search from a poor
    start amplifies: a table of ``curve_fit`` is repeated exactly only where it was made.

    Returns
    -------
    str
        Names of instruction sets.
    """
    return " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"])


def made_by(name: str, folder: Path | None = None) -> str:
    """Return the :func:`processor` that computed a kept grid; empty if several did."""
    return (pq.read_schema(_path(name, folder)).metadata or {}).get(PROCESSOR, b"").decode()


def save_grid(
    name: str, table: pd.DataFrame, folder: Path | None = None, *, by: str | None = None
) -> Path:
    """Keep a grid, with the fingerprint of what made each family's rows.

    Parameters
    ----------
    name : str
        A key of :data:`GRIDS`.
    table : pandas.DataFrame
        Result of :func:`compute_grid`.
    folder : pathlib.Path, optional
        Where to put it; by default among those that ship with the package.
    by : str, optional
        What computed it; by default this :func:`processor`.

    Returns
    -------
    pathlib.Path
        The file.
    """
    path = _path(_grid(name).name, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    marks = json.dumps({family: fingerprint(family) for family in covered()})
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    mark = (processor() if by is None else by).encode()
    metadata = {**(arrow.schema.metadata or {}), FINGERPRINTS: marks.encode(), PROCESSOR: mark}
    pq.write_table(arrow.replace_schema_metadata(metadata), path, compression="zstd")
    return path


def stale_families(name: str, folder: Path | None = None) -> list[str]:
    """List the families whose rows in a kept grid belong to other code or other data.

    Parameters
    ----------
    name : str
        A key of :data:`GRIDS`.
    folder : pathlib.Path, optional
        Where the tables are.

    Returns
    -------
    list of str
        Families to compute again, missing ones included; empty if the grid is fresh.
    """
    path = _path(_grid(name).name, folder)
    kept: dict[str, str] = {}
    if path.is_file():
        kept = json.loads((pq.read_schema(path).metadata or {}).get(FINGERPRINTS, b"{}"))
    return [family for family in covered() if kept.get(family) != fingerprint(family)]


def covered() -> list[str]:
    """List the published families that the grids cover: those with two sizes or more."""
    return [name for name in catalogue() if name not in SINGLE_SIZE]


def update_grid(
    name: str, folder: Path | None = None, *, n_jobs: int | None = None, progress: bool = False
) -> list[str]:
    """Compute again what is stale or missing in a kept grid, and keep the rest.

    Parameters
    ----------
    name : str
        A key of :data:`GRIDS`.
    folder : pathlib.Path, optional
        Where the tables are.
    n_jobs : int, optional
        Processes; by default what a surrounding ``joblib.parallel_config`` says, else one.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of str
        Families that were computed again.
    """
    path = _path(_grid(name).name, folder)
    stale = stale_families(name, folder)
    if not stale:
        return []
    new = compute_grid(name, stale, n_jobs=n_jobs, progress=progress)
    by = processor()
    if path.is_file():
        old = pd.read_parquet(path)
        old = old[~old["family"].isin(stale) & old["family"].isin(covered())]
        if len(old) and made_by(name, folder) != by:
            by = ""
        new = pd.concat([old, new])
    save_grid(name, new.sort_values(ORDER, kind="stable", ignore_index=True), folder, by=by)
    return stale


def _grid(name: str) -> Grid:
    """Return a grid by name."""
    if name not in GRIDS:
        raise UnknownOptionError(f"{name!r} is not a grid: choose one of {list(GRIDS)}.")
    return GRIDS[name]


def _path(name: str, folder: Path | None) -> Path:
    """Return where the table of a grid lies."""
    home = Path(str(resources.files("scaling_utils"))) / "results" if folder is None else folder
    return home / f"{name}.parquet"


def _part(grid: Grid, family: str, variant: str, method: str) -> pd.DataFrame:
    """Compute one family of a grid."""
    runs = load_runs(family, variant=variant, progress=False)
    available = len(sizes(runs))
    options = dict(grid.options)
    if grid.n_models == "thinned":
        options["n_models"] = thinned(available - 1)
    cells = backtest(runs, method=method, **options)
    cells.insert(0, "grid", grid.name)
    cells.insert(1, "variant", variant)
    # What a failure says belongs to the eye; its kind is enough to keep.
    cells["status"] = cells["status"].str.slice(0, 120)
    return cells
