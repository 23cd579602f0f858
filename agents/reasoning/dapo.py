"""DAPO (arXiv 2503.14476): clip-higher, dynamic sampling, the mean over tokens, and a penalty on overlong answers."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.reasoning.grpo import GRPO, GRPOConfig


@dataclass(frozen=True)
class DAPOConfig(GRPOConfig):
    """Hyperparameters of DAPO; the penalty on overlong answers is off by default, because answers here are short."""

    eps_high: float = 0.28
    """Upper clipping range (clip-higher)."""
    dual_clip: float | None = 10.0
    """Maximum ratio of tokens of negative advantage; the default is that of the released scripts."""
    dynamic_sampling: bool = True
    """Replace prompts whose answers are all right or all wrong by new prompts."""


class DAPO(GRPO):
    """GRPO with clip-higher, the mean over tokens, dynamic sampling and, with `overlong_buffer`, a length penalty.

    Minimizes the loss of GRPO with eps_high > eps_low, over prompts whose answers are neither all right nor all wrong.

    Source: Yu et al. 2025 (arXiv 2503.14476), equations 8 (objective), 11 (dynamic sampling) and 13 (length penalty).

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Config = DAPOConfig


@dataclass(frozen=True)
class ClipHigherConfig(GRPOConfig):
    """Hyperparameters of GRPO with clip-higher alone."""

    eps_high: float = 0.28
    """Upper clipping range; a larger one lets the probability of rare tokens rise further."""


class ClipHigher(GRPO):
    """GRPO with a larger upper clipping range, which lets the probability of rare tokens rise further.

    Minimizes the loss of GRPO with eps_high > eps_low.

    Source: Yu et al. 2025 (arXiv 2503.14476), section 3.1.

    Metrics:
        policy/clip_fraction: Fraction of tokens whose gradient is removed by clipping.
    """

    Config = ClipHigherConfig
