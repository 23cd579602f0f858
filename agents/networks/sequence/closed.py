"""A causal transformer over whole sequences: no memory between calls, padding on the left."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from envzoo.agents.networks.sequence.transformer import TransformerBlock
from envzoo.agents.networks.sequence.window import Reach
from envzoo.errors import EnvzooError


class ClosedBlock(TransformerBlock):
    """The block of `TransformerBlock` over a sequence that is complete, so that nothing precedes it."""

    def forward(self, x: Tensor, allowed: Tensor, age: Tensor) -> Tensor:
        """Process x (T, B, d); allowed bool (B, T, T) and age (T, T) as in `Reach`."""
        normal = self.norm(x)
        y = x + self.attend(normal, Reach(normal, allowed, age))
        return y + self.narrow(nn.functional.gelu(self.widen(self.second_norm(y))))


class CausalTransformer(nn.Module):
    """Causal transformer over at most `context` steps of one or several tokens each.

    Places are told apart by learned weights of how long ago a token was (see `TransformerBlock`). Padded steps are
    neither looked at nor do they change the outputs of the others.

    Args:
        width: d, features of a token.
        layers: Number of blocks.
        heads: Heads of each block; divides the width.
        context: Most steps of a sequence.
        tokens: Tokens of a step.
        generator: Source of the initial weights.
    """

    def __init__(
        self, width: int, layers: int, heads: int, context: int, tokens: int, generator: torch.Generator | None = None
    ):
        super().__init__()
        self.context, self.tokens = context, tokens
        window = context * tokens
        self.enter = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(ClosedBlock(width, heads, window, generator) for _ in range(layers))
        self.leave = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Process tokens in their order: x (B, L, tokens, d), mask (B, L) bool -> (B, L, tokens, d).

        Raises:
            EnvzooError: More steps than the context.
        """
        batch, steps, tokens, width = x.shape
        check_context(steps, self.context)
        length = steps * tokens
        place = torch.arange(length, device=x.device)
        age = place[:, None] - place
        real = mask.repeat_interleave(tokens, dim=1)
        # A padded token sees itself, so that no row of the attention is empty.
        allowed = (age >= 0) & (real[:, None, :] | (age == 0))
        flat = self.enter(x.reshape(batch, length, width).transpose(0, 1))
        for block in self.blocks:
            flat = block(flat, allowed, age.clamp(min=0))
        return self.leave(flat).transpose(0, 1).reshape(x.shape)


def check_context(steps: int, context: int) -> None:
    """Raise EnvzooError unless a sequence fits into the context of a model."""
    if steps > context:
        raise EnvzooError(
            f"a sequence of {steps} steps is longer than the context of the model, which is {context} steps"
        )
