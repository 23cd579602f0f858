"""Rows of attention weights in vectors: products of a query with many keys, and their softmax.

The order of every sum is that of `envzoo.agents.text.models.lanes`. Rows have room for a multiple of LANES numbers
(`attention.padded`); the numbers beyond their ends are not used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from envzoo.agents.networks.products import shifted
from envzoo.agents.text.models import kernels
from envzoo.agents.text.models.lanes import (
    LANES,
    ROW,
    add,
    dot_of,
    everywhere,
    largest_of,
    load,
    multiply_add,
    product,
    store,
    total_of,
)

_INDEX, _FLOAT = ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_HALVES = ((0, 1, 2, 3, 8, 9, 10, 11), (0, 1, 4, 5, 8, 9, 12, 13), (0, 2, 4, 6, 8, 10, 12, 14))


def _constant(number: Any) -> ir.Constant:
    return ir.Constant(_VECTOR, [float(number)] * LANES)


def _spread(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), first)


def _call(builder: ir.IRBuilder, name: str, *arguments: ir.Value) -> ir.Value:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), arguments)


def _exp(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Compute `kernels.exp` of lanes, operation by operation."""
    least, most = _constant(kernels.LEAST), _constant(kernels.MOST)
    x = builder.select(builder.fcmp_ordered(">", least, x), least, x)
    x = builder.select(builder.fcmp_ordered("<", most, x), most, x)
    n = _call(builder, "floor", _call(builder, "fmuladd", x, _constant(kernels.LOG2E), _constant(0.5)))
    r = _call(builder, "fmuladd", n, _constant(-kernels.LN2_HIGH), x)
    r = _call(builder, "fmuladd", n, _constant(-kernels.LN2_LOW), r)
    q = _constant(kernels.Q[5])
    for k in (4, 3, 2, 1, 0):
        q = _call(builder, "fmuladd", r, q, _constant(kernels.Q[k]))
    whole = ir.VectorType(ir.IntType(32), LANES)
    power = builder.add(builder.fptosi(n, whole), ir.Constant(whole, [127] * LANES))
    scale = builder.bitcast(builder.shl(power, ir.Constant(whole, [23] * LANES)), _VECTOR)
    one = builder.fadd(_constant(1.0), _call(builder, "fmuladd", builder.fmul(r, r), q, r))
    return builder.fmul(one, scale)


def _place(builder: ir.IRBuilder, pointer: ir.Value, start: ir.Value) -> ir.Value:
    """Return the address of LANES numbers from number `start` on."""
    return builder.bitcast(builder.gep(pointer, [start]), _VECTOR.as_pointer())


@intrinsic
def _exp_of_scaled(typing, s, k, most, scale):
    """Set s[k:k + LANES] to exp((s - most) scale)."""

    def build(context, builder, signature, arguments):
        s, k, most, scale = arguments
        place = _place(builder, s, k)
        away = builder.fsub(builder.load(place, align=4), _spread(builder, most))
        builder.store(_exp(builder, builder.fmul(away, _spread(builder, scale))), place, align=4)
        return context.get_dummy_value()

    return types.void(ROW, types.intp, types.float32, types.float32), build


@njit(inline="always")
def softmax(s, n, scale):
    """Compute the softmax of scale times the first n of s, in place; scale is positive."""
    most = largest_of(s, n)
    for k in range(0, n, LANES):
        _exp_of_scaled(s, k, most, scale)
    part = everywhere(np.float32(1.0) / total_of(s, n))
    for k in range(0, n, LANES):
        store(s, k, product(load(s, k), part))


@njit(inline="always")
def scaled(s, p, n, along, scale):
    """Set the first n of s to p (s - along) scale."""
    away, by = everywhere(-along), everywhere(scale)
    for k in range(0, n, LANES):
        store(s, k, product(product(load(p, k), add(load(s, k), away)), by))


def _make_chunk(size: int) -> Any:
    """Make the intrinsic that multiplies a vector of `size` numbers, a multiple of LANES, with LANES rows at once."""

    @intrinsic
    def chunk(typing, x, one, one_step, before, other, other_step, n, k, out):
        """Set out[k:k + LANES]; number i is x . one[i one_step:] for i < before, else x . other[(i - before) ...]."""

        def build(context, builder, signature, arguments):
            x, one, one_step, before, other, other_step, n, k, out = arguments
            asked = [builder.load(_place(builder, x, ir.Constant(_INDEX, c)), align=4) for c in range(0, size, LANES)]
            last = builder.sub(n, ir.Constant(_INDEX, 1))
            sums = []
            for lane in range(LANES):
                i = builder.add(k, ir.Constant(_INDEX, lane))
                i = builder.select(builder.icmp_signed("<", i, n), i, last)
                here = builder.gep(one, [builder.mul(i, one_step)])
                there = builder.gep(other, [builder.mul(builder.sub(i, before), other_step)])
                row = builder.select(builder.icmp_signed("<", i, before), here, there)
                total = _constant(0.0)
                for c in range(0, size, LANES):
                    key = builder.load(_place(builder, row, ir.Constant(_INDEX, c)), align=4)
                    total = _call(builder, "fmuladd", asked[c // LANES], key, total)
                sums.append(total)
            number = ir.VectorType(ir.IntType(32), LANES)
            for half, lower in zip((4, 2, 1), _HALVES, strict=True):  # as `lanes._fold` adds the lanes of one vector
                upper = [lane + half for lane in lower]
                sums = [
                    builder.fadd(
                        builder.shuffle_vector(a, b, ir.Constant(number, list(lower))),
                        builder.shuffle_vector(a, b, ir.Constant(number, upper)),
                    )
                    for a, b in zip(sums[::2], sums[1::2], strict=True)
                ]
            builder.store(sums[0], _place(builder, out, k), align=4)
            return context.get_dummy_value()

        number = types.intp
        return types.void(ROW, ROW, number, number, ROW, number, number, number, ROW), build

    return chunk


def make_sums(size: int) -> tuple[Callable[..., Any], ...]:
    """Make the functions that sum vectors of `size` numbers; all arguments but counts are pointers (`ROW`).

    - scores(x, one, one_step, before, other, other_step, more, out): sets out[k] = x . one[k one_step:] for k < before,
      and out[before + k] = x . other[k other_step:] for k < more.
    - mix(out, weight, at, many, rows, step): adds the sum of weight[at + k] rows[k step:] over k < many to out.
    - spread(x, weight, at, many, rows, step): adds weight[at + k] x to rows[k step:] for k < many.
    - clear(x): sets x to 0.
    - dot(x, y, n): returns the sum of the products of n numbers.
    """

    @njit(inline="always")
    def clear(x):
        for j in range(size):
            x[j] = np.float32(0.0)

    if size % LANES == 0:
        chunk = _make_chunk(size)

        @njit(inline="always")
        def scores(x, one, one_step, before, other, other_step, more, out):
            for k in range(0, before + more, LANES):
                chunk(x, one, one_step, before, other, other_step, before + more, k, out)

        @njit(inline="always")
        def mix(out, weight, at, many, rows, step):
            whole = many // 4 * 4
            for c in range(0, size, LANES):
                sums = load(out, c)
                for k in range(0, whole, 4):
                    p, q, s, t = weight[at + k], weight[at + k + 1], weight[at + k + 2], weight[at + k + 3]
                    r = k * step + c
                    one = multiply_add(everywhere(q), load(rows, r + step), product(everywhere(p), load(rows, r)))
                    two = multiply_add(
                        everywhere(t), load(rows, r + 3 * step), product(everywhere(s), load(rows, r + 2 * step))
                    )
                    sums = add(sums, add(one, two))
                for k in range(whole, many):
                    sums = multiply_add(everywhere(weight[at + k]), load(rows, k * step + c), sums)
                store(out, c, sums)

        @njit(inline="always")
        def spread(x, weight, at, many, rows, step):
            for k in range(many):
                p = everywhere(weight[at + k])
                for c in range(0, size, LANES):
                    r = k * step + c
                    store(rows, r, multiply_add(p, load(x, c), load(rows, r)))

        return scores, mix, spread, clear, dot_of

    @njit(inline="always")
    def scores_of_any(x, one, one_step, before, other, other_step, more, out):
        for k in range(before):
            out[k] = dot_of(x, shifted(one, k * one_step), size)
        for k in range(more):
            out[before + k] = dot_of(x, shifted(other, k * other_step), size)

    @njit(inline="always")
    def mix_of_any(out, weight, at, many, rows, step):
        whole = many // 4 * 4
        for k in range(0, whole, 4):
            p, q, s, t = weight[at + k], weight[at + k + 1], weight[at + k + 2], weight[at + k + 3]
            for j in range(size):
                r = k * step + j
                one = multiply_add(q, rows[r + step], p * rows[r])
                two = multiply_add(t, rows[r + 3 * step], s * rows[r + 2 * step])
                out[j] += one + two
        for k in range(whole, many):
            p = weight[at + k]
            for j in range(size):
                out[j] = multiply_add(p, rows[k * step + j], out[j])

    @njit(inline="always")
    def spread_of_any(x, weight, at, many, rows, step):
        for k in range(many):
            p = weight[at + k]
            for j in range(size):
                rows[k * step + j] = multiply_add(p, x[j], rows[k * step + j])

    return scores_of_any, mix_of_any, spread_of_any, clear, dot_of
