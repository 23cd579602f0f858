"""The stable embedding layer of 8-bit training (Dettmers et al., 2022, arXiv 2110.02861)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class StableEmbedding(nn.Module):
    """Embedding with Xavier-uniform weights, whose outputs are normalised, and whose statistics stay in 32 bits.

    Args:
        num_embeddings: Number of symbols.
        embedding_dim: Features of a symbol.
        generator: Source of the initial weights; None for PyTorch's global one.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, generator: torch.Generator | None = None):
        super().__init__()
        bound = math.sqrt(6 / (num_embeddings + embedding_dim))
        weight = torch.empty(num_embeddings, embedding_dim).uniform_(-bound, bound, generator=generator)
        self.weight = nn.Parameter(weight)
        self.weight.keep_32_bit = True  # read by envzoo.agents.optim.eight_bit
        self.norm = nn.LayerNorm(embedding_dim)

    def forward(self, index: Tensor) -> Tensor:
        """Embed symbols: (...) integers -> (..., embedding_dim)."""
        return self.norm(nn.functional.embedding(index, self.weight))
