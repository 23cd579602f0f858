"""Adversarially guided actor-critic (Flet-Berliac et al., 2021, arXiv 2102.04376)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from envzoo.agents.exploration.base import Learned
from envzoo.agents.losses import distributions as dist
from envzoo.agents.networks.layers import linear

if TYPE_CHECKING:
    from envzoo.agents.loops.on_policy import Rollout


class AGACBonus(Learned):
    """Reward actions that an adversary does not predict: b = log pi(a|o) - log pi_adv(a|o).

    As in the paper, the advantage becomes A' = A + c b. The paper adds c KL(pi || pi_adv) to the critic's target; here
    c b is added, whose mean over the actor's actions equals that divergence. The weight c is `intrinsic_coefficient`;
    the paper starts at 4e-4 with an extrinsic reward and anneals it. For agents without such a critic, b is an ordinary
    reward. The adversary minimises -E[log pi_adv(a|o)] over the actor's actions, which has the gradient of KL(pi ||
    pi_adv).

    Metrics:
        intrinsic/reward: mean bonus b of the rollout, before `intrinsic_coefficient` is applied.
        intrinsic/loss: mean cross-entropy of the adversary.
    """

    name = "agac"
    is_bonus = True

    def build(self) -> None:
        """Create the adversary's policy."""
        trunk = self.encoder(self.settings.intrinsic_hidden)
        parts = {"trunk": trunk, "head": linear(trunk.out_dim, self.action_dim, self.generator, gain=0.01)}
        self.network = nn.ModuleDict(parts)
        if not self.actions.discrete:
            self.network.register_parameter("log_std", nn.Parameter(torch.zeros(self.actions.dim)))

    def adversary(self, observation: Tensor, action: Tensor) -> Tensor:
        """Compute log pi_adv(a|o), (N,)."""
        parameters = self.network["head"](self.network["trunk"].features(observation))
        if self.actions.discrete:
            return dist.categorical_log_prob(parameters, action)
        return dist.gaussian_log_prob(parameters, self.network.log_std, action)

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute -log pi_adv(a|o), the term that does not depend on the actor; `reward` adds log pi(a|o)."""
        return -self.adversary(observation, action)

    def reward(self, rollout: Rollout) -> Tensor:
        """Compute log pi - log pi_adv of every step of a rollout."""
        valid = torch.from_numpy(rollout.valid).to(self.device)
        return torch.where(valid, rollout.log_prob + super().reward(rollout), 0.0)

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the cross-entropy of the adversary."""
        return -self.adversary(observation, action).mean()
