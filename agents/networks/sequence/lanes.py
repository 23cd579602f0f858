"""Arithmetic on 16 neighbouring numbers at once, for kernels that compilers do not vectorise by themselves.

The operations are written in LLVM's vector types, which it maps to whatever vector instructions the processor has. A
product and a sum become one instruction where the processor has such an instruction, so that results of different
processors may differ in the last bit, as those of matrix products do.

The kernels of single steps, in float32, use the intrinsics below; `vectors` makes 16 numbers a type of Numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
LOG2_E = 1.4426950408889634
# Minimax polynomials, highest power first: 2^f - 1 over f on [-1/2, 1/2], to 9e-8, and artanh(s) / s - 1 over s^2 for s
# in [0, 1/3], to 5e-9.
POWER = (0.0013264727080426995, 0.009671512862322915, 0.0555073374564565, 0.2402224208184091, 0.6931469775965884)
ARTANH = (0.14012375776845085, 0.13999543394996886, 0.2001085101629697, 0.3333320654387487)


class Precision(NamedTuple):
    """Constants and LLVM types of arithmetic on float32 or on float64.

    Attributes:
        bits: Of a number.
        kind: Its type in NumPy.
        number, floats, wholes: LLVM's types of a number, of lanes of it, and of lanes of integers of that size.
        fraction: Bits of the fraction. Adding 1.5 * 2^fraction to a small number rounds it to a whole one, found in its
            lowest bits.
        lowest, highest: Smaller or larger powers of two count as these.
        power: Polynomial of (2^f - 1) / f over f on [-1/2, 1/2], highest power first.
    """

    bits: int
    kind: type[np.floating]
    number: ir.Type
    floats: ir.VectorType
    wholes: ir.VectorType
    fraction: int
    lowest: float
    highest: float
    power: tuple[float, ...]


def _precision(bits: int, kind: type[np.floating], number: ir.Type, *rest: Any) -> Precision:
    return Precision(bits, kind, number, *(ir.VectorType(x, LANES) for x in (number, ir.IntType(bits))), *rest)


SINGLE = _precision(32, np.float32, ir.FloatType(), 23, -120.0, 127.0, POWER)
# In double precision the polynomial is Taylor's, whose first term left out is below 1e-17.
_TAYLOR = tuple(math.log(2) ** k / math.factorial(k) for k in range(13, 0, -1))
DOUBLE = _precision(64, np.float64, ir.DoubleType(), 52, -1000.0, 1023.0, _TAYLOR)


class LaneBuilder:
    """Writes instructions for 16 lanes."""

    def __init__(self, builder: ir.IRBuilder, precision: Precision = SINGLE):
        self.builder, self.precision = builder, precision
        kind = ir.FunctionType(precision.floats, [precision.floats] * 3)
        name = f"llvm.fmuladd.v{LANES}f{precision.bits}"
        self._muladd = cgutils.get_or_insert_function(builder.module, kind, name)

    def constant(self, value: float) -> ir.Constant:
        """Return a number in all lanes."""
        return ir.Constant(self.precision.floats, [float(self.precision.kind(value))] * LANES)

    def everywhere(self, value: Any) -> Any:
        """Copy a scalar to all lanes."""
        single = ir.Constant(self.precision.floats, ir.Undefined)
        single = self.builder.insert_element(single, value, ir.IntType(32)(0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(single, single, places)

    def muladd(self, a: Any, b: Any, c: Any) -> Any:
        """Return a b + c."""
        return self.builder.call(self._muladd, [a, b, c])

    def polynomial(self, x: Any, coefficients: tuple[float, ...]) -> Any:
        """Return the value of a polynomial, whose coefficients begin with that of the highest power."""
        value = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.muladd(value, x, self.constant(coefficient))
        return value

    def power_of_two(self, x: Any) -> Any:
        """Return 2^x for x of at most `highest`; NaN stays NaN."""
        b, p = self.builder, self.precision
        lowest, shift = self.constant(p.lowest), self.constant(1.5 * 2**p.fraction)
        x = b.select(b.fcmp_ordered("<", x, lowest), lowest, x)
        rounded = b.fadd(x, shift)
        f = b.fsub(x, b.fsub(rounded, shift))
        value = self.muladd(f, self.polynomial(f, p.power), self.constant(1))
        exponent = b.shl(b.bitcast(rounded, p.wholes), ir.Constant(p.wholes, [p.fraction] * LANES))
        return b.bitcast(b.add(b.bitcast(value, p.wholes), exponent), p.floats)

    def limited_power_of_two(self, x: Any) -> Any:
        """Return 2^x of any x; NaN stays NaN."""
        highest = self.constant(self.precision.highest)
        return self.power_of_two(self.builder.select(self.builder.fcmp_ordered(">", x, highest), highest, x))

    def silu(self, x: Any) -> Any:
        """Return x / (1 + exp(-x)), from exp(-|x|) so that nothing overflows."""
        b, lowest = self.builder, self.constant(self.precision.lowest)
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


def address(
    context: Any, builder: ir.IRBuilder, kind: Any, array: Any, position: Any, precision: Precision = SINGLE
) -> Any:
    """Return the address of the lanes of an array from a position on."""
    data = context.make_array(kind)(context, builder, array).data
    place = builder.gep(data, [position], inbounds=True)
    return builder.bitcast(place, precision.floats.as_pointer())


def _load(builder: ir.IRBuilder, pointer: Any) -> Any:
    return builder.load(pointer, align=4, typ=SINGLE.floats)


def _replace(operation: Callable[[LaneBuilder, Any], Any]) -> Callable[..., Any]:
    def declare(typingctx: Any, x: Any, i: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            pointer = address(context, builder, signature.args[0], *arguments)
            builder.store(operation(LaneBuilder(builder), _load(builder, pointer)), pointer, align=4)
            return context.get_dummy_value()

        return types.void(x, types.int64), generate

    return declare


@intrinsic
def silu_lanes(typingctx, x, i):
    """Replace the 16 numbers of x, flat and contiguous, from i on by their silu."""
    return _replace(LaneBuilder.silu)(typingctx, x, i)


@intrinsic
def softplus_lanes(typingctx, x, i):
    """Replace the 16 numbers of x, flat and contiguous, from i on by their softplus."""
    return _replace(LaneBuilder.softplus)(typingctx, x, i)


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
        kinds, lanes = signature.args, LaneBuilder(builder)

        def read(number: int, array: Any, position: Any) -> Any:
            return _load(builder, address(context, builder, kinds[number], array, position))

        decay = lanes.power_of_two(builder.fmul(lanes.everywhere(step), read(2, a, j)))
        entering = builder.fmul(lanes.everywhere(added), read(4, b, k))
        h = lanes.muladd(decay, read(0, old, i), entering)
        builder.store(h, address(context, builder, kinds[7], new, m), align=4)
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
