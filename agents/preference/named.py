"""Named forms of OfflinePreference, one for each loss, so that people find them."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Any

from envzoo.agents.preference.offline import OfflinePreference, OfflinePreferenceConfig
from envzoo.agents.spec import require


@dataclass(frozen=True)
class NamedConfig(OfflinePreferenceConfig):
    """Hyperparameters of a form with a fixed loss."""

    loss: str = ""
    """Loss; the name of the agent says which."""

    def __post_init__(self):
        super().__post_init__()
        own = type(self).__dataclass_fields__["loss"].default
        name = type(self).__name__.removesuffix("Config")
        require(self.loss == own, f"loss of {name} is {own!r}, got {self.loss!r}; use OfflinePreference for another")


def _form(name: str, manual: str, formula: str, source: str, **defaults: Any) -> type[OfflinePreference]:
    """Make the agent of one loss.

    Args:
        name: Name of the agent; in lower case that of the loss.
        manual: First sentence of its documentation.
        formula: What is minimised.
        source: The publication, and the equation in it.
        **defaults: Further defaults that differ from those of OfflinePreference.
    """
    loss = name.lower()
    fields = [(field, type(value), value) for field, value in {"loss": loss, **defaults}.items()]
    config = make_dataclass(f"{name}Config", fields, bases=(NamedConfig,), frozen=True)
    config.__doc__, config.__module__ = f"Hyperparameters of {name}.", __name__
    text = (
        f'{manual}\n\n    `OfflinePreference` with `loss="{loss}"`: minimises the mean over pairs of\n\n'
        f"        {formula}.\n\n    Source: {source}.\n\n    Metrics:\n        Those of OfflinePreference.\n    "
    )
    return type(name, (OfflinePreference,), {"__doc__": text, "__module__": __name__, "Config": config})


_M = "m = log(pi / ref)(chosen) - log(pi / ref)(rejected)"

DPO = _form(
    "DPO",
    "Direct preference optimisation: logistic loss on differences of log(pi / ref).",
    f"-log sigmoid(beta m),    {_M}",
    "Rafailov et al. 2023 (arXiv 2305.18290), equation 7",
)
IPO = _form(
    "IPO",
    "Identity preference optimisation: squared loss on differences of log(pi / ref).",
    f"(m - 1 / (2 beta))^2,    {_M}",
    "Azar et al. 2023 (arXiv 2310.12036), equation 17",
)
SLiC = _form(
    "SLiC",
    "Sequence likelihood calibration: hinge loss on differences of log pi, with a likelihood term.",
    "relu(delta - log pi(chosen) + log pi(rejected)) + nll_coefficient NLL(chosen)",
    "Zhao et al. 2023 (arXiv 2305.10425)",
)
ORPO = _form(
    "ORPO",
    "Odds ratio preference optimisation: a likelihood term and log odds, without a reference.",
    "NLL(chosen) - beta log sigmoid(log odds(chosen) - log odds(rejected)), of likelihoods per token",
    "Hong et al. 2024 (arXiv 2403.07691), equations 6 and 7",
)
SimPO = _form(
    "SimPO",
    "Simple preference optimisation: log pi per token with a margin, without a reference.",
    "-log sigmoid(beta (log pi(chosen) / |chosen| - log pi(rejected) / |rejected|) - gamma)",
    "Meng et al. 2024 (arXiv 2405.14734), equation 6",
    beta=2.0,
)
CPO = _form(
    "CPO",
    "Contrastive preference optimisation: DPO with a uniform reference, and a likelihood term.",
    "-log sigmoid(beta (log pi(chosen) - log pi(rejected))) + nll_coefficient NLL(chosen)",
    "Xu et al. 2024 (arXiv 2401.08417), equation 5",
)
KTO = _form(
    "KTO",
    "Kahneman-Tversky optimisation: labelled single responses against a baseline.",
    "1 - sigmoid(+-beta (log(pi / ref)(y) - z)),    + for chosen and - for rejected responses",
    "Ethayarajh et al. 2024 (arXiv 2402.01306), equation 8",
)
FORMS = (DPO, IPO, SLiC, ORPO, SimPO, CPO, KTO)
