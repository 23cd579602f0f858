"""Instructions for the memory of the processor, for kernels whose time is spent waiting for it."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_BYTES, _FLAG = ir.IntType(8).as_pointer(), ir.IntType(32)
# Read, not write; keep in all caches; data, not instructions.
READ = (0, 3, 1)


def emit_prefetch(builder: Any, pointer: ir.Value) -> None:
    """Add the instruction for the cache line at `pointer` to a function that is being compiled."""
    kind = ir.FunctionType(ir.VoidType(), [_BYTES, _FLAG, _FLAG, _FLAG])
    function = builder.module.declare_intrinsic("llvm.prefetch", [_BYTES], kind)
    builder.call(function, [builder.bitcast(pointer, _BYTES), *(ir.Constant(_FLAG, flag) for flag in READ)])


@intrinsic
def prefetch(typing, array, i):
    """Ask the processor to load element i of an array into its cache, without waiting for it.

    The array is contiguous, and i counts its elements as if it were flat. It changes no number, and i may lie outside
    the array: such a request is ignored.
    """

    def build(context, builder, signature, arguments):
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        emit_prefetch(builder, builder.gep(made.data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(array, i), build
