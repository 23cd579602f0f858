"""A causal transformer block over a window of the episode (Vaswani et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.sequence.layer import check_sizes
from envzoo.agents.networks.sequence.window import Reach, WindowLayer
from envzoo.errors import EnvzooError


class TransformerBlock(WindowLayer):
    """Pre-norm block of causal multi-head attention with learned weights of ages, and a two-layer perceptron.

    Args:
        width: d.
        heads: Number of heads; divides d.
        window: Number of steps that a step can look at, itself included.
        generator: Source of the initial weights; None for PyTorch's global one.

    Raises:
        EnvzooError: Heads that do not divide the width, or a window below 1.
    """

    def __init__(self, width: int, heads: int = 4, window: int = 64, generator: torch.Generator | None = None):
        super().__init__(width, window)
        check_sizes("a transformer", heads=heads)
        if width % heads:
            raise EnvzooError(f"a transformer of width {width} has {heads!r} heads; expected a divisor of the width")
        self.heads = heads
        self.project = linear(width, 3 * width, generator, gain=None)
        self.leave = linear(width, width, generator, gain=None)
        self.ages = nn.Parameter(torch.randn(heads, window, generator=generator) * 0.02)
        self.second_norm = nn.LayerNorm(width)
        self.widen, self.narrow = linear(width, 4 * width, generator, None), linear(4 * width, width, generator, None)

    def attend(self, x: Tensor, reach: Reach) -> Tensor:
        """Compute the outputs; see `WindowLayer.attend`."""
        q_weight, other_weight = self.project.weight.split([self.width, 2 * self.width])
        q_bias, other_bias = self.project.bias.split([self.width, 2 * self.width])
        q = self._by_head(nn.functional.linear(x, q_weight, q_bias))
        k, v = map(self._by_head, nn.functional.linear(reach.rows, other_weight, other_bias).chunk(2, dim=-1))
        bias = self.ages[:, reach.age].masked_fill(~reach.allowed[:, None], -torch.inf)
        found = nn.functional.scaled_dot_product_attention(q, k, v, bias)
        return self.leave(found.permute(2, 0, 1, 3).reshape(x.shape))

    def _by_head(self, x: Tensor) -> Tensor:
        """(T, B, d) -> (B, heads, T, d / heads)."""
        return x.unflatten(-1, (self.heads, -1)).permute(1, 2, 0, 3)

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk; see `SequenceLayer.forward`."""
        y, state = super().forward(x, state, start)
        return y + self.narrow(nn.functional.gelu(self.widen(self.second_norm(y)))), state
