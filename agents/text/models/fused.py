"""The passes of `envzoo.agents.text.models.passes` on tensors, for a computation on one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.models.attention import padded
from envzoo.agents.text.models.passes import Passes, Sizes, buffer_size, passes, scratch_size, step_size

TABLES, LAYER, LAST = 2, 12, 4  # parameters before the blocks, of each block, and after them
Room = Callable[..., Tensor]  # a tensor by name and shape, see `packed_sequences`


class Rows(Protocol):
    """The parts of a `packed_sequences.Packed` that are used."""

    ids: np.ndarray
    places: np.ndarray
    begin: np.ndarray
    count: np.ndarray
    context: np.ndarray
    prompts: int
    width: int

    @property
    def outputs(self) -> int:
        """Number of rows with logits."""

    @property
    def longest(self) -> int:
        """Maximum number of tokens that a token sees."""


class Passed(NamedTuple):
    """A forward pass: its results, and what its derivative and further tokens need."""

    logits: Tensor
    weights: Tensor
    buffer: Tensor
    sizes: Sizes
    passes: Passes
    rows: tuple[np.ndarray, ...]


def consecutive(w: Sequence[Tensor]) -> bool:
    """Return whether tensors lie in memory one after the other, as `FlatOptimizer` places parameters."""
    end = w[0].data_ptr()
    for parameter in w:
        if parameter.data_ptr() != end:
            return False
        end += parameter.numel() * parameter.element_size()
    return True


def joined(w: Sequence[Tensor], room: Room) -> Tensor:
    """Return all weights as one vector: their memory itself if they are consecutive, else a copy."""
    size = sum(parameter.numel() for parameter in w)
    if consecutive(w):
        return w[0].detach().as_strided((size,), (1,))
    return torch.cat([parameter.detach().view(-1) for parameter in w], out=room("weights", size))


def forward(w: Sequence[Tensor], packed: Rows, heads: int, room: Room) -> Passed:
    """Compute the logits of packed rows, given all weights in the order of `packed_sequences.weights`."""
    flat = joined(w, room)
    layers = (len(w) - TABLES - LAST) // LAYER
    (vocabulary, dim), places = w[0].shape, len(w[1])
    sizes = Sizes(
        vocabulary, places, dim, layers, heads, packed.prompts, packed.width, len(packed.ids), packed.outputs,
        padded(packed.longest),
    )  # fmt: skip
    needed, start = buffer_size(sizes)
    buffer = room("buffer", needed)
    rows = (packed.ids, packed.places, packed.begin, packed.count, packed.context)
    kernels = passes(dim // heads)
    kernels.forward(flat.numpy(), sizes, *rows, buffer.numpy())
    logits = buffer[start : start + sizes.outputs * vocabulary].view(sizes.outputs, vocabulary)
    return Passed(logits, flat, buffer, sizes, kernels, rows)


def backward(d_logits: Tensor, passed: Passed, room: Room) -> Tensor:
    """Compute the derivative with respect to all weights, as one vector, given that with respect to the logits."""
    result = torch.zeros_like(passed.weights)
    scratch = room("scratch", scratch_size(passed.sizes))
    passed.passes.backward(
        passed.weights.numpy(), passed.sizes, *passed.rows, passed.buffer.numpy(), d_logits.numpy(), scratch.numpy(),
        result.numpy(),
    )  # fmt: skip
    return result


class Continuation(NamedTuple):
    """Answers that are being written after the prompts of a forward pass."""

    passed: Passed
    never: np.ndarray
    past: np.ndarray  # (layers, B, room, 2, heads, size)
    copies: int
    room: Room
    lease: object  # keeps the room for as long as this


def prefill(
    w: Sequence[Tensor], packed: Rows, heads: int, copies: int, never: Tensor, room: Room, lease: object
) -> tuple[Tensor, Continuation]:
    """Read prompts; see `CharacterTransformer.prefill`."""
    passed = forward(w, packed, heads, room)
    s, answers = passed.sizes, packed.prompts * copies
    past = room("past", s.layers, answers, s.places - s.width, 2, heads, s.dim // heads).numpy()
    logits = (passed.logits + never).repeat_interleave(copies, 0)
    return logits, Continuation(passed, never.numpy(), past, copies, room, lease)


def step(tokens: Tensor, position: int, answers: Continuation) -> Tensor:
    """Append a token to each answer; see `CharacterTransformer.step`."""
    passed, many = answers.passed, len(tokens)
    logits = torch.empty(many, passed.sizes.vocabulary)
    scratch = answers.room("scratch", step_size(passed.sizes, many))
    passed.passes.step(
        passed.weights.numpy(), passed.sizes, passed.buffer.numpy(), tokens.numpy(), position, answers.copies,
        answers.past, scratch.numpy(), answers.never, logits.numpy(),
    )  # fmt: skip
    return logits
