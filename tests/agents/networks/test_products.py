"""Products of matrices and sums of rows in kernels: their values, and the order of their sums."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from envzoo.agents.networks.products import BLOCK, ROWS, WIDE, address, block_of, multiply, sum_rows
from envzoo.agents.text.models.lanes import multiply_add


@njit
def product(a, along, step, b, c, e, e_row, add):
    """`multiply` of arrays, (m, n) = c.shape and b (depth, n)."""
    m, n = c.shape
    multiply(
        address(a, 0), along, step, address(b, 0), n, address(c, 0), n, m, n, b.shape[0], add, address(e, 0), e_row
    )


@njit
def one_by_one(a, b, start):
    """The same product, one number after the other."""
    result = start.copy()
    depth = a.shape[1]
    block = block_of(depth)
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for first in range(0, depth, block):
                total = np.float32(0.0)
                for k in range(first, min(depth, first + block)):
                    total = multiply_add(a[i, k], b[k, j], total)
                result[i, j] += total
    return result


def floats(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


SIZES = (1, 2, ROWS - 1, ROWS, ROWS + 3, WIDE - 1, WIDE, WIDE + 5)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SIZES),
    st.sampled_from(SIZES),
    st.sampled_from((1, 7, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 5)),
    st.booleans(),
    st.sampled_from(("set", "bias", "itself")),
    st.integers(0, 1000),
)
def test_every_number_is_summed_in_one_order(m, n, depth, turned, onto, seed):
    a, b, c = floats(seed, m, depth), floats(seed + 1, depth, n), floats(seed + 2, m, n)
    bias = floats(seed + 3, n)
    start = {"set": np.zeros_like(c), "bias": np.tile(bias, (m, 1)), "itself": c.copy()}[onto]
    stored = np.ascontiguousarray(a.T) if turned else a
    strides = (1, m) if turned else (depth, 1)
    e, row = (bias, 0) if onto == "bias" else (c, n)
    product(stored, *strides, b, c, e, row, onto != "set")
    np.testing.assert_array_equal(c, one_by_one(a, b, start))
    exact = a.astype(np.float64) @ b + start
    assert np.abs(c - exact).max() < 1e-5 * (np.abs(a).astype(np.float64) @ np.abs(b) + 1.0).max()


def test_a_row_of_a_product_does_not_depend_on_the_others():
    a, b = floats(0, 37, 70), floats(1, 70, 90)
    whole, parts = np.empty((37, 90), np.float32), np.empty((37, 90), np.float32)
    product(a, 70, 1, b, whole, whole, 90, False)
    for i in range(37):
        product(a[i : i + 1], 70, 1, b, parts[i : i + 1], parts, 90, False)
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("width", [1, 15, 32, 64, 70])
@pytest.mark.parametrize("rows", [1, 3, 16, 17, 500, 70_000])
def test_sums_of_rows(rows, width):
    d, out = floats(rows, rows, width), np.full(width, np.nan, np.float32)
    sum_rows(d, out)
    exact = d.sum(0, dtype=np.float64)
    # Partial sums keep the error far below that of adding one row after the other.
    np.testing.assert_allclose(out, exact, rtol=0.0, atol=1e-6 * (1.0 + rows**0.5) * 4)
    np.testing.assert_allclose(out, torch.sum(torch.from_numpy(d), 0).numpy(), atol=1e-6 * (1.0 + rows**0.5) * 4)
