"""Windows of trajectories as array operations, for models of sequences."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

A = TypeVar("A")  # a NumPy array, or a tensor: the functions only use operators that both have


def window_rows(step: A, last: A, back: A) -> tuple[A, A]:
    """Compute the rows of windows that end at given rows and do not reach into the episode before.

    Args:
        step: (N,) time step of each row within its episode, from 0; the rows of an episode are contiguous.
        last: (B,) the last row of each window.
        back: (L,) how many steps before the last row each place of the window lies, such as L - 1, ..., 1, 0.

    Returns:
        Rows (B, L), and a mask (B, L) that is False on padding, whose rows repeat the last row.
    """
    mask = back[None] <= step[last][:, None]
    return last[:, None] - back[None] * mask, mask


def chunks(lengths: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut episodes that are stored one after the other into chunks of at most `size` steps, without a rest in between.

    Args:
        lengths: (E,) steps of each episode.
        size: Steps of a chunk; the last one of an episode may be shorter.

    Returns:
        Rows (C, size) int64, where places behind the end repeat the last row of the chunk, and a mask (C, size).
    """
    lengths = np.asarray(lengths, np.int64)
    counts = -(-lengths // size)
    offsets = np.cumsum(lengths) - lengths
    episode = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(episode)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = offsets[episode] + number * size
    left = np.minimum(size, offsets[episode] + lengths[episode] - begin)
    place: Any = np.arange(size)[None]
    mask = place < left[:, None]
    return begin[:, None] + np.minimum(place, left[:, None] - 1), mask
