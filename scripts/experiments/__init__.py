"""The experiments: for each paper its central claim as a program. A new one adds its line to the table below."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from envzoo.errors import unknown

if TYPE_CHECKING:
    from envzoo.scripts.experiments.core.experiment import Experiment

# Number of the paper -> module that defines EXPERIMENT; imported on use.
_MODULES = {
    "03": "envzoo.scripts.experiments.p03_entropy_mechanism.experiment",
    "05": "envzoo.scripts.experiments.p05_mec_bottleneck.experiment",
    "06": "envzoo.scripts.experiments.p06_steer.experiment",
    "09": "envzoo.scripts.experiments.p09_submodular.experiment",
    "14": "envzoo.scripts.experiments.p14_hapo.experiment",
    "15": "envzoo.scripts.experiments.p15_adversarial_surprise.experiment",
    "19": "envzoo.scripts.experiments.p19_sac.experiment",
    "22": "envzoo.scripts.experiments.p22_d3s.experiment",
    "23": "envzoo.scripts.experiments.p23_bapo.experiment",
    "30": "envzoo.scripts.experiments.p30_lsd_bandits.experiment",
    "38": "envzoo.scripts.experiments.p38_lp_reg.experiment",
    "40": "envzoo.scripts.experiments.p40_aepo.experiment",
}
# Name of a comparison that is of no single paper -> module that defines EXPERIMENT.
COMPARISONS = {
    "entropy-methods": "envzoo.scripts.experiments.entropy_methods.experiment",
    "entropy-sweeps": "envzoo.scripts.experiments.entropy_sweeps.experiment",
}


def numbers() -> list[str]:
    """The papers that have an experiment, in order."""
    return sorted(_MODULES)


def find_experiment(paper: str) -> Experiment:
    """The experiment of a paper ("09" or "9"), or a comparison; raises UnknownNameError with those there are."""
    number = str(paper).strip().zfill(2)
    if number in COMPARISONS:
        return import_module(COMPARISONS[number]).EXPERIMENT
    if number not in _MODULES:
        raise unknown("paper", paper, _MODULES | COMPARISONS, where="`envzoo list papers` shows what each is about")
    return import_module(_MODULES[number]).EXPERIMENT


def experiments() -> dict[str, Experiment]:
    """Every experiment by the number of its paper."""
    return {number: find_experiment(number) for number in numbers()}
