"""Intrinsic curiosity (Pathak et al., 2017, arXiv 1705.05363)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from envzoo.agents.exploration.base import Learned, LearnedSettings
from envzoo.agents.networks.layers import MLP, linear


@dataclass(frozen=True)
class ICMSettings(LearnedSettings):
    """Settings of the curiosity module."""

    eta: float = 1.0
    """Scale of the prediction error before the logarithm."""


class ICMReward(Learned):
    """r = log(1 + eta ||g(phi(o), a) - phi(o')||), the features phi learned by predicting the action from o and o'.

    The logarithm is that of Laskin et al. (2021, arXiv 2110.15191); the paper pays half the squared error. Continuous
    actions are predicted with a squared error, discrete ones with a cross-entropy.
    """

    name = "icm"
    Settings = ICMSettings

    def build(self) -> None:
        """Features, forward model, inverse model."""
        hidden, width = self.settings.intrinsic_hidden, self.settings.feature_dim
        trunk = self.encoder(hidden)
        middle = (*hidden, width)
        self.network = nn.ModuleDict(
            {
                "trunk": trunk,
                "features": linear(trunk.out_dim, width, self.generator, gain=1.0),
                "model": MLP(width + self.action_dim, hidden, "relu", self.generator),
                "next": linear(hidden[-1] if hidden else width + self.action_dim, width, self.generator, gain=1.0),
                "inverse": MLP(2 * width, middle, "relu", self.generator),
                "action": linear(width, self.action_dim, self.generator, gain=1.0),
            }
        )

    def features(self, observation: Tensor) -> Tensor:
        """phi, (N, P) -> (N, F)."""
        return self.network["features"](self.network["trunk"].features(observation))

    def _error(self, phi: Tensor, action: Tensor, next_phi: Tensor) -> Tensor:
        inputs = torch.cat([phi, self.one_hot(action)], dim=-1)
        return (self.network["next"](self.network["model"](inputs)) - next_phi).norm(dim=-1)

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """See `Intrinsic.intrinsic`."""
        error = self._error(self.features(observation), action, self.features(next_observation))
        return torch.log1p(self.settings.eta * error)

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Forward and inverse loss, equally weighted."""
        phi, next_phi = self.features(observation), self.features(next_observation)
        guess = self.network["action"](self.network["inverse"](torch.cat([phi, next_phi], dim=-1)))
        if self.actions.discrete:
            inverse = nn.functional.cross_entropy(guess, action)
        else:
            inverse = (guess - action).norm(dim=-1).mean()
        # The forward error must not pull the features together, where it would vanish.
        return self._error(phi.detach(), action, next_phi.detach()).mean() + inverse
