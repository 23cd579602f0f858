"""Intrinsic curiosity module (Pathak et al., 2017, arXiv 1705.05363)."""

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
    """Scale of the prediction error inside the logarithm."""


class ICMReward(Learned):
    """Reward the error of a forward model: r = log(1 + eta ||g(phi(o), a) - phi(o')||).

    The features phi are trained by an inverse model that predicts the action from o and o', with a squared error for
    continuous and a cross-entropy for discrete actions. The logarithm follows Laskin et al. (2021, arXiv 2110.15191);
    the original paper uses eta/2 times the squared error (Pathak et al., equation 6).

    Metrics:
        intrinsic/reward: mean intrinsic reward of the rollout, before `intrinsic_coefficient` is applied.
        intrinsic/loss: mean of the forward and inverse losses, summed.
    """

    name = "icm"
    Settings = ICMSettings

    def build(self) -> None:
        """Create the feature network, the forward model and the inverse model."""
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
        """Compute the features phi: (N, P) -> (N, F)."""
        return self.network["features"](self.network["trunk"].features(observation))

    def _error(self, phi: Tensor, action: Tensor, next_phi: Tensor) -> Tensor:
        inputs = torch.cat([phi, self.one_hot(action)], dim=-1)
        return (self.network["next"](self.network["model"](inputs)) - next_phi).norm(dim=-1)

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the rewards of transitions; see `Intrinsic.intrinsic`."""
        error = self._error(self.features(observation), action, self.features(next_observation))
        return torch.log1p(self.settings.eta * error)

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the forward and inverse losses, equally weighted."""
        phi, next_phi = self.features(observation), self.features(next_observation)
        guess = self.network["action"](self.network["inverse"](torch.cat([phi, next_phi], dim=-1)))
        if self.actions.discrete:
            inverse = nn.functional.cross_entropy(guess, action)
        else:
            inverse = (guess - action).norm(dim=-1).mean()
        # No gradient of the forward error reaches the features, which would collapse to a constant otherwise.
        return self._error(phi.detach(), action, next_phi.detach()).mean() + inverse
