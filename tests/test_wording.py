import pandas as pd
import pytest

from scaling_utils.aggregate import GroupSummary
from scaling_utils.wording import listed, ratio_interval


@pytest.mark.parametrize(
    ("names", "text"),
    [([], "no group"), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_names_become_a_list_in_a_sentence(names: list[str], text: str) -> None:
    assert listed(names, none="no group") == text
    assert listed(iter(names), none="no group") == text
    assert listed(pd.Index(names), none="no group") == text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.5, 0.9, "leaves out"), (0.5, 1.0, "includes"), (1.0, 2.0, "includes"), (1.1, 2, "leaves")],
)
def test_an_interval_says_whether_one_is_in_it(low: float, high: float, said: str) -> None:
    text = ratio_interval(GroupSummary((low + high) / 2, low, high, 0.9, 5, 5))
    assert text.startswith(f"{low:.2f} to {high:.2f}, which {said}")
