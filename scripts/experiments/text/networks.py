"""Arms on a small transformer: whether what the exact tables show also happens where prompts share weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envzoo.scripts.experiments.core.arms import Arm

ENTROPY, ACCURACY, PASS = "rollout/entropy", "rollout/accuracy", "rollout/pass_at_16"
CURVES = (ENTROPY, ACCURACY, PASS)
ENV, ENV_KWARGS = "envzoo/TextCountdown-Tokens-v0", {"numbers": 2}
UPDATES, QUICK, SEEDS = 60, 6, 8
TOKENS = 16 * 16 * 4  # of an update, if all answers had the greatest length
COMMON = {"num_prompts": 16, "group_size": 16, "learning_rate": 6e-4}
# RLOO sums over an answer's tokens and CISPO does not clip: at the rate of the others they unlearn.
RATES = {"RLOO": 1.5e-4, "CISPO": 3e-4}
QUICK_WARM_UP = {"warm_up_updates": 60, "warm_up_batch": 64}


def network_arm(name: str, agent: str, hyperparameters: Mapping[str, Any], **more: Any) -> Arm:
    """Create an arm that trains the tiny language model on TextCountdown; `more` are fields of the arm.

    Entropy, accuracy and pass@16 are those of the sampled answers, averaged over the last tenth of the updates.
    """
    rate = {"learning_rate": RATES[agent]} if agent in RATES else {}
    return Arm(
        name, agent, ENV, UPDATES * TOKENS, COMMON | rate | dict(hyperparameters), ENV_KWARGS, evaluations=(),
        curves=CURVES, points=UPDATES, quick_timesteps=QUICK * TOKENS, quick_hyperparameters=QUICK_WARM_UP,
        seeds=SEEDS, **more,
    )  # fmt: skip
