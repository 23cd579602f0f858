"""The experiments: for each paper its central claim as a program, in a folder of its own.

A folder `pNN_name` holds the experiment of the paper with that number, any other folder with a module `experiment` a
comparison of several papers; the module defines EXPERIMENT. Plug-ins add theirs through the entry-point group
`envzoo.experiments`, whose rows are `envzoo.specs.ExperimentSpec`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envzoo.discovery import Registry
from envzoo.errors import unknown
from envzoo.specs import ExperimentSpec, load

if TYPE_CHECKING:
    from envzoo.scripts.experiments.core.experiment import Experiment


def _find_own() -> Iterator[ExperimentSpec]:
    """Yield the experiments of this folder, papers first."""
    for file in sorted(
        Path(__file__).parent.glob("*/experiment.py"), key=lambda file: (file.parent.name[0] != "p", file)
    ):
        folder = file.parent.name
        if folder == "core":
            continue
        paper = re.match(r"p(\d\d)_", folder)
        name = paper[1] if paper else folder.replace("_", "-")
        yield ExperimentSpec(name, f"{__name__}.{folder}.experiment:EXPERIMENT")


_EXPERIMENTS: Registry[ExperimentSpec] = Registry("experiment", ExperimentSpec, "EXPERIMENTS", "name", more=_find_own)


def specs() -> Mapping[str, ExperimentSpec]:
    """Return all experiments by the number of their paper or by their name: papers, comparisons, then plug-ins'."""
    return _EXPERIMENTS.rows()


def register(row: ExperimentSpec) -> None:
    """Add an experiment; raises EnvzooError when the name is taken."""
    _EXPERIMENTS.add(row)


def numbers() -> list[str]:
    """List the papers that have an experiment here, in order."""
    return [name for name in _EXPERIMENTS.own() if name.isdigit()]


def comparisons() -> list[str]:
    """List the comparisons of several papers."""
    return [name for name in _EXPERIMENTS.own() if not name.isdigit()]


def plugin_names() -> list[str]:
    """List the experiments of plug-ins."""
    return [name for name in specs() if name not in _EXPERIMENTS.own()]


def find_experiment(paper: str) -> Experiment:
    """Import the experiment of a paper ("09" or "9"), or one by its name; raises UnknownNameError."""
    every, name = specs(), str(paper).strip()
    name = name if name in every else name.zfill(2)
    if name not in every:
        raise unknown("paper", paper, every, where="`envzoo list papers` shows what each is about")
    return load(every[name].entry_point)


def experiments() -> dict[str, Experiment]:
    """Import every experiment of a paper, by its number."""
    return {number: find_experiment(number) for number in numbers()}
