import pandas as pd
import pytest

from scaling_utils import benchmark
from scaling_utils.benchmark import COLUMNS, SECTIONS, load_benchmark
from scaling_utils.errors import DataFileError
from scaling_utils.kept import save_kept


def test_the_kept_table_has_every_section() -> None:
    table = load_benchmark()
    assert list(table.columns) == list(COLUMNS)
    assert set(table["section"]) == set(SECTIONS)
    for section in SECTIONS:
        part = load_benchmark(section)
        assert len(part) > 0
        assert part.notna().any().all()


def test_what_the_book_claims_of_the_search_is_what_was_measured() -> None:
    squares = load_benchmark("squares").set_index("method")
    assert (squares["size"] == 500).all()
    assert "L-BFGS, 500 starts" in squares.index
    # Where an exponent would leave its box, a search without one goes on a little.
    assert squares.loc["least_squares", "arrived"] >= 0.98
    inside = load_benchmark("inside").iloc[0]
    assert inside["size"] >= 450
    assert inside["excess"] <= 1e-6
    assert inside["arrived"] == 1
    assert load_benchmark("recovery")["excess"].item() < 1e-8


def test_a_table_of_other_code_is_refused(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    path = save_kept(pd.DataFrame({"section": ["squares"]}), tmp_path / "b.parquet", "old")
    monkeypatch.setattr(benchmark, "kept_path", lambda name: path)
    with pytest.raises(DataFileError, match="benchmarks --full --keep"):
        load_benchmark()
