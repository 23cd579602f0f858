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
    """b = log pi(a|o) - log pi_adv(a|o): the actor is paid for what its adversary did not foresee.

    As in the paper, A' = A + c b, and the critic's target grows by c KL(pi || pi_adv), here by c b, whose mean over the
    actor's actions is that divergence. (c is `intrinsic_coefficient`; the paper begins with 4e-4 beside a reward and
    lets it fall.) Agents without such a critic are paid b as a reward like any other. The adversary learns to imitate
    the actor: -E log pi_adv(a|o) over the actor's own actions has the gradient of KL(pi || pi_adv).
    """

    name = "agac"
    is_bonus = True

    def build(self) -> None:
        """The adversary's policy."""
        trunk = self.encoder(self.settings.intrinsic_hidden)
        parts = {"trunk": trunk, "head": linear(trunk.out_dim, self.action_dim, self.generator, gain=0.01)}
        self.network = nn.ModuleDict(parts)
        if not self.actions.discrete:
            self.network.register_parameter("log_std", nn.Parameter(torch.zeros(self.actions.dim)))

    def adversary(self, observation: Tensor, action: Tensor) -> Tensor:
        """log pi_adv(a|o), (N,)."""
        parameters = self.network["head"](self.network["trunk"].features(observation))
        if self.actions.discrete:
            return dist.categorical_log_prob(parameters, action)
        return dist.gaussian_log_prob(parameters, self.network.log_std, action)

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """-log pi_adv(a|o): the part that does not need the actor; `reward` adds log pi(a|o)."""
        return -self.adversary(observation, action)

    def reward(self, rollout: Rollout) -> Tensor:
        """log pi - log pi_adv of every step."""
        valid = torch.from_numpy(rollout.valid).to(self.device)
        return torch.where(valid, rollout.log_prob + super().reward(rollout), 0.0)

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Cross-entropy of the adversary."""
        return -self.adversary(observation, action).mean()
