from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scaling_utils import builtin
from scaling_utils import runs as runs_module
from scaling_utils.errors import DataFileError, UnknownOptionError
from scaling_utils.runs import families, load_runs

Ship = Callable[[pd.DataFrame | bytes | None], None]


def forget() -> None:
    builtin.table.cache_clear()
    runs_module._builtin.cache_clear()


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ship]:
    """Let the package ship another table, or none."""
    monkeypatch.setattr(builtin.resources, "files", lambda _: tmp_path)

    def put(content: pd.DataFrame | bytes | None) -> None:
        path = tmp_path / "house" / "runs.parquet"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
        elif content is not None:
            path.write_bytes(content)
        forget()

    put(None)
    yield put
    monkeypatch.undo()
    forget()


def house() -> pd.DataFrame:
    """Two families; one run at three kinds, one that diverged, one trunk with two decays."""
    rows = [
        # family, run, params, tokens, loss, kind, schedule, status
        ("house-b", "b-1-s0", 1e4, 1e6, 4.0, "raw", "constant", "ok"),
        ("house-b", "b-1-s0", 1e4, 2e6, 3.5, "raw", "constant", "ok"),
        ("house-b", "b-1-s0", 1e4, 2e6, 3.3, "averaged", "constant", "ok"),
        ("house-b", "b-1-s0-d2M", 1e4, 1.9e6, 3.4, "raw", "wsd", "ok"),
        ("house-b", "b-1-s0-d2M", 1e4, 2e6, 3.2, "decayed", "wsd", "ok"),
        ("house-b", "b-1-s0-cosine", 1e4, 1e6, 3.8, "raw", "cosine", "ok"),
        ("house-b", "b-1-s0-cosine", 1e4, 2e6, 3.1, "decayed", "cosine", "ok"),
        ("house-b", "b-2-s0", 2e4, 1e6, 9.0, "raw", "constant", "diverged"),
        ("house-b", "b-2-s0", 2e4, 2e6, np.nan, "raw", "constant", "diverged"),
        ("house-b", "b-2-s0-d2M", 2e4, 2e6, 8.0, "decayed", "wsd", "diverged"),
        ("house-a", "a-1-s3-d2M", 3e4, 2e6, 3.0, "decayed", "wsd", "ok"),
    ]
    columns = ["family", "run", "params", "tokens", "loss", "kind", "schedule", "status"]
    texts = dict.fromkeys(["family", "run", "kind", "schedule", "status"], "string")
    return (
        pd.DataFrame(rows, columns=columns)
        .astype(texts)
        .assign(
            metric="nats/byte, held out",
            seed=[0] * 10 + [3],
            architecture="transformer",
            corpus="prose",
            source="house",
            lr=1e-3,
        )
    )


def test_a_package_without_a_table_has_no_builtin_families(ship: Ship) -> None:
    assert builtin.builtin_families() == ()
    assert len(load_runs("builtin")) == 0
    assert len(families("builtin")) == 0


def test_the_default_is_the_decayed_ends(ship: Ship) -> None:
    ship(house())
    assert builtin.builtin_families() == ("house-b", "house-a")
    runs = load_runs("builtin")
    assert runs[["family", "run", "loss"]].to_numpy().tolist() == [
        ["house-a", "a-1-s3-d2M", 3.0],
        ["house-b", "b-1-s0-d2M", 3.2],
    ]
    assert runs["seed"].tolist() == [3, 0]
    assert runs["flops"].iloc[0] == 6 * 3e4 * 2e6
    pd.testing.assert_frame_equal(runs, load_runs("builtin", variant="upstream"))


@pytest.mark.parametrize(
    ("variant", "losses"),
    [
        ("checkpoints", [4.0, 3.5]),
        ("averaged", [3.3]),
        ("cosine", [3.8, 3.1]),
        ("decayed", [3.2, 3.1]),
        ("seeds", [3.2]),
        ("all", [4.0, 3.5, 3.3, 3.4, 3.2, 3.8, 3.1, 9.0, 8.0]),
    ],
)
def test_other_kinds(ship: Ship, variant: str, losses: list[float]) -> None:
    ship(house())
    runs = load_runs("house-b", variant=variant)
    assert sorted(runs["loss"]) == sorted(losses)


def test_runs_of_which_one_seed_differs_come_only_when_asked_for(ship: Ship) -> None:
    ends = house()[lambda t: t["schedule"] == "wsd"].assign(init_seed=0, data_seed=0)
    half = ends.assign(run=ends["run"] + "-s201", seed=201, data_seed=1)
    ship(pd.concat([ends, half], ignore_index=True))
    assert load_runs("house-b")["seed"].tolist() == [0]
    assert load_runs("house-b", variant="decayed")["seed"].tolist() == [0]
    assert load_runs("house-b", variant="seeds")["seed"].tolist() == [0, 201]
    assert (load_runs("house-b", variant="all")["seed"] == 201).sum() == 3


def test_all_tells_an_average_from_its_raw_twin(ship: Ship) -> None:
    ship(house())
    runs = load_runs("house-b", variant="all")
    both = runs[runs["tokens"].eq(2e6) & runs["run"].isin(["b-1-s0", "b-1-s0-averaged"])]
    assert both["loss"].tolist() == [3.5, 3.3]
    assert runs.loc[runs["status"] == "diverged", "loss"].tolist() == [9.0, 8.0]


def test_options_that_a_builtin_family_lacks(ship: Ship) -> None:
    ship(house())
    with pytest.raises(UnknownOptionError, match=r"it has 'corrected', .*'checkpoints'"):
        load_runs("house-a", variant="raw")
    with pytest.raises(UnknownOptionError, match="leave the option out"):
        load_runs("house-a", evaluation="c4")


def test_held_out_losses_belong_to_finished_runs() -> None:
    table = builtin.heldout()
    ends = load_runs("builtin", variant="seeds").merge(table, on="run")
    assert len(ends) > 100
    np.testing.assert_allclose(ends["loss_x"], ends["loss_y"], rtol=1e-6)
    assert (ends["loss_full"] / ends["loss_x"]).between(0.97, 1.03).all()


def test_without_a_table_there_are_no_held_out_losses(ship: Ship) -> None:
    assert list(builtin.heldout().columns) == ["run", "loss", "loss_full", "loss_full_se"]
    assert len(builtin.heldout()) == 0


def test_overview(ship: Ship) -> None:
    ship(house())
    row = families("house-b").loc["house-b"]
    assert row["kind"] == "builtin"
    assert row["at_hand"]
    assert (row["runs"], row["sizes"], row["seeds"], row["checkpoints"]) == (1, 1, 1, 1.0)
    assert row["metric"] == "nats/byte, held out"


@pytest.mark.parametrize("content", [b"", b"PAR1 not a table"])
def test_a_damaged_table_is_refused(ship: Ship, content: bytes) -> None:
    ship(content)
    with pytest.raises(DataFileError, match="it ships with the package"):
        load_runs("builtin")


def test_a_table_without_a_column_is_refused(ship: Ship) -> None:
    ship(house().drop(columns="kind"))
    with pytest.raises(DataFileError, match=r"lacks the column.*kind"):
        load_runs("builtin")
