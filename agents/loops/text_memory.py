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
        """Take over the values of the names that this memory has; raises KeyError when one is missing."""
        self.values = {name: state[name] for name in self.values}
