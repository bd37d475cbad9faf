import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from scaling_utils.fitting.nonnegative import solve_nonnegative


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([(0, 1, 2), (0, 1), (1, 2), (0, 2), (0,), (2,), ()])
)
def test_agrees_with_one_problem_at_a_time(seed: int, free: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(20, 9, 3)) + 1
    y = rng.normal(size=(20, 9)) + rng.uniform(-1, 2, (20, 1))
    gram = np.einsum("kij,kil->jlk", columns, columns)
    moment = np.einsum("kij,ki->jk", columns, y)
    x, gain = solve_nonnegative([gram[i, j] for i in range(3) for j in range(i, 3)], moment, free)
    for k in range(20):
        expected = np.zeros(3)
        norm = np.linalg.norm(y[k])
        if free:
            expected[list(free)], norm = nnls(columns[k][:, list(free)], y[k])
        assert [v[k] for v in x] == pytest.approx(expected, abs=1e-9)
        assert y[k] @ y[k] - gain[k] == pytest.approx(norm**2, rel=1e-9)


def test_collinear_and_empty_columns_are_harmless() -> None:
    one, none = np.ones(1), np.zeros(1)
    x, gain = solve_nonnegative((one, one, none, one, none, none), (one, one, none))
    assert x[0] + x[1] == pytest.approx(1, abs=1e-9)
    assert x[2] == 0
    assert gain == pytest.approx(1, abs=1e-9)
