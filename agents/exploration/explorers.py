"""The unsupervised explorers: PPO with an intrinsic reward, each under the name of its method.

They are not paid by the environment unless `extrinsic_coefficient` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envzoo.agents.actor_critic.ppo import PPO
from envzoo.agents.exploration.apt import APTSettings
from envzoo.agents.exploration.base import LearnedSettings
from envzoo.agents.exploration.count import CountSettings
from envzoo.agents.exploration.diayn import DIAYNSettings
from envzoo.agents.exploration.disagreement import DisagreementSettings
from envzoo.agents.exploration.icm import ICMSettings
from envzoo.agents.exploration.without_rewards import WithoutRewardsConfig


@dataclass(frozen=True)
class ExplorerConfig(WithoutRewardsConfig):
    """What all explorers share."""

    extrinsic_coefficient: float = 0.0
    """Weight of the environment's reward beside the intrinsic one."""


@dataclass(frozen=True)
class CountBasedConfig(CountSettings, ExplorerConfig):
    """Hyperparameters of CountBased."""

    intrinsic: Literal["count", "episodic_count"] = "count"
    """Counts over all of training (count), or over each episode (episodic_count)."""


@dataclass(frozen=True)
class RNDConfig(LearnedSettings, ExplorerConfig):
    """Hyperparameters of RND."""

    intrinsic: Literal["rnd"] = "rnd"
    """The intrinsic reward."""


@dataclass(frozen=True)
class ICMConfig(ICMSettings, ExplorerConfig):
    """Hyperparameters of ICM."""

    intrinsic: Literal["icm"] = "icm"
    """The intrinsic reward."""


@dataclass(frozen=True)
class APTConfig(APTSettings, ExplorerConfig):
    """Hyperparameters of APT."""

    intrinsic: Literal["apt"] = "apt"
    """The intrinsic reward."""


@dataclass(frozen=True)
class DIAYNConfig(DIAYNSettings, ExplorerConfig):
    """Hyperparameters of DIAYN."""

    intrinsic: Literal["diayn"] = "diayn"
    """The intrinsic reward."""


@dataclass(frozen=True)
class DisagreementConfig(DisagreementSettings, ExplorerConfig):
    """Hyperparameters of Disagreement."""

    intrinsic: Literal["disagreement"] = "disagreement"
    """The intrinsic reward."""


@dataclass(frozen=True)
class AGACConfig(LearnedSettings, ExplorerConfig):
    """Hyperparameters of AGAC."""

    intrinsic: Literal["agac"] = "agac"
    """The intrinsic reward."""


class CountBased(PPO):
    """PPO paid 1 / sqrt(N) for an observation met N times."""

    Config = CountBasedConfig


class RND(PPO):
    """PPO paid for what the student of a random network has not learned yet."""

    Config = RNDConfig


class ICM(PPO):
    """PPO paid for what a forward model of learned features did not foresee."""

    Config = ICMConfig


class APT(PPO):
    """PPO paid for being far from its neighbours in learned features."""

    Config = APTConfig


class DIAYN(PPO):
    """PPO with a skill in its observation, paid for letting others recognise it."""

    Config = DIAYNConfig


class Disagreement(PPO):
    """PPO paid where forward models differ."""

    Config = DisagreementConfig


class AGAC(PPO):
    """PPO paid for what an imitator of its policy does not foresee."""

    Config = AGACConfig
