"""Registry rows of the actor-critic agents."""

from __future__ import annotations

from envzoo.specs import AgentSpec, Example

AGENTS = (
    AgentSpec(
        "DQN",
        "envzoo.agents.actor_critic.dqn:DQN",
        "actor_critic",
        "Deep Q-learning with double and n-step targets, for discrete actions.",
        actions=("discrete",),
        paper="dqn",
        example=Example(
            "envzoo/GridCoverage-v0",
            {"rows": 3, "columns": 4, "horizon": 5, "start": "random"},
            {"hidden": (8,), "num_envs": 2, "batch_size": 4, "learning_starts": 4, "n_steps": 2},
            timesteps=12,
        ),
    ),
    AgentSpec(
        "PPO",
        "envzoo.agents.actor_critic.ppo:PPO",
        "actor_critic",
        "Proximal policy optimisation with a clipped objective and generalised advantage estimation.",
        paper="ppo",
        example=Example(
            "envzoo/GridCoverage-v0",
            {"rows": 3, "columns": 4, "horizon": 5, "start": "random"},
            {"hidden": (8,), "num_envs": 2, "num_steps": 6, "num_epochs": 2, "minibatch_size": 4},
            timesteps=12,
        ),
    ),
    AgentSpec(
        "SAC",
        "envzoo.agents.actor_critic.sac:SAC",
        "actor_critic",
        "Soft Actor-Critic with a learned temperature, for continuous actions.",
        actions=("continuous",),
        paper="19-sac",
        example=Example(
            "envzoo/EntropyBanditContinuous-v0",
            hyperparameters={"hidden": (8,), "num_envs": 2, "batch_size": 4, "learning_starts": 4},
            timesteps=12,
        ),
    ),
    AgentSpec(
        "SACDiscrete",
        "envzoo.agents.actor_critic.sac_discrete:SACDiscrete",
        "actor_critic",
        "Soft Actor-Critic for discrete actions, with exact expectations over actions.",
        actions=("discrete",),
        paper="sac-discrete",
        example=Example(
            "envzoo/GridCoverage-v0",
            {"rows": 3, "columns": 4, "horizon": 5, "start": "random"},
            {"hidden": (8,), "num_envs": 2, "batch_size": 4, "learning_starts": 4},
            timesteps=12,
        ),
    ),
)
