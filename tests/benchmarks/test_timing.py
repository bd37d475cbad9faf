from benchmarks.timing import in_turn


def test_pieces_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    table = in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert table.index.tolist() == ["a", "b"]


def test_a_long_piece_ends_the_rounds() -> None:
    calls: list[str] = []
    in_turn({"a": lambda: calls.append("a")}, 100, most_seconds=0.0)
    assert len(calls) == 2
