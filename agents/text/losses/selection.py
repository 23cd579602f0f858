"""D3S: train on the answers whose advantages vary most, and on their uncertain tokens (arXiv 2509.22115)."""

from __future__ import annotations

import torch
from torch import Tensor

from envzoo.agents.text.losses.tokens import top_mask
from envzoo.errors import EnvzooError


def select_max_variance(values: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """The rows of `values` (B,) that form the subset of `count` rows with the largest variance, exactly.

    The best subset is always made of the lowest b and the highest count - b values for some b, so all of those are
    compared with prefix sums, in O(B log B). Equal values change places at random.

    Args:
        values: (B,), advantages here, rewards in PODS (arXiv 2504.13818).
        count: From 1 to B.
        generator: For ties, on the CPU; None keeps the order of the rows.

    Returns:
        int64 (count,), sorted.

    Raises:
        EnvzooError: A count out of range.
    """
    n = values.numel()
    if not 1 <= count <= n:
        raise EnvzooError(f"a selection of {count} answers from {n} is not possible; expected 1 to {n}")
    shuffled = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
    given = values.detach().to("cpu", torch.float64)[shuffled]
    order = shuffled[torch.argsort(given, stable=True)]
    ranked = given.sort().values
    zero = ranked.new_zeros(1)
    sums, squares = torch.cat([zero, ranked.cumsum(0)]), torch.cat([zero, (ranked**2).cumsum(0)])
    lowest = torch.arange(count + 1)
    start = n - (count - lowest)  # the highest count - b begin here
    total = sums[lowest] + sums[n] - sums[start]
    variance = (squares[lowest] + squares[n] - squares[start]) / count - (total / count) ** 2
    best = variance >= variance.max() - 1e-12
    candidates = best.nonzero().squeeze(1)
    pick = 0 if generator is None else int(torch.randint(candidates.numel(), (1,), generator=generator))
    b = int(candidates[pick])
    return torch.cat([order[:b], order[n - (count - b) :]]).sort().values.to(values.device)


def top_token_mask(
    advantage: Tensor, entropy: Tensor, mask: Tensor, fraction: float, generator: torch.Generator | None = None
) -> Tensor:
    """Float (B, T): max(1, int(fraction N)) of the N masked tokens, those of the largest |A| H; ties at random.

    Args:
        advantage: (B, T).
        entropy: (B, T) nats.
        mask: (B, T).
        fraction: Share of tokens to keep.
        generator: For ties, on the device of the tensors; None prefers earlier tokens.
    """
    count = max(1, int(fraction * float(mask.sum()) + 1e-9))
    key = (advantage * entropy).detach().abs()
    if generator is None:
        return top_mask(key, mask, count).to(mask.dtype)
    order = torch.randperm(mask.numel(), generator=generator, device=mask.device)
    chosen = top_mask(key.flatten()[order], mask.flatten()[order], count)
    result = torch.zeros_like(mask).flatten()
    result[order] = chosen.to(mask.dtype)
    return result.view_as(mask)


def linear_schedule(progress: float, first: float, last: float) -> float:
    """(1 - p) first + p last, with p bounded to [0, 1]."""
    p = min(max(progress, 0.0), 1.0)
    return (1.0 - p) * first + p * last
