"""PPO with Adam's statistics in 8 and in 32 bits, on two worlds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

SEEDS = 10
STATE_BYTES, SHARE = "state bytes", "share in 8 bits"
CARTPOLE, COVERAGE = "CartPole", "GridCoverage"
GROUPS = {CARTPOLE: "ppo-cartpole", COVERAGE: "ppo-coverage"}
BITS = {"32 bits": "adam", "8 bits": "adam8bit"}


def arm_name(world: str, bits: str) -> str:
    """Name the arm of a world and an optimizer."""
    return f"{world}: PPO, {bits}"


def weigh_statistics(agent: Agent) -> dict[str, float]:
    """Compute the bytes of the statistics over those of 32-bit Adam, and the share of parameters in 8 bits."""
    optimizer = agent.optimizer
    if not optimizer.by_tensor:
        return {STATE_BYTES: 1.0, SHARE: 0.0}
    count = sum(parameter.numel() for parameter in optimizer.parameters)
    return {
        STATE_BYTES: optimizer.optimizer.state_bytes() / (8 * count),
        SHARE: optimizer.optimizer.share_of_8_bit(),
    }


def _arms(world: str, env: str, timesteps: int, **settings: Any) -> tuple[Arm, ...]:
    hyperparameters: Mapping[str, Any] = {"hidden": (256, 256), **settings}
    return tuple(
        Arm(
            arm_name(world, bits),
            "PPO",
            env,
            timesteps,
            hyperparameters={**hyperparameters, "optimizer": optimizer},
            evaluations=(EvaluationPlan(100, inspect=weigh_statistics),),
            group=GROUPS[world],
            points=20,
            quick_timesteps=4_000,
            seeds=SEEDS,
        )
        for bits, optimizer in BITS.items()
    )


ARMS = (
    *_arms(
        CARTPOLE,
        "CartPole-v1",
        40_000,
        num_envs=16,
        num_steps=64,
        minibatch_size=256,
        num_epochs=6,
        learning_rate=2e-3,
        gamma=0.98,
        gae_lambda=0.9,
    ),
    *_arms(
        COVERAGE,
        "envzoo/GridCoverage-v0",
        40_000,
        num_envs=32,
        num_steps=40,
        minibatch_size=320,
        num_epochs=6,
        learning_rate=2e-3,
        gae_lambda=0.9,
    ),
)
