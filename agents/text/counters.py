"""Counters and flags of a text trainer."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from envzoo.moved import former_names


class Counters:
    """Plain values of a trainer that are saved with the agent, together with the state of its method.

    Args:
        method_state: The state of the method, which this object saves and restores in place.
        **values: First values of the counters.
    """

    def __init__(self, method_state: dict[str, Any], **values: Any):
        self.method_state, self.values = method_state, values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.values[name] = value

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all values."""
        return deepcopy(self.values | self.method_state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the values of the names that this object has.

        Raises:
            KeyError: A value is missing.
            ValueError: A count or flag has another type.
        """
        own = self.values | self.method_state
        for name, value in own.items():
            if isinstance(value, bool | int) and type(state[name]) is not type(value):
                raise ValueError(f"{name} is {state[name]!r}")
        for values in (self.values, self.method_state):
            values.update({name: deepcopy(state[name]) for name in values})


__getattr__ = former_names(__name__, {"Memory": f"{__name__}:Counters"})
