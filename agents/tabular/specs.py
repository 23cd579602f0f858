"""Registry rows of the tabular agents."""

from __future__ import annotations

from typing import Any

from envzoo.specs import AgentSpec, Example

_WORLD = {"states": 4, "actions": 2, "successors": 2, "horizon": 5}
_EXAMPLE = Example("envzoo/RandomMDP-v0", _WORLD, {"num_envs": 2, "steps_per_iteration": 12}, timesteps=48)
_BANDIT = Example("envzoo/BernoulliBandit-v0", {"horizon": 6}, {"num_envs": 2, "steps_per_iteration": 12}, timesteps=48)


def _row(name: str, module: str, summary: str, **more: Any) -> AgentSpec:
    facts = {"actions": ("discrete",), "observations": "Discrete", "example": _EXAMPLE} | more
    return AgentSpec(name, f"envzoo.agents.tabular.{module}:{name}", "tabular", summary, **facts)


AGENTS = (
    _row("QLearning", "q_learning", "Tabular Q-learning with an epsilon-greedy policy.", paper="q-learning"),
    _row("SARSA", "sarsa", "On-policy tabular temporal differences, SARSA and Expected SARSA.", paper="sarsa"),
    _row("UCBVI", "ucbvi", "Optimistic value iteration with exploration bonuses, for episodic worlds.", paper="ucbvi"),
    _row("PSRL", "psrl", "Posterior sampling: act optimally in a world drawn from the posterior.", paper="psrl"),
    _row("UCB1", "ucb1", "Upper confidence bounds for bandits.", paper="ucb1", example=_BANDIT),
    _row(
        "ThompsonSampling",
        "thompson_sampling",
        "Thompson sampling for bandits, with Beta posteriors.",
        paper="thompson-sampling",
        example=_BANDIT,
    ),
)
