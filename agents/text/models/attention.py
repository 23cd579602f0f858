"""Numba kernels of attention in the tiny transformer, compiled for the size of its heads.

With a size that is known at compile time, the loops over the numbers of a head become a few vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.agents.text.models.kernels import exp, kernel
from envzoo.agents.text.models.lanes import dot, largest, multiply_add, total

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)


class Attention(NamedTuple):
    """The kernels for heads of one size; see `attention`."""

    attend: Callable[..., None]
    attend_backward: Callable[..., None]
    attend_next: Callable[..., None]


@kernel
def _softmax(s, n, scale):
    """Compute the softmax of scale times the first n of s (K,), in place; scale is positive."""
    most = largest(s, (), n)
    for k in range(n):
        s[k] = exp((s[k] - most) * scale)
    part = _ONE / total(s, (), n)
    for k in range(n):
        s[k] *= part


@cache
def attention(size: int) -> Attention:
    """Compile the kernels for heads of `size` numbers.

    attend(qkv, begin, count, context, target, probs, out): attention of rows to the context of their sequence, and to
    the earlier rows of it.

    - qkv: (R, 3, heads, size), queries, keys and values.
    - begin, count: (S,) first row and number of rows of each sequence.
    - context: (S,) number of the sequence that comes before it, or -1.
    - target: (R,) row of the output, -1 for none.
    - probs: (rows of the output, heads, longest), filled with the attention weights.
    - out: (rows of the output, heads, size).

    attend_backward(qkv, begin, count, context, target, probs, d_out, slope, d_qkv): adds to d_qkv (R, 3, heads, size),
    given d_out (rows of the output, heads, size); slope (longest,) is scratch.

    attend_next(qkv, prompt, width, copies, past, n, scores, out): attention of one new token in each of B answers, its
    key and value are stored at position n of the answer.

    - qkv: (B, 3, heads, size), of the new tokens.
    - prompt: (U width, 3, heads, size), of U prompts.
    - copies: Answers per prompt (B / U).
    - past: (B, room, 2, heads, size), keys and values of the answers so far, n each.
    - scores: (width + room,), scratch.
    - out: (B, heads, size).
    """
    scale = np.float32(1.0 / np.sqrt(size))
    inline = njit(inline="always")

    @inline
    def products(x, rows, first, many, part, h, out, at):
        """Set out[at + k] = x . rows[first + k, part, h] for k < many."""
        for k in range(many):
            out[at + k] = dot(x, (), rows, (first + k, part, h), size)

    @inline
    def mix(out, weight, at, many, rows, first, part, h):
        """Add the sum of weight[at + k] rows[first + k, part, h] over k < many to out."""
        whole = many // 4 * 4
        for k in range(0, whole, 4):
            r = first + k
            p, q, s, t = weight[at + k], weight[at + k + 1], weight[at + k + 2], weight[at + k + 3]
            for j in range(size):
                one = multiply_add(q, rows[r + 1, part, h, j], p * rows[r, part, h, j])
                two = multiply_add(t, rows[r + 3, part, h, j], s * rows[r + 2, part, h, j])
                out[j] += one + two
        for k in range(whole, many):
            p = weight[at + k]
            for j in range(size):
                out[j] = multiply_add(p, rows[first + k, part, h, j], out[j])

    @inline
    def spread(x, weight, at, many, rows, first, part, h):
        """Add weight[at + k] x to rows[first + k, part, h] for k < many."""
        for k in range(many):
            p = weight[at + k]
            for j in range(size):
                rows[first + k, part, h, j] = multiply_add(p, x[j], rows[first + k, part, h, j])

    @inline
    def begins(s, begin, count, context):
        """Return the first row of sequence s, then the first row and the number of rows of its context."""
        before = context[s]
        if before >= 0:
            return begin[s], begin[before], count[before]
        return begin[s], 0, 0

    @njit(error_model="numpy")
    def attend_row(qkv, row, own, start, before, t, to, probs, out):
        """Attend from the t-th row of a sequence."""
        for h in range(qkv.shape[2]):
            query, p, mixed = qkv[row, 0, h], probs[to, h], out[to, h]
            products(query, qkv, start, before, 1, h, p, 0)
            products(query, qkv, own, t + 1, 1, h, p, before)
            _softmax(p, before + t + 1, scale)
            mixed[:] = _ZERO
            mix(mixed, p, 0, before, qkv, start, 2, h)
            mix(mixed, p, before, t + 1, qkv, own, 2, h)

    @njit(error_model="numpy")
    def attend_row_backward(qkv, row, own, start, before, t, to, probs, d_out, slope, d_qkv):
        """Add to the gradient what the t-th row of a sequence gives."""
        for h in range(qkv.shape[2]):
            p, d = probs[to, h], d_out[to, h]
            products(d, qkv, start, before, 2, h, slope, 0)
            products(d, qkv, own, t + 1, 2, h, slope, before)
            spread(d, p, 0, before, d_qkv, start, 2, h)
            spread(d, p, before, t + 1, d_qkv, own, 2, h)
            along = dot(p, (), slope, (), before + t + 1)
            for k in range(before + t + 1):
                slope[k] = p[k] * (slope[k] - along) * scale
            query, d_query = qkv[row, 0, h], d_qkv[row, 0, h]
            mix(d_query, slope, 0, before, qkv, start, 1, h)
            mix(d_query, slope, before, t + 1, qkv, own, 1, h)
            spread(query, slope, 0, before, d_qkv, start, 1, h)
            spread(query, slope, before, t + 1, d_qkv, own, 1, h)

    def over_rows(act):
        """Make the kernel that calls act(qkv, row, own, start, before, t, to, ...) for every row with an output."""

        @kernel
        def run(qkv, begin, count, context, target, probs, *arrays):
            for s in range(begin.shape[0]):
                own, start, before = begins(s, begin, count, context)
                for t in range(count[s]):
                    to = target[own + t]
                    if to >= 0:
                        act(qkv, own + t, own, start, before, t, to, probs, *arrays)

        return run

    attend, attend_backward = over_rows(attend_row), over_rows(attend_row_backward)

    @kernel
    def attend_next(qkv, prompt, width, copies, past, n, scores, out):
        for b in range(qkv.shape[0]):
            start, own = b // copies * width, past[b]
            for h in range(qkv.shape[2]):
                query, mixed = qkv[b, 0, h], out[b, h]
                for j in range(size):
                    own[n, 0, h, j], own[n, 1, h, j] = qkv[b, 1, h, j], qkv[b, 2, h, j]
                products(query, prompt, start, width, 1, h, scores, 0)
                products(query, own, 0, n + 1, 0, h, scores, width)
                _softmax(scores, width + n + 1, scale)
                mixed[:] = _ZERO
                mix(mixed, scores, 0, width, prompt, start, 2, h)
                mix(mixed, scores, width, n + 1, own, 0, 1, h)

    return Attention(attend, attend_backward, attend_next)
