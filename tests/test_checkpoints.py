from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scaling_utils import checkpoints, load_runs
from scaling_utils.checkpoints import (
    above_finished,
    answers,
    finished_or_not,
    inside_schedules,
    load_study,
    predict_finished,
    save_study,
    study_family,
    trajectory_families,
)
from scaling_utils.errors import DataFileError
from tests.problems import grid_family


def test_families_are_those_with_a_beginning() -> None:
    names = trajectory_families()
    assert {"gpt3", "opt", "pythia", "olmo-ladder", "datablations-c4-1"} <= set(names)
    assert not {"chinchilla", "overtrain-c4", "schedules-25m", "olmo", "k2"} & set(names)


def test_exact_family_is_predicted_from_every_choice() -> None:
    study = study_family(grid_family()).assign(family="grid")
    assert answers(study, "cut").max(axis=None) < 1e-6
    assert answers(study, "count").drop(columns="2").max(axis=None) < 1e-5
    worth = answers(study, "worth").iloc[0]
    assert worth["runs"] == 3
    assert "warmup" not in set(study["question"])
    warm = study_family(grid_family(), warmup=1e9)
    assert (warm["question"] == "warmup").sum() == len(checkpoints.TIMES)


def test_finished_models_are_another_law() -> None:
    raw = grid_family()
    table = finished_or_not(raw, raw.assign(loss=0.95 * raw["loss"]))
    assert table["raw to raw"] < 1e-6
    assert table["finished to finished"] < 1e-6
    assert table["raw to finished"] == pytest.approx(1 / 0.95 - 1, abs=1e-5)
    assert table["too high by"] == pytest.approx(table["raw to finished"])


def seeded(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.assign(init_seed=0, data_seed=0)


def test_distance_to_finished_models_is_measured_at_their_tokens_and_seeds() -> None:
    inside = seeded(grid_family())
    ends = inside[inside["tokens"].isin([4e10, 2e11])]
    ends = ends.assign(loss=ends["loss"] / 1.05, run=ends["run"] + "-end")
    table = above_finished(inside, ends)
    assert len(table) == len(ends)
    np.testing.assert_allclose(table["above"], 0.05)
    assert set(table["part"]) == {0.2, 1.0}
    planned = above_finished(inside.assign(budget_tokens=4e11), ends)
    np.testing.assert_allclose(planned["part"].unique(), [0.1, 0.5])
    assert above_finished(inside, ends.assign(data_seed=1)).empty
    assert above_finished(inside, ends.assign(tokens=1e12)).empty
    assert above_finished(inside.head(0), ends).empty


def test_checkpoints_that_lie_higher_predict_too_high() -> None:
    finished = grid_family()
    inside = {
        "constant": finished.assign(loss=1.05 * finished["loss"]),
        "few": finished[finished["params"] <= 3e8],
    }
    table = predict_finished(inside, finished)
    assert list(table.index) == ["constant", "few", "finished"]
    assert table.loc["constant", "error"] == pytest.approx(0.05, abs=1e-6)
    assert table.loc["finished", "error"] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(table.loc["few", "error"])
    assert table["sizes"].tolist() == [3, 2, 3]


def test_schedules_of_built_in_families_hold_no_ends() -> None:
    found = inside_schedules("house-lstm")
    assert {"constant", "averaged"} <= set(found) <= {"constant", "averaged", "cosine"}
    assert all((runs["kind"] != "decayed").all() and len(runs) for runs in found.values())
    assert inside_schedules("house-markov") == {}


def test_study_of_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_study(load_study(), tmp_path / "study.parquet")
    assert len(load_study(path)) > 500
    monkeypatch.setattr(checkpoints, "study_fingerprint", lambda: "other")
    with pytest.raises(DataFileError, match="stale"):
        load_study(path)
    with pytest.raises(DataFileError, match="missing"):
        load_study(tmp_path / "none.parquet")


def test_study_covers_every_family() -> None:
    study = load_study()
    assert set(study["family"]) == set(trajectory_families())
    assert np.isfinite(answers(study, "cut")["0.1"]).all()


@pytest.mark.needs_published
@pytest.mark.parametrize("name", ["opt", "datablations-oscar-14"])
def test_kept_study_is_what_the_code_gives(name: str) -> None:
    kept = load_study()
    kept = kept[kept["family"] == name].drop(columns="family").reset_index(drop=True)
    again = study_family(load_runs(name), checkpoints.WARMUPS.get(name))
    pd.testing.assert_frame_equal(kept, again, rtol=1e-4, atol=1e-7, check_dtype=False)
