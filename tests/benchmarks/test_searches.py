from pathlib import Path

import numpy as np
import pytest

from benchmarks import searches
from scaling_utils.errors import FitError
from scaling_utils.fit_studies import random_family
from scaling_utils.objective import start_grid


@pytest.mark.parametrize("loss", ["squares", "log_huber"])
def test_our_fit_is_never_beaten_by_many_starts(loss: str) -> None:
    solved = searches.solve(4, 20, loss, folder=None, n_jobs=1, progress=False)
    table = searches.summary(solved)
    ours, opponent = searches.NAMES[loss], "L-BFGS, 20 starts"
    assert table.index[0] == ours
    assert table.loc[ours, "excess"] <= searches.ARRIVED
    assert table.loc[ours, "arrived"] == 1
    assert table.loc[opponent, "ratio"] > 1
    if loss == "squares":
        inside = searches.inside_the_box(solved).iloc[0]
        assert inside["size"] <= 4
        assert inside["arrived"] == 1
    # The opponent is a real one: the ends of its searches are minima in most problems.
    assert table.loc[opponent, "arrived"] >= 0.5


def test_more_starts_find_no_worse_ends() -> None:
    rng = np.random.default_rng(3)
    _, runs = random_family(rng)
    starts = start_grid(30, rng)
    few, _ = searches.many_starts(runs, starts[:3], "squares")
    many, seconds = searches.many_starts(runs, starts, "squares")
    assert many <= few * (1 + 1e-6)
    assert seconds > 0


def test_an_interrupted_benchmark_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = searches.solve(2, 2, "squares", folder=tmp_path, n_jobs=1, progress=False)
    # Kept times come back as they were, which no second run would repeat.
    again = searches.solve(3, 2, "squares", folder=tmp_path, n_jobs=1, progress=False)
    assert again.head(2).equals(first)
    monkeypatch.setattr(searches, "code", lambda loss: "changed")
    changed = searches.solve(2, 2, "squares", folder=tmp_path, n_jobs=1, progress=False)
    assert not changed.equals(first)
    assert changed["least_squares objective"].equals(first["least_squares objective"])


def test_what_is_without_noise_is_recovered() -> None:
    assert searches.recovery(5) < 1e-8


def test_a_search_that_gives_up_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: object) -> None:
        raise FitError("no law")

    monkeypatch.setattr(searches, "fit_guide", give_up)
    solved = searches.solve(2, 3, "squares", folder=None, n_jobs=1, progress=False)
    table = searches.summary(solved)
    assert table.loc["curve_fit, guide's start", "failed"] == 2
    assert table.loc["curve_fit, guide's start", "arrived"] == 0
    assert table.loc["least_squares", "failed"] == 0
