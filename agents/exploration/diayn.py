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
    """Number of skills; the paper takes 50."""


class DIAYNReward(Learned):
    """r = log q(z|o') + log n, q learning which of n skills z was drawn for the episode from what it leads to.

    The skill stands in the observation of the policy; q does not see that part.
    """

    name = "diayn"
    Settings = DIAYNSettings

    @classmethod
    def wrappers(cls, settings: Any, seed: int) -> list[tuple[type, dict[str, Any]]]:
        """The skill in the observation."""
        return [(VectorSkillObservation, {"skills": settings.skills, "seed": seed})]

    def __init__(self, agent: Any, settings: Any):
        self._bare: ObservationCodec = agent.follower.codec
        super().__init__(agent, settings)

    def build(self) -> None:
        """The discriminator, on the observations of the environment alone; the skill stands behind them in a row."""
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
        """See `Intrinsic.intrinsic`."""
        log_q = self._log_q(next_observation).gather(-1, self._skill(observation)[:, None]).squeeze(-1)
        return log_q + math.log(self.settings.skills)

    def loss(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """Cross-entropy of the discriminator."""
        return nn.functional.nll_loss(self._log_q(next_observation), self._skill(observation))
