"""Whole passes through the tiny transformer as single kernels: forward, backward, and one token of many answers.

They compute what `envzoo.agents.text.models.packed_sequences` computes with torch, step by step, and serve where torch
would run on one thread too. All intermediate results are in one buffer, whose arrays are found again by their order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.agents.networks.products import address, multiply, sum_rows
from envzoo.agents.text.models import kernels
from envzoo.agents.text.models.attention import attention, padded
from envzoo.agents.text.models.kernels import bound, kernel

APART = 64  # numbers between arrays of a buffer: what is less than 256 bytes apart is not read as vectors
SQUARE = 16  # rows of a matrix that are transposed together
attend = attend_backward = attend_next = None  # each kernel has its own, see `bound`


class Passes(NamedTuple):
    """The kernels for heads of one size; see `passes`."""

    forward: Callable[..., None]
    backward: Callable[..., None]
    step: Callable[..., None]


class Sizes(NamedTuple):
    """Sizes of a model, and of the rows that pass through it (see `packed_sequences.Packed`)."""

    vocabulary: int
    places: int
    dim: int
    layers: int
    heads: int
    prompts: int
    width: int
    rows: int
    outputs: int
    longest: int  # of the rows of attention weights, see `attention.padded`


@njit(inline="always")
def _room(size):
    return (size + 15) // 16 * 16 + APART


@njit
def _cut(buffer, at, rows, width):
    """Return an array (rows, width) of a buffer from number `at` on, and where the next one begins."""
    size = rows * width
    return buffer[at : at + size].reshape(rows, width), at + _room(size)


@njit
def _matrix(w, at, rows, width):
    return w[at : at + rows * width].reshape(rows, width)


@njit
def _turn(w, at, rows, width, out):
    """Copy the transpose of a matrix (rows, width) of `w` to out (width rows,), SQUARE rows at a time."""
    whole = rows // SQUARE * SQUARE
    for r in range(0, whole, SQUARE):
        for j in range(width):
            for k in range(SQUARE):
                out[j * rows + r + k] = w[at + (r + k) * width + j]
    for r in range(whole, rows):
        for j in range(width):
            out[j * rows + r] = w[at + r * width + j]


@njit(inline="always")
def block_start(s, i):
    """Return where the weights of block i begin among all weights; the last normalization comes after the blocks."""
    return (s.vocabulary + s.places) * s.dim + i * (12 * s.dim + 13) * s.dim


@njit(inline="always")
def turned_size(s):
    """Return the numbers of the transposed matrices of all blocks and of the head."""
    return (12 * s.dim * s.layers + s.vocabulary) * s.dim


@njit
def _turn_all(w, s, out):
    d = s.dim
    for i in range(s.layers):
        own, to = block_start(s, i), 12 * d * d * i
        _turn(w, own + 4 * d, 3 * d, d, out[to:])
        _turn(w, own + (3 * d + 7) * d, d, d, out[to + 3 * d * d :])
        _turn(w, own + (4 * d + 8) * d, 4 * d, d, out[to + 4 * d * d :])
        _turn(w, own + (8 * d + 12) * d, d, 4 * d, out[to + 8 * d * d :])
    _turn(w, block_start(s, s.layers) + 2 * d, s.vocabulary, d, out[12 * d * d * s.layers :])


@njit
def _affine(x, turned, at, w, bias, out):
    """Set out (R, N) = x (R, D) W + bias, with W (D, N) at number `at` of `turned` and the bias at `bias` of `w`."""
    m, depth = x.shape
    n = out.shape[1]
    multiply(
        address(x, 0), depth, 1, address(turned, at), n, address(out, 0), n, m, n, depth, True, address(w, bias), 0
    )


@njit
def _add_product(x, turned, at, out):
    """Add x (R, D) W to out (R, N)."""
    m, depth = x.shape
    n = out.shape[1]
    multiply(address(x, 0), depth, 1, address(turned, at), n, address(out, 0), n, m, n, depth, True, address(out, 0), n)


@njit
def _product(d, w, at, out):
    """Set out (R, D) = d (R, N) W, with W (N, D) at number `at` of `w`."""
    m, depth = d.shape
    n = out.shape[1]
    multiply(address(d, 0), depth, 1, address(w, at), n, address(out, 0), n, m, n, depth, False, address(out, 0), n)


@njit
def _affine_backward(d, x, g, weight, bias):
    """Set the derivatives of a weight (N, D) and a bias (N,), at these numbers of `g`, from d (R, N) and x (R, D)."""
    depth, m = d.shape
    n = x.shape[1]
    multiply(address(d, 0), 1, m, address(x, 0), n, address(g, weight), n, m, n, depth, False, address(g, weight), n)
    sum_rows(d, g[bias : bias + m])


@njit
def _layer(buffer, at, s, last):
    """Return the intermediate results of a block that its derivative needs, and where those of the next begin."""
    d, rows = s.dim, s.rows
    outputs = s.outputs if last else rows
    hat, at = _cut(buffer, at, rows, d)
    z, at = _cut(buffer, at, rows, d)
    scale, at = _cut(buffer, at, 1, rows)
    qkv, at = _cut(buffer, at, rows, 3 * d)
    probs, at = _cut(buffer, at, outputs, s.heads * s.longest)
    mixed, at = _cut(buffer, at, outputs, d)
    hat_feed, at = _cut(buffer, at, outputs, d)
    z_feed, at = _cut(buffer, at, outputs, d)
    scale_feed, at = _cut(buffer, at, 1, outputs)
    up, at = _cut(buffer, at, outputs, 4 * d)
    act, at = _cut(buffer, at, outputs, 4 * d)
    return (hat, z, scale[0], qkv, probs, mixed, hat_feed, z_feed, scale_feed[0], up, act), at


def buffer_size(s: Sizes) -> tuple[int, int]:
    """Compute the numbers of the buffer of a forward pass, and where the logits (outputs, vocabulary) in it begin."""
    d, room = s.dim, _room.py_func
    size = room(turned_size.py_func(s)) + 2 * room(s.rows * d)
    size += s.layers * (2 * room(s.rows * d) + room(s.rows) + room(3 * s.rows * d))
    for outputs, layers in ((s.rows, s.layers - 1), (s.outputs, 1)):
        wide = room(outputs * s.heads * s.longest) + 2 * room(4 * outputs * d)
        size += layers * (wide + 3 * room(outputs * d) + room(outputs))
    logits = size + 2 * room(s.outputs * d) + room(s.outputs)
    return logits + room(s.outputs * s.vocabulary), logits


def scratch_size(s: Sizes) -> int:
    """Compute the numbers of the scratch buffer of a backward pass."""
    wide = (3 * s.rows * s.dim, *[s.rows * s.dim] * 3, 4 * s.rows * s.dim, s.longest + s.dim)
    return sum(map(_room.py_func, wide))


def step_size(s: Sizes, answers: int) -> int:
    """Compute the numbers of the scratch buffer of a step of so many answers."""
    wide = (*[answers * s.dim] * 4, answers, 3 * answers * s.dim, *[4 * answers * s.dim] * 2, padded(s.places))
    return sum(map(_room.py_func, wide))


@njit
def _wanted_row(s, m):
    """Return the row of output m: the last rows of the prompts, then all rows of the answers."""
    return (m + 1) * s.width - 1 if m < s.prompts else m + s.prompts * (s.width - 1)


@njit
def _targets(s, last):
    if not last:
        return np.arange(s.rows)
    result = np.full(s.rows, -1)
    for m in range(s.outputs):
        result[_wanted_row(s, m)] = m
    return result


@njit
def _starts(buffer, s):
    """Return the transposed weights, two arrays of rows, and where the first block begins, of a buffer."""
    turned, at = _cut(buffer, 0, 1, turned_size(s))
    x, at = _cut(buffer, at, s.rows, s.dim)
    short, at = _cut(buffer, at, s.rows, s.dim)
    return turned[0], x, short[: s.outputs], at


@njit
def _ends(buffer, at, s):
    hat, at = _cut(buffer, at, s.outputs, s.dim)
    z, at = _cut(buffer, at, s.outputs, s.dim)
    scale, at = _cut(buffer, at, 1, s.outputs)
    logits, at = _cut(buffer, at, s.outputs, s.vocabulary)
    return hat, z, scale[0], logits


@njit
def _feed(x, turned, to, w, own, hat, scale, z, up, act):
    """Add the feed-forward network of a block to x (R, D), but for its last bias."""
    d = x.shape[1]
    bias = own + (4 * d + 7) * d
    kernels.normalize(x, w[bias : bias + d], w[own + 2 * d : own + 3 * d], w[own + 3 * d : own + 4 * d], hat, scale, z)
    _affine(z, turned, to + 4 * d * d, w, own + (8 * d + 8) * d, up)
    kernels.gelu(up.reshape(up.size), act.reshape(act.size))
    _add_product(act, turned, to + 8 * d * d, x)


@njit
def _head(x, bias, turned, w, s, hat, z, scale, logits):
    d, own = s.dim, block_start(s, s.layers)
    kernels.normalize(x, bias, w[own : own + d], w[own + d : own + 2 * d], hat, scale, z)
    _affine(z, turned, 12 * d * d * s.layers, w, own + (2 + s.vocabulary) * d, logits)


@cache
def passes(size: int) -> Passes:
    """Compile the kernels for heads of `size` numbers. All numbers are float32, and `s` are `Sizes`.

    forward(w, s, ids, places, begin, count, context, buffer): fills the buffer; see `logits_of`.

    - w: All weights, in the order of `packed_sequences.weights`.
    - ids, places, begin, count, context: See `kernels.pack`.
    - buffer: (buffer_size(s)[0],).

    backward(w, s, ids, places, begin, count, context, buffer, d_logits, scratch, g): adds the derivative of all weights
    to g, which is 0 before, given d_logits (outputs, vocabulary); scratch is (scratch_size(s),).

    step(w, s, buffer, tokens, position, copies, past, scratch, never, logits): appends a token to each of B answers.

    - s, buffer: Of the prompts.
    - tokens: (B,) int64.
    - position: Position of the tokens in their sequences.
    - copies: Answers per prompt.
    - past: (layers, B, room, 2, heads, size), keys and values of the answers so far.
    - scratch: (step_size(s, B),).
    - never: (vocabulary,), added to the logits.
    - logits: (B, vocabulary), filled.
    """
    named = attention(size)._asdict()

    @kernel
    @bound(**named)
    def forward(w, s, ids, places, begin, count, context, buffer):
        d = s.dim
        turned, x, short, at = _starts(buffer, s)
        _turn_all(w, s, turned)
        kernels.embed(ids, places, _matrix(w, 0, s.vocabulary, d), _matrix(w, s.vocabulary * d, s.places, d), x)
        bias = np.zeros(d, np.float32)
        for i in range(s.layers):
            own, to, last = block_start(s, i), 12 * d * d * i, i == s.layers - 1
            layer, at = _layer(buffer, at, s, last)
            hat, z, scale, qkv, probs, mixed, hat_feed, z_feed, scale_feed, up, act = layer
            kernels.normalize(x, bias, w[own : own + d], w[own + d : own + 2 * d], hat, scale, z)
            _affine(z, turned, to, w, own + (3 * d + 4) * d, qkv)
            outputs = mixed.shape[0]
            attend(
                qkv.reshape(s.rows, 3, s.heads, size), begin, count, context, _targets(s, last),
                probs.reshape(outputs, s.heads, s.longest), mixed.reshape(outputs, s.heads, size),
            )  # fmt: skip
            if last:
                for m in range(s.outputs):
                    short[m] = x[_wanted_row(s, m)]
                x = short
            _add_product(mixed, turned, to + 3 * d * d, x)
            _feed(x, turned, to, w, own, hat_feed, scale_feed, z_feed, up, act)
            bias = w[own + (12 * d + 12) * d : own + (12 * d + 13) * d]
        hat, z, scale, logits = _ends(buffer, at, s)
        _head(x, bias, turned, w, s, hat, z, scale, logits)

    @kernel
    @bound(**named)
    def backward(w, s, ids, places, begin, count, context, buffer, d_logits, scratch, g):
        d = s.dim
        _, _, _, first = _starts(buffer, s)
        at = first
        for i in range(s.layers):
            _, at = _layer(buffer, at, s, i == s.layers - 1)
        hat, z, scale, _ = _ends(buffer, at, s)
        d_qkv, at = _cut(scratch, 0, s.rows, 3 * d)
        dx_wide, at = _cut(scratch, at, s.rows, d)
        dx_short, at = _cut(scratch, at, s.rows, d)
        dz_rows, at = _cut(scratch, at, s.rows, d)
        d_up_rows, at = _cut(scratch, at, s.rows, 4 * d)
        slope, at = _cut(scratch, at, 1, s.longest + d)
        line = slope[0]
        own = block_start(s, s.layers)
        dx, dz = dx_short[: s.outputs], dz_rows[: s.outputs]
        _affine_backward(d_logits, z, g, own + 2 * d, own + (2 + s.vocabulary) * d)
        _product(d_logits, w, own + 2 * d, dz)
        dx[:] = np.float32(0.0)
        kernels.normalize_backward(
            dz, hat, scale, w[own : own + d], line, dx, g[own : own + d], g[own + d : own + 2 * d]
        )
        for i in range(s.layers - 1, -1, -1):
            own, last = block_start(s, i), i == s.layers - 1
            at = first
            for _ in range(i):
                _, at = _layer(buffer, at, s, False)
            layer, at = _layer(buffer, at, s, last)
            hat, z, scale, qkv, probs, mixed, hat_feed, z_feed, scale_feed, up, act = layer
            outputs = mixed.shape[0]
            d_up, dz = d_up_rows[:outputs], dz_rows[:outputs]
            _affine_backward(dx, act, g, own + (8 * d + 12) * d, own + (12 * d + 12) * d)
            _product(dx, w, own + (8 * d + 12) * d, d_up)
            kernels.gelu_backward(up.reshape(up.size), d_up.reshape(d_up.size))
            _affine_backward(d_up, z_feed, g, own + (4 * d + 8) * d, own + (8 * d + 8) * d)
            _product(d_up, w, own + (4 * d + 8) * d, dz)
            at = own + 2 * d
            kernels.normalize_backward(
                dz, hat_feed, scale_feed, w[at : at + d], line, dx, g[at : at + d], g[at + d : at + 2 * d]
            )
            at = own + (3 * d + 7) * d
            _affine_backward(dx, mixed, g, at, at + d * d)
            _product(dx, w, at, dz)
            d_qkv[:] = np.float32(0.0)
            attend_backward(
                qkv.reshape(s.rows, 3, s.heads, size), begin, count, context, _targets(s, last),
                probs.reshape(outputs, s.heads, s.longest), dz.reshape(outputs, s.heads, size), line,
                d_qkv.reshape(s.rows, 3, s.heads, size),
            )  # fmt: skip
            _affine_backward(d_qkv, z, g, own + 4 * d, own + (3 * d + 4) * d)
            if last:
                dx_wide[:] = np.float32(0.0)
                for m in range(s.outputs):
                    dx_wide[_wanted_row(s, m)] = dx[m]
                dx = dx_wide
            _product(d_qkv, w, own + 4 * d, dz_rows)
            kernels.normalize_backward(
                dz_rows, hat, scale, w[own : own + d], line, dx, g[own : own + d], g[own + d : own + 2 * d]
            )
        kernels.embed_backward(
            dx, ids, places, _matrix(g, 0, s.vocabulary, d), _matrix(g, s.vocabulary * d, s.places, d)
        )

    @kernel
    @bound(**named)
    def step(w, s, buffer, tokens, position, copies, past, scratch, never, logits):
        d, rows = s.dim, tokens.shape[0]
        turned, _, _, where = _starts(buffer, s)
        x, at = _cut(scratch, 0, rows, d)
        hat, at = _cut(scratch, at, rows, d)
        z, at = _cut(scratch, at, rows, d)
        mixed, at = _cut(scratch, at, rows, d)
        scales, at = _cut(scratch, at, 1, rows)
        qkv, at = _cut(scratch, at, rows, 3 * d)
        up, at = _cut(scratch, at, rows, 4 * d)
        act, at = _cut(scratch, at, rows, 4 * d)
        scores, at = _cut(scratch, at, 1, (s.places + 7) // 8 * 8)
        scale = scales[0]
        kernels.embed(
            tokens, np.full(rows, position), _matrix(w, 0, s.vocabulary, d),
            _matrix(w, s.vocabulary * d, s.places, d), x,
        )  # fmt: skip
        bias = np.zeros(d, np.float32)
        for i in range(s.layers):
            own, to = block_start(s, i), 12 * d * d * i
            layer, where = _layer(buffer, where, s, i == s.layers - 1)
            kernels.normalize(x, bias, w[own : own + d], w[own + d : own + 2 * d], hat, scale, z)
            _affine(z, turned, to, w, own + (3 * d + 4) * d, qkv)
            attend_next(
                qkv.reshape(rows, 3, s.heads, size), layer[3].reshape(s.rows, 3, s.heads, size), s.width, copies,
                past[i], position - s.width, scores[0], mixed.reshape(rows, s.heads, size),
            )  # fmt: skip
            _add_product(mixed, turned, to + 3 * d * d, x)
            _feed(x, turned, to, w, own, hat, scale, z, up, act)
            bias = w[own + (12 * d + 12) * d : own + (12 * d + 13) * d]
        _head(x, bias, turned, w, s, hat, z, scale, logits)
        for b in range(rows):
            for v in range(s.vocabulary):
                logits[b, v] += never[v]

    return Passes(forward, backward, step)
