"""Windows and chunks by hand, and against loops."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from envzoo.datasets.windows import chunks, window_rows

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=6)


def test_windows_by_hand():
    step = np.array([0, 1, 2, 0, 1])
    rows, mask = window_rows(step, np.array([1, 3, 4]), np.array([2, 1, 0]))
    assert mask.tolist() == [[False, True, True], [False, False, True], [False, True, True]]
    assert rows.tolist() == [[1, 0, 1], [3, 3, 3], [4, 3, 4]]


@given(LENGTHS, st.integers(1, 9))
def test_windows_stay_within_their_episodes(lengths, size):
    step = np.concatenate([np.arange(n) for n in lengths])
    last, back = np.arange(len(step)), np.arange(size - 1, -1, -1)
    rows, mask = window_rows(step, last, back)
    for end in last:
        expected = list(range(end - min(step[end], size - 1), end + 1))
        assert rows[end][mask[end]].tolist() == expected
        assert (rows[end][~mask[end]] == end).all()
    tensors = window_rows(*(torch.as_tensor(a) for a in (step, last, back)))
    assert np.array_equal(tensors[0].numpy(), rows)
    assert np.array_equal(tensors[1].numpy(), mask)


@given(LENGTHS, st.integers(1, 9))
def test_chunks_hold_every_row_once_and_in_order(lengths, size):
    rows, mask = chunks(np.array(lengths), size)
    assert rows[mask].tolist() == list(range(sum(lengths)))
    episode = np.repeat(np.arange(len(lengths)), lengths)
    for row, real in zip(rows, mask, strict=True):
        assert len(set(episode[row].tolist())) == 1
        assert real[0]
    assert len(rows) == sum(-(-n // size) for n in lengths)
