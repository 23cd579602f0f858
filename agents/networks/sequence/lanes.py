"""Arithmetic on 16 neighbouring float32 numbers at once, for kernels that compilers do not vectorise by themselves.

The operations are written in LLVM's vector types, which it maps to whatever vector instructions the processor has. A
product and a sum become one instruction where the processor has such an instruction, so that results of different
processors may differ in the last bit, as those of matrix products do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
_FLOATS, _WHOLES = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)
LOG2_E = 1.4426950408889634
LOWEST = -120.0  # smaller powers of two count as this one
# Minimax polynomials, highest power first: 2^f - 1 over f on [-1/2, 1/2], to 9e-8, and artanh(s) / s - 1 over s^2 for s
# in [0, 1/3], to 5e-9.
POWER = (0.0013264727080426995, 0.009671512862322915, 0.0555073374564565, 0.2402224208184091, 0.6931469775965884)
ARTANH = (0.14012375776845085, 0.13999543394996886, 0.2001085101629697, 0.3333320654387487)
ROUND = 12582912.0  # adding 1.5 * 2^23 to a small float32 rounds it to a whole number, found in its lowest bits


class _Lanes:
    """Writes instructions for 16 lanes."""

    def __init__(self, builder: ir.IRBuilder):
        self.builder = builder
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        self._muladd = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")

    def constant(self, value: float) -> ir.Constant:
        return ir.Constant(_FLOATS, [float(np.float32(value))] * LANES)

    def everywhere(self, value: Any) -> Any:
        """Copy a scalar to all lanes."""
        single = self.builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(single, single, ir.Constant(_WHOLES, [0] * LANES))

    def muladd(self, a: Any, b: Any, c: Any) -> Any:
        return self.builder.call(self._muladd, [a, b, c])

    def polynomial(self, x: Any, coefficients: tuple[float, ...]) -> Any:
        value = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.muladd(value, x, self.constant(coefficient))
        return value

    def power_of_two(self, x: Any) -> Any:
        """Return 2^x for x of at most 0; NaN stays NaN."""
        b, lowest = self.builder, self.constant(LOWEST)
        x = b.select(b.fcmp_ordered("<", x, lowest), lowest, x)
        rounded = b.fadd(x, self.constant(ROUND))
        f = b.fsub(x, b.fsub(rounded, self.constant(ROUND)))
        value = self.muladd(f, self.polynomial(f, POWER), self.constant(1))
        exponent = b.shl(b.bitcast(rounded, _WHOLES), ir.Constant(_WHOLES, [23] * LANES))
        return b.bitcast(b.add(b.bitcast(value, _WHOLES), exponent), _FLOATS)

    def silu(self, x: Any) -> Any:
        """Return x / (1 + exp(-x)), from exp(-|x|) so that nothing overflows."""
        b, lowest = self.builder, self.constant(LOWEST)
        small, negative = self._power_of_size(x)
        # Below the lowest exponent the power no longer shrinks, so x must not grow any more.
        x = b.select(b.fcmp_ordered("<", x, lowest), lowest, x)
        numerator = b.select(negative, b.fmul(x, small), x)
        return b.fdiv(numerator, b.fadd(small, self.constant(1)))

    def softplus(self, x: Any) -> Any:
        """Return max(x, 0) + log(1 + exp(-|x|)), with log(1 + u) = 2 artanh(u / (2 + u))."""
        b = self.builder
        small, negative = self._power_of_size(x)
        s = b.fdiv(small, b.fadd(small, self.constant(2)))
        square, twice = b.fmul(s, s), b.fadd(s, s)
        log = self.muladd(b.fmul(twice, square), self.polynomial(square, ARTANH), twice)
        return b.fadd(b.select(negative, self.constant(0), x), log)

    def _power_of_size(self, x: Any) -> tuple[Any, Any]:
        """Return exp(-|x|), and where x is negative."""
        b = self.builder
        negative = b.fcmp_ordered("<", x, self.constant(0))
        size = b.select(negative, x, b.fneg(x))
        return self.power_of_two(b.fmul(size, self.constant(LOG2_E))), negative

    def sum(self, x: Any) -> Any:
        """Add all lanes, in halves."""
        b, width = self.builder, LANES
        while width > 1:
            width //= 2
            mask = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(width)))
            other = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(width, 2 * width)))
            x = b.fadd(b.shuffle_vector(x, x, mask), b.shuffle_vector(x, x, other))
        return b.extract_element(x, ir.IntType(32)(0))


def _pointer(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, position: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    place = builder.gep(data, [position], inbounds=True)
    return builder.bitcast(place, _FLOATS.as_pointer())


def _load(builder: ir.IRBuilder, pointer: Any) -> Any:
    return builder.load(pointer, align=4, typ=_FLOATS)


def _replace(operation: Callable[[_Lanes, Any], Any]) -> Callable[..., Any]:
    def declare(typingctx: Any, x: Any, i: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            pointer = _pointer(context, builder, signature.args[0], *arguments)
            builder.store(operation(_Lanes(builder), _load(builder, pointer)), pointer, align=4)
            return context.get_dummy_value()

        return types.void(x, types.int64), generate

    return declare


@intrinsic
def silu_lanes(typingctx, x, i):
    """Replace the 16 numbers of x, flat and contiguous, from i on by their silu."""
    return _replace(_Lanes.silu)(typingctx, x, i)


@intrinsic
def softplus_lanes(typingctx, x, i):
    """Replace the 16 numbers of x, flat and contiguous, from i on by their softplus."""
    return _replace(_Lanes.softplus)(typingctx, x, i)


@intrinsic
def scan_lanes(typingctx, old, i, a, j, b, c, k, new, m, step, added):
    """Advance 16 states of one channel: h = 2^(step a) h + added b; write them to `new` and return the sum of c h.

    Args:
        old: Flat and contiguous, as the other arrays; read from i on.
        a: Read from j on; step a is at most 0.
        b, c: Read from k on.
        new: Written from m on.
        step, added: float32.
    """
    index = types.int64
    signature = types.float32(old, index, a, index, b, c, index, new, index, types.float32, types.float32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        old, i, a, j, b, c, k, new, m, step, added = arguments
        kinds, lanes = signature.args, _Lanes(builder)

        def read(number: int, array: Any, position: Any) -> Any:
            return _load(builder, _pointer(context, builder, kinds[number], array, position))

        decay = lanes.power_of_two(builder.fmul(lanes.everywhere(step), read(2, a, j)))
        entering = builder.fmul(lanes.everywhere(added), read(4, b, k))
        h = lanes.muladd(decay, read(0, old, i), entering)
        builder.store(h, _pointer(context, builder, kinds[7], new, m), align=4)
        return lanes.sum(builder.fmul(h, read(5, c, k)))

    return signature, generate


@njit(cache=True)
def activate(x, plus):
    """Replace x, flat and contiguous float32, by softplus(x) if `plus`, else by silu(x)."""
    whole = x.size - x.size % LANES
    for i in range(0, whole, LANES):
        if plus:
            softplus_lanes(x, i)
        else:
            silu_lanes(x, i)
    if whole < x.size:
        rest = np.zeros(LANES, np.float32)
        rest[: x.size - whole] = x[whole:]
        if plus:
            softplus_lanes(rest, 0)
        else:
            silu_lanes(rest, 0)
        x[whole:] = rest[: x.size - whole]
