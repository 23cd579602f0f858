"""Numba kernels of the tiny transformer: everything between its matrix products, forward and backward.

Tokens of many sequences are rows of one array, each sequence in consecutive rows. A sequence may continue another one,
its context, whose tokens it sees before its own, so that all answers to a prompt share its rows. All kernels run on one
thread, in float32, without `fastmath`, and sum in a fixed order (`envzoo.agents.text.models.lanes`), so their results
do not depend on where in memory the arrays are.

With y = (x - mean) r, r = 1 / sqrt(var + eps), z = w y + b and D = dL/dz, the derivative through the normalisation is

    dL/dx = r (g - mean(g) - y mean(g y)),   g = D w;

with P = softmax(s q K^T) and the output P V, it is through attention (`envzoo.agents.text.models.attention`)

    dL/dV = P^T D,   E = P (D V^T - rowsum(P (D V^T))),   dL/dq = s E K,   dL/dK = s E^T q.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from envzoo.agents.text.models.lanes import dot, multiply_add, shifted_total, squares_about, total

EPSILON = np.float32(1e-5)  # of the normalisation, as torch has it
_LINE, _CUBE = (np.float32(2.0 * np.sqrt(2.0 / np.pi) * factor) for factor in (1.0, 0.044715))  # of the GELU
LOG2E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693145751953125), np.float32(1.42860682030941723e-6)
_ONE, _HALF, _THREE = np.float32(1.0), np.float32(0.5), np.float32(3.0)
LEAST, MOST = np.float32(-87.0), np.float32(88.0)
# exp(r) = 1 + r + r^2 q(r) on |r| <= ln(2) / 2, q by interpolation in Chebyshev points; error below 1e-8.
Q = tuple(np.float32(c) for c in (0.500000001, 0.166666667, 0.041666465, 0.00833331093, 0.0013933641, 0.000198909809))
_EXPONENT, _BIAS = np.int32(23), np.int32(127)
kernel = njit(cache=True, error_model="numpy")  # division by zero is infinite, and no branch in a loop


def bound(**functions: Any) -> Callable[[Any], Any]:
    """Decorate a function that is compiled for several sizes, so that it finds other compiled functions by these names.

    A kernel that refers to compiled functions of an enclosing scope is compiled anew in every process, because Numba
    cannot tell that they are the same; here they are among its globals. What distinguishes one kernel from another of
    the same source has to be in the enclosing scope, as numbers.
    """

    def bind(function: Any) -> Any:
        return FunctionType(
            function.__code__, function.__globals__ | functions, function.__name__, None, function.__closure__
        )

    return bind


@intrinsic
def _as_float(typing, number):
    """Reinterpret the bits of an int32 as a float32."""

    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), build


@njit(inline="always")
def exp(x):
    """Compute exp(x) in float32, in a form that compilers can vectorize; finite for any finite x."""
    x = min(max(x, LEAST), MOST)
    n = np.floor(multiply_add(x, LOG2E, _HALF))
    r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2_HIGH, x))
    q = multiply_add(r, Q[5], Q[4])
    q = multiply_add(r, q, Q[3])
    q = multiply_add(r, q, Q[2])
    q = multiply_add(r, q, Q[1])
    q = multiply_add(r, q, Q[0])
    return (_ONE + multiply_add(r * r, q, r)) * _as_float((np.int32(n) + _BIAS) << _EXPONENT)


# ----------------------------------------------------------------- embedding


@kernel
def embed(tokens, places, table, positions, x):
    """Set x (R, D) = table (V, D)[tokens (R,)] + positions (S, D)[places (R,)]."""
    for r in range(tokens.shape[0]):
        token, place = tokens[r], places[r]
        for j in range(x.shape[1]):
            x[r, j] = table[token, j] + positions[place, j]


@kernel
def embed_backward(dx, tokens, places, d_table, d_positions):
    """Add the derivatives of both tables."""
    for r in range(tokens.shape[0]):
        token, place = tokens[r], places[r]
        for j in range(dx.shape[1]):
            d_table[token, j] += dx[r, j]
            d_positions[place, j] += dx[r, j]


# ------------------------------------------------------------- normalisation


@kernel
def normalize(x, bias, weight, shift, hat, scale, z):
    """Add bias to x (R, D); set hat (R, D) to its normalized rows, scale (R,) to 1 / std, z to weight hat + shift."""
    rows, width = x.shape
    part = _ONE / np.float32(width)
    for r in range(rows):
        mean = shifted_total(x, (r,), bias, (), width) * part
        inverse = _ONE / np.sqrt(multiply_add(squares_about(x, (r,), mean, width), part, EPSILON))
        scale[r] = inverse
        for j in range(width):
            hat[r, j] = (x[r, j] - mean) * inverse
            z[r, j] = multiply_add(hat[r, j], weight[j], shift[j])


@kernel
def normalize_backward(dz, hat, scale, weight, g, dx, d_weight, d_shift):
    """Add the derivatives to dx (R, D), d_weight (D,) and d_shift (D,); g (D,) is scratch."""
    rows, width = dz.shape
    part = _ONE / np.float32(width)
    for r in range(rows):
        for j in range(width):
            g[j] = dz[r, j] * weight[j]
            d_weight[j] = multiply_add(dz[r, j], hat[r, j], d_weight[j])
            d_shift[j] += dz[r, j]
        mean, along, inverse = total(g, (), width) * part, dot(g, (), hat, (r,), width) * part, scale[r]
        for j in range(width):
            dx[r, j] = multiply_add(inverse, multiply_add(hat[r, j], -along, g[j] - mean), dx[r, j])


# ---------------------------------------------------------------- activation


@kernel
def gelu(u, out):
    """Compute the tanh form of GELU of u (N,), u sigmoid(2 sqrt(2 / pi) (u + 0.044715 u^3))."""
    for i in range(u.shape[0]):
        x = u[i]
        out[i] = x / (_ONE + exp(x * multiply_add(x * x, -_CUBE, -_LINE)))


@kernel
def gelu_backward(u, d):
    """Multiply d (N,) by the derivative of GELU at u (N,)."""
    for i in range(u.shape[0]):
        x = u[i]
        square = x * x
        s = _ONE / (_ONE + exp(x * multiply_add(square, -_CUBE, -_LINE)))
        d[i] *= multiply_add(x * s * (_ONE - s), multiply_add(square, _THREE * _CUBE, _LINE), s)


# --------------------------------------------------------------------- rows


@kernel
def pack(prompts, which, tokens, lengths, ids, places, begin, count, context, source):
    """Arrange prompts and answers as sequences of rows.

    The prompts come first, then all tokens of each answer but the last, after which no logits are needed.

    Args:
        prompts: (U, P) int64.
        which: (B,) int64, the prompt of each answer.
        tokens: (B, T) int64, answers.
        lengths: (B,) int64, tokens of each.
        ids: (R,) int64, filled.
        places: (R,) int64, filled.
        begin: (U + B,) int64, filled.
        count: (U + B,) int64, filled.
        context: (U + B,) int64, filled.
        source: (B, T) int64, filled: where the logits of each token stand among those of the last rows of the prompts
            and all rows of the answers; -1 beyond an answer.
    """
    many, width = prompts.shape
    row = 0
    for u in range(many):
        begin[u], count[u], context[u] = row, width, -1
        for k in range(width):
            ids[row], places[row] = prompts[u, k], k
            row += 1
    first = row - many  # rows of prompts that give no logits
    for b in range(tokens.shape[0]):
        s, length = many + b, lengths[b]
        begin[s], count[s], context[s] = row, max(length - 1, 0), which[b]
        source[b, :] = -1
        if length > 0:
            source[b, 0] = which[b]
        for k in range(length - 1):
            ids[row], places[row] = tokens[b, k], width + k
            source[b, k + 1] = row - first
            row += 1


@kernel
def spread(logits, source, shift, out):
    """Set out (B, T, V) = logits (M, V)[source (B, T)] + shift (V,); shift alone where the source is -1."""
    for b in range(source.shape[0]):
        for t in range(source.shape[1]):
            m = source[b, t]
            for v in range(out.shape[2]):
                out[b, t, v] = logits[m, v] + shift[v] if m >= 0 else shift[v]


@kernel
def gather(d_out, source, d_logits):
    """Add d_out (B, T, V) to d_logits (M, V) at source (B, T)."""
    for b in range(source.shape[0]):
        for t in range(source.shape[1]):
            m = source[b, t]
            if m >= 0:
                for v in range(d_out.shape[2]):
                    d_logits[m, v] += d_out[b, t, v]
