"""How actions travel between environments (NumPy, the space's dtype) and agents (plain indices or float vectors).

Masks of allowed actions travel within packed observations: as the entry "action_mask" of a Dict observation, or, where
an environment gives them in its infos, as A further columns behind the `packed_dim` ones of the observation. Networks
never see the further columns. Rollouts, replay buffers and targets so have the mask of every observation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from envzoo.action_masks import NAME, check_mask
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.errors import UnsupportedSpaceError


class ActionCodec:
    """Describe one action space and convert its actions.

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
        """Convert agent actions (B,) int or (B, dim) float to what `env.step` takes, Box actions clipped to bounds."""
        if self.discrete:
            return action + self.start if self.start else action
        clipped = np.clip(action, self.low, self.high).astype(self.space.dtype, copy=False)
        return clipped.reshape(len(action), *self.shape)

    def from_environment(self, action: np.ndarray) -> np.ndarray:
        """Convert actions of an environment or dataset to the agent's form: (B,) int64 or (B, dim) float32."""
        action = np.asarray(action)
        if self.discrete:
            return action.reshape(len(action)).astype(np.int64) - self.start
        return action.reshape(len(action), self.dim).astype(np.float32)

    def append_mask(self, rows: np.ndarray, mask: Any, single: bool = False) -> np.ndarray:
        """Append the action masks to packed observations, (B, P) -> (B, P + A).

        Args:
            rows: (B, P).
            mask: (B, A) zeros and ones, or (A,) with `single`; None leaves the rows as they are, as do Box actions.
            single: There is one observation, whose mask has no batch dimension.

        Raises:
            EnvzooError: Masks of another shape.
        """
        if mask is None or not self.discrete:
            return rows
        checked = check_mask(np.asarray(mask)[None] if single else mask, len(rows), self.n)
        return np.concatenate([rows, checked.astype(rows.dtype)], axis=1)


class MaskReader:
    """Reads the masks of allowed actions out of packed observations.

    Args:
        codec: Packs the observations.
        actions: A, the number of discrete actions; 0 for continuous ones, which have no masks.

    Raises:
        UnsupportedSpaceError: The observation has an entry "action_mask" of another size than the action space.
    """

    def __init__(self, codec: ObservationCodec, actions: int):
        self.packed_dim, self.actions = codec.packed_dim, actions
        self.columns: slice | None = None
        for path, part in zip(codec.paths, codec.parts, strict=True):
            if actions and path == (NAME,):
                if part.kind not in ("binary", "vector") or part.stop - part.start != actions:
                    raise UnsupportedSpaceError(
                        f"the entry {NAME} of the observation is {codec.space[NAME]}; expected MultiBinary({actions}) "
                        "or a Box of as many zeros and ones, one for each action"
                    )
                self.columns = slice(part.start, part.stop)

    def __call__(self, x: Tensor) -> Tensor | None:
        """Return the masks in packed observations (..., P) or (..., P + A): bool (..., A), or None without any.

        Rows that allow nothing, as some environments give after the end, allow everything.
        """
        if x.shape[-1] != self.packed_dim:
            mask = x[..., self.packed_dim :] > 0.5
        elif self.columns is not None:
            mask = x[..., self.columns] > 0.5
        else:
            return None
        return mask | ~mask.any(dim=-1, keepdim=True)

    def restrict(self, logits: Tensor, x: Tensor) -> Tensor:
        """Set the logits (..., A) of actions that are not allowed at packed observations x to -inf."""
        mask = self(x)
        return logits if mask is None else logits.masked_fill(~mask, -torch.inf)
