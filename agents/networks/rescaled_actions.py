"""Action codec of bounded Box actions as vectors in [-1, 1]^D, for squashed policies."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envzoo.agents.networks.action import ActionCodec
from envzoo.errors import UnsupportedSpaceError


class UnitActionCodec(ActionCodec):
    """Action codec for a bounded Box whose actions are represented as vectors in [-1, 1]^D.

    Args:
        space: Box with finite bounds.
        agent: Name used in error messages.

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
        """Convert (B, D) in [-1, 1] to actions for `env.step`, within the bounds."""
        return super().to_environment(self.centre + self.half * action)

    def from_environment(self, action: np.ndarray) -> np.ndarray:
        """Convert actions of the space to (B, D) float32 in [-1, 1]; dimensions of zero width become 0."""
        offset = super().from_environment(action) - self.centre
        return np.divide(offset, self.half, out=np.zeros_like(offset), where=self.half > 0)
