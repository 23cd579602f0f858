"""The interface of set functions, its checks, and the set function made from any Python function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.definition import Allocator

# How far below zero rounding may push a gain, relative to the size of the values.
TOLERANCE = 1e-9


class SetFunction:
    """A function F of subsets of the elements 0, ..., size - 1, evaluated one element at a time for B sets at once.

    A subclass writes `value` (the definition, in NumPy), sets the attributes below, and gives two module-level
    functions `@njit(cache=True)` on arrays:

    - `kernel_gains(data, state, candidates, out)`: out[b, k] = F(S_b + candidates[b, k]) - F(S_b);
    - `kernel_add(data, state, elements, where, out)`: where[b], put elements[b] into S_b, and its gain into out[b]
      (and add it to state.value[b]); elsewhere do nothing.

    Elements that are in a set already gain 0.

    Attributes:
        size: Number of elements n.
        data: NamedTuple of arrays, what the kernels know of the function.
    """

    size: int
    data: tuple
    kernel_gains: Callable[..., None]
    kernel_add: Callable[..., None]

    # ------------------------------------------------------ what a subclass writes

    def value(self, indices: Iterable[int]) -> float:
        """F of a set of elements; repeated indices count once.

        Raises:
            EnvzooError: For an element outside 0 to size - 1.
        """
        raise NotImplementedError

    def layout(self, capacity: int) -> tuple:
        """NamedTuple of the dtypes of one set's state; all zeros is the empty set. One field is `value`, float64."""
        raise NotImplementedError

    # ------------------------------------------------------------- growing sets

    def initial_state(self, batch: int, capacity: int | None = None) -> tuple:
        """`batch` empty sets: a NamedTuple of arrays (batch, ...), among them `value` (batch,), F of each set.

        Args:
            batch: Number of sets B.
            capacity: The most elements a set will hold, None for all; it bounds the memory of the Gaussian functions,
                which keep capacity^2 / 2 numbers for each set, and means nothing to the others.

        Raises:
            EnvzooError: For a batch or capacity that is not a positive whole number.
        """
        whole("batch", batch, 1)
        if capacity is not None:
            whole("capacity", capacity, 1)
        return Allocator(self.layout(self.size if capacity is None else min(int(capacity), self.size)))(int(batch))

    def gains(self, state: tuple, candidates: np.ndarray) -> np.ndarray:
        """Marginal gains F(S_b + candidate) - F(S_b) of elements (B, K), float64 (B, K); the sets stay as they are.

        Raises:
            EnvzooError: For candidates of another shape, or outside 0 to size - 1.
        """
        candidates = self._elements("candidates", candidates, len(state.value), 2)
        out = np.zeros(candidates.shape)
        type(self).kernel_gains(self.data, state, candidates, out)
        return out

    def add(self, state: tuple, elements: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
        """Put one element into each set, or into those marked in `where`; the state is changed in place.

        Args:
            state: From `initial_state`.
            elements: Integers (B,).
            where: Bool (B,), None for all; the elements of other sets are not looked at.

        Returns:
            The marginal gains, float64 (B,), 0 outside `where`.

        Raises:
            EnvzooError: For elements of another shape, outside 0 to size - 1, or beyond the state's capacity; nothing
                is changed then.
        """
        if where is None:
            where = np.ones(len(state.value), np.bool_)
        else:
            elements = np.where(where, elements, 0)
        elements = self._elements("elements", elements, len(state.value), 1)
        self._make_room(state, elements, where)
        out = np.zeros(len(elements))
        type(self).kernel_add(self.data, state, elements, where, out)
        return out

    def restart(self, state: tuple, where: np.ndarray) -> None:
        """Empty the sets marked in `where`, bool (B,), in place."""
        for array in state:
            array[where] = 0

    @cached_property
    def singles(self) -> np.ndarray:
        """F({e}) - F({}) of every element, float64 (size,): what an additive (modular) reward pays for it."""
        return self.gains(self.initial_state(1, 1), np.arange(self.size)[None])[0]

    # ------------------------------------------------------------------- checks

    def check_monotone(self, *, samples: int = 200, seed: int = 0, largest: int | None = None) -> None:
        """Look for a set that loses value by gaining an element, among random ones.

        Args:
            samples: Pairs (S, element) tried.
            seed: Seed of the sample.
            largest: Largest size of S, None for size - 1.

        Raises:
            EnvzooError: One was found: the function is not monotone.
        """
        for small, large in self._chains(samples, seed, largest, added=1):
            before, after = self.value(small), self.value(large)
            if not after - before >= -TOLERANCE * max(1.0, abs(before)):
                raise EnvzooError(
                    f"{type(self).__name__} is not monotone: adding element {large[-1]} to {_text(small)} changes its "
                    f"value from {before:g} to {after:g}; expected no decrease"
                )

    def check_submodular(self, *, samples: int = 200, seed: int = 0, largest: int | None = None) -> None:
        """Look for an element that gains more in a larger set, among random ones.

        Args:
            samples: Triples (S, a, b) tried: adding a after b must not gain more than adding a to S.
            seed: Seed of the sample.
            largest: Largest size of S, None for size - 2.

        Raises:
            EnvzooError: One was found: the function is not submodular.
        """
        for small, large in self._chains(samples, seed, largest, added=2):
            first, second = large[-2:]
            base = self.value(small)
            alone = self.value([*small, second]) - base
            later = self.value(large) - self.value([*small, first])
            if not alone - later >= -TOLERANCE * max(1.0, abs(base)):
                raise EnvzooError(
                    f"{type(self).__name__} is not submodular: element {second} gains {alone:g} when added to "
                    f"{_text(small)}, but {later:g} after element {first}; expected no increase"
                )

    def _chains(self, samples: int, seed: int, largest: int | None, added: int):
        """Random sets S and S with `added` further elements behind, as pairs of lists."""
        rng = np.random.default_rng(seed)
        most = self.size - added if largest is None else min(largest, self.size - added)
        for _ in range(samples if most >= 0 else 0):
            count = int(rng.integers(most + 1))
            order = rng.permutation(self.size)[: count + added].tolist()
            yield order[:count], order

    # ---------------------------------------------------------------- internals

    def _make_room(self, state: tuple, elements: np.ndarray, where: np.ndarray) -> None:
        """Raises EnvzooError when a set cannot hold its new element."""

    def _set(self, indices: Iterable[int]) -> np.ndarray:
        """The distinct elements, int64 ascending, checked."""
        given = np.asarray(list(indices) if not isinstance(indices, np.ndarray) else indices)
        given = given.astype(np.int64) if given.size == 0 else given
        return np.unique(self._elements("indices", given, len(given), 1))

    def _elements(self, name: str, elements: Any, batch: int, ndim: int) -> np.ndarray:
        array = np.asarray(elements)
        if array.ndim != ndim or len(array) != batch or array.dtype.kind not in "iu":
            shape = f"({batch},)" if ndim == 1 else f"({batch}, K)"
            raise EnvzooError(f"{name} are {array.dtype} of shape {array.shape}; expected integers of shape {shape}")
        outside = (array < 0) | (array >= self.size)
        if outside.any():
            raise EnvzooError(
                f"element {array[outside][0]} lies outside {type(self).__name__}; expected 0 to {self.size - 1}"
            )
        return np.ascontiguousarray(array, np.int64)


class CustomState(NamedTuple):
    """State of `CustomSetFunction`."""

    member: np.ndarray  # bool (B, n)
    value: np.ndarray  # float64 (B,), less the value of the empty set


class CustomSetFunction(SetFunction):
    """A set function from any Python function, without compiled gains: each gain costs a call.

    Args:
        function: Takes the distinct elements of a set, int64 ascending, and returns its value. The value of the empty
            set is subtracted everywhere, so that F({}) = 0.
        size: Number of elements.
        check: Whether to try on random sets that the function is monotone.

    Raises:
        EnvzooError: For a size that is not a positive whole number, or a function found not monotone.
    """

    def __init__(self, function: Callable[[np.ndarray], float], size: int, *, check: bool = False) -> None:
        whole("size", size, 1)
        self.size = int(size)
        self._function = function
        self._empty = float(function(np.zeros(0, np.int64)))
        if check:
            self.check_monotone()

    def value(self, indices: Iterable[int]) -> float:
        """F of a set of elements, see `SetFunction.value`."""
        return float(self._function(self._set(indices))) - self._empty

    def layout(self, capacity: int) -> CustomState:
        """See `SetFunction.layout`."""
        return CustomState(member=(np.bool_, (self.size,)), value=np.float64)

    def gains(self, state: CustomState, candidates: np.ndarray) -> np.ndarray:
        """See `SetFunction.gains`."""
        candidates = self._elements("candidates", candidates, len(state.value), 2)
        out = np.zeros(candidates.shape)
        for b, k in np.ndindex(candidates.shape):
            out[b, k] = self._gain(state, b, candidates[b, k])
        return out

    def add(self, state: CustomState, elements: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
        """See `SetFunction.add`."""
        where = np.ones(len(state.value), np.bool_) if where is None else where
        elements = self._elements("elements", np.where(where, elements, 0), len(state.value), 1)
        out = np.zeros(len(elements))
        for b in np.flatnonzero(where):
            out[b] = self._gain(state, b, elements[b])
            state.member[b, elements[b]] = True
            state.value[b] += out[b]
        return out

    def _gain(self, state: CustomState, b: int, element: int) -> float:
        if state.member[b, element]:
            return 0.0
        return self.value(np.append(np.flatnonzero(state.member[b]), element)) - state.value[b]


def whole(name: str, value: Any, least: int) -> None:
    """Raises EnvzooError unless `value` is a whole number of at least `least`."""
    check_whole(name, value, least)


def amounts(name: str, array: Any, ndim: int) -> np.ndarray:
    """The array as contiguous float64.

    Raises:
        EnvzooError: Unless it has `ndim` dimensions, none empty, and holds finite numbers of at least 0.
    """
    given = np.asarray(array)
    if given.ndim != ndim or given.size == 0 or given.dtype.kind not in "biuf":
        raise EnvzooError(f"{name} is {given.dtype} of shape {given.shape}; expected numbers with {ndim} dimensions")
    given = np.ascontiguousarray(given, np.float64)
    bad = ~(np.isfinite(given) & (given >= 0))
    if bad.any():
        at = ", ".join(map(str, np.argwhere(bad)[0]))
        raise EnvzooError(f"{name}[{at}] is {given[bad][0]:g}; expected finite numbers of at least 0")
    return given


def _text(elements: list[int]) -> str:
    shown = ", ".join(map(str, sorted(elements)[:12]))
    return "{" + shown + (", ..." if len(elements) > 12 else "") + "}"
