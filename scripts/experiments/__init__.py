"""The experiments: for each paper its central claim as a program. A new one adds its line to the table below."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from envzoo.errors import unknown

if TYPE_CHECKING:
    from envzoo.scripts.experiments.experiment import Experiment

# Number of the paper -> module that defines EXPERIMENT; imported on use.
_MODULES = {
    "03": "envzoo.scripts.experiments.entropy_mechanism",
    "05": "envzoo.scripts.experiments.coding_games",
    "06": "envzoo.scripts.experiments.steer",
    "09": "envzoo.scripts.experiments.submodular_rl",
    "14": "envzoo.scripts.experiments.hapo",
    "15": "envzoo.scripts.experiments.adversarial_surprise",
    "19": "envzoo.scripts.experiments.sac",
    "22": "envzoo.scripts.experiments.d3s",
    "23": "envzoo.scripts.experiments.bapo",
    "30": "envzoo.scripts.experiments.lsd_bandits",
    "38": "envzoo.scripts.experiments.lp_reg",
    "40": "envzoo.scripts.experiments.aepo_arbitrary",
}
# Name of a comparison that is of no single paper -> module that defines EXPERIMENT.
COMPARISONS = {
    "entropy-methods": "envzoo.scripts.experiments.entropy_methods",
    "entropy-sweeps": "envzoo.scripts.experiments.entropy_sweeps",
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
