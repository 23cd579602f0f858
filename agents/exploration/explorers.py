"""Unsupervised exploration agents: PPO with an intrinsic reward, named after the method.

The environment's reward is ignored unless `extrinsic_coefficient` is positive.
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
    """Hyperparameters common to the exploration agents."""

    extrinsic_coefficient: float = 0.0
    """Weight of the environment's reward."""


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
    """PPO with a count-based reward, r = 1 / sqrt(N(o')).

    N(o') counts the visits of the next observation, in training or in the episode. Source: Tang et al. (2016, arXiv
    1611.04717); see `LifetimeCount` and `EpisodicCount`.

    Metrics:
        Those of `PPO`, and:
        intrinsic/reward: mean intrinsic reward of the rollout, before weighting.
    """

    Config = CountBasedConfig


class RND(PPO):
    """PPO with random network distillation, r = mean_j (f(o') - g(o'))_j^2 / sigma.

    f is a frozen random network, g is trained to match it, and sigma is the running standard deviation of the errors.
    Source: Burda et al. (2018, arXiv 1810.12894); see `RNDReward`.

    Metrics:
        Those of `PPO`, and:
        intrinsic/reward: mean intrinsic reward of the rollout, before weighting.
        intrinsic/loss: mean squared error of the predictor.
    """

    Config = RNDConfig


class ICM(PPO):
    """PPO with intrinsic curiosity, r = log(1 + eta ||g(phi(o), a) - phi(o')||).

    g is a forward model and phi are features learned by an inverse model. Source: Pathak et al. (2017, arXiv
    1705.05363); see `ICMReward`.

    Metrics:
        Those of `PPO`, and:
        intrinsic/reward: mean intrinsic reward of the rollout, before weighting.
        intrinsic/loss: mean of the forward and inverse losses, summed.
    """

    Config = ICMConfig


class APT(PPO):
    """PPO with the particle-based entropy reward, r = log(1 + mean distance of phi(o') to its k nearest neighbours).

    Source: Liu and Abbeel (2021, arXiv 2103.04551); see `APTReward`.

    Metrics:
        Those of `PPO`, and:
        intrinsic/reward: mean intrinsic reward of the rollout, before weighting.
        intrinsic/loss: mean training loss of the features.
    """

    Config = APTConfig


class DIAYN(PPO):
    """PPO conditioned on a skill z, with the reward r = log q(z|o') + log n of a discriminator q of n skills.

    Source: Eysenbach et al. (2018, arXiv 1802.06070); see `DIAYNReward`.

    Metrics:
        Those of `PPO`, and:
        intrinsic/reward: mean intrinsic reward of the rollout, before weighting.
        intrinsic/loss: mean cross-entropy of the discriminator.
    """

    Config = DIAYNConfig


class Disagreement(PPO):
    """PPO with the disagreement of an ensemble of forward models as reward, r = mean_j Var_m[g_m(phi(o), a)_j].

    Source: Pathak et al. (2019, arXiv 1906.04161); see `DisagreementReward`.

    Metrics:
        Those of `PPO`, and:
        intrinsic/reward: mean intrinsic reward of the rollout, before weighting.
        intrinsic/loss: mean squared errors of the models, summed over the ensemble.
    """

    Config = DisagreementConfig


class AGAC(PPO):
    """PPO with the bonus b = log pi(a|o) - log pi_adv(a|o), where pi_adv is trained to imitate the policy.

    Source: Flet-Berliac et al. (2021, arXiv 2102.04376); see `AGACBonus`.

    Metrics:
        Those of `PPO`, and:
        intrinsic/reward: mean bonus of the rollout, before weighting.
        intrinsic/loss: mean cross-entropy of the adversary.
    """

    Config = AGACConfig
