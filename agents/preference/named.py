"""Named forms of OfflinePreference, one for each loss."""

from __future__ import annotations

from dataclasses import dataclass

from envzoo.agents.preference.offline import OfflinePreference, OfflinePreferenceConfig
from envzoo.agents.spec import require


@dataclass(frozen=True)
class NamedConfig(OfflinePreferenceConfig):
    """Hyperparameters of a form with a fixed loss."""

    def __post_init__(self):
        super().__post_init__()
        own = type(self).__dataclass_fields__["loss"].default
        name = type(self).__name__.removesuffix("Config")
        require(self.loss == own, f"loss of {name} is {own!r}, got {self.loss!r}; use OfflinePreference for another")


@dataclass(frozen=True)
class DPOConfig(NamedConfig):
    """Hyperparameters of DPO."""

    loss: str = "dpo"
    """Always dpo."""


class DPO(OfflinePreference):
    """Direct preference optimisation: logistic loss on differences of log(pi / ref).

    `OfflinePreference` with `loss="dpo"`: minimises the mean over pairs of

        -log sigmoid(beta m),    m = log(pi / ref)(chosen) - log(pi / ref)(rejected).

    Source: Rafailov et al. 2023 (arXiv 2305.18290), equation 7.

    Metrics:
        Those of OfflinePreference.
    """

    Config = DPOConfig
    config: DPOConfig


@dataclass(frozen=True)
class IPOConfig(NamedConfig):
    """Hyperparameters of IPO."""

    loss: str = "ipo"
    """Always ipo."""


class IPO(OfflinePreference):
    """Identity preference optimisation: squared loss on differences of log(pi / ref).

    `OfflinePreference` with `loss="ipo"`: minimises the mean over pairs of

        (m - 1 / (2 beta))^2,    m = log(pi / ref)(chosen) - log(pi / ref)(rejected).

    Source: Azar et al. 2023 (arXiv 2310.12036), equation 17.

    Metrics:
        Those of OfflinePreference.
    """

    Config = IPOConfig
    config: IPOConfig


@dataclass(frozen=True)
class SLiCConfig(NamedConfig):
    """Hyperparameters of SLiC."""

    loss: str = "slic"
    """Always slic."""


class SLiC(OfflinePreference):
    """Sequence likelihood calibration: hinge loss on differences of log pi, with a likelihood term.

    `OfflinePreference` with `loss="slic"`: minimises the mean over pairs of

        relu(delta - log pi(chosen) + log pi(rejected)) + nll_coefficient NLL(chosen).

    Source: Zhao et al. 2023 (arXiv 2305.10425).

    Metrics:
        Those of OfflinePreference.
    """

    Config = SLiCConfig
    config: SLiCConfig


@dataclass(frozen=True)
class ORPOConfig(NamedConfig):
    """Hyperparameters of ORPO."""

    loss: str = "orpo"
    """Always orpo."""


class ORPO(OfflinePreference):
    """Odds ratio preference optimisation: a likelihood term and log odds, without a reference.

    `OfflinePreference` with `loss="orpo"`: minimises the mean over pairs of

        NLL(chosen) - beta log sigmoid(log odds(chosen) - log odds(rejected)), of likelihoods per token.

    Source: Hong et al. 2024 (arXiv 2403.07691), equations 6 and 7.

    Metrics:
        Those of OfflinePreference.
    """

    Config = ORPOConfig
    config: ORPOConfig


@dataclass(frozen=True)
class SimPOConfig(NamedConfig):
    """Hyperparameters of SimPO."""

    loss: str = "simpo"
    """Always simpo."""
    beta: float = 2.0
    """Inverse temperature of the implicit reward."""


class SimPO(OfflinePreference):
    """Simple preference optimisation: log pi per token with a margin, without a reference.

    `OfflinePreference` with `loss="simpo"`: minimises the mean over pairs of

        -log sigmoid(beta (log pi(chosen) / |chosen| - log pi(rejected) / |rejected|) - gamma).

    Source: Meng et al. 2024 (arXiv 2405.14734), equation 6.

    Metrics:
        Those of OfflinePreference.
    """

    Config = SimPOConfig
    config: SimPOConfig


@dataclass(frozen=True)
class CPOConfig(NamedConfig):
    """Hyperparameters of CPO."""

    loss: str = "cpo"
    """Always cpo."""


class CPO(OfflinePreference):
    """Contrastive preference optimisation: DPO with a uniform reference, and a likelihood term.

    `OfflinePreference` with `loss="cpo"`: minimises the mean over pairs of

        -log sigmoid(beta (log pi(chosen) - log pi(rejected))) + nll_coefficient NLL(chosen).

    Source: Xu et al. 2024 (arXiv 2401.08417), equation 5.

    Metrics:
        Those of OfflinePreference.
    """

    Config = CPOConfig
    config: CPOConfig


@dataclass(frozen=True)
class KTOConfig(NamedConfig):
    """Hyperparameters of KTO."""

    loss: str = "kto"
    """Always kto."""


class KTO(OfflinePreference):
    """Kahneman-Tversky optimisation: labelled single responses against a baseline.

    `OfflinePreference` with `loss="kto"`: minimises the mean over pairs of

        1 - sigmoid(+-beta (log(pi / ref)(y) - z)),    + for chosen and - for rejected responses.

    Source: Ethayarajh et al. 2024 (arXiv 2402.01306), equation 8.

    Metrics:
        Those of OfflinePreference.
    """

    Config = KTOConfig
    config: KTOConfig
