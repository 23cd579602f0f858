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
    """r = mean_j (f(o') - g(o'))_j^2 over the running standard deviation of such errors, f random, g learning f.

    The paper divides by the deviation of discounted returns of the reward, which differs by a slowly changing factor.
    """

    name = "rnd"

    def build(self) -> None:
        """A frozen random network and its student."""
        hidden, width = self.settings.intrinsic_hidden, self.settings.feature_dim
        target, student = self.encoder(hidden), self.encoder(hidden)
        self.target = nn.Sequential(target, linear(target.out_dim, width, self.generator))
        self.student = nn.Sequential(student, linear(student.out_dim, width, self.generator))
        for parameter in self.target.parameters():
            parameter.requires_grad = False
        self.network = nn.ModuleList([self.target, self.student])
        self.scale = RunningScale()

    def errors(self, observation: Tensor) -> Tensor:
        """Squared errors of the student, (N, P) -> (N,)."""
        target = self.target[1](self.target[0].features(observation))
        student = self.student[1](self.student[0].features(observation))
        return (student - target.detach()).square().mean(dim=-1)

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """The errors, scaled; see `Intrinsic.intrinsic`."""
        return self.errors(next_observation) / self.scale.std

    def reward(self, rollout: Rollout) -> Tensor:
        """The errors on a rollout, which first enter the scale."""
        old = self.scale.std
        errors = super().reward(rollout) * old
        self.scale.update(errors[torch.from_numpy(rollout.valid).to(self.device)])
        return errors / self.scale.std

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Mean error."""
        return self.errors(next_observation).mean()

    def state_dict(self) -> dict[str, Any]:
        """Networks, moments and scale."""
        return {**super().state_dict(), "scale": self.scale.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over networks, moments and scale."""
        super().load_state_dict(state)
        self.scale.load_state_dict(state["scale"])
