"""Long short-term memory (Hochreiter and Schmidhuber, 1997)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from envzoo.agents.networks.sequence.layer import SequenceLayer, check_sizes, reset_where


class LSTM(SequenceLayer):
    """One layer of PyTorch's LSTM; the memory is [h, c].

    Args:
        width: Features of inputs and outputs.
        generator: Source of the initial weights, uniform in +-1/sqrt(width) as in PyTorch; None for its global one.
    """

    def __init__(self, width: int, generator: torch.Generator | None = None):
        super().__init__()
        check_sizes("LSTM", width=width)
        self.width, self.state_dim = width, 2 * width
        # On the meta device the constructor draws nothing from the global generator.
        self.cell = nn.LSTM(width, width, device="meta").to_empty(device="cpu")
        bound = 1 / math.sqrt(width)
        with torch.no_grad():
            for parameter in self.cell.parameters():
                parameter.uniform_(-bound, bound, generator=generator)

    def step(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance one step; see `SequenceLayer.step`."""
        h, c = reset_where(state, start)[None].split(self.width, dim=2)
        y, (h, c) = self.cell(x[None], (h.contiguous(), c.contiguous()))
        return y[0], torch.cat([h[0], c[0]], dim=1)

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk; see `SequenceLayer.forward`."""
        state = self.initial_state(x.shape[1]) if state is None else state
        # The fused LSTM processes the stretches between episode starts, of which there are usually few.
        cuts = [0] if start is None else sorted({0, *torch.nonzero(start.any(dim=1)).flatten().tolist()})
        outputs = []
        for begin, end in zip(cuts, [*cuts[1:], len(x)], strict=True):
            h, c = reset_where(state, None if start is None else start[begin])[None].split(self.width, dim=2)
            y, (h, c) = self.cell(x[begin:end], (h.contiguous(), c.contiguous()))
            outputs.append(y)
            state = torch.cat([h[0], c[0]], dim=1)
        return torch.cat(outputs), state
