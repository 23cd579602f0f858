"""Encoders by name: packed observations -> features, with or without memory.

Every encoder has the same three methods. `initial_state(num_envs)` returns the memory at the start of episodes; `step`
advances one time step during acting; `forward` processes a sequence (T, B, ...) during training. `start` marks
observations at the start of an episode: the memory is reset before they are read. Both methods agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import MLP, convolution, gru, linear
from envzoo.agents.networks.observation import MOST_SYMBOLS, ObservationCodec, Part, leaves
from envzoo.agents.networks.unique_rows import few_distinct
from envzoo.errors import UnsupportedSpaceError, unknown

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


class GRUEncoder(Encoder):
    """One input layer and a gated recurrent unit (Cho et al., 2014), with memory of the episode."""

    recurrent = True

    def __init__(self, codec: ObservationCodec, hidden: Sequence[int], activation: str, generator: torch.Generator):
        super().__init__()
        *before, width = hidden or (64,)
        base = CNNEncoder if codec.images else MLPEncoder
        self.before = base(codec, before, activation, generator)
        self.cell = gru(self.before.out_dim, width, generator)
        self.out_dim = self.state_dim = width

    def step(self, x: Tensor, state: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """Advance one step: x (B, packed_dim), state (B, state_dim), start (B,) bool -> features and new state."""
        if start is not None:
            state = state * ~start[:, None]
        _, state = self.cell(self.before.features(x)[None], state[None])
        return state[0], state[0]

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a sequence: x (T, B, packed_dim), state, start (T, B) bool -> features (T, B, out_dim), new state."""
        inputs = self.before.features(x)
        steps = len(x)
        state = self.initial_state(x.shape[1]) if state is None else state
        # The fused GRU processes the segments between episode starts, of which there are usually few.
        cuts = [0] if start is None else sorted({0, *torch.nonzero(start.any(dim=1)).flatten().tolist()})
        outputs = []
        for begin, end in zip(cuts, [*cuts[1:], steps], strict=True):
            if start is not None:
                state = state * ~start[begin][:, None]
            features, last = self.cell(inputs[begin:end], state[None].contiguous())
            outputs.append(features)
            state = last[0]
        return torch.cat(outputs), state


class SymbolInput(NamedTuple):
    """Input of the first layer of a `SymbolEncoder`.

    Attributes:
        rows: int64 (N, symbols), the row of the weight table for each symbol.
        numbers: For each range of plain numbers its first column among all of them, the numbers (N, columns), and None;
            or only the distinct rows (U, columns), and the index among them of each observation, int64 (N,).
    """

    rows: Tensor
    numbers: list[tuple[int, Tensor, Tensor | None]]


class SymbolEncoder(Encoder):
    """Multi-layer perceptron that reads Boxes of few integers as one-hot symbols, and everything else as `mlp` does.

    The first layer adds up one row of weights per symbol instead of multiplying mostly zeros. Plain numbers shared by
    many observations, such as the density parameters of one episode, are multiplied once.
    """

    def __init__(self, codec: ObservationCodec, hidden: Sequence[int], activation: str, generator: torch.Generator):
        super().__init__()
        if codec.images:
            raise UnsupportedSpaceError("the symbols encoder takes no images; use encoder='cnn' for this observation")
        if not codec.has_symbols:
            raise UnsupportedSpaceError(
                f"the symbols encoder needs a Box of integers with at most {MOST_SYMBOLS} values each in the "
                "observation; use encoder='mlp' instead"
            )
        self.codec = codec
        shifts, columns, total, numbers = [], [], 0, 0
        # (column of packed rows, column among all plain numbers, width) of each part without symbols.
        self.stretches: list[tuple[int, int, int]] = []
        for part, symbols, (_, space) in zip(codec.parts, codec.symbols, leaves(codec.space), strict=True):
            if symbols is not None:
                low, high = space.low.ravel().astype(int), space.high.ravel().astype(int)
            elif part.kind == "discrete":
                low = np.array(part.offsets)
                high = low + part.sizes - 1
            else:
                self.stretches.append((part.start, numbers, part.stop - part.start))
                numbers += part.stop - part.start
                continue
            first = total + np.concatenate([[0], np.cumsum(high - low + 1)])
            shifts.append(first[:-1] - low)
            columns.append(np.arange(part.start, part.stop))
            total = int(first[-1])
        self.register_buffer("shift", torch.from_numpy(np.concatenate(shifts)), persistent=False)
        self.register_buffer("columns", torch.from_numpy(np.concatenate(columns)), persistent=False)
        width, *rest = hidden or (64,)
        self.symbols = nn.EmbeddingBag.from_pretrained(
            linear(total, width, generator).weight.detach().t().contiguous(), freeze=False, mode="sum"
        )
        self.bias = nn.Parameter(torch.zeros(width))
        self.numbers = linear(numbers, width, generator) if numbers else None
        self.net = MLP(width, rest, activation, generator)
        self.activation = self.net.activation
        self.out_dim = self.net.out_dim

    def read(self, x: Tensor) -> SymbolInput:
        """Prepare the first layer's input from packed observations (N, packed_dim).

        Encoders of one codec may share the result.
        """
        rows = x[:, self.columns].long() + self.shift
        numbers = []
        for column, position, width in self.stretches:
            part = x[:, column : column + width].float()
            chosen, numbering = (None, None) if part.requires_grad else few_distinct(part)
            numbers.append((position, part if chosen is None else part[chosen], numbering))
        return SymbolInput(rows, numbers)

    def first(self, read: SymbolInput) -> Tensor:
        """Compute the pre-activations of the first layer, (N, width)."""
        y = self.symbols(read.rows) + self.bias
        if self.numbers is None:
            return y
        y = y + self.numbers.bias
        for position, part, numbering in read.numbers:
            weight = self.numbers.weight[:, position : position + part.shape[1]].t()
            y = torch.addmm(y, part, weight) if numbering is None else y + (part @ weight)[numbering]
        return y

    def features(self, x: Tensor) -> Tensor:
        """Compute the features of packed observations, (..., packed_dim) -> (..., out_dim)."""
        y = self.first(self.read(x.reshape(-1, x.shape[-1])))
        return self.net(self.activation(y)).reshape(*x.shape[:-1], -1)


ENCODERS: dict[str, Callable[..., Encoder]] = {
    "mlp": MLPEncoder,
    "cnn": CNNEncoder,
    "gru": GRUEncoder,
    "symbols": SymbolEncoder,
}


def make_encoder(
    name: str, codec: ObservationCodec, hidden: Sequence[int], activation: str, generator: torch.Generator
) -> Encoder:
    """Create the encoder called `name`; "auto" is "cnn" for observations with images and "mlp" otherwise.

    Raises:
        UnknownNameError: No such encoder.
        UnsupportedSpaceError: The encoder cannot read this observation space.
    """
    if name == "auto":
        name = "cnn" if codec.images else "mlp"
    if name not in ENCODERS:
        raise unknown("encoder", name, [*ENCODERS, "auto"])
    return ENCODERS[name](codec, tuple(hidden), activation, generator)


class EncodedLinear(nn.Module):
    """An encoder with a linear head, the body of memoryless policies.

    Args:
        codec: Observation codec.
        outputs: Outputs of the head.
        encoder: Name of a memoryless encoder.
        hidden: Hidden layer sizes.
        activation: Name of the activation function.
        generator: Generator of the initial weights.
        gain: Gain of the orthogonal initial weights of the head; None takes the uniform ones of PyTorch.
    """

    def __init__(
        self,
        codec: ObservationCodec,
        outputs: int,
        *,
        encoder: str,
        hidden: Sequence[int],
        activation: str,
        generator: torch.Generator,
        gain: float | None,
    ):
        super().__init__()
        self.encoder = make_encoder(encoder, codec, hidden, activation, generator)
        self.head = linear(self.encoder.out_dim, outputs, generator, gain=gain)
