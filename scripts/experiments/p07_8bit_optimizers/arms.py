"""Arms of the experiment of paper 07: a language model of a skewed chain, and errors of quantised numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import linear
from envzoo.agents.optim import Adam8bit, dequantize_blockwise, quantize_blockwise
from envzoo.agents.threads import using_threads

TOKENS, EMBEDDING, HIDDEN, BATCH = 400, 64, 256, 256
WORST = 20.0  # the loss written down for a run that diverges


def zipf_chain(generator: torch.Generator) -> Tensor:
    """Return the transition probabilities of a chain, (TOKENS, TOKENS).

    Half of the time the next token is drawn from a Zipf distribution over all tokens, so that some are rare
    everywhere; otherwise from a Zipf distribution over an order of the tokens that depends on the present one.
    """
    weights = 1 / torch.arange(1.0, TOKENS + 1)
    common = weights / weights.sum()
    rows = torch.stack([common[torch.randperm(TOKENS, generator=generator)] for _ in range(TOKENS)])
    return (rows + common) / 2


def model_chain(seed: int, budget: int, quick: bool, optimizer: str, blocksize: int = 256) -> dict[str, Any]:
    """Train a next-token model for `budget` steps, and return the mean loss of the last quarter."""
    with using_threads(1):
        generator = torch.Generator().manual_seed(seed)
        chain = zipf_chain(generator)
        layers = [
            linear(a, b, generator, gain=None) for a, b in ((EMBEDDING, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, TOKENS))
        ]
        table = nn.Embedding.from_pretrained(torch.randn(TOKENS, EMBEDDING, generator=generator), freeze=False)
        network = nn.Sequential(table, layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        if optimizer == "adam":
            stepper: Any = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
        else:
            settings = {"blocksize": blocksize, "min_8bit_size": 0, "code": optimizer}
            stepper = Adam8bit(network.parameters(), lr=2e-3, **settings)
        token, losses = torch.randint(TOKENS, (BATCH,), generator=generator), []
        for _ in range(budget):
            following = torch.multinomial(chain[token], 1, generator=generator)[:, 0]
            loss = nn.functional.cross_entropy(network(token), following)
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            value = float(loss.detach())
            losses.append(min(WORST, value) if math.isfinite(value) else WORST)
            token = following
    count = sum(p.numel() for p in network.parameters())
    scores = {"loss": float(np.mean(losses[-max(1, budget // 4) :]))}
    if optimizer != "adam":
        scores |= {"state bytes": stepper.state_bytes() / (8 * count)}
    windows = np.array_split(np.arange(budget), min(40, budget))
    curve = [float(np.mean([losses[i] for i in window])) for window in windows]
    return {"scores": scores, "curves": {"timesteps": [int(window[-1]) + 1 for window in windows], "loss": curve}}


def quantise_heavy_tails(seed: int, budget: int, quick: bool, code: str, blocksize: int) -> dict[str, Any]:
    """Quantise numbers N(0, 1) exp(2 N(0, 1)), and return the mean relative error and the share that becomes 0."""
    generator = np.random.default_rng(seed)
    x = torch.tensor(generator.normal(size=budget) * np.exp(2 * generator.normal(size=budget)), dtype=torch.float32)
    size = blocksize or 1 << (budget - 1).bit_length()
    codes, absmax = quantize_blockwise(x, size, code=code)
    restored = dequantize_blockwise(codes, absmax, size, code=code)
    relative = (restored - x).abs() / x.abs()
    return {"scores": {"relative error": float(relative.mean()), "vanished": float((restored == 0).float().mean())}}
