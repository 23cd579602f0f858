"""A trained agent that another agent holds and saves unchanged."""

from __future__ import annotations

from typing import Any

from envzoo.agents.agent import Agent
from envzoo.agents.loading import revive
from envzoo.errors import CheckpointError


class CarriedAgent:
    """Trained agent as a part of another agent: its header and state are saved unchanged.

    Args:
        agent: Trained agent; it is not trained further.
        kept: Its header and state from the file of the agent that holds it; None to take them from the agent.
    """

    def __init__(self, agent: Agent, kept: dict[str, Any] | None = None):
        self.agent = agent
        self.kept = {"header": agent.header(), "state": agent.state_dict()} if kept is None else kept

    def state_dict(self) -> dict[str, Any]:
        """Return the content of the agent's own file."""
        return self.kept

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing: the agent was already built from this state (see `revive_carried`)."""


def revive_carried(state: Any, part: str, holder: str) -> CarriedAgent:
    """Build the agent that is stored under the name `part` in the state of another agent.

    Raises:
        CheckpointError: There is none, or it is damaged.
    """
    try:
        carried = state["parts"][part]
        kept = {"header": carried["header"], "state": carried["state"]}
    except (LookupError, TypeError):
        raise CheckpointError(f"the agent's file lacks its {holder} agent") from None
    return CarriedAgent(revive(kept["header"], kept["state"], device="cpu"), kept)
