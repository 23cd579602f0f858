"""D3S (arXiv 2509.22115): trains on the part of a rollout that tells most, and on more of it as time goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig
from envzoo.agents.spec import require
from envzoo.agents.text.losses.policy import gspo
from envzoo.agents.text.losses.selection import linear_schedule, select_max_variance, top_token_mask
from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.rollouts import Rollout


@dataclass(frozen=True)
class D3SConfig(GRPOConfig):
    """Hyperparameters of D3S; the schedule's ends are not stated in what is published, these are ours."""

    first_rows: float = 0.25
    """Share of the answers at the start of `learn`."""
    last_rows: float = 1.0
    """Share of the answers at its end."""
    first_tokens: float = 0.2
    """Share of the chosen answers' tokens at the start."""
    last_tokens: float = 1.0
    """Share of the tokens at the end."""
    loss: Literal["grpo", "gspo"] = "grpo"
    """Clipped ratios of tokens or of whole answers."""

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


class D3S(GRPO):
    """Keeps the answers of the largest variance of advantages, and of their tokens those of the largest |A| H."""

    Config = D3SConfig
    config: D3SConfig

    def select(self, rollout: Rollout) -> tuple[Rollout, dict[str, float]]:
        """Both selections, once per rollout; advantages are not normalised again."""
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

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """GRPO's loss or GSPO's; means are over the kept tokens."""
        if self.config.loss == "grpo":
            return super().token_loss(logp, entropy, batch)
        loss, clipped = gspo(logp, batch.old_logp, batch.advantage, batch.mask)
        return loss, {"clip_fraction": masked_mean(clipped.to(loss.dtype), batch.mask)}
