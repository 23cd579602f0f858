"""Distinct rows are found exactly, and only where that pays."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.networks import unique_rows as distinct
from envzoo.agents.networks.unique_rows import few_distinct


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(256, 400), kinds=st.integers(1, 190), columns=st.integers(64, 71), seed=st.integers(0, 1000))
def test_rows_are_numbered_in_the_order_of_their_appearance(rows, kinds, columns, seed):
    draw = np.random.default_rng(seed)
    x = torch.from_numpy(draw.standard_normal((kinds, columns + 3)).astype(np.float32)[draw.integers(kinds, size=rows)])
    x = x[:, 2:-1]  # a stretch of wider rows, as encoders cut them
    chosen, numbering = few_distinct(x)
    assert torch.equal(x[chosen][numbering], x)
    first = [n for n in range(rows) if not (x[:n] == x[n]).all(dim=1).any()]
    assert chosen.tolist() == first


@pytest.mark.parametrize("where", [0, 3, 66])
def test_rows_that_differ_in_one_bit_are_not_equal(where):
    x = torch.ones(256, 67)
    x[100:, where] = float(np.nextafter(np.float32(1), np.float32(2)))
    chosen, numbering = few_distinct(x)
    assert chosen.tolist() == [0, 100]
    assert numbering.tolist() == [0] * 100 + [1] * 156


def test_a_clash_of_hashes_is_no_equality(monkeypatch):
    words = np.arange(256 * 64, dtype=np.uint32).reshape(256, 64) // (64 * 32)  # eight kinds of rows
    number = distinct._number.py_func
    monkeypatch.setitem(number.__globals__, "_hash", lambda row: np.uint64(7))
    chosen, numbering = np.empty(20, np.int64), np.empty(256, np.int64)
    assert number(words, 20, chosen, numbering) == 8
    assert numbering.tolist() == [n // 32 for n in range(256)]


def test_only_where_it_pays():
    nothing = (None, None)
    assert few_distinct(torch.zeros(255, 64)) == nothing
    assert few_distinct(torch.zeros(256, 63)) == nothing
    assert few_distinct(torch.zeros(256, 64, dtype=torch.float64)) == nothing
    x = torch.zeros(256, 64)
    x[:, 5] = torch.arange(256).clamp(max=191)
    assert len(few_distinct(x)[0]) == 192  # three quarters
    x[192, 6] = 1
    assert few_distinct(x) == nothing
