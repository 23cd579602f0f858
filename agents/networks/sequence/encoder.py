"""Encoders of observations with a sequence layer as their memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from envzoo.agents.networks.basic_encoders import CNNEncoder, Encoder, MLPEncoder
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.sequence.layer import SequenceLayer


class SequenceEncoder(Encoder):
    """Input layers, a linear projection to the width of the memory, the memory, and a normalisation of its outputs.

    Args:
        codec: Describes the observations.
        hidden: Sizes of the input layers; the last one is the width of the memory (64 without any).
        activation: Activation function of the input layers.
        generator: Source of the initial weights.
        layer: Makes the memory: `layer(width, generator)`. With `functools.partial(SequenceEncoder, layer=...)` as
            `encoder=`, an agent takes any layer with any settings.
    """

    recurrent = True

    def __init__(
        self,
        codec: ObservationCodec,
        hidden: Sequence[int],
        activation: str,
        generator: torch.Generator,
        *,
        layer: Callable[[int, Any], SequenceLayer],
    ):
        super().__init__()
        *before, width = hidden or (64,)
        base = CNNEncoder if codec.images else MLPEncoder
        self.before = base(codec, before, activation, generator)
        self.project = linear(self.before.out_dim, width, generator, gain=1.0)
        self.memory = layer(width, generator)
        for part in self.memory.modules():
            if isinstance(part, SequenceLayer):
                part.check_causal()
        self.norm = nn.LayerNorm(width)
        self.out_dim, self.state_dim = width, self.memory.state_dim

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the memory of `num_envs` new episodes, (num_envs, state_dim)."""
        return self.memory.initial_state(num_envs)

    def step(self, x: Tensor, state: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """Advance one step: x (B, packed_dim), state (B, state_dim), start (B,) bool -> features and new state."""
        y, state = self.memory.step(self.project(self.before.features(x)), state, start)
        return self.norm(y), state

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a sequence: x (T, B, packed_dim), state, start (T, B) bool -> features (T, B, out_dim), new state."""
        y, state = self.memory(self.project(self.before.features(x)), state, start)
        return self.norm(y), state
