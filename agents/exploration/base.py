"""Bases of the learned intrinsic rewards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.loops.intrinsic import Intrinsic, Served
from envzoo.agents.loops.rollout import Rollout
from envzoo.agents.networks.encoders import Encoder, make_encoder
from envzoo.agents.optim import make_optimizer
from envzoo.agents.state_holder import StateHolder


@dataclass(frozen=True)
class LearnedSettings:
    """Settings of an intrinsic reward that learns."""

    intrinsic_learning_rate: float = 1e-3
    """Learning rate of the intrinsic reward's networks."""
    intrinsic_hidden: tuple[int, ...] = (64,)
    """Widths of their hidden layers."""
    feature_dim: int = 64
    """Width of the features that are predicted or compared."""
    intrinsic_minibatch_size: int = 256
    """Transitions per gradient step; every transition of a rollout is used once."""
    intrinsic_optimizer: str = "adam"
    """Optimizer of the intrinsic reward's networks; the names are those of `optimizer`."""


class Learned(Intrinsic):
    """Base of learned intrinsic rewards; a subclass creates `self.network`, an nn.Module, and defines its loss."""

    Settings = LearnedSettings
    network: nn.Module

    def __init__(self, agent: Served, settings: Any):
        super().__init__(agent, settings)
        self.network.to(self.device)
        self.optimizer = make_optimizer(
            (p for p in self.network.parameters() if p.requires_grad),
            settings.intrinsic_optimizer,
            lr=settings.intrinsic_learning_rate,
        )

    def encoder(self, hidden: tuple[int, ...]) -> Encoder:
        """Create an encoder of packed observations."""
        name = "symbols" if self.codec.has_symbols else "auto"
        return make_encoder(name, self.codec, hidden, "relu", self.generator)

    @property
    def generator(self) -> torch.Generator:
        """Generator of the initial weights."""
        return self.streams.torch("intrinsic weights", "cpu")

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the scalar loss of a minibatch; arguments as in `intrinsic`."""
        raise NotImplementedError

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Train for one epoch on the rollout, in minibatches."""
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
        """Convert actions to network inputs, one-hot (N, A) or (N, D)."""
        return nn.functional.one_hot(action, self.actions.n).float() if self.actions.discrete else action

    @property
    def action_dim(self) -> int:
        """Width of `one_hot`."""
        return self.actions.n if self.actions.discrete else self.actions.dim

    def state_dict(self) -> dict[str, Any]:
        """Return the networks and the observation moments."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the networks and the observation moments."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


class RunningScale(StateHolder):
    """Running standard deviation of all values seen so far."""

    def __init__(self):
        super().__init__(count=0.0, mean=0.0, squares=0.0)

    def update(self, values: Tensor) -> None:
        """Update the moments with a batch of values (Chan et al., 1979)."""
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
        """Standard deviation, at least 1e-8; 1 before the first update."""
        return max(float(np.sqrt(self.squares / self.count)), 1e-8) if self.count else 1.0
