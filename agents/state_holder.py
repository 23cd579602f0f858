"""Plain values as a part of a learner's saved state."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np


class StateHolder:
    """Values that are saved and restored together: numbers, flags, arrays, and lists and dicts of them.

    Its attributes are the values; those that it has when a state is loaded are the ones that are expected there.

    Args:
        **values: The first values.
    """

    def __init__(self, **values: Any):
        vars(self).update(values)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all values."""
        return deepcopy(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the values; those of arrays are written into the arrays that are there.

        Raises:
            KeyError: One is missing.
            ValueError: One does not fit; see `check`.
        """
        for name, present in vars(self).items():
            self.check(name, present, state[name])
        for name, present in list(vars(self).items()):
            if isinstance(present, np.ndarray):
                present[...] = state[name]
            else:
                setattr(self, name, state[name])

    def check(self, name: str, present: Any, given: Any) -> None:
        """Refuse a value that does not fit in the place of the present one.

        Raises:
            ValueError: An array of another shape or dtype, or a whole number or flag that is of another type.
        """
        if isinstance(present, np.ndarray):
            given = np.asarray(given)
            if (given.shape, given.dtype) != (present.shape, present.dtype):
                raise ValueError(f"{name} is {given.dtype} of shape {given.shape}")
        elif isinstance(present, bool | int) and type(given) is not type(present):
            raise ValueError(f"{name} is {given!r}")
