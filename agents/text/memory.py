"""Plain values that a trainer remembers between updates."""

from __future__ import annotations

from typing import Any

from envzoo.agents.state_holder import StateHolder


class Memory(StateHolder):
    """Plain values that are saved with the agent, by name."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)
