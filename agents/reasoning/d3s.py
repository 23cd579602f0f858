"""D3S (arXiv 2509.22115): train on the most informative part of a rollout, and on more of it over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig, GRPOMethod
from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import gspo
from envzoo.agents.text.losses.tokens import masked_mean, top_mask
from envzoo.agents.text.rollouts import TextRollout
from envzoo.errors import EnvzooError


def select_max_variance(values: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Select the subset of `count` rows of `values` (B,) with the largest variance, exactly.

    The best subset always consists of the lowest b and the highest count - b values for some b. All of these are
    compared with prefix sums, in O(B log B). Ties are broken at random.

    Args:
        values: (B,); advantages here, rewards in PODS (arXiv 2504.13818).
        count: Number of rows, from 1 to B.
        generator: Random generator for ties, on the CPU; None keeps the order of the rows.

    Returns:
        int64 (count,), sorted.

    Raises:
        EnvzooError: The count is out of range.
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
    """Select the max(1, int(fraction N)) of the N masked tokens with the largest |A| H, float (B, T).

    Ties are broken at random.

    Args:
        advantage: (B, T).
        entropy: (B, T) nats.
        mask: (B, T).
        fraction: Fraction of tokens to keep.
        generator: Random generator for ties, on the device of the tensors; None prefers earlier tokens.
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
    """Compute (1 - p) first + p last, with p clipped to [0, 1]."""
    p = min(max(progress, 0.0), 1.0)
    return (1.0 - p) * first + p * last


@dataclass(frozen=True)
class D3SConfig(GRPOConfig):
    """Hyperparameters of D3S; the paper does not state the ends of the schedule, so these are our choice."""

    first_rows: float = 0.25
    """Fraction of the answers at the start of `learn`."""
    last_rows: float = 1.0
    """Fraction of the answers at the end of `learn`."""
    first_tokens: float = 0.2
    """Fraction of the tokens of the selected answers at the start."""
    last_tokens: float = 1.0
    """Fraction of the tokens at the end."""
    loss: Literal["grpo", "gspo"] = "grpo"
    """Clipped ratios of tokens ("grpo") or of whole answers ("gspo")."""

    def __post_init__(self):
        super().__post_init__()
        for field in ("first_rows", "last_rows", "first_tokens", "last_tokens"):
            value = getattr(self, field)
            require(0 < value <= 1, f"{field} of D3S lies in (0, 1], got {value}")
        rows = int(min(self.first_rows, self.last_rows) * self.num_prompts * self.group_size)
        require(
            rows >= self.num_minibatches,
            f"D3S keeps {rows} answers at the fewest, expected at least one for each of {self.num_minibatches} "
            "minibatches; raise first_rows",
        )


class D3SMethod(GRPOMethod):
    """The selection of answers and tokens of D3S, with the loss of GRPO or GSPO."""

    reads_entropy = True
    vectorizes = True

    def select(self, rollout: TextRollout) -> tuple[TextRollout, dict[str, float]]:
        """Select answers and tokens, once per rollout; advantages are not normalized again."""
        c, p = self.config, self.progress()
        rows = round(linear_schedule(p, c.first_rows, c.last_rows) * len(rollout))
        rows = max(c.num_minibatches, rows - rows % c.num_minibatches)
        fraction = linear_schedule(p, c.first_tokens, c.last_tokens)
        scores = rollout.advantage.sum(1) / rollout.mask.sum(1).clamp_min(1.0)
        chosen = rollout
        if rows < len(rollout):
            chosen = rollout.rows(select_max_variance(scores, rows, self.streams.torch("rows", "cpu")))
        if fraction < 1:
            mask = top_token_mask(chosen.advantage, chosen.entropy, chosen.mask, fraction, self.streams.torch("tokens"))
            chosen = chosen.replace(mask=mask)
        kept = float(chosen.mask.sum() / rollout.mask.sum().clamp_min(1.0))
        return chosen, {"rows": float(rows), "token_fraction": kept}

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of GRPO or GSPO; means are over the selected tokens."""
        if self.config.loss == "grpo":
            return super().token_loss(logp, entropy, batch)
        loss, clipped = gspo(logp, batch.old_logp, batch.advantage, batch.mask)
        return loss, {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}


class D3S(GRPO):
    """Trains on the answers whose advantages have the largest variance, and on their tokens of the largest |A| H.

    Minimizes the loss of GRPO (or GSPO) over the selected tokens: of B answers the subset of rows(p) B answers with

        max over subsets of Var(A),

    and of their tokens the fraction tokens(p) with the largest |A| H, where H is the entropy of the sampling policy.
    Both fractions rise linearly with the progress p of training.

    Source: arXiv 2509.22115 (the two levels of selection and the schedule).

    Metrics:
        select/rows: Number of answers that are trained on.
        select/token_fraction: Fraction of the tokens of the rollout that are trained on.
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Method = D3SMethod
    Config = D3SConfig
    config: D3SConfig
