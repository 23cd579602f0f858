"""The experiments: for each paper its central claim as a program, in a folder of its own.

A folder `pNN_name` holds the experiment of the paper with that number, any other folder with a module `experiment` a
comparison of several papers; the module defines EXPERIMENT. Plug-ins add theirs through the entry-point group
`envzoo.experiments`, whose rows are `envzoo.specs.ExperimentSpec`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envzoo.discovery import Registry
from envzoo.errors import unknown
from envzoo.specs import ExperimentSpec, load

if TYPE_CHECKING:
    from envzoo.scripts.experiments.core.experiment import Experiment

_EXPERIMENTS: Registry[ExperimentSpec] = Registry("experiment", ExperimentSpec, "EXPERIMENTS", "name", [])


def _own() -> dict[str, ExperimentSpec]:
    """The experiments of this folder by number or name, papers first."""
    found = {}
    for file in sorted(
        Path(__file__).parent.glob("*/experiment.py"), key=lambda file: (file.parent.name[0] != "p", file)
    ):
        folder = file.parent.name
        if folder == "core":
            continue
        paper = re.match(r"p(\d\d)_", folder)
        name = paper[1] if paper else folder.replace("_", "-")
        found[name] = ExperimentSpec(name, f"{__name__}.{folder}.experiment:EXPERIMENT")
    return found


def specs() -> Mapping[str, ExperimentSpec]:
    """All experiments by the number of their paper or by their name: papers, comparisons, then plug-ins'."""
    return {**_own(), **_EXPERIMENTS.rows()}


def numbers() -> list[str]:
    """The papers that have an experiment here, in order."""
    return [name for name in _own() if name.isdigit()]


def comparisons() -> list[str]:
    """The comparisons of several papers."""
    return [name for name in _own() if not name.isdigit()]


def find_experiment(paper: str) -> Experiment:
    """The experiment of a paper ("09" or "9"), or one by its name; raises UnknownNameError with those there are."""
    number, every = str(paper).strip().zfill(2), specs()
    if number not in every:
        raise unknown("paper", paper, every, where="`envzoo list papers` shows what each is about")
    return load(every[number].entry_point)


def experiments() -> dict[str, Experiment]:
    """Every experiment of a paper by its number."""
    return {number: find_experiment(number) for number in numbers()}
