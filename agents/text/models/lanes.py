"""Sums of float32 numbers in Numba kernels in a fixed order, so that their last bit is reproducible.

A compiler may put a plain loop that sums into vectors only if it is allowed to reorder the sum (`reassoc` of
`fastmath`). Which order it takes is then decided while the program runs: LLVM compiles such a loop twice, as vectors
and as single numbers, and picks one by how far apart in memory the arrays of the loop lie. The last bit of a sum would
thus depend on where `malloc` happened to put an array. Kernels with a seed to honour are compiled without `fastmath`,
and sum here: in `LANES` partial sums, number i in lane i % LANES, that are added pairwise at the end. What a loop does
to each element on its own is the same as vectors and as single numbers, and is left to the compiler; products to be
added go through `multiply_add`, so that rounding them or not is no choice of the compiler either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, register_model

LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INDEX = ir.IntType(32)
_ZERO = np.float32(0.0)


class _Lanes(types.Type):
    """The Numba type of LANES float32 numbers in vector registers."""

    def __init__(self) -> None:
        super().__init__(name=f"lanes({LANES} x float32)")


_lanes = _Lanes()
ROW = types.CPointer(types.float32)


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: _Lanes):
        super().__init__(manager, kind, _VECTOR)


def _splat(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    vector = ir.VectorType(number.type, LANES)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(_INDEX, 0))
    first = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), first)


def _fold(builder: ir.IRBuilder, vector: ir.Value, combine: Any) -> ir.Value:
    """Combine lane i with lane i + half, and so on until one number is left."""
    half = LANES // 2
    while half:
        upper = ir.Constant(ir.VectorType(_INDEX, LANES), [min(lane + half, LANES - 1) for lane in range(LANES)])
        vector = combine(vector, builder.shuffle_vector(vector, ir.Constant(_VECTOR, ir.Undefined), upper))
        half //= 2
    return builder.extract_element(vector, ir.Constant(_INDEX, 0))


def _larger(builder: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered(">", other, one), other, one)


@intrinsic
def multiply_add(typing, one, other, addend):
    """Compute one * other + addend, of numbers or lanes, rounded once if the processor can do so, else twice."""
    kind = _lanes if _lanes in (one, other, addend) else types.float32

    def build(context, builder, signature, arguments):
        operand = context.get_value_type(kind)
        name = f"llvm.fmuladd.v{LANES}f32" if kind is _lanes else "llvm.fmuladd.f32"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(operand, [operand] * 3), name)
        return builder.call(function, arguments)

    return kind(kind, kind, kind), build


@intrinsic
def _zeros(typing):
    return _lanes(), lambda context, builder, signature, arguments: ir.Constant(_VECTOR, [0.0] * LANES)


@intrinsic
def load(typing, row, start):
    """Load LANES numbers from index `start` on."""

    def build(context, builder, signature, arguments):
        pointer = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), _VECTOR.as_pointer())
        return builder.load(pointer, align=4)

    return _lanes(ROW, types.intp), build


@intrinsic
def store(typing, row, start, lanes):
    """Store lanes from index `start` on."""

    def build(context, builder, signature, arguments):
        row, start, lanes = arguments
        builder.store(lanes, builder.bitcast(builder.gep(row, [start]), _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(ROW, types.intp, _lanes), build


@intrinsic
def _only_last(typing, lanes, count):
    """Keep the last `count` lanes, and set those before them to 0."""

    def build(context, builder, signature, arguments):
        kept = _splat(builder, builder.trunc(arguments[1], _INDEX))
        last = builder.icmp_signed("<", ir.Constant(kept.type, [LANES - 1 - lane for lane in range(LANES)]), kept)
        return builder.select(last, arguments[0], ir.Constant(_VECTOR, [0.0] * LANES))

    return _lanes(_lanes, types.intp), build


@intrinsic
def everywhere(typing, number):
    """Return lanes that are all `number`."""
    return _lanes(types.float32), lambda context, builder, signature, arguments: _splat(builder, arguments[0])


@intrinsic
def add(typing, one, other):
    """Add lanes."""
    return _lanes(_lanes, _lanes), lambda context, builder, signature, arguments: builder.fadd(*arguments)


@intrinsic
def product(typing, one, other):
    """Multiply lanes."""
    return _lanes(_lanes, _lanes), lambda context, builder, signature, arguments: builder.fmul(*arguments)


@intrinsic
def _maximum(typing, one, other):
    return _lanes(_lanes, _lanes), lambda context, builder, signature, arguments: _larger(builder, *arguments)


@intrinsic
def _sum_of_lanes(typing, lanes):
    def build(context, builder, signature, arguments):
        return _fold(builder, arguments[0], builder.fadd)

    return types.float32(_lanes), build


@intrinsic
def _largest_lane(typing, lanes):
    def build(context, builder, signature, arguments):
        return _fold(builder, arguments[0], lambda one, other: _larger(builder, one, other))

    return types.float32(_lanes), build


# What is left over when LANES does not divide the length is taken with the LANES numbers that end the row, of which
# those that were taken before are left out: no loop over single numbers, and no reading beyond the row.


def _total_of(x, n):
    if n < LANES:
        result = _ZERO
        for k in range(n):
            result += x[k]
        return result
    whole = n // LANES * LANES
    sums = load(x, 0)
    for k in range(LANES, whole, LANES):
        sums = add(sums, load(x, k))
    if whole < n:
        sums = add(sums, _only_last(load(x, n - LANES), n - whole))
    return _sum_of_lanes(sums)


def _dot_of(x, y, n):
    if n < LANES:
        result = _ZERO
        for k in range(n):
            result = multiply_add(x[k], y[k], result)
        return result
    whole = n // LANES * LANES
    sums = _zeros()
    for k in range(0, whole, LANES):
        sums = multiply_add(load(x, k), load(y, k), sums)
    if whole < n:
        sums = multiply_add(_only_last(load(x, n - LANES), n - whole), load(y, n - LANES), sums)
    return _sum_of_lanes(sums)


def _shifted_total_of(x, y, n):
    whole, sums = n // LANES * LANES, _zeros()
    for k in range(0, whole, LANES):
        moved = add(load(x, k), load(y, k))
        store(x, k, moved)
        sums = add(sums, moved)
    rest = _ZERO
    for k in range(whole, n):
        moved = x[k] + y[k]
        x[k] = moved
        rest += moved
    return _sum_of_lanes(sums) + rest


def _squares_about_of(x, center, n):
    whole, sums, away = n // LANES * LANES, _zeros(), everywhere(-center)
    for k in range(0, whole, LANES):
        apart = add(load(x, k), away)
        sums = multiply_add(apart, apart, sums)
    rest = _ZERO
    for k in range(whole, n):
        apart = x[k] - center
        rest = multiply_add(apart, apart, rest)
    return _sum_of_lanes(sums) + rest


def _largest_of(x, n):
    if n < LANES:
        result = x[0]
        for k in range(1, n):
            result = max(result, x[k])
        return result
    result = load(x, 0)
    for k in range(LANES, n // LANES * LANES, LANES):
        result = _maximum(result, load(x, k))
    return _largest_lane(_maximum(result, load(x, n - LANES)))


# For other kernels that work on pointers.
total_of, dot_of, largest_of = (njit(function, inline="always") for function in (_total_of, _dot_of, _largest_of))

# The intrinsics below hand pointers to the functions above: a view of a row would count references, which costs more
# than the sum.


def _check_row(array: types.Type, place: types.Type) -> None:
    if not isinstance(array, types.Array) or array.layout != "C" or array.dtype != types.float32:
        raise TypingError(f"sums are over rows of contiguous float32 arrays, not of {array}")
    if not isinstance(place, types.BaseTuple) or len(place) != array.ndim - 1:
        raise TypingError(f"a row of {array} is found by a tuple of {array.ndim - 1} numbers, not by {place}")


def _pointer(context: Any, builder: ir.IRBuilder, kinds: Any, array: ir.Value, place: ir.Value) -> ir.Value:
    """Return the address of row `place` of an array."""
    indices = [
        context.cast(builder, index, kind, types.intp)
        for index, kind in zip(cgutils.unpack_tuple(builder, place), kinds[1], strict=True)
    ]
    view = context.make_array(kinds[0])(context, builder, array)
    return cgutils.get_item_pointer(context, builder, kinds[0], view, [*indices, context.get_constant(types.intp, 0)])


def _compile(context: Any, builder: ir.IRBuilder, function: Any, arguments: list[ir.Value], *kinds: Any) -> ir.Value:
    return context.compile_internal(builder, function, types.float32(*kinds, types.intp), arguments)


def _of_one_row(function: Any, *kinds: Any) -> Any:
    """Make the code generator of an intrinsic `(x, place, ...)` that hands `function` a pointer to the row."""

    def build(context, builder, signature, arguments):
        row = _pointer(context, builder, signature.args[:2], *arguments[:2])
        return _compile(context, builder, function, [row, *arguments[2:]], ROW, *kinds)

    return build


def _of_two_rows(function: Any) -> Any:
    """Make the code generator of an intrinsic `(x, place, y, other, n)` that hands `function` pointers to both rows."""

    def build(context, builder, signature, arguments):
        one = _pointer(context, builder, signature.args[:2], *arguments[:2])
        two = _pointer(context, builder, signature.args[2:4], *arguments[2:4])
        return _compile(context, builder, function, [one, two, arguments[4]], ROW, ROW)

    return build


@intrinsic
def total(typing, x, place, n):
    """Sum the first n of x[place], a row of a float32 array; `place` is a tuple, empty if there is only one row."""
    _check_row(x, place)

    return types.float32(x, place, types.intp), _of_one_row(_total_of)


@intrinsic
def dot(typing, x, place, y, other, n):
    """Sum the products of the first n of the rows x[place] and y[other]."""
    _check_row(x, place)
    _check_row(y, other)

    return types.float32(x, place, y, other, types.intp), _of_two_rows(_dot_of)


@intrinsic
def shifted_total(typing, x, place, y, other, n):
    """Add the first n of the row y[other] to those of x[place], in place, and return the sum of the latter."""
    _check_row(x, place)
    _check_row(y, other)

    return types.float32(x, place, y, other, types.intp), _of_two_rows(_shifted_total_of)


@intrinsic
def squares_about(typing, x, place, center, n):
    """Sum the squared differences of the first n of the row x[place] from `center`."""
    _check_row(x, place)

    return types.float32(x, place, types.float32, types.intp), _of_one_row(_squares_about_of, types.float32)


@intrinsic
def largest(typing, x, place, n):
    """Return the largest of the first n of the row x[place]; NaN may be ignored."""
    _check_row(x, place)

    return types.float32(x, place, types.intp), _of_one_row(_largest_of)
