"""Plain values as a part of a learner's saved state."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np


class StateHolder:
    """Values that are saved and restored together: numbers, flags, arrays, and lists and dicts of them.

    The values are attributes; loading a state requires the attributes that exist at that time.

    Args:
        **values: Initial values.
    """

    def __init__(self, **values: Any):
        vars(self).update(values)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all values."""
        return deepcopy(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the values; arrays are copied into the existing arrays.

        Raises:
            KeyError: A value is missing.
            ValueError: A value does not fit; see `check`.
        """
        for name, present in vars(self).items():
            self.check(name, present, state[name])
        for name, present in list(vars(self).items()):
            if isinstance(present, np.ndarray):
                present[...] = state[name]
            else:
                setattr(self, name, state[name])

    def check(self, name: str, present: Any, given: Any) -> None:
        """Check that a value can replace the present one.

        Raises:
            ValueError: An array of another shape or dtype, or an integer or flag of another type.
        """
        if isinstance(present, np.ndarray):
            given = np.asarray(given)
            if (given.shape, given.dtype) != (present.shape, present.dtype):
                raise ValueError(f"{name} is {given.dtype} of shape {given.shape}")
        elif isinstance(present, bool | int) and type(given) is not type(present):
            raise ValueError(f"{name} is {given!r}")
