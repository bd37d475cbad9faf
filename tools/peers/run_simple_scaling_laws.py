"""Ask the package simple-scaling-laws for intervals on the training sets of this project.

Runs in an environment of its own (``tools/peers/README.md``), from the top of the repository::

    python -m tools.peers.run_simple_scaling_laws TRAINING-SETS.parquet INTERVALS.csv

The package takes one observation for each run and refuses a run whose tokens vary.  So it is asked
twice: with every checkpoint declared a run (``peer``), which gives it what the other methods get,
and with the last checkpoint of each run (``peer_ends``), which is what it is documented for.  Law,
weights and bootstrap are its defaults but for the number of draws, which is that of the other
methods, and the interval is the one for a new run.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import multiprocessing
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

LEVELS = (0.5, 0.9)
DRAWS = 200
"""Draws of its bootstrap, as many as the refits of the others."""

COLUMNS = ["family", "n_models", "digest", "method", "level"]
COLUMNS += ["predicted", "lower", "upper", "status", "flagged"]
LOSS = "test_loss__loss"
SIZE, LENGTH = "model_size__params", "dataset_size__tokens"


def ask(train: Any, target: Any) -> list[dict[str, Any]]:
    """Fit one training set and predict its target.

    Parameters
    ----------
    train, target : polars.DataFrame
        ``params`` and ``tokens``, and for ``train`` the ``loss`` in nats per token.

    Returns
    -------
    list of dict
        One for each level: ``level``, ``predicted``, ``lower``, ``upper`` (means over the target's
        checkpoints, nats per token), ``status``, and ``flagged``: whether a note of the package
        on the fit has the severity "error".
    """
    # Imported by name: neither package is one that this project's own environment has.
    package = importlib.import_module("simple_scaling_laws")
    frame = importlib.import_module("polars").DataFrame(
        {
            "training_run_id": [str(k) for k in range(len(train))],
            SIZE: train["params"],
            LENGTH: train["tokens"],
            LOSS: train["loss"],
        }
    )
    tails = [(1 - level) / 2 for level in LEVELS]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = package.fit(frame, n_draws=DRAWS, seed=0)
            seen = model.predict(
                {SIZE: target["params"], LENGTH: target["tokens"]},
                kind="new-run",
                quantiles=[*tails, 0.5, *(1 - tail for tail in tails)],
            )
    except (ValueError, ArithmeticError) as error:
        status = str(error).split(":")[0].split("\n")[0]
        nothing = {"predicted": "", "lower": "", "upper": "", "status": status, "flagged": False}
        return [{"level": level, **nothing} for level in LEVELS]
    flagged = any(note.severity == "error" for note in model.warnings)
    mean = {c: float(seen[c].mean()) for c in seen.columns if c.startswith(LOSS)}
    return [
        {
            "level": level,
            "predicted": f"{mean[f'{LOSS}__median']:.8g}",
            "lower": f"{mean[f'{LOSS}__q{1000 * tail:03.0f}']:.8g}",
            "upper": f"{mean[f'{LOSS}__q{1000 * (1 - tail):03.0f}']:.8g}",
            "status": "ok",
            "flagged": flagged,
        }
        for level, tail in zip(LEVELS, tails, strict=True)
    ]


def ask_both(cell: Any) -> list[dict[str, Any]]:
    """Ask for one cell with every checkpoint, and with the end of each run.

    Parameters
    ----------
    cell : polars.DataFrame
        Rows of one training set and of its target.

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`.
    """
    parts = cell.partition_by("role", as_dict=True)
    train, target = parts[("train",)], parts[("target",)]
    ends = train.sort("tokens").group_by("run", maintain_order=True).last()
    about = {name: cell[name][0] for name in ("family", "n_models", "digest")}
    return [
        {**about, "method": method, **row}
        for method, some in (("peer", train), ("peer_ends", ends))
        for row in ask(some, target)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read training sets, write intervals.

    Parameters
    ----------
    arguments : sequence of str, optional
        The two files; by default those of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.peers.run_simple_scaling_laws")
    parser.add_argument("sets", type=Path)
    parser.add_argument("intervals", type=Path)
    asked = parser.parse_args(arguments)
    table = importlib.import_module("polars").read_parquet(asked.sets)
    cells = table.partition_by(["family", "n_models", "digest"], maintain_order=True)
    rows = []
    # Not forked: the threads that have read the table would be lost in the children.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for k, found in enumerate(pool.map(ask_both, cells), 1):
            rows += found
            print(f"\r{k} of {len(cells)} training sets", end="", flush=True)
    print()
    with asked.intervals.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
