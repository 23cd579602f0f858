"""Plain values that a trainer remembers between updates."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


class Memory:
    """Plain values that are saved with the agent."""

    def __init__(self, **values: Any):
        self.values = values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.values[name] = value

    def state_dict(self) -> dict[str, Any]:
        """A copy."""
        return deepcopy(self.values)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the values of the names that this memory has.

        Raises:
            KeyError: One is missing.
            ValueError: A count or flag of another type.
        """
        for name, value in self.values.items():
            if isinstance(value, bool | int) and type(state[name]) is not type(value):
                raise ValueError(f"{name} is {state[name]!r}")
        self.values = {name: state[name] for name in self.values}
