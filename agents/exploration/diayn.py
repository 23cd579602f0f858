"""Diversity is all you need (Eysenbach et al., 2018, arXiv 1802.06070)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from envzoo.agents.exploration.base import Learned, LearnedSettings
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.wrappers.skill_observation import VectorSkillObservation


@dataclass(frozen=True)
class DIAYNSettings(LearnedSettings):
    """Settings of the skills."""

    skills: int = 16
    """Number of skills; the paper uses 50."""


class DIAYNReward(Learned):
    """Reward observations from which the skill can be inferred: r = log q(z|o') + log n.

    A skill z is drawn uniformly from n skills for each episode and appended to the policy's observation. The
    discriminator q predicts it from the environment's observation alone. Source: Eysenbach et al. (2018, arXiv
    1802.06070, equation 3).

    Metrics:
        intrinsic/reward: mean intrinsic reward of the rollout, before `intrinsic_coefficient` is applied.
        intrinsic/loss: mean cross-entropy of the discriminator.
    """

    name = "diayn"
    Settings = DIAYNSettings

    @classmethod
    def wrappers(cls, settings: Any, seed: int) -> list[tuple[type, dict[str, Any]]]:
        """Return the wrapper that appends the skill to the observation."""
        return [(VectorSkillObservation, {"skills": settings.skills, "seed": seed})]

    def __init__(self, agent: Any, settings: Any):
        self._bare: ObservationCodec = agent.follower.codec
        super().__init__(agent, settings)

    def build(self) -> None:
        """Create the discriminator, which reads the environment's observation without the skill columns."""
        skilled, self.codec = self.codec, self._bare
        if skilled.packed_dim != self._bare.packed_dim + self.settings.skills:
            raise AssertionError("the skill is the only thing added to observations")
        trunk = self.encoder(self.settings.intrinsic_hidden)
        head = linear(trunk.out_dim, self.settings.skills, self.generator, gain=0.01)
        self.network = nn.ModuleDict({"trunk": trunk, "head": head})

    def _log_q(self, next_observation: Tensor) -> Tensor:
        bare = next_observation[:, : self._bare.packed_dim]
        return self.network["head"](self.network["trunk"].features(bare)).log_softmax(dim=-1)

    def _skill(self, observation: Tensor) -> Tensor:
        return observation[:, self._bare.packed_dim :].argmax(dim=-1)

    def intrinsic(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the rewards of transitions; see `Intrinsic.intrinsic`."""
        log_q = self._log_q(next_observation).gather(-1, self._skill(observation)[:, None]).squeeze(-1)
        return log_q + math.log(self.settings.skills)

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Compute the cross-entropy of the discriminator."""
        return nn.functional.nll_loss(self._log_q(next_observation), self._skill(observation))
