"""Interface of set functions with their checks, and set functions made from any Python function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.definition import Allocator

# Tolerance for gains that are negative because of rounding, relative to the size of the values.
TOLERANCE = 1e-9


class SetFunction:
    """A function F of subsets of the elements 0, ..., size - 1, evaluated incrementally for B sets at once.

    A subclass implements `value` (the definition, in NumPy), sets the attributes below, and provides two module-level
    functions `@njit(cache=True)` on arrays:

    - `kernel_gains(data, state, candidates, out)`: out[b, k] = F(S_b + candidates[b, k]) - F(S_b);
    - `kernel_add(data, state, elements, where, out)`: where[b], add elements[b] to S_b and write its gain to out[b]
    (and add it to state.value[b]); elsewhere do nothing.

    Elements already in a set have gain 0.

    Attributes:
        size: Number of elements n.
        data: NamedTuple of arrays, the parameters of the function for the kernels.
    """

    size: int
    data: tuple
    kernel_gains: Callable[..., None]
    kernel_add: Callable[..., None]

    # ------------------------------------------------------ what a subclass writes

    def value(self, indices: Iterable[int]) -> float:
        """Compute F of a set of elements; repeated indices count once.

        Raises:
            EnvzooError: An element is outside 0 to size - 1.
        """
        raise NotImplementedError

    def layout(self, capacity: int) -> tuple:
        """Return the dtypes of one set's state, a NamedTuple with `value` (float64); all zeros is the empty set."""
        raise NotImplementedError

    # ------------------------------------------------------------- growing sets

    def initial_state(self, batch: int, capacity: int | None = None) -> tuple:
        """Create `batch` empty sets: a NamedTuple of arrays (batch, ...), including `value` (batch,), F of each set.

        Args:
            batch: Number of sets B.
            capacity: Largest number of elements of a set, None for all; it bounds the memory of the Gaussian functions,
                which store capacity^2 / 2 numbers per set, and has no effect on the others.

        Raises:
            EnvzooError: The batch or capacity is not a positive whole number.
        """
        whole("batch", batch, 1)
        if capacity is not None:
            whole("capacity", capacity, 1)
        return Allocator(self.layout(self.size if capacity is None else min(int(capacity), self.size)))(int(batch))

    def gains(self, state: tuple, candidates: np.ndarray) -> np.ndarray:
        """Compute marginal gains F(S_b + candidate) - F(S_b) of elements (B, K), float64 (B, K), without adding them.

        Raises:
            EnvzooError: The candidates have another shape, or are outside 0 to size - 1.
        """
        candidates = self._elements("candidates", candidates, len(state.value), 2)
        out = np.zeros(candidates.shape)
        type(self).kernel_gains(self.data, state, candidates, out)
        return out

    def add(self, state: tuple, elements: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
        """Add one element to each set, or to those marked in `where`; the state is changed in place.

        Args:
            state: A state from `initial_state`.
            elements: Integers (B,).
            where: Bool (B,), None for all; the elements of other sets are ignored.

        Returns:
            The marginal gains, float64 (B,), 0 outside `where`.

        Raises:
            EnvzooError: The elements have another shape, are outside 0 to size - 1, or exceed the state's capacity;
                nothing is changed in that case.
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
        """Compute F({e}) - F({}) of every element, float64 (size,), its reward under an additive (modular) function."""
        return self.gains(self.initial_state(1, 1), np.arange(self.size)[None])[0]

    # ------------------------------------------------------------------- checks

    def check_monotone(self, *, samples: int = 200, seed: int = 0, largest: int | None = None) -> None:
        """Search random sets for one whose value decreases when an element is added.

        Args:
            samples: Number of pairs (S, element) tested.
            seed: Seed of the sample.
            largest: Largest size of S, None for size - 1.

        Raises:
            EnvzooError: Such a set was found: the function is not monotone.
        """
        for small, large in self._chains(samples, seed, largest, added=1):
            before, after = self.value(small), self.value(large)
            if not after - before >= -TOLERANCE * max(1.0, abs(before)):
                raise EnvzooError(
                    f"{type(self).__name__} is not monotone: adding element {large[-1]} to {_text(small)} changes its "
                    f"value from {before:g} to {after:g}; expected no decrease"
                )

    def check_submodular(self, *, samples: int = 200, seed: int = 0, largest: int | None = None) -> None:
        """Search random sets for an element whose gain increases with the set.

        Args:
            samples: Number of triples (S, a, b) tested: adding a after b must not gain more than adding a to S.
            seed: Seed of the sample.
            largest: Largest size of S, None for size - 2.

        Raises:
            EnvzooError: Such an element was found: the function is not submodular.
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
        """Yield random sets S, and S with `added` more elements appended, as pairs of lists."""
        rng = np.random.default_rng(seed)
        most = self.size - added if largest is None else min(largest, self.size - added)
        for _ in range(samples if most >= 0 else 0):
            count = int(rng.integers(most + 1))
            order = rng.permutation(self.size)[: count + added].tolist()
            yield order[:count], order

    # ---------------------------------------------------------------- internals

    def _make_room(self, state: tuple, elements: np.ndarray, where: np.ndarray) -> None:
        """Raise EnvzooError if a set has no capacity for its new element."""

    def _set(self, indices: Iterable[int]) -> np.ndarray:
        """Return the distinct elements, int64 ascending, validated."""
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
    value: np.ndarray  # float64 (B,), minus the value of the empty set


class CustomSetFunction(SetFunction):
    """A set function from any Python function, without compiled gains: each gain takes one call.

    Args:
        function: Takes the distinct elements of a set, int64 ascending, and returns its value. The value of the empty
            set is always subtracted, so that F({}) = 0.
        size: Number of elements.
        check: Whether to test on random sets that the function is monotone.

    Raises:
        EnvzooError: The size is not a positive whole number, or the function is not monotone.
    """

    def __init__(self, function: Callable[[np.ndarray], float], size: int, *, check: bool = False) -> None:
        whole("size", size, 1)
        self.size = int(size)
        self._function = function
        self._empty = float(function(np.zeros(0, np.int64)))
        if check:
            self.check_monotone()

    def value(self, indices: Iterable[int]) -> float:
        """Compute F of a set of elements; see `SetFunction.value`."""
        return float(self._function(self._set(indices))) - self._empty

    def layout(self, capacity: int) -> CustomState:
        """Return the layout; see `SetFunction.layout`."""
        return CustomState(member=(np.bool_, (self.size,)), value=np.float64)

    def gains(self, state: CustomState, candidates: np.ndarray) -> np.ndarray:
        """Compute marginal gains; see `SetFunction.gains`."""
        candidates = self._elements("candidates", candidates, len(state.value), 2)
        out = np.zeros(candidates.shape)
        for b, k in np.ndindex(candidates.shape):
            out[b, k] = self._gain(state, b, candidates[b, k])
        return out

    def add(self, state: CustomState, elements: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
        """Add elements; see `SetFunction.add`."""
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
    """Raise EnvzooError unless `value` is a whole number of at least `least`."""
    check_whole(name, value, least)


def amounts(name: str, array: Any, ndim: int) -> np.ndarray:
    """Return the array as contiguous float64.

    Raises:
        EnvzooError: It does not have `ndim` nonempty dimensions, or holds negative or non-finite numbers.
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
