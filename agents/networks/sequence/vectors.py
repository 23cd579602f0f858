"""16 neighbouring numbers, float32 or float64, as a type of Numba: the arithmetic of `lanes` for kernels of your own.

Arrays are contiguous and have `LANES` as their last axis; their parts of 16 numbers are counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, register_model

from envzoo.agents.networks.sequence.lanes import DOUBLE, LANES, SINGLE, LaneBuilder, Precision, address


class Lanes(types.Type):
    """The Numba type of 16 numbers, of which `number` is the type."""

    def __init__(self, number: types.Type):
        if number not in (types.float32, types.float64):
            raise TypingError(f"lanes are of float32 or float64, not of {number}")
        self.number = number
        super().__init__(name=f"lanes({LANES} of {number})")

    @property
    def precision(self) -> Precision:
        """Return the constants of arithmetic on these numbers."""
        return SINGLE if self.number == types.float32 else DOUBLE


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes):
        super().__init__(manager, kind, kind.precision.floats)


def _lanes_of(array: Any) -> Lanes:
    if not isinstance(array, types.Array) or array.layout != "C":
        raise TypingError(f"lanes are read from and written to contiguous arrays, not {array}")
    return Lanes(array.dtype)


def _place(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, part: Any) -> Any:
    position = builder.mul(part, ir.Constant(part.type, LANES))
    return address(context, builder, kind, array, position, Lanes(kind.dtype).precision)


def _generate(kind: Lanes, operation: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return operation(LaneBuilder(builder, kind.precision), *arguments)

    return build


@intrinsic
def load(typingctx, array, part):
    """Read 16 numbers."""
    kind = _lanes_of(array)

    def build(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        pointer = _place(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=kind.precision.bits // 8, typ=kind.precision.floats)

    return kind(array, types.intp), build


@intrinsic
def store(typingctx, array, part, lanes):
    """Write 16 numbers."""
    kind = _lanes_of(array)

    def build(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        array, part, lanes = arguments
        pointer = _place(context, builder, signature.args[0], array, part)
        builder.store(lanes, pointer, align=kind.precision.bits // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, kind), build


@intrinsic
def zeros(typingctx, array):
    """Return 16 zeros of the type of an array's numbers."""
    kind = _lanes_of(array)
    return kind(array), _generate(kind, lambda lanes, array: lanes.constant(0))


@intrinsic
def everywhere(typingctx, number):
    """Copy a number to all lanes."""
    kind = Lanes(number)
    return kind(number), _generate(kind, LaneBuilder.everywhere)


@intrinsic
def times(typingctx, a, b):
    """Multiply lane by lane."""
    return a(a, a), _generate(a, lambda lanes, a, b: lanes.builder.fmul(a, b))


@intrinsic
def muladd(typingctx, a, b, c):
    """Return a b + c, in one instruction where the processor has it."""
    return a(a, a, a), _generate(a, LaneBuilder.muladd)


@intrinsic
def power_of_two(typingctx, x):
    """Return 2^x; it neither overflows nor becomes zero, and NaN stays NaN."""
    return x(x), _generate(x, LaneBuilder.limited_power_of_two)


@intrinsic
def total(typingctx, x):
    """Add all lanes, in halves."""
    return x.number(x), _generate(x, LaneBuilder.sum)
