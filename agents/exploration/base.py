"""The interface of intrinsic rewards, and what several of them share."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.exploration.config import INTRINSICS
from envzoo.agents.networks.encoders import Encoder, make_encoder
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require

if TYPE_CHECKING:
    from envzoo.agents.loops.on_policy import OnPolicyAgent, Rollout

COUNTS = ("feature_dim", "intrinsic_minibatch_size", "members", "neighbours", "particles", "skills")


@dataclass(frozen=True)
class NoSettings:
    """The settings of an intrinsic reward without any."""


@dataclass(frozen=True)
class LearnedSettings:
    """Settings of an intrinsic reward that learns."""

    intrinsic_learning_rate: float = 1e-3
    """Adam's learning rate of the intrinsic reward's networks."""
    intrinsic_hidden: tuple[int, ...] = (64,)
    """Widths of their hidden layers."""
    feature_dim: int = 64
    """Width of the features that are predicted or compared."""
    intrinsic_minibatch_size: int = 256
    """Transitions per gradient step; every transition of a rollout is used once."""


class Intrinsic:
    """An intrinsic reward with its own update and state.

    Args:
        agent: The on-policy agent it serves: its `codec`, `actions`, `streams` and `device` are used.
        settings: An instance of `Settings`.
    """

    name: ClassVar[str]
    Settings: ClassVar[type] = NoSettings
    is_bonus: ClassVar[bool] = False  # added to advantages and the critic's targets by agents that can, not to rewards

    def __init__(self, agent: OnPolicyAgent, settings: Any):
        self.codec, self.actions, self.device = agent.codec, agent.actions, agent.device
        self.streams, self.settings = agent.streams, settings
        self._packed_dim = agent.codec.packed_dim
        self.build()

    def bare(self, rows: Tensor) -> Tensor:
        """Leave out the masks of allowed actions that may stand behind packed observations."""
        return rows[..., : self._packed_dim]

    @classmethod
    def wrappers(cls, settings: Any, seed: int) -> list[tuple[type, dict[str, Any]]]:
        """Wrappers that the environment needs; see `OnPolicyAgent.wrappers`."""
        return []

    def build(self) -> None:
        """Make networks and memory."""

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """The reward of each of N transitions.

        Args:
            observation: (N, P) packed.
            action: (N,) int64 or (N, D).
            next_observation: (N, P) packed, the one the action led to.

        Returns:
            (N,) float32.
        """
        raise NotImplementedError

    def reward(self, rollout: Rollout) -> Tensor:
        """The reward of every step of a rollout, (T, B); 0 where a step does not count."""
        valid = torch.from_numpy(rollout.valid).to(self.device)
        found = torch.zeros(valid.shape, device=self.device)
        with torch.no_grad():
            found[valid] = self.intrinsic(
                self.bare(rollout.observation[valid]),
                rollout.action[valid],
                self.bare(rollout.next_observation[valid]),
            ).to(found.dtype)
        return found

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Learn from a rollout, after its rewards were computed; returns metrics."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state made by `state_dict`."""


class Learned(Intrinsic):
    """An intrinsic reward with networks: a subclass makes `self.network`, an nn.Module, and gives its loss."""

    Settings = LearnedSettings
    network: nn.Module

    def __init__(self, agent: OnPolicyAgent, settings: Any):
        super().__init__(agent, settings)
        self.network.to(self.device)
        self.optimizer = make_optimizer(
            (p for p in self.network.parameters() if p.requires_grad), lr=settings.intrinsic_learning_rate
        )

    def encoder(self, hidden: tuple[int, ...]) -> Encoder:
        """An encoder of packed observations."""
        name = "symbols" if self.codec.has_symbols else "auto"
        return make_encoder(name, self.codec, hidden, "relu", self.generator)

    @property
    def generator(self) -> torch.Generator:
        """Source of initial weights."""
        return self.streams.torch("intrinsic weights", "cpu")

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Scalar loss of a minibatch; arguments as of `intrinsic`."""
        raise NotImplementedError

    def update(self, rollout: Rollout) -> dict[str, float]:
        """One pass over the rollout in minibatches."""
        total, count = 0.0, 0
        for minibatch in self._minibatches(rollout):
            loss = self.loss(*minibatch)
            self.optimizer.step(loss)
            total, count = total + float(loss.detach()), count + 1
        return {"intrinsic/loss": total / max(count, 1)}

    def _minibatches(self, rollout: Rollout) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        valid = torch.from_numpy(rollout.valid).to(self.device)
        observation, next_observation = self.bare(rollout.observation), self.bare(rollout.next_observation)
        parts = [field[valid] for field in (observation, rollout.action, next_observation)]
        generator = self.streams.torch("intrinsic minibatches")
        order = torch.randperm(len(parts[0]), generator=generator, device=self.device)
        for rows in order.split(self.settings.intrinsic_minibatch_size):
            yield tuple(part[rows] for part in parts)

    def one_hot(self, action: Tensor) -> Tensor:
        """Actions as network inputs, (N, A) one-hot or (N, D)."""
        return nn.functional.one_hot(action, self.actions.n).float() if self.actions.discrete else action

    @property
    def action_dim(self) -> int:
        """Width of `one_hot`."""
        return self.actions.n if self.actions.discrete else self.actions.dim

    def state_dict(self) -> dict[str, Any]:
        """Networks and moments."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over networks and moments."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


class RunningScale:
    """Standard deviation of all numbers seen so far."""

    def __init__(self):
        self.count, self.mean, self.squares = 0.0, 0.0, 0.0

    def update(self, values: Tensor) -> None:
        """Take numbers in (Chan et al., 1979)."""
        count = values.numel()
        if not count:
            return
        mean = float(values.mean())
        squares = float((values - mean).square().sum())
        total, change = self.count + count, mean - self.mean
        self.squares += squares + change**2 * self.count * count / total
        self.mean += change * count / total
        self.count = total

    @property
    def std(self) -> float:
        """The standard deviation, 1 before anything was seen; never below 1e-8."""
        return max(float(np.sqrt(self.squares / self.count)), 1e-8) if self.count else 1.0

    def state_dict(self) -> dict[str, float]:
        """The statistics."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take over statistics."""
        self.count, self.mean, self.squares = state["count"], state["mean"], state["squares"]


def intrinsic_class(name: str) -> type[Intrinsic]:
    """The class of an intrinsic reward."""
    module, _, attribute = INTRINSICS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def settings_of(cls: type[Intrinsic], config: Any) -> Any:
    """The settings of an intrinsic reward: the config's fields of the same names, defaults for the others.

    Raises:
        EnvzooError: A setting that the reward cannot use.
    """
    settings = cls.Settings(**{f.name: getattr(config, f.name, f.default) for f in fields(cls.Settings)})
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name in COUNTS:
            require(value >= 1, f"{field.name} of the intrinsic reward is at least 1, got {value}")
    rate = getattr(settings, "intrinsic_learning_rate", 1.0)
    require(rate > 0, f"intrinsic_learning_rate is positive, got {rate}")
    return settings
