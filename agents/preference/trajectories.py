"""PPO on rewards that are computed from whole episodes: the common part of SPO and of its reward-model baseline."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from envzoo.agents.actor_critic.ppo import PPO
from envzoo.agents.loops.rollout import Rollout
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.errors import UnsupportedSpaceError
from envzoo.preference.preferences import Preference, ReturnPreference, Trajectories
from envzoo.wrappers.preference import find_preference


@dataclass(frozen=True)
class TrajectoryConfig:
    """Hyperparameters of PPO on whole episodes that are compared."""

    preference: Literal["environment", "max"] = "environment"
    """environment: the environment's preference function, if it has one, and otherwise the larger return; max: the
    larger return."""
    labels: Literal["exact", "sampled"] = "exact"
    """exact: the probability of winning of each pair; sampled: one random label per pair."""
    queue: int = 128
    """Past episodes with which new ones are compared."""
    num_envs: int = 64
    """Episodes per update."""
    num_epochs: int = 4
    """Number of epochs per update."""
    minibatch_size: int = 400
    """Transitions per gradient step."""
    learning_rate: float = 1e-3
    """Adam's learning rate."""
    anneal: Literal["none", "learning_rate", "both"] = "none"
    """Quantities annealed linearly to zero over the timestep budget: none, the learning rate, or both it and the clip
    range."""
    gamma: float = 1.0
    """Discount factor."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation (GAE)."""
    clip_range: float = 0.2
    """Clip range of the probability ratio."""
    value_coefficient: float = 0.5
    """Coefficient of the value loss."""
    entropy_coefficient: float = 0.0
    """Coefficient of the entropy bonus in nats."""
    normalize_advantage: bool = True
    """Normalise the advantages of each minibatch to mean 0 and standard deviation 1."""
    max_grad_norm: float = 0.5
    """Maximum Euclidean norm of the gradient."""
    target_kl: float | None = None
    """Stop the epochs of an update when the approximate KL divergence exceeds 1.5 times this value."""
    encoder: Literal["auto", "mlp", "cnn", "symbols"] = "auto"
    """Encoder of the observation."""
    hidden: tuple[int, ...] = (64, 64)
    """Hidden layer sizes."""
    activation: str = "tanh"
    """Activation function of the hidden layers: tanh, relu, gelu or silu."""
    share_encoder: bool = False
    """Share one encoder between actor and critic."""
    initial_log_std: float = 0.0
    """Initial log standard deviation of continuous actions."""
    optimizer: str = "adam"
    """Optimizer: adam, adamw or sgd."""

    def __post_init__(self):
        name = type(self).__name__.removesuffix("Config")
        for field in ("queue", "num_envs", "num_epochs", "minibatch_size"):
            require(getattr(self, field) >= 1, f"{field} of {name} is at least 1, got {getattr(self, field)}")
        for field in ("learning_rate", "clip_range", "max_grad_norm"):
            require(getattr(self, field) > 0, f"{field} of {name} is positive, got {getattr(self, field)}")
        for field in ("gamma", "gae_lambda"):
            require(0 <= getattr(self, field) <= 1, f"{field} of {name} lies in [0, 1], got {getattr(self, field)}")
        for field in ("value_coefficient", "entropy_coefficient"):
            require(getattr(self, field) >= 0, f"{field} of {name} is not negative, got {getattr(self, field)}")
        require(self.target_kl is None or self.target_kl > 0, f"target_kl of {name} is positive, got {self.target_kl}")
        require(
            -20 <= self.initial_log_std <= 20,
            f"initial_log_std of {name} lies in [-20, 20], got {self.initial_log_std}",
        )


def preference_of(source: Source, kind: str) -> Preference:
    """Return the preference function to learn from; see `TrajectoryConfig.preference`."""
    if kind == "max":
        return ReturnPreference()
    env = source.given if source.given is not None else source.single_env()
    found = find_preference(env)
    if env is not source.given:
        env.close()
    return ReturnPreference() if found is None else found


class TrajectoryAgent(PPO):
    """Base class: collect one episode per environment, compare them, and update PPO on rewards from the comparisons.

    Attributes:
        preference: The preference function.
        queue: Features of the last episodes.
    """

    Config = TrajectoryConfig
    config: TrajectoryConfig
    takes_bonus = False

    def __init__(self, source: Source, config: TrajectoryConfig, *, seed: int = 0, device: str = "auto"):
        self.preference = preference_of(source, config.preference)
        super().__init__(source, config, seed=seed, device=device)
        if self.policy.recurrent:
            raise UnsupportedSpaceError(f"{self.spec.name} takes policies without memory")
        self.queue = self.register("queue", FeatureQueue(config.queue))

    @property
    def num_steps(self) -> None:
        """Whole episodes."""
        return

    @abstractmethod
    def judge(self, trajectories: Trajectories, features: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Compute rewards (T, B) of episodes with features (B, F), and metrics."""

    def _stack(self, rows: list[tuple], first_state: Any, last_state: Any) -> Rollout:
        rollout = super()._stack(rows, first_state, last_state)
        rollout.next_observation = self._next_observations(tuple(row[4] for row in rows))
        return rollout

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Compare the episodes, and learn from the rewards that this gives; nothing is bootstrapped at their ends."""
        trajectories = trajectories_of(rollout)
        features = self.preference.features(trajectories)
        if not len(self.queue):
            self.queue.push(features)
        reward, metrics = self.judge(trajectories, features)
        self.queue.push(features)
        rollout.reward = np.where(rollout.valid, reward, 0.0).astype(np.float32)
        rollout.terminated = rollout.done
        return super().update(rollout) | metrics

    def compare(self, features: np.ndarray) -> np.ndarray:
        """Compare episodes with the queue, (B, queue): win probabilities, or labels."""
        win = self.preference.win_probability(features, self.queue.features)
        if self.config.labels == "sampled":
            win = (self.streams.numpy("labels").random(win.shape) < win).astype(np.float64)
        return win


class FeatureQueue:
    """The features of the last episodes, oldest first.

    Args:
        size: Maximum number of episodes.

    Attributes:
        features: (n, F), n at most `size`.
    """

    def __init__(self, size: int):
        self.size = size
        self.features = np.zeros((0, 1))

    def __len__(self) -> int:
        return len(self.features)

    def push(self, features: np.ndarray) -> None:
        """Add episodes with features (B, F), and drop the oldest ones."""
        kept = self.features if len(self.features) else np.zeros((0, features.shape[1]))
        self.features = np.concatenate([kept, features])[-self.size :]

    def state_dict(self) -> dict[str, Any]:
        """Return the features."""
        return {"features": self.features}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over features."""
        features = np.array(state["features"], np.float64)
        if features.ndim != 2 or len(features) > self.size:
            raise ValueError(f"the queue has the shape {features.shape}")
        self.features = features


def trajectories_of(rollout: Rollout) -> Trajectories:
    """Return a rollout of one whole episode per environment as trajectories."""
    length = rollout.valid.sum(0).astype(np.int64)
    after = rollout.next_observation.cpu().numpy()
    observation = np.concatenate([rollout.observation.cpu().numpy(), after[-1:]])
    every = np.arange(length.size)
    observation[length, every] = after[length - 1, every]
    reward = np.where(rollout.valid, rollout.reward, np.float32(0))
    return Trajectories(observation, rollout.action.cpu().numpy(), reward, length)


def spread(score: np.ndarray, length: np.ndarray, steps: int, last: bool) -> np.ndarray:
    """Place the score (B,) of each episode: on its last step, or in equal parts on all its steps; (T, B)."""
    step = np.arange(steps)[:, None]
    if last:
        return np.where(step == length - 1, score, 0.0)
    return np.where(step < length, score / length, 0.0)


def flatten_inputs(trajectories: Trajectories, vector: np.ndarray) -> list[torch.Tensor]:
    """Return, for each episode, its observations and actions as inputs (length, D) of a reward model.

    Args:
        trajectories: B episodes.
        vector: (T, B, O), observations as float vectors.
    """
    action = trajectories.action.reshape(*trajectories.action.shape[:2], -1)
    both = np.concatenate([vector, action], axis=-1).astype(np.float32)
    return [torch.from_numpy(both[:n, i].copy()) for i, n in enumerate(trajectories.length)]
