"""Registry rows of the agents that learn from preferences."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

_ALIGN = {"length": 4}

AGENTS = (
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
