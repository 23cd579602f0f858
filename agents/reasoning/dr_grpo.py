"""Dr. GRPO (arXiv 2503.20783): GRPO without its biases."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig


@dataclass(frozen=True)
class DrGRPOConfig(GRPOConfig):
    """Hyperparameters of Dr. GRPO."""

    advantage: str = "dr_grpo"
    """Advantage estimator; "dr_grpo" is the reward minus the mean of its group."""
    aggregation: str = "seq_mean_token_sum_norm"
    """Aggregation of the loss per token; the default is the sum over all tokens, divided by the number of answers times
    the maximum length."""


class DrGRPO(GRPO):
    """GRPO without two biases: towards very easy or hard prompts, and towards long wrong answers.

    Minimizes, for B answers of at most T tokens,

        1 / (B T) sum over tokens of max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)),    A = R - mean_g R.

    Source: Liu et al. 2025 (arXiv 2503.20783), section 3.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Config = DrGRPOConfig
