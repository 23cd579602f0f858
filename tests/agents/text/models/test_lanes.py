"""Sums in lanes against NumPy, on whole numbers of which float32 knows every sum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numba.core.errors import TypingError

from envzoo.agents.text.models import lanes

ROWS, WIDTH = 3, 90


@njit(cache=True, error_model="numpy")
def measure(x, y, r, n, center):
    """All sums over the first n of row r of x; the last adds y to it."""
    return (
        lanes.total(x, (r,), n),
        lanes.dot(x, (r,), y, (), n),
        lanes.squares_about(x, (r,), center, n),
        lanes.largest(x, (r,), n),
        lanes.shifted_total(x, (r,), y, (), n),
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(1, WIDTH), st.integers(0, ROWS - 1), st.integers(-9, 9), st.integers(0, 2**32))
def test_sums_over_the_first_numbers_of_a_row(n, r, center, seed):
    rng = np.random.default_rng(seed)
    x, y = np.full((ROWS, WIDTH), np.nan, np.float32), np.full(WIDTH, np.nan, np.float32)  # nothing else may be read
    x[r, :n], y[:n] = rng.integers(-99, 100, (2, n))
    before = x.copy()
    a, b = x[r, :n].astype(np.int64), y[:n].astype(np.int64)
    expected = (a.sum(), (a * b).sum(), ((a - center) ** 2).sum(), a.max(), (a + b).sum())
    assert measure(x, y, r, n, np.float32(center)) == expected
    before[r, :n] += y[:n]
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("x", "place", "message"),
    [
        (np.zeros((4, 8), np.float32)[:, ::2], (0,), "contiguous float32"),
        (np.zeros((4, 8)), (0,), "contiguous float32"),
        (np.zeros((4, 8), np.float32), (), "a tuple of 1 numbers"),
    ],
)
def test_other_arrays_are_refused_when_the_kernel_is_compiled(x, place, message):
    @njit
    def total(x, place):
        return lanes.total(x, place, 4)

    with pytest.raises(TypingError, match=message):
        total(x, place)
