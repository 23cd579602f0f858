"""REINFORCE++ (arXiv 2501.03262): the clipped objective with advantages normalized over the batch."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig


@dataclass(frozen=True)
class ReinforcePlusPlusConfig(GRPOConfig):
    """Hyperparameters of REINFORCE++; `advantage="reinforce_plus_plus_baseline"` is its variant with a baseline."""

    advantage: str = "reinforce_plus_plus"
    """Advantage estimator; "reinforce_plus_plus" normalizes the rewards over the tokens of the whole batch."""


class ReinforcePlusPlus(GRPO):
    """The clipped objective with advantages that are normalized over the batch instead of the group.

    Minimizes the loss of GRPO with

        A = (R - mean R) / sqrt(var R + 1e-8),

    where mean and variance are over the tokens of the batch.

    Source: Hu 2025 (arXiv 2501.03262).

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Config = ReinforcePlusPlusConfig
