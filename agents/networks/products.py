"""Products of float32 matrices and sums of their rows in Numba kernels, in a fixed order.

With the products inside, a whole pass through a small network is one kernel, and its matrices, too small for the
overhead of a call to BLAS to vanish, are multiplied with the widest vectors that the processor has. Every number of a
product is a sum in the order of its terms, in blocks of `block_of(depth)` that are added one after the other. Vectors
hold numbers of different columns, so their width does not affect any result; nor does the number of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

_INDEX = ir.IntType(64)
_FLOAT = ir.FloatType()
_POINTER = types.CPointer(types.float32)
LEVELS = 4  # of the partial sums of `sum_rows`
SIDE_BY_SIDE = 32  # columns that are summed over all rows in one order; what is left of them in four parts
BLOCK = 192  # terms that are summed at once; blocks of this size are also what MKL adds up on AMD processors


def _registers() -> tuple[int, int]:
    """Return the numbers in a vector register of the processor that Numba compiles for, and the vectors of a tile."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    if "+avx512f" in features:
        return 16, 4
    if "+avx2" in features:
        return 8, 2
    return 4, (4 if triple.startswith(("aarch64", "arm64")) else 2)


LANES, VECTORS = _registers()
ROWS = 6  # of a tile: with 4 vectors, 24 of 32 registers hold sums, with 2 vectors 12 of 16
WIDE = LANES * VECTORS


@intrinsic
def address(typing, array, start):
    """Return a pointer to number `start` of a contiguous float32 array, which has to outlive the pointer."""

    def build(context, builder, signature, arguments):
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.gep(view.data, [arguments[1]])

    return _POINTER(array, types.intp), build


@intrinsic
def shifted(typing, pointer, by):
    """Return the pointer to the number that stands `by` numbers after another one."""
    return _POINTER(_POINTER, types.intp), lambda context, builder, signature, arguments: builder.gep(
        arguments[0], [arguments[1]]
    )


def _spread(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    vector = ir.VectorType(number.type, LANES)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), first)


def _make_tile(rows: int, vectors: int, masked: bool) -> Any:
    """Make the intrinsic that computes `rows` x `vectors` LANES numbers of a product, or fewer columns if `masked`."""
    lanes = ir.VectorType(_FLOAT, LANES)
    kind = lanes.as_pointer()

    @intrinsic
    def tile(typing, a, along, step, b, b_row, depth, c, c_row, add, e, e_row, left):
        """Set c = a b, or e + a b if `add`; see `multiply`. `left` is the number of columns if masked."""

        def build(context, builder, signature, arguments):
            a, along, step, b, b_row, depth, c, c_row, add, e, e_row, left = arguments
            module = builder.module
            multiply_add = cgutils.get_or_insert_function(
                module, ir.FunctionType(lanes, [lanes] * 3), f"llvm.fmuladd.v{LANES}f32"
            )
            zero = ir.Constant(lanes, [0.0] * LANES)
            if masked:
                bits = ir.VectorType(ir.IntType(1), LANES)
                numbers = ir.Constant(ir.VectorType(_INDEX, LANES), list(range(LANES)))
                mask = builder.icmp_signed("<", numbers, _spread(builder, left))
                four = ir.Constant(ir.IntType(32), 4)
                loads = cgutils.get_or_insert_function(
                    module, ir.FunctionType(lanes, [kind, ir.IntType(32), bits, lanes]), f"llvm.masked.load.v{LANES}f32"
                )
                stores = cgutils.get_or_insert_function(
                    module,
                    ir.FunctionType(ir.VoidType(), [lanes, kind, ir.IntType(32), bits]),
                    f"llvm.masked.store.v{LANES}f32",
                )

            def place(pointer, row, stride, v):
                offset = builder.add(builder.mul(row, stride), ir.Constant(_INDEX, v * LANES))
                return builder.bitcast(builder.gep(pointer, [offset]), kind)

            def load(pointer):
                return builder.call(loads, [pointer, four, mask, zero]) if masked else builder.load(pointer, align=4)

            def store(value, pointer):
                if masked:
                    builder.call(stores, [value, pointer, four, mask])
                else:
                    builder.store(value, pointer, align=4)

            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(rows)]
            for row in sums:
                for one in row:
                    builder.store(zero, one)
            at = [builder.gep(a, [builder.mul(ir.Constant(_INDEX, r), along)]) for r in range(rows)]
            with cgutils.for_range(builder, depth) as loop:
                many = [load(place(b, loop.index, b_row, v)) for v in range(vectors)]
                offset = builder.mul(loop.index, step)
                for r in range(rows):
                    factor = _spread(builder, builder.load(builder.gep(at[r], [offset])))
                    for v in range(vectors):
                        total = builder.call(multiply_add, [factor, many[v], builder.load(sums[r][v])])
                        builder.store(total, sums[r][v])
            with builder.if_else(add) as (added, plain):
                with added:
                    for r in range(rows):
                        for v in range(vectors):
                            before = load(place(e, ir.Constant(_INDEX, r), e_row, v))
                            total = builder.fadd(before, builder.load(sums[r][v]))
                            store(total, place(c, ir.Constant(_INDEX, r), c_row, v))
                with plain:
                    for r in range(rows):
                        for v in range(vectors):
                            store(builder.load(sums[r][v]), place(c, ir.Constant(_INDEX, r), c_row, v))
            return context.get_dummy_value()

        number = types.intp
        return (
            types.void(
                _POINTER, number, number, _POINTER, number, number, _POINTER, number, types.boolean, _POINTER, number,
                number,
            ),
            build,
        )  # fmt: skip

    return tile


_tile, _pair, _row = (_make_tile(rows, VECTORS, False) for rows in (ROWS, 2, 1))
_thin_tile, _thin_row = (_make_tile(rows, 1, True) for rows in (ROWS, 1))


@njit(inline="always")
def block_of(depth):
    """Return how many terms of a sum of `depth` are added up before they are added to the others."""
    if depth <= BLOCK:
        return depth
    return depth // 2 if depth < 2 * BLOCK else BLOCK


@njit(cache=True, error_model="numpy")
def multiply(a, along, step, b, b_row, c, c_row, m, n, depth, add, e, e_row):
    """Set c (m, n) = a (m, depth) b (depth, n), or e (m, n) + a b if `add`, which may be c itself.

    All matrices are pointers (see `address`), with strides in numbers: `a` has the strides (along, step), so that it
    may be transposed, and the rows of b, c and e have the strides b_row, c_row and e_row. With e_row = 0 one row, a
    bias, is added to all rows.
    """
    block = max(1, block_of(depth))
    for first in range(0, max(depth, 1), block):
        count = min(block, depth - first)
        if first > 0:
            add, e, e_row = True, c, c_row
        x, y = shifted(a, first * step), shifted(b, first * b_row)
        whole = n // WIDE * WIDE
        for j in range(0, whole, WIDE):
            yj, cj, ej = shifted(y, j), shifted(c, j), shifted(e, j)
            i = 0
            while i + ROWS <= m:
                _tile(
                    shifted(x, i * along), along, step, yj, b_row, count, shifted(cj, i * c_row), c_row, add,
                    shifted(ej, i * e_row), e_row, 0,
                )  # fmt: skip
                i += ROWS
            while i + 2 <= m:
                _pair(
                    shifted(x, i * along), along, step, yj, b_row, count, shifted(cj, i * c_row), c_row, add,
                    shifted(ej, i * e_row), e_row, 0,
                )  # fmt: skip
                i += 2
            if i < m:
                _row(
                    shifted(x, i * along), along, step, yj, b_row, count, shifted(cj, i * c_row), c_row, add,
                    shifted(ej, i * e_row), e_row, 0,
                )  # fmt: skip
        for j in range(whole, n, LANES):
            yj, cj, ej, left = shifted(y, j), shifted(c, j), shifted(e, j), min(LANES, n - j)
            i = 0
            while i + ROWS <= m:
                _thin_tile(
                    shifted(x, i * along), along, step, yj, b_row, count, shifted(cj, i * c_row), c_row, add,
                    shifted(ej, i * e_row), e_row, left,
                )  # fmt: skip
                i += ROWS
            while i < m:
                _thin_row(
                    shifted(x, i * along), along, step, yj, b_row, count, shifted(cj, i * c_row), c_row, add,
                    shifted(ej, i * e_row), e_row, left,
                )  # fmt: skip
                i += 1


@njit
def _cascade(d, first, step, count, start, stop, sums, out):
    """Set out[j] to the sum of d[first + k step, j] over k < count for start <= j < stop; sums (4, columns) is scratch.

    Sums of 16 rows or more are added to sums of 16 times as many, and so on, as torch does to keep rounding errors low.
    """
    power = 4
    while (1 << (LEVELS * (power + 1) - 1)) < count:
        power += 1
    every = 1 << power
    sums[:, start:stop] = np.float32(0.0)
    k = 0
    while k + every <= count:
        for _ in range(every):
            r = first + k * step
            for j in range(start, stop):
                sums[0, j] += d[r, j]
            k += 1
        for level in range(1, LEVELS):
            for j in range(start, stop):
                sums[level, j] += sums[level - 1, j]
                sums[level - 1, j] = np.float32(0.0)
            if k & ((every - 1) << (level * power)):
                break
    while k < count:
        r = first + k * step
        for j in range(start, stop):
            sums[0, j] += d[r, j]
        k += 1
    for j in range(start, stop):
        out[j] = ((sums[0, j] + sums[1, j]) + sums[2, j]) + sums[3, j]


@njit
def sum_rows(d, out):
    """Set out (N,) to the sum of the rows of d (R, N), in the order of `torch.sum` on one thread."""
    rows, width = d.shape
    sums, part = np.empty((LEVELS, width), np.float32), np.empty((4, width), np.float32)
    whole = width // SIDE_BY_SIDE * SIDE_BY_SIDE
    _cascade(d, 0, 1, rows, 0, whole, sums, out)
    if whole < width:
        count = rows // 4
        for p in range(4):
            _cascade(d, p, 4, count, whole, width, sums, part[p])
        for r in range(4 * count, rows):
            for j in range(whole, width):
                part[0, j] += d[r, j]
        for j in range(whole, width):
            out[j] = ((part[0, j] + part[1, j]) + part[2, j]) + part[3, j]
