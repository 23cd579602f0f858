"""Encoders by name: packed observations -> features, with or without memory; see `basic_encoders` for the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.basic_encoders import ONE_HOT_LIMIT, CNNEncoder, Encoder, MLPEncoder
from envzoo.agents.networks.efficient_vmamba import EfficientVMambaEncoder
from envzoo.agents.networks.layers import MLP, gru, linear
from envzoo.agents.networks.observation import MOST_SYMBOLS, ObservationCodec, leaves
from envzoo.agents.networks.own_encoder import OwnEncoder
from envzoo.agents.networks.sequence import LAYERS
from envzoo.agents.networks.sequence.encoder import SequenceEncoder
from envzoo.agents.networks.unique_rows import few_distinct
from envzoo.errors import EnvzooError, UnsupportedSpaceError, shorten, unknown

__all__ = [
    "ENCODERS",
    "ONE_HOT_LIMIT",
    "CNNEncoder",
    "Encoder",
    "GRUEncoder",
    "MLPEncoder",
    "SequenceEncoder",
    "SymbolEncoder",
    "is_recurrent",
    "make_encoder",
    "register_encoder",
]


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
    "efficient_vmamba": EfficientVMambaEncoder,
    **{name: partial(SequenceEncoder, layer=layer) for name, layer in LAYERS.items()},
}
MEMORIES = ("gru", *LAYERS)
_OWN: dict[str, Any] = {}  # those that `register_encoder` added


def register_encoder(name: str, encoder: Any) -> None:
    """Give an encoder of your own a name, under which `encoder=` and the command line know it.

    Files hold the name alone, so it has to be registered before a file of an agent with this encoder is loaded; on the
    command line, `--import MODULE` runs the module that does so.

    Args:
        name: A Python identifier that no other encoder has.
        encoder: What `make_encoder` takes: a class or function that makes a torch.nn.Module.

    Raises:
        EnvzooError: The name is taken or no identifier, or the encoder cannot be called.
    """
    if not isinstance(name, str) or not name.isidentifier() or name == "auto":
        raise EnvzooError(f"the name of an encoder is a Python identifier such as 'my_encoder', got {name!r:.80}")
    if name in ENCODERS or (name in _OWN and _OWN[name] is not encoder):
        raise EnvzooError(f"there is an encoder {name!r} already; choose another name")
    if not callable(encoder):
        raise EnvzooError(f"an encoder is a class or function that makes a torch.nn.Module, got {encoder!r:.80}")
    _OWN[name] = encoder


def encoder_names() -> list[str]:
    """Return the names that `make_encoder` knows."""
    return ["auto", *ENCODERS, *_OWN]


def is_recurrent(encoder: Any) -> bool:
    """Tell whether an encoder of this name has a memory; for one of your own, whether its class has a method `step`."""
    encoder = _OWN.get(encoder, encoder) if isinstance(encoder, str) else encoder
    if isinstance(encoder, str):
        return encoder in MEMORIES
    while isinstance(encoder, partial):
        encoder = encoder.func
    if isinstance(encoder, type) and issubclass(encoder, Encoder):
        return encoder.recurrent
    return hasattr(encoder, "step")


def make_encoder(
    name: Any, codec: ObservationCodec, hidden: Sequence[int], activation: str, generator: torch.Generator
) -> Encoder:
    """Create an encoder.

    Args:
        name: One of `encoder_names`; "auto" is "cnn" for observations with images and "mlp" otherwise. Or a class or
            function of your own: a subclass of `Encoder` is called as ours are, `(codec, hidden, activation,
            generator)`, anything else as `encoder(inputs)` with the number of input features (see `OwnEncoder`).
        codec: Describes the observations.
        hidden: Hidden layer sizes; the last one is the width of a memory.
        activation: Name of the activation function.
        generator: Source of the initial weights.

    Raises:
        UnknownNameError: No such encoder.
        UnsupportedSpaceError: The encoder cannot read this observation space.
        EnvzooError: An encoder of your own does not make a torch.nn.Module that keeps the contract.
    """
    if isinstance(name, str) and name in _OWN:
        name = _OWN[name]
    if not isinstance(name, str):
        if not callable(name):
            raise EnvzooError(f"encoder is a name, or a class or function that makes one, got {shorten(repr(name))}")
        base = name
        while isinstance(base, partial):
            base = base.func
        if isinstance(base, type) and issubclass(base, Encoder):
            return name(codec, tuple(hidden), activation, generator)
        return OwnEncoder(name, codec, generator)
    if name == "auto":
        name = "cnn" if codec.images else "mlp"
    if name not in ENCODERS:
        raise unknown("encoder", name, encoder_names())
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
