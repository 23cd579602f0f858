"""Random network distillation (Burda et al., 2018, arXiv 1810.12894)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from envzoo.agents.exploration.base import Learned, RunningScale
from envzoo.agents.networks.layers import linear

if TYPE_CHECKING:
    from envzoo.agents.loops.on_policy import Rollout


class RNDReward(Learned):
    """Reward the error of a predictor of random features: r = mean_j (f(o') - g(o'))_j^2 / sigma.

    f is a frozen random network, g is trained to match it, and sigma is the running standard deviation of the errors.
    The paper divides by the standard deviation of the discounted returns of the reward instead, which differs by a
    slowly changing factor.

    Metrics:
        intrinsic/reward: mean intrinsic reward of the rollout, before `intrinsic_coefficient` is applied.
        intrinsic/loss: mean squared error of the predictor.
    """

    name = "rnd"

    def build(self) -> None:
        """Create the frozen random network and the predictor."""
        hidden, width = self.settings.intrinsic_hidden, self.settings.feature_dim
        target, student = self.encoder(hidden), self.encoder(hidden)
        self.target = nn.Sequential(target, linear(target.out_dim, width, self.generator))
        self.student = nn.Sequential(student, linear(student.out_dim, width, self.generator))
        for parameter in self.target.parameters():
            parameter.requires_grad = False
        self.network = nn.ModuleList([self.target, self.student])
        self.scale = RunningScale()

    def errors(self, observation: Tensor) -> Tensor:
        """Compute the predictor's mean squared errors: (N, P) -> (N,)."""
        target = self.target[1](self.target[0].features(observation))
        student = self.student[1](self.student[0].features(observation))
        return (student - target.detach()).square().mean(dim=-1)

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the scaled errors; see `Intrinsic.intrinsic`."""
        return self.errors(next_observation) / self.scale.std

    def reward(self, rollout: Rollout) -> Tensor:
        """Compute the rewards of a rollout, after updating the running scale with its errors."""
        old = self.scale.std
        errors = super().reward(rollout) * old
        self.scale.update(errors[torch.from_numpy(rollout.valid).to(self.device)])
        return errors / self.scale.std

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the mean error."""
        return self.errors(next_observation).mean()

    def state_dict(self) -> dict[str, Any]:
        """Return the networks, the observation moments and the scale."""
        return {**super().state_dict(), "scale": self.scale.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the networks, the observation moments and the scale."""
        super().load_state_dict(state)
        self.scale.load_state_dict(state["scale"])
