"""Command line: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy

from benchmarks import growth, searches
from scaling_utils.benchmark import COLUMNS, benchmark_mark
from scaling_utils.fetch import at_hand, pinned_files
from scaling_utils.grids import processor
from scaling_utils.kept import kept_path, save_kept
from scaling_utils.runs import load_runs

FOLDER = Path(".benchmarks")


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes
    ----------
    problems : mapping of str to (int, int)
        Random problems, and starts of the opponent, by objective.
    checkpoints, laws : int
        Powers of ten up to which the input grows.
    """

    problems: Mapping[str, tuple[int, int]]
    checkpoints: int
    laws: int


QUICK = Extent({"squares": (60, 50), "log_huber": (30, 30)}, checkpoints=5, laws=4)
FULL = Extent({"squares": (500, 500), "log_huber": (100, 100)}, checkpoints=6, laws=5)


def measure(*, full: bool, n_jobs: int) -> pd.DataFrame:
    """Measure everything and print each part as it is done.

    Parameters
    ----------
    full : bool
        The sizes that the book shows, which take about half an hour; else two minutes.
    n_jobs : int
        Processes for the random problems; all else is timed on one core.

    Returns
    -------
    pandas.DataFrame
        The benchmark, as :func:`scaling_utils.benchmark.load_benchmark` describes it.
    """
    extent = FULL if full else QUICK
    parts: list[pd.DataFrame] = []

    def add(section: str, table: pd.DataFrame) -> None:
        part = table.assign(section=section).reindex(columns=list(COLUMNS))
        parts.append(part)
        print(f"\n{section}", part.dropna(axis=1, how="all").to_string(index=False), sep="\n")

    for loss, (problems, starts) in extent.problems.items():
        solved = searches.solve(problems, starts, loss, folder=FOLDER, n_jobs=n_jobs, progress=True)
        table = searches.summary(solved).reset_index().assign(size=len(solved))
        add(loss, table.assign(note=[f"{n} failed" for n in table["failed"]]))
        if loss == "squares":
            add("inside", searches.inside_the_box(solved))
    worst = searches.recovery(100)
    add("recovery", pd.DataFrame({"method": ["least_squares"], "size": [100], "excess": [worst]}))
    counts = [10**k for k in range(3, extent.checkpoints + 1)]
    add("checkpoints", growth.by_checkpoints(counts, 20))
    published = at_hand(pinned_files())
    runs = load_runs("gpt3", progress=False) if published else growth.family(3500)
    note = f"{'gpt3' if published else 'made up'}: {len(runs):,} checkpoints"
    laws = [10**k for k in range(2, extent.laws + 1)]
    add("laws", growth.by_laws(laws, runs).assign(note=note))
    if published:
        grids = growth.guide_grids("least_squares", progress=True)
        guide = growth.guide_grids("curve_fit", ("smallest",), progress=True) if full else None
        add("grids", pd.concat([grids, guide], ignore_index=True))
    else:
        print("\ngrids: left out, the published runs are not at hand")
    about = {
        "processor": cpu_name(),
        "vector instructions": processor(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
    add("machine", pd.DataFrame({"task": about.keys(), "note": about.values()}))
    return pd.concat(parts, ignore_index=True)


def cpu_name() -> str:
    """Name the processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark.

    Parameters
    ----------
    arguments : list of str, optional
        Command-line arguments; those of the process if not given.

    Returns
    -------
    int
        Exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the fits against SciPy on the same problems, in one run.",
    )
    parser.add_argument("--full", action="store_true", help="the sizes that the book shows")
    parser.add_argument("--keep", action="store_true", help="keep the table for the book")
    parser.add_argument("--jobs", type=int, default=1, help="processes for the random problems")
    options = parser.parse_args(arguments)
    table = measure(full=options.full, n_jobs=options.jobs)
    if options.keep:
        print(save_kept(table, kept_path("benchmark"), benchmark_mark()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
