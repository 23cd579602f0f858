"""Exploration by the disagreement of an ensemble of forward models (Pathak et al., 2019, arXiv 1906.04161)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from envzoo.agents.exploration.base import Learned, LearnedSettings
from envzoo.agents.networks.layers import EnsembleMLP, linear
from envzoo.moved import former_names


@dataclass(frozen=True)
class DisagreementSettings(LearnedSettings):
    """Settings of the ensemble."""

    members: int = 5
    """Number of forward models in the ensemble."""


class DisagreementReward(Learned):
    """Reward the disagreement of forward models: r = mean_j Var_m[g_m(phi(o), a)_j].

    The models g_m predict phi(o'), where phi is a frozen random network; the variance over the models m is averaged
    over the feature dimensions j. All models converge to the same mean under observation noise, so noise alone yields
    no reward once there is enough data. Source: Pathak et al. (2019, arXiv 1906.04161).

    Metrics:
        intrinsic/reward: mean intrinsic reward of the rollout, before `intrinsic_coefficient` is applied.
        intrinsic/loss: mean training loss, the models' mean squared errors summed over the ensemble.
    """

    name = "disagreement"
    Settings = DisagreementSettings

    def build(self) -> None:
        """Create the frozen feature network and the forward models."""
        hidden, width = self.settings.intrinsic_hidden, self.settings.feature_dim
        trunk = self.encoder(hidden)
        head = linear(trunk.out_dim, width, self.generator, gain=1.0)
        for parameter in (*trunk.parameters(), *head.parameters()):
            parameter.requires_grad = False
        models = EnsembleMLP(self.settings.members, width + self.action_dim, hidden, width, "relu", self.generator)
        self.network = nn.ModuleDict({"trunk": trunk, "head": head, "models": models})

    def features(self, observation: Tensor) -> Tensor:
        """Compute the features phi: (N, P) -> (N, F)."""
        with torch.no_grad():
            return self.network["head"](self.network["trunk"].features(observation))

    def predictions(self, observation: Tensor, action: Tensor) -> Tensor:
        """Predict the next features with each model, (members, N, F)."""
        return self.network["models"](torch.cat([self.features(observation), self.one_hot(action)], dim=-1))

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the rewards of transitions; see `Intrinsic.intrinsic`."""
        return self.predictions(observation, action).var(dim=0, unbiased=False).mean(dim=-1)

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the models' mean squared errors, summed over the ensemble."""
        errors = self.predictions(observation, action) - self.features(next_observation)
        return errors.square().mean(dim=(1, 2)).sum()


__getattr__ = former_names(__name__, {"Disagreement": f"{__name__}:DisagreementReward"})
