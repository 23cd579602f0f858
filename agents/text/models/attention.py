"""Numba kernels of attention in the tiny transformer, compiled for the size of its heads.

With a size that is known at compile time, the loops over the numbers of a head become a few vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.agents.networks.products import address
from envzoo.agents.text.models.kernels import bound, kernel
from envzoo.agents.text.models.lanes import LANES
from envzoo.agents.text.models.lanes_attention import make_sums, scaled, softmax


class Attention(NamedTuple):
    """The kernels for heads of one size; see `attention`."""

    attend: Callable[..., None]
    attend_backward: Callable[..., None]
    attend_next: Callable[..., None]


scores = mix = spread = clear = along_of = act = None  # each kernel has its own, see `bound`


def padded(size: int) -> int:
    """Return the next multiple of LANES: the length of a row of attention weights, of which the last are not used."""
    return -(-size // LANES) * LANES


@njit(inline="always")
def _begins(s, begin, count, context):
    """Return the first row of sequence s, then the first row and the number of rows of its context."""
    before = context[s]
    if before >= 0:
        return begin[s], begin[before], count[before]
    return begin[s], 0, 0


@cache
def attention(size: int) -> Attention:
    """Compile the kernels for heads of `size` numbers.

    attend(qkv, begin, count, context, target, probs, out): attention of rows to the context of their sequence, and to
    the earlier rows of it.

    - qkv: (R, 3, heads, size), queries, keys and values.
    - begin, count: (S,) first row and number of rows of each sequence.
    - context: (S,) number of the sequence that comes before it, or -1.
    - target: (R,) row of the output, -1 for none.
    - probs: (rows of the output, heads, padded(longest)), filled with the attention weights.
    - out: (rows of the output, heads, size).

    attend_backward(qkv, begin, count, context, target, probs, d_out, slope, d_qkv): adds to d_qkv (R, 3, heads, size),
    given d_out (rows of the output, heads, size); slope (padded(longest),) is scratch.

    attend_next(qkv, prompt, width, copies, past, n, scores, out): attention of one new token in each of B answers, its
    key and value are stored at position n of the answer.

    - qkv: (B, 3, heads, size), of the new tokens.
    - prompt: (U width, 3, heads, size), of U prompts.
    - copies: Answers per prompt (B / U).
    - past: (B, room, 2, heads, size), keys and values of the answers so far, n each.
    - scores: (padded(width + room),), scratch.
    - out: (B, heads, size).
    """
    scale = np.float32(1.0 / np.sqrt(size))
    sums = make_sums(size)
    named = dict(zip(("scores", "mix", "spread", "clear", "along_of"), sums, strict=True))

    # Pointers instead of views of rows: a view counts references, which costs more than the work on a row.

    @njit(error_model="numpy")
    @bound(**named)
    def attend_row(qkv, row, own, start, before, t, to, probs, out):
        """Attend from the t-th row of a sequence."""
        heads, wide = qkv.shape[2], 3 * qkv.shape[2] * size
        for h in range(heads):
            query, mixed = address(qkv, row * wide + h * size), address(out, (to * heads + h) * size)
            p = address(probs, (to * heads + h) * probs.shape[2])
            earlier, later = start * wide + h * size, own * wide + h * size
            key, value = heads * size, 2 * heads * size
            scores(query, address(qkv, earlier + key), wide, before, address(qkv, later + key), wide, t + 1, p)
            softmax(p, before + t + 1, scale)
            clear(mixed)
            mix(mixed, p, 0, before, address(qkv, earlier + value), wide)
            mix(mixed, p, before, t + 1, address(qkv, later + value), wide)

    @njit(error_model="numpy")
    @bound(**named)
    def attend_row_backward(qkv, row, own, start, before, t, to, probs, d_out, slopes, d_qkv):
        """Add to the gradient what the t-th row of a sequence gives."""
        heads, wide, n = qkv.shape[2], 3 * qkv.shape[2] * size, before + t + 1
        slope = address(slopes, 0)
        for h in range(heads):
            d, p = address(d_out, (to * heads + h) * size), address(probs, (to * heads + h) * probs.shape[2])
            query = row * wide + h * size
            earlier, later = start * wide + h * size, own * wide + h * size
            key, value = heads * size, 2 * heads * size
            scores(d, address(qkv, earlier + value), wide, before, address(qkv, later + value), wide, t + 1, slope)
            spread(d, p, 0, before, address(d_qkv, earlier + value), wide)
            spread(d, p, before, t + 1, address(d_qkv, later + value), wide)
            scaled(slope, p, n, along_of(p, slope, n), scale)
            mix(address(d_qkv, query), slope, 0, before, address(qkv, earlier + key), wide)
            mix(address(d_qkv, query), slope, before, t + 1, address(qkv, later + key), wide)
            spread(address(qkv, query), slope, 0, before, address(d_qkv, earlier + key), wide)
            spread(address(qkv, query), slope, before, t + 1, address(d_qkv, later + key), wide)

    def over_rows(act):
        """Make the kernel that calls act(qkv, row, own, start, before, t, to, ...) for every row with an output."""

        @kernel
        @bound(act=act)
        def run(qkv, begin, count, context, target, probs, *arrays):
            if qkv.shape[3] != size:
                raise ValueError("heads of another size")
            for s in range(begin.shape[0]):
                own, start, before = _begins(s, begin, count, context)
                for t in range(count[s]):
                    to = target[own + t]
                    if to >= 0:
                        act(qkv, own + t, own, start, before, t, to, probs, *arrays)

        return run

    attend, attend_backward = over_rows(attend_row), over_rows(attend_row_backward)

    @kernel
    @bound(**named)
    def attend_next(qkv, prompt, width, copies, past, n, room, out):
        heads, wide, pair = qkv.shape[2], 3 * qkv.shape[2] * size, 2 * qkv.shape[2] * size
        p = address(room, 0)
        for b in range(qkv.shape[0]):
            start = b // copies * width * wide
            for h in range(heads):
                for j in range(size):
                    past[b, n, 0, h, j], past[b, n, 1, h, j] = qkv[b, 1, h, j], qkv[b, 2, h, j]
                earlier, later = start + h * size, b * past.shape[1] * pair + h * size
                key, value = heads * size, 2 * heads * size
                mixed = address(out, (b * heads + h) * size)
                scores(
                    address(qkv, b * wide + h * size), address(prompt, earlier + key), wide, width,
                    address(past, later), pair, n + 1, p,
                )  # fmt: skip
                softmax(p, width + n + 1, scale)
                clear(mixed)
                mix(mixed, p, 0, width, address(prompt, earlier + value), wide)
                mix(mixed, p, width, n + 1, address(past, later + key), pair)

    return Attention(attend, attend_backward, attend_next)
