"""Encoders with a memory in the off-policy loop: run while acting, stored with the steps, and asked by `predict`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.loops.experience import Step
from envzoo.agents.loops.on_policy import Memory
from envzoo.agents.loops.sequence_replay import SequenceReplay
from envzoo.agents.networks.basic_encoders import Encoder
from envzoo.agents.networks.policy import Acting
from envzoo.agents.networks.seen import Seen


class RunningMemory(Memory):
    """Memories of several encoders in the running episodes, side by side in one tensor, as a part of the saved state.

    Args:
        encoders: Encoders with a memory, that of the policy first.
        num_envs: B.

    Attributes:
        tensor: (B, S), the memories after the last observations that were read.
        before: (B, S), the memories before they were read.
    """

    def __init__(self, encoders: Sequence[Encoder], num_envs: int):
        super().__init__(torch.cat([encoder.initial_state(num_envs) for encoder in encoders], dim=1))
        self.encoders = encoders
        self.before = self.tensor

    @torch.no_grad()
    def read(self, x: Tensor, start: Tensor) -> Seen:
        """Read packed observations (B, P); returns them with the features of the first encoder."""
        self.before, position, after, first = self.tensor, 0, [], None
        for encoder in self.encoders:
            end = position + encoder.state_dim
            features, state = encoder.step(x, self.tensor[:, position:end].contiguous(), start)
            first, position = features if first is None else first, end
            after.append(state)
        self.tensor = torch.cat(after, dim=1)
        return Seen(x, first)

    def store(
        self,
        replay: SequenceReplay,
        observation: np.ndarray,
        action: np.ndarray,
        start: np.ndarray,
        step: Step,
        resets_within: bool,
    ) -> int:
        """Add a step to the buffer; returns the number of environment steps.

        Args:
            replay: The buffer.
            observation: (B, P) packed, that `read` was given.
            action: (B, D) or (B,).
            start: (B,) bool, which observations opened an episode.
            step: What followed.
            resets_within: Whether environments reset themselves within the step that ends an episode, so that its last
                observation will not be read.
        """
        replay.add(observation, action, step.reward, step.terminated, start, step.valid, self.before)
        truncated = np.flatnonzero(step.done & ~step.terminated) if resets_within else ()
        if len(truncated):
            replay.add_last(step.next_observation[truncated], truncated, self.tensor[torch.from_numpy(truncated)])
        return int(step.valid.sum())


class RememberingPolicy:
    """A policy with a memory as `predict_with_policy` takes it.

    Args:
        encoder: Encoder of the policy.
        act: Observations with their features, a generator, and whether to take the mode -> actions.
    """

    recurrent = True

    def __init__(self, encoder: Encoder, act: Callable[[Any, torch.Generator, bool], Tensor]):
        self.encoder, self.choose = encoder, act

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the memory of fresh episodes, (num_envs, state_dim)."""
        return self.encoder.initial_state(num_envs)

    def act(
        self, x: Tensor, state: Tensor, start: Tensor | None, generator: torch.Generator, deterministic: bool
    ) -> Acting:
        """Choose actions for packed observations x (B, P)."""
        features, state = self.encoder.step(x, state, start)
        return Acting(self.choose(Seen(x, features), generator, deterministic), None, None, state)
