"""Calls of kernels whose arguments always have the same types, without looking the types up in every call."""

from __future__ import annotations

from typing import Any

from numba import typeof


class FixedCall:
    """A kernel that is called again and again with arguments of the same types.

    Numba looks up the compiled version of a kernel by the types of its arguments. For tuples of arrays, such as a
    `Definition`'s parameters, that takes longer than a step of a small batch. The first call finds the version in the
    usual way, and later calls with the same first argument go to it directly.

    The compiled version does not check types: callers must give arrays of the same dtypes and dimensions, C-contiguous
    and aligned, in every call.

    Args:
        kernel: A compiled kernel whose first argument is the same object in most calls, such as `parameters`. Any other
            callable is called as it is.
    """

    __slots__ = ("_compiled", "_first", "_kernel")

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._first: Any = self  # no kernel is given this object
        self._compiled = kernel

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel."""
        if arguments[0] is self._first:
            return self._compiled(*arguments)
        result = self._kernel(*arguments)
        find = getattr(self._kernel, "get_overload", None)
        if find is not None:
            self._compiled = find(tuple(typeof(value) for value in arguments))
        self._first = arguments[0]
        return result

    def __reduce__(self) -> tuple[type[FixedCall], tuple[Any]]:
        """Copy and pickle the kernel alone: compiled versions belong to a process."""
        return FixedCall, (self._kernel,)
