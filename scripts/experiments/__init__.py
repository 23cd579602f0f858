"""The experiments: for each paper its central claim as a program. A new one adds its line to the table below."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from envzoo.errors import unknown

if TYPE_CHECKING:
    from envzoo.scripts.experiments.experiment import Experiment

# Number of the paper -> module that defines EXPERIMENT; imported on use.
_MODULES = {
    "05": "envzoo.scripts.experiments.coding_games",
    "09": "envzoo.scripts.experiments.submodular_rl",
    "15": "envzoo.scripts.experiments.adversarial_surprise",
    "19": "envzoo.scripts.experiments.sac",
    "30": "envzoo.scripts.experiments.lsd_bandits",
}


def numbers() -> list[str]:
    """The papers that have an experiment, in order."""
    return sorted(_MODULES)


def find_experiment(paper: str) -> Experiment:
    """The experiment of a paper ("09" or "9"); raises UnknownNameError with those there are."""
    number = str(paper).strip().zfill(2)
    if number not in _MODULES:
        raise unknown("paper", paper, _MODULES, where="`envzoo list papers` shows what each is about")
    return import_module(_MODULES[number]).EXPERIMENT


def experiments() -> dict[str, Experiment]:
    """Every experiment by the number of its paper."""
    return {number: find_experiment(number) for number in numbers()}
