"""Rows of the tables that a family's `specs.py` holds: environments, games, agents, datasets, experiments.

Rows name classes and functions as "module:name" strings, so that importing a table imports nothing else. A family's
table is a module `specs` in its folder under `envzoo/` or `agents/` with any of the tuples ENVIRONMENTS, GAMES and
AGENTS; `envzoo.discovery` collects them, and those of installed plug-ins. Rows of datasets are
`envzoo.datasets.recipes.Recipe`s.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any

from envzoo.errors import EnvzooError
from envzoo.papers import Paper, find

NOTHING: Mapping[str, Any] = MappingProxyType({})


def resolve_paper(paper: Paper | str | None) -> Paper | None:
    """Look up the paper that a row names by its slug or number."""
    return find(paper) if isinstance(paper, str) else paper


def load(reference: str) -> Any:
    """Import what a "module:name" string of a table refers to.

    Raises:
        EnvzooError: A reference of another form, or to a name that the module does not have.
    """
    check_reference(reference)
    module, _, name = reference.partition(":")
    try:
        return getattr(import_module(module), name)
    except AttributeError:
        raise EnvzooError(f"a table names {reference!r}, but the module {module} has no {name}") from None


def check_reference(reference: object) -> None:
    """Raise EnvzooError unless an entry of a table has the form "module:name"."""
    if not isinstance(reference, str) or not re.fullmatch(r"[^:\s]+:[^:\s]+", reference):
        raise EnvzooError(f"a table names things as 'module:name', got {reference!r:.80}")


def check_name(what: str, name: object, pattern: str, form: str) -> None:
    """Raise EnvzooError unless a row's name has its form."""
    if not isinstance(name, str) or not re.fullmatch(pattern, name):
        raise EnvzooError(f"the {what} has the form {form}, got {name!r:.80}")


@dataclass(frozen=True)
class EnvironmentSpec:
    """One registered environment.

    Attributes:
        id: Gymnasium id, `namespace/Name-vN`.
        entry_point: "module:Class" of the single environment.
        vector_entry_point: "module:Class" of the vector environment, or None.
        family: Folder under `envzoo/`, or a name that a plug-in chooses.
        summary: One line for lists.
        paper: The paper it comes from (a row may give its slug or number), or None.
        kwargs: Arguments that this id fixes.
        max_episode_steps: Time limit in steps, or None.
        extra: The extra that it needs (a key of `optional-dependencies` in pyproject.toml), or None.
    """

    id: str
    entry_point: str
    vector_entry_point: str | None = None
    family: str = "custom"
    summary: str = ""
    paper: Paper | str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    max_episode_steps: int | None = None
    extra: str | None = None

    def __post_init__(self):
        check_name("id of an environment", self.id, r"([\w:-]+/)?[\w:.-]+-v\d+", "namespace/Name-vN")
        check_reference(self.entry_point)
        if self.vector_entry_point is not None:
            check_reference(self.vector_entry_point)
        if not isinstance(self.kwargs, Mapping):
            raise EnvzooError(f"kwargs of {self.id} is a dict, got {self.kwargs!r:.80}")
        object.__setattr__(self, "paper", resolve_paper(self.paper))

    def manual(self) -> str:
        """Return the environment's manual, Markdown: the docstring of its definition, or else of its class.

        Imports the environment's module.
        """
        found = load(self.entry_point)
        return inspect.cleandoc(getattr(found, "definition_class", found).__doc__ or "")


def kernel(id: str, path: str, family: str, summary: str, **rest: Any) -> EnvironmentSpec:
    """Make the row of an environment on the kernel base, whose classes are named `path`Env and `path`VectorEnv."""
    return EnvironmentSpec(id, f"{path}Env", f"{path}VectorEnv", family, summary, **rest)


@dataclass(frozen=True)
class GameSpec:
    """One game for several players, in PettingZoo's form.

    Attributes:
        id: `namespace/name_vN`.
        module: Full name of its module, which has `parallel_env`, `env` and `raw_env`.
        family: Folder under `envzoo/`, or a name that a plug-in chooses.
        summary: One line for lists.
        paper: The paper it comes from (a row may give its slug or number), or None.
    """

    id: str
    module: str
    family: str = "custom"
    summary: str = ""
    paper: Paper | str | None = None

    def __post_init__(self):
        object.__setattr__(self, "paper", resolve_paper(self.paper))


@dataclass(frozen=True)
class Example:
    """A small source from which an agent learns within a second, for contract tests and documentation.

    Attributes:
        source: Id of an environment, game or dataset.
        env_kwargs: Keywords of the environment.
        hyperparameters: Those that keep it small.
        timesteps: Budget of a few iterations.
        shown: Id of the source that the documentation shows; None takes `source`.
        shown_kwargs: Keywords of the environment that the documentation shows, where the agent does not do without.
    """

    source: str
    env_kwargs: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    hyperparameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    timesteps: int = 12
    shown: str | None = None
    shown_kwargs: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True)
class AgentSpec:
    """One agent of the zoo.

    Attributes:
        name: Name for `envzoo.agents.make` and the command line.
        entry_point: "module:Class", imported on use.
        family: Folder of `envzoo.agents` it lives in, or a name that a plug-in chooses.
        summary: One line.
        sources: What it learns from: "environment", "game" (PettingZoo), "dataset" (Minari), "pairs" and/or
            "preferences".
        actions: Kinds of action space it takes: "discrete" and/or "continuous".
        observations: Observation spaces it takes, in words.
        paper: The publication it follows (a row may give its slug or number), if any.
        example: Something small to learn from.
        extra: The extra that it needs (a key of `optional-dependencies` in pyproject.toml), or None.
    """

    name: str
    entry_point: str
    family: str
    summary: str
    sources: tuple[str, ...] = ("environment",)
    actions: tuple[str, ...] = ("discrete", "continuous")
    observations: str = "Box, Discrete, MultiDiscrete, MultiBinary, Dict"
    paper: Paper | str | None = None
    example: Example | None = None
    extra: str | None = None

    def __post_init__(self):
        check_reference(self.entry_point)
        object.__setattr__(self, "paper", resolve_paper(self.paper))


@dataclass(frozen=True)
class ExperimentSpec:
    """One experiment.

    Attributes:
        name: Number of the paper, or a name of its own for a comparison of several.
        entry_point: "module:name" of the `Experiment`, imported on use.
    """

    name: str
    entry_point: str

    def __post_init__(self):
        check_name("name of an experiment", self.name, r"[\w-]+", "my-experiment")
        check_reference(self.entry_point)
