"""Bounded Box actions as vectors in [-1, 1]^D, the form in which squashed policies speak."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envzoo.agents.networks.action import ActionCodec
from envzoo.errors import UnsupportedSpaceError


class UnitActionCodec(ActionCodec):
    """Like `ActionCodec` for a bounded Box, but the agent's form of an action lies in [-1, 1]^D.

    Args:
        space: Box with finite bounds.
        agent: Name used in the error.

    Raises:
        UnsupportedSpaceError: Another space, or a Box with an infinite bound.
    """

    def __init__(self, space: spaces.Space, agent: str):
        super().__init__(space, agent, ("continuous",))
        if not self.bounded:
            raise UnsupportedSpaceError(
                f"{agent} squashes its actions into the bounds of the space, so they must be finite, "
                f"but the action space is {space}; wrap it with gymnasium.wrappers.RescaleAction or ClipAction"
            )
        self.centre = (self.low + self.high) / 2
        self.half = (self.high - self.low) / 2

    def to_environment(self, action: np.ndarray) -> np.ndarray:
        """(B, D) in [-1, 1] -> what `env.step` takes, within the bounds."""
        return super().to_environment(self.centre + self.half * action)

    def from_environment(self, action: np.ndarray) -> np.ndarray:
        """Actions of the space -> (B, D) float32 in [-1, 1]; a dimension without width becomes 0."""
        offset = super().from_environment(action) - self.centre
        return np.divide(offset, self.half, out=np.zeros_like(offset), where=self.half > 0)
