"""Random numbers, covariances and batches that tests of equations share."""

import torch

from envzoo.agents.text.losses.tokens import entropy_of_logits


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64) * scale


def cov(p, x, y):
    return (p * x * y).sum() - (p * x).sum() * (p * y).sum()


def entropy_change(z, dz):
    return (entropy_of_logits(z + dz) - entropy_of_logits(z)).item()


def batch(seed=0, rows=6, width=5):
    """logp, old_logp, advantage, mask."""
    mask = (torch.arange(width) < torch.tensor([5, 3, 4, 1, 5, 2])[:rows, None]).double()
    logp = -random(rows, width, seed=seed).abs() - 0.1
    old = logp + random(rows, width, seed=seed + 1, scale=0.3)
    advantage = random(rows, 1, seed=seed + 2).expand(rows, width) * mask
    return logp, old, advantage, mask
