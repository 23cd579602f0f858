"""The contract of layers with a memory, and blocks of such layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import linear
from envzoo.errors import EnvzooError


def check_sizes(layer: str, **sizes: int) -> None:
    """Raise EnvzooError unless all sizes are whole numbers of at least 1; `layer` names the layer in the sentence."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise EnvzooError(f"{name.replace('_', ' ')} of {layer} is {size!r}; expected a whole number of at least 1")


class SequenceLayer(nn.Module):
    """Base of layers over time; a subclass sets `state_dim` and implements `step`, and `forward` if it can be faster.

    The memory is one flat row of numbers per environment, all zero at the start of an episode, so that it fits into
    rollouts, `predict`'s state and checkpoints. `step` and `forward` give the same numbers up to rounding.

    Attributes:
        width: Features of inputs and outputs.
        state_dim: Numbers of memory per environment.
    """

    width: int
    state_dim: int

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the memory of `num_envs` new episodes, (num_envs, state_dim)."""
        parameter = next(self.parameters(), None)
        like = {} if parameter is None else {"device": parameter.device, "dtype": parameter.dtype}
        return torch.zeros(num_envs, self.state_dim, **like)

    def check_causal(self) -> None:
        """Raise EnvzooError if outputs depend on later inputs, so that the layer can be no memory; none by default."""

    def step(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance one step: x (B, width), state (B, state_dim), start (B,) bool -> outputs (B, width), new state.

        Where `start` is true the memory is reset before x is read.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk: x (T, B, width), state before it, start (T, B) bool -> (T, B, width), state after it."""
        state = self.initial_state(x.shape[1]) if state is None else state
        outputs = []
        for t in range(len(x)):
            y, state = self.step(x[t], state, None if start is None else start[t])
            outputs.append(y)
        return torch.stack(outputs), state


def reset_where(state: Tensor, start: Tensor | None) -> Tensor:
    """Return the memory (B, ...) with zeros where `start` (B,) is true."""
    if start is None:
        return state
    return state.masked_fill(start.reshape(-1, *[1] * (state.dim() - 1)), 0)


def segments(start: Tensor | None, steps: int, batch: int, device: torch.device) -> Tensor:
    """Give the episodes within a chunk numbers: int64 (T, B), 0 for the one that began before it."""
    if start is None:
        return torch.zeros(steps, batch, dtype=torch.int64, device=device)
    return start.cumsum(dim=0)


class GatedBlock(SequenceLayer):
    """Residual block x + GLU(W gelu(layer(norm(x)))), as around S4D and linear recurrent units.

    Args:
        layer: The layer within.
        generator: Source of the initial weights.
    """

    def __init__(self, layer: SequenceLayer, generator: torch.Generator | None = None):
        super().__init__()
        self.width, self.state_dim = layer.width, layer.state_dim
        self.norm, self.layer = nn.LayerNorm(layer.width), layer
        self.mix = linear(layer.width, 2 * layer.width, generator, gain=None)

    def _leave(self, x: Tensor, y: Tensor) -> Tensor:
        return x + nn.functional.glu(self.mix(nn.functional.gelu(y)), dim=-1)

    def step(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance one step; see `SequenceLayer.step`."""
        y, state = self.layer.step(self.norm(x), state, start)
        return self._leave(x, y), state

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk; see `SequenceLayer.forward`."""
        y, state = self.layer(self.norm(x), state, start)
        return self._leave(x, y), state


class Stack(SequenceLayer):
    """Layers one after the other, whose memories lie side by side.

    Args:
        layers: Layers of one width.
    """

    def __init__(self, layers: Sequence[SequenceLayer]):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.width, self.sizes = layers[0].width, [layer.state_dim for layer in layers]
        self.state_dim = sum(self.sizes)

    def step(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance one step; see `SequenceLayer.step`."""
        after = []
        for layer, part in zip(self.layers, state.split(self.sizes, dim=1), strict=True):
            x, part = layer.step(x, part, start)
            after.append(part)
        return x, torch.cat(after, dim=1)

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk; see `SequenceLayer.forward`."""
        state = self.initial_state(x.shape[1]) if state is None else state
        after = []
        for layer, part in zip(self.layers, state.split(self.sizes, dim=1), strict=True):
            x, part = layer(x, part, start)
            after.append(part)
        return x, torch.cat(after, dim=1)
