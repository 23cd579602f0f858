"""The last inputs of a layer as its memory: a window over time within the episode."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from envzoo.agents.networks.sequence.layer import SequenceLayer, check_sizes, segments


class Reach(NamedTuple):
    """Inputs that each step of a chunk of T steps can attend to.

    Attributes:
        rows: (W - 1 + T, B, d), the inputs before the chunk and in it.
        allowed: bool (B, T, W - 1 + T), whether a row lies in the window and the episode of a step.
        age: int64 (T, W - 1 + T), how many steps ago a row was, clamped to 0, ..., W - 1.
    """

    rows: Tensor
    allowed: Tensor
    age: Tensor


class WindowLayer(SequenceLayer):
    """Base of layers whose memory is their last W - 1 inputs; a subclass implements `attend`.

    The memory holds these inputs, the most recent last, and their number, which is smaller at the start of an episode.
    Older inputs are forgotten while acting and while training alike.

    Args:
        width: d.
        window: W, number of inputs that a step looks at, itself included.
    """

    def __init__(self, width: int, window: int):
        super().__init__()
        check_sizes(f"a {type(self).__name__}", width=width, window=window)
        self.width, self.window, self.state_dim = width, window, (window - 1) * width + 1
        self.norm = nn.LayerNorm(width)

    def attend(self, x: Tensor, reach: Reach) -> Tensor:
        """Compute the outputs (T, B, d) of the normalised inputs x (T, B, d)."""
        raise NotImplementedError

    def step(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance one step; see `SequenceLayer.step`."""
        y, state = self(x[None], state, None if start is None else start[None])
        return y[0], state

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk; see `SequenceLayer.forward`."""
        (steps, batch), past = x.shape[:2], self.window - 1
        state = self.initial_state(batch) if state is None else state
        stored, count = state[:, :-1].reshape(batch, past, self.width), state[:, -1]
        normal = self.norm(x)
        rows = torch.cat([stored.transpose(0, 1), normal])
        number = segments(start, steps, batch, x.device)  # of the episodes
        absent = torch.arange(past, device=x.device)[:, None] < past - count
        numbers = torch.cat([torch.where(absent, -1, 0), number])
        age = torch.arange(past, past + steps, device=x.device)[:, None] - torch.arange(past + steps, device=x.device)
        near = (age >= 0) & (age < self.window)
        allowed = near & (numbers.t()[:, None] == number.t()[:, :, None])
        y = x + self.attend(normal, Reach(rows, allowed, age.clamp(0, past)))
        kept = (numbers[steps:] == number[-1]).t()  # (B, past): of the last rows those of the present episode
        last = rows[steps:].transpose(0, 1) * kept[..., None]
        return y, torch.cat([last.reshape(batch, past * self.width), kept.sum(dim=1, keepdim=True).to(x.dtype)], dim=1)
