"""Time several things in turn, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd


def in_turn(
    work: Mapping[str, Callable[[], object]], rounds: int, *, most_seconds: float = 60.0
) -> pd.DataFrame:
    """Time each piece of work once a round, and compare within rounds.

    Parameters
    ----------
    work : mapping of str to callable
        What to time, by name; the first is what the others are compared with.
    rounds : int
        Rounds after one that is not counted.
    most_seconds : float
        Start no further round after this time.

    Returns
    -------
    pandas.DataFrame
        Indexed by name: ``seconds``, the median of CPU seconds, and ``ratio``, the median over
        rounds of the time over that of the first piece.

    Examples
    --------
    >>> table = in_turn({"one": lambda: sum(range(1000)), "ten": lambda: sum(range(10000))}, 5)
    >>> bool(table.loc["ten", "ratio"] > table.loc["one", "ratio"] == 1)
    True
    """
    begin = time.perf_counter()
    spent: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, function in work.items():
            start = time.process_time()
            function()
            if number or time.perf_counter() - begin > most_seconds:
                spent[name].append(time.process_time() - start)
        if time.perf_counter() - begin > most_seconds and number:
            break
    shortest = min(len(times) for times in spent.values())
    table = pd.DataFrame({name: np.array(times)[-shortest:] for name, times in spent.items()})
    first = table.iloc[:, 0]
    return pd.DataFrame(
        {"seconds": table.median(), "ratio": table.div(first, axis=0).median()}
    ).rename_axis("name")
