"""Registry rows of the tabular agents."""

from __future__ import annotations

from typing import Any

from envzoo.specs import AgentSpec, Example

_WORLD = {"states": 4, "actions": 2, "successors": 2, "horizon": 5}
_EXAMPLE = Example("envzoo/RandomMDP-v0", _WORLD, {"num_envs": 2, "steps_per_iteration": 12}, timesteps=48)
_BANDIT = Example("envzoo/BernoulliBandit-v0", {"horizon": 6}, {"num_envs": 2, "steps_per_iteration": 12}, timesteps=48)

_LAYERED = Example(
    "envzoo/AdversarialLinearMDP-v0",
    {"horizon": 2, "states": 2, "actions": 2, "dimension": 2},
    {"num_envs": 2, "steps_per_iteration": 12, "num_episodes": 24},
    timesteps=48,
)

_LOCK = Example(
    "envzoo/RevealingLock-v0",
    {"leaves": 1, "length": 1, "symbols": 4},
    {"num_envs": 2, "steps_per_iteration": 12, "num_episodes": 24},
    timesteps=48,
)

_LATENT = Example("envzoo/RandomLMDP-v0", {"horizon": 3}, {"num_envs": 2, "steps_per_iteration": 12}, timesteps=48)


def _class(**hyperparameters: Any) -> Example:
    world = {"layers": 3, "states": 3}
    return Example("envzoo/SingletonRich-v0", world, {"num_envs": 2, **hyperparameters}, timesteps=48)


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
    _row(
        "LogBarrierPO",
        "log_barrier_po",
        "Policy optimisation with the log-barrier, for linear losses that change between episodes.",
        paper="44-refined-adversarial-mdp",
        example=_LAYERED,
    ),
    _row(
        "MagnitudeReducedPO",
        "magnitude_reduced_po",
        "Policy optimisation with magnitude-reduced estimates, for linear losses that change between episodes.",
        paper="44-refined-adversarial-mdp",
        example=_LAYERED,
    ),
    _row(
        "DilatedBonusPO",
        "dilated_bonus_po",
        "Exponential weights with a dilated bonus, for linear losses that change between episodes.",
        paper="dilated-bonus",
        example=_LAYERED,
    ),
    _row(
        "Exp3PO",
        "exp3_po",
        "Exp3 with implicit exploration in every state, for losses that change between episodes.",
        paper="exp3-ix",
        example=_LAYERED,
    ),
    _row(
        "CollisionETC",
        "collision_etc",
        "Explore a revealing lock by tests of uniformity, then commit.",
        paper="45-revealing-pomdp-lower-bounds",
        example=_LOCK,
    ),
    _row(
        "PolicyUCB",
        "policy_ucb",
        "UCB1 over all open-loop policies of a revealing lock, from rewards alone.",
        paper="45-revealing-pomdp-lower-bounds",
        example=_LOCK,
    ),
    _row(
        "OMLE",
        "omle",
        "Optimistic maximum likelihood over all models of a tiny revealing lock.",
        paper="omle",
        example=_LOCK,
    ),
    _row(
        "LMDPValueOptimistic",
        "latent_agents",
        "Plans over histories of latent processes with bonuses from the variance of values.",
        paper="50-horizon-free-lmdp",
        example=_LATENT,
    ),
    _row(
        "LMDPModelOptimistic",
        "latent_agents",
        "Plans over histories of latent processes with the best law in a box.",
        paper="50-horizon-free-lmdp",
        example=_LATENT,
    ),
    _row(
        "LMDPHoeffding",
        "latent_agents",
        "Plans over histories of latent processes with bonuses from the range of values.",
        paper="50-horizon-free-lmdp",
        example=_LATENT,
    ),
    _row(
        "MemorylessUCBVI",
        "latent_agents",
        "Optimistic plans that pool the contexts of a latent process.",
        paper="50-horizon-free-lmdp",
        example=_LATENT,
    ),
    _row(
        "POPLER",
        "popler",
        "Finds the best policy of a class online, from episodes of a few core policies.",
        paper="36-agnostic-rl",
        example=_class(top_episodes=6, petal_episodes=3),
    ),
    _row(
        "TrajectoryTree",
        "trajectory_tree",
        "Evaluates all policies of a class on the same random trees, from a generative model.",
        paper="36-agnostic-rl",
        example=_class(trees_per_iteration=2),
    ),
    _row(
        "PSDP",
        "psdp",
        "Policy search by dynamic programming, from resets to a covering law.",
        paper="36-agnostic-rl",
        example=_class(episodes_per_layer=8),
    ),
    _row(
        "CPI",
        "cpi",
        "Conservative policy iteration over a class, from resets to a covering law.",
        paper="36-agnostic-rl",
        example=_class(episodes_per_round=8),
    ),
    _row(
        "PolicyEmulator",
        "policy_emulator",
        "Chooses a policy on a small world built from observations, with both kinds of resets.",
        paper="36-agnostic-rl",
        example=_class(observations=2, successors=2, rollouts=2, tests=2),
    ),
)
