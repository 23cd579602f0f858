"""The base class of encoders, and the two without memory: packed observations -> features.

Every encoder has the same three methods. `initial_state(num_envs)` returns the memory at the start of episodes; `step`
advances one time step during acting; `forward` processes a sequence (T, B, ...) during training. `start` marks
observations at the start of an episode: the memory is reset before they are read. Both methods agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import MLP, convolution
from envzoo.agents.networks.observation import ObservationCodec, Part
from envzoo.errors import UnsupportedSpaceError

ONE_HOT_LIMIT = 64  # above this many one-hot columns a row lookup is faster than a matrix product


class Encoder(nn.Module):
    """Base class of the encoders; memoryless encoders implement only `features`."""

    recurrent = False
    out_dim: int
    state_dim = 0

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the memory of `num_envs` new episodes, (num_envs, state_dim)."""
        parameter = next(self.parameters(), None)
        return torch.zeros(num_envs, self.state_dim, device=None if parameter is None else parameter.device)

    def features(self, x: Tensor) -> Tensor:
        """Compute the features of packed observations, (..., packed_dim) -> (..., out_dim)."""
        raise NotImplementedError

    def step(self, x: Tensor, state: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """Advance one step: x (B, packed_dim), state (B, state_dim), start (B,) bool -> features and new state."""
        return self.features(x), state

    def forward(
        self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Process a sequence: x (T, B, packed_dim), state, start (T, B) bool -> features (T, B, out_dim), new state.

        Memoryless encoders accept any leading dimensions.
        """
        return self.features(x), state


class MLPEncoder(Encoder):
    """Multi-layer perceptron on the expanded observation; wide one-hot inputs become row lookups in the first layer."""

    def __init__(self, codec: ObservationCodec, hidden: Sequence[int], activation: str, generator: torch.Generator):
        super().__init__()
        if codec.images:
            raise UnsupportedSpaceError("the mlp encoder takes no images; use encoder='cnn' for this observation space")
        self.codec = codec
        self.net = MLP(codec.vector_dim, hidden, activation, generator)
        self.out_dim = self.net.out_dim
        self.lookup = codec.num_states is not None and codec.vector_dim > ONE_HOT_LIMIT and len(hidden) > 0

    def features(self, x: Tensor) -> Tensor:
        """Compute the features of packed observations, (..., packed_dim) -> (..., out_dim)."""
        if not self.lookup:
            return self.net(self.codec.vector(x))
        first, *rest = self.net.layers
        rows = self.codec.one_hot_index(x)
        table = first.weight.t()
        flat = nn.functional.embedding_bag(rows.reshape(-1, rows.shape[-1]), table, mode="sum") + first.bias
        y = self.net.activation(flat.reshape(*x.shape[:-1], -1))
        for layer in rest:
            y = self.net.activation(layer(y))
        return y


class CNNEncoder(Encoder):
    """Convolutions on each image part, followed by one linear layer together with the vector parts.

    Images of at least 36 pixels per side use the three layers of Mnih et al. (2015), smaller images three 3x3 layers.
    """

    def __init__(self, codec: ObservationCodec, hidden: Sequence[int], activation: str, generator: torch.Generator):
        super().__init__()
        if not codec.images:
            raise UnsupportedSpaceError("the cnn encoder needs an image in the observation; use encoder='mlp' instead")
        self.codec = codec
        self.stacks = nn.ModuleList(self._stack(part, generator) for part in codec.images)
        with torch.no_grad():
            width = codec.vector_dim + sum(
                stack(torch.zeros(1, *self._planes(part))).numel()
                for stack, part in zip(self.stacks, codec.images, strict=True)
            )
        self.net = MLP(width, hidden or (512,), "relu" if activation == "tanh" else activation, generator)
        self.out_dim = self.net.out_dim

    @staticmethod
    def _planes(part: Part) -> tuple[int, int, int]:
        h, w, c = part.shape if part.channels_last else (*part.shape[1:], part.shape[0])
        return c, h, w

    @classmethod
    def _stack(cls, part: Part, generator: torch.Generator) -> nn.Sequential:
        channels, height, width = cls._planes(part)
        if min(height, width) >= 36:
            shapes = [(32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0)]
        else:
            shapes = [(16, 3, 1, 1), (32, 3, 2, 1), (32, 3, 1, 1)]
        layers: list[nn.Module] = []
        for outputs, kernel, stride, padding in shapes:
            layers += [convolution(channels, outputs, kernel, stride, padding, generator), nn.ReLU()]
            channels = outputs
        return nn.Sequential(*layers, nn.Flatten())

    def features(self, x: Tensor) -> Tensor:
        """Compute the features of packed observations, (..., packed_dim) -> (..., out_dim)."""
        flat = x.reshape(-1, x.shape[-1])
        pieces = [
            stack(self.codec.image(flat, part)) for stack, part in zip(self.stacks, self.codec.images, strict=True)
        ]
        if self.codec.vector_dim:
            pieces.append(self.codec.vector(flat))
        return self.net(torch.cat(pieces, dim=-1)).reshape(*x.shape[:-1], -1)
