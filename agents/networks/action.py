"""How actions travel between environments (NumPy, the space's dtype) and agents (plain indices or float vectors)."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envzoo.errors import UnsupportedSpaceError


class ActionCodec:
    """Facts and conversions of one action space.

    Args:
        space: Discrete, or Box with finite or infinite bounds.
        agent: Name used in the error.
        kinds: Which of "discrete" and "continuous" the agent takes.

    Raises:
        UnsupportedSpaceError: The agent does not take this space.
    """

    def __init__(self, space: spaces.Space, agent: str, kinds: tuple[str, ...] = ("discrete", "continuous")):
        expected = {"discrete": "Discrete", "continuous": "Box"}
        kind = {spaces.Discrete: "discrete", spaces.Box: "continuous"}.get(type(space))
        if kind not in kinds:
            raise UnsupportedSpaceError(
                f"{agent} takes {' or '.join(expected[k] for k in kinds)} actions, but the action space is {space}"
            )
        self.space = space
        self.discrete = kind == "discrete"
        if self.discrete:
            self.n = int(space.n)
            self.start = int(space.start)
            self.dim = 1
        else:
            if not np.issubdtype(space.dtype, np.floating):
                raise UnsupportedSpaceError(
                    f"{agent} takes Box actions of a float dtype, but the action space is {space}"
                )
            self.shape = tuple(space.shape)
            self.dim = int(np.prod(self.shape))
            self.low = space.low.reshape(-1).astype(np.float32)
            self.high = space.high.reshape(-1).astype(np.float32)
            self.bounded = bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    def to_environment(self, action: np.ndarray) -> np.ndarray:
        """Agent actions (B,) int or (B, dim) float -> what `env.step` takes, Box actions clipped to the bounds."""
        if self.discrete:
            return action + self.start if self.start else action
        clipped = np.clip(action, self.low, self.high).astype(self.space.dtype, copy=False)
        return clipped.reshape(len(action), *self.shape)

    def from_environment(self, action: np.ndarray) -> np.ndarray:
        """Actions as an environment or dataset holds them -> agent form: (B,) int64 or (B, dim) float32."""
        action = np.asarray(action)
        if self.discrete:
            return action.reshape(len(action)).astype(np.int64) - self.start
        return action.reshape(len(action), self.dim).astype(np.float32)
