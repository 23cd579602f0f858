"""Registry rows of the agents that learn from preferences."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

_ALIGN = {"length": 4}
_POINT = {"kind": "cyclic", "horizon": 3}
_SMALL = {"hidden": (8,), "num_envs": 4, "queue": 6, "minibatch_size": 6, "num_epochs": 2}

AGENTS = (
    AgentSpec(
        "SPO",
        "envzoo.agents.preference.spo:SPO",
        "preference",
        "Self-play from comparisons of episodes: the reward is the share of recent own episodes that one beats.",
        paper="20-spo",
        example=Example("envzoo/PrefPoint-v0", _POINT, {**_SMALL, "mixture": 3}, timesteps=36),
    ),
    AgentSpec(
        "IterativeRewardModel",
        "envzoo.agents.preference.iterative_reward_model:IterativeRewardModel",
        "preference",
        "Baseline of SPO: PPO on a Bradley-Terry reward model that is fitted to all comparisons so far.",
        paper="20-spo",
        example=Example(
            "envzoo/PrefPoint-v0",
            _POINT,
            {**_SMALL, "memory": 20, "model_steps": 2, "model_batch": 8, "model_hidden": (8,), "ensemble": 2},
            timesteps=36,
        ),
    ),
    AgentSpec(
        "KLPolicyGradient",
        "envzoo.agents.preference.kl_policy_gradient:KLPolicyGradient",
        "preference",
        "REINFORCE on the reward minus a multiple of the KL divergence from a reference policy.",
        actions=("discrete",),
        paper="37-asymptotics-alignment",
        example=Example("envzoo/MemorylessAlign-v0", _ALIGN, {"num_envs": 3}, timesteps=12),
    ),
    AgentSpec(
        "BestOfN",
        "envzoo.agents.preference.best_of_n:BestOfN",
        "preference",
        "Draws N candidates from another agent and acts by the one with the largest reward; learns nothing itself.",
        observations="those of the base agent, Text",
        paper="37-asymptotics-alignment",
        example=Example("envzoo/MemorylessAlign-v0", _ALIGN, {"n": 2, "base": "KLPolicyGradient"}, timesteps=12),
    ),
)
