"""The laws of the groups of published families that the default estimator's prior is pooled over.

``python -m scaling_utils.pool`` computes them and writes ``results/pool.csv``.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from scaling_utils.borrow import skipped
from scaling_utils.fitting.pooled import fit_pooled
from scaling_utils.fitting.prior import Prior
from scaling_utils.posterior import COORDINATES
from scaling_utils.runs import load_runs
from scaling_utils.schedules import unfinished_share

GROUPS: dict[str, tuple[str, ...]] = {
    "chinchilla": ("chinchilla",),
    "datablations": tuple(
        f"datablations-{corpus}-{epochs}"
        for corpus in ("c4", "oscar")
        for epochs in (1, 2, 3, 4, 5, 7, 14)
    ),
    "gemstones": ("gemstones-hot", "gemstones-cool", "gemstones-lr"),
    "gpt3": ("gpt3",),
    "olmo-ladder": ("olmo-ladder",),
    "opt": ("opt",),
    "overtrain": ("overtrain-c4", "overtrain-redpajama", "overtrain-refinedweb"),
}
"""Groups and families: language models, validation loss per token, three sizes or more."""

SIBLINGS = {"datablations": ("datablations-c4-44", "datablations-oscar-44")}
"""Families that are no part of a group's law, but of the group."""

VAGUE = Prior(
    mean=np.array([np.log(1.8), np.log(0.4), np.log(0.3), np.log(0.33), np.log(0.33), 0.03]),
    covariance=np.diag(np.array([0.4, 1.0, 1.0, 0.4, 0.4, 0.04]) ** 2),
    groups=(),
)
"""What a single family's law is fitted with: wide enough to be overruled by any whole family."""


def coordinates_of(runs: pd.DataFrame) -> np.ndarray:
    """Fit one whole family under the vague prior.

    Parameters
    ----------
    runs : pandas.DataFrame
        Checkpoints of one family.

    Returns
    -------
    numpy.ndarray of shape (6,)
        Coordinates of its law.
    """
    kept = skipped(runs)
    decay = unfinished_share(runs)[runs.index.get_indexer(kept.index)]
    params, tokens, loss = (kept[c].to_numpy("float64") for c in ("params", "tokens", "loss"))
    run = pd.factorize(kept["run"])[0]
    _, _, posterior = fit_pooled(params, tokens, loss, {}, run=run, decay=decay, prior=VAGUE)
    return posterior.mean


def pool_families() -> pd.DataFrame:
    """Fit every family of :data:`GROUPS` and average within groups.

    Returns
    -------
    pandas.DataFrame
        One row for each group, as :func:`scaling_utils.fitting.prior.pool` reads it.
    """
    rows = []
    for group, members in GROUPS.items():
        theta = np.mean(
            [coordinates_of(load_runs(name, progress=False)) for name in members], axis=0
        )
        names = " ".join((*members, *SIBLINGS.get(group, ())))
        rows.append(
            {"group": group, "families": names} | dict(zip(COORDINATES, theta, strict=True))
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Write the table that ships with the package."""
    path = Path(str(resources.files("scaling_utils"))) / "results" / "pool.csv"
    pool_families().round(6).to_csv(path, index=False, lineterminator="\n")
    print(path.name)


if __name__ == "__main__":
    main()
