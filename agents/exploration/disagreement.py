"""Disagreement of an ensemble of forward models (Pathak et al., 2019, arXiv 1906.04161)."""

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
    """Number of forward models."""


class DisagreementReward(Learned):
    """r = variance over the models of their predictions of phi(o'), phi a frozen random network, averaged over it.

    Models agree on the mean of what is merely noisy, so noise alone pays nothing once it was seen often enough.
    """

    name = "disagreement"
    Settings = DisagreementSettings

    def build(self) -> None:
        """Frozen features, and the models."""
        hidden, width = self.settings.intrinsic_hidden, self.settings.feature_dim
        trunk = self.encoder(hidden)
        head = linear(trunk.out_dim, width, self.generator, gain=1.0)
        for parameter in (*trunk.parameters(), *head.parameters()):
            parameter.requires_grad = False
        models = EnsembleMLP(self.settings.members, width + self.action_dim, hidden, width, "relu", self.generator)
        self.network = nn.ModuleDict({"trunk": trunk, "head": head, "models": models})

    def features(self, observation: Tensor) -> Tensor:
        """phi, (N, P) -> (N, F)."""
        with torch.no_grad():
            return self.network["head"](self.network["trunk"].features(observation))

    def predictions(self, observation: Tensor, action: Tensor) -> Tensor:
        """What each model expects, (members, N, F)."""
        return self.network["models"](torch.cat([self.features(observation), self.one_hot(action)], dim=-1))

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """See `Intrinsic.intrinsic`."""
        return self.predictions(observation, action).var(dim=0, unbiased=False).mean(dim=-1)

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Summed mean squared errors of the models."""
        errors = self.predictions(observation, action) - self.features(next_observation)
        return errors.square().mean(dim=(1, 2)).sum()


__getattr__ = former_names(__name__, {"Disagreement": f"{__name__}:DisagreementReward"})
