"""The table of datasets that envzoo can make: each one is data, and `envzoo make-dataset ID` carries it out.

A family's recipes are the tuple DATASETS of a module in this folder; plug-ins add theirs through the entry-point group
`envzoo.datasets`. Reading the table imports neither Minari nor PyTorch.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from envzoo.discovery import Registry
from envzoo.errors import EnvzooError
from envzoo.specs import NOTHING, check_name, check_reference


@dataclass(frozen=True)
class BehaviourPolicy:
    """Behaviour policy of a dataset: an agent, and its training budget.

    Attributes:
        agent: Name of a registered agent.
        timesteps: Environment steps it learns for; 0 for none.
        seed: Seed of the agent, for learning and acting.
        hyperparameters: Fields of the agent's config that differ from its defaults.
        deterministic: Whether it plays the mode of its policy rather than samples.
    """

    agent: str
    timesteps: int = 0
    seed: int = 0
    hyperparameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    deterministic: bool = False


@dataclass(frozen=True)
class Demonstrations:
    """Behaviour policy of a dataset of text puzzles: the demonstrations of the puzzle.

    Attributes:
        noise: Share of flawed demonstrations; see the puzzle's manual.
        seed: Seed of the demonstrations.
        agent: How the dataset's metadata name it.
    """

    noise: float = 0.25
    seed: int = 0
    agent: str = "Demonstrations"


@dataclass(frozen=True)
class ScriptedPolicy:
    """Who plays the episodes: a function of this package, without learning.

    Attributes:
        policy: "module:function"; called with the vector environment's definition, `seed` and the settings, it returns
            a function with the signature of `predict`.
        settings: Keywords of the function: numbers and strings.
        seed: Seed of its random numbers.
        agent: How the dataset's metadata name it.
    """

    policy: str
    settings: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    seed: int = 0
    agent: str = "Scripted"

    def __post_init__(self):
        check_reference(self.policy)


@dataclass(frozen=True)
class DrawnPairs:
    """Pairs of a chosen and a rejected answer, which the environment's definition draws (`preference_pairs`).

    Attributes:
        seed: Seed of the pairs.
        agent: How the dataset's metadata name it.
    """

    seed: int = 0
    agent: str = "Pairs"


@dataclass(frozen=True)
class LearningHistories:
    """Behaviour of a dataset of learning histories: a tabular Q-learner that begins anew in each of several tasks.

    Each episode of the dataset is a whole history, a run over many episodes of the environment.

    Attributes:
        tasks: Keywords of the environment, one mapping for each task.
        histories: Runs of each task.
        episodes: Episodes of a run.
        noise: Share of runs that act at random from the beginning to the end.
        seed: Seed of the runs.
        agent: How the dataset's metadata name it.
    """

    tasks: tuple[Mapping[str, Any], ...]
    histories: int
    episodes: int
    noise: float = 0.0
    seed: int = 0
    agent: str = "QLearning"


@dataclass(frozen=True)
class LongTraining:
    """Behaviour of a dataset of an agent that learns for hours, in a run that continues where it was interrupted.

    Attributes:
        agent: Name of a registered agent with a replay buffer.
        timesteps: Environment steps that it learns for.
        hours: About how long that takes on one core.
        replay: Whether the episodes are those of the learning itself, instead of the final policy's.
        quick_timesteps: Steps of the quick form.
        seed: Seed of the agent.
        hyperparameters: Fields of the agent's config that differ from its defaults.
        deterministic: Whether the final policy plays its mode rather than samples.
    """

    agent: str
    timesteps: int
    hours: float
    replay: bool = False
    quick_timesteps: int = 1200
    seed: int = 0
    hyperparameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    deterministic: bool = False


# How the episodes of a dataset come about.
Behaviour = LongTraining | BehaviourPolicy | Demonstrations | ScriptedPolicy | DrawnPairs | LearningHistories


@dataclass(frozen=True)
class PolicyReference:
    """How the score 100 is found: the mean return of a scripted policy that no other beats.

    Attributes:
        policy: The policy.
    """

    policy: ScriptedPolicy


@dataclass(frozen=True)
class ModelReference:
    """How the score 100 is found: backward induction in the exact model of a finite world.

    Attributes:
        horizon: Steps of an episode.
    """

    horizon: int


@dataclass(frozen=True)
class HostedReference:
    """How the scores 0 and 100 are found: those that published results on the same task use.

    Attributes:
        hosted_id: First part of the id in `envzoo.datasets.hosted`.
    """

    hosted_id: str


@dataclass(frozen=True)
class BeamReference:
    """Reference for the score 100: `envzoo.agents.planners.beam_search` with these settings.

    Attributes:
        width: Plans kept per step.
        horizon: Steps of a plan.
        signature: State fields that determine the rest of an episode, but not its past.
    """

    width: int
    horizon: int
    signature: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """Complete description of how a dataset is built.

    Attributes:
        id: Minari id, `<namespace>/<environment>/<quality>-vN`.
        env_id: Gymnasium id.
        policy: Who plays.
        reference: How the near-optimal return is found, or that return.
        description: One or two sentences for the dataset's metadata.
        env_kwargs: Keywords of the environment (numbers, strings, lists: they are stored as JSON).
        episodes: Number of episodes.
        seed: Episode i is played with the environment seed `seed + i`.
        namespace: Description of the id's namespace (the id without its last part), which Minari stores; recipes that
            share a namespace give it once. "" gives none.
        collection_kwargs: Further keywords of the environment in which the episodes are collected; the dataset does
            not name them, so that agents are evaluated without them (other starts, a shorter time limit).
    """

    id: str
    env_id: str
    policy: Behaviour
    reference: BeamReference | PolicyReference | ModelReference | HostedReference | float
    description: str
    env_kwargs: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    episodes: int = 1000
    seed: int = 0
    namespace: str = ""
    collection_kwargs: Mapping[str, Any] = field(default_factory=lambda: NOTHING)

    def __post_init__(self):
        check_name("id of a dataset", self.id, r"([\w-]+/)*[\w-]+-v\d+", "namespace/name-vN")
        if not isinstance(self.policy, Behaviour):
            raise EnvzooError(
                f"policy of {self.id} is a BehaviourPolicy, a LongTraining, a ScriptedPolicy, Demonstrations, "
                "DrawnPairs or LearningHistories, got "
                f"{self.policy!r:.80}"
            )


def _own() -> Iterator[Recipe]:
    """Yield the recipes of the modules in this folder, in alphabetical order of the modules."""
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        yield from import_module(f"{__name__}.{module}").DATASETS


_DATASETS: Registry[Recipe] = Registry(
    "dataset", Recipe, "DATASETS", "id", hint="`envzoo list datasets` shows them all", more=_own
)


def recipes() -> dict[str, Recipe]:
    """Return all recipes by dataset id: envzoo's, then those of plug-ins."""
    return dict(_DATASETS.rows())


def own_recipes() -> dict[str, Recipe]:
    """Return envzoo's own recipes by dataset id, without those of plug-ins."""
    return dict(_DATASETS.own())


def recipe(dataset_id: str) -> Recipe:
    """Return the recipe of one dataset; raises UnknownNameError with the nearest id."""
    return _DATASETS.get(dataset_id)


def register(row: Recipe) -> None:
    """Add a recipe to the table; raises EnvzooError when the id is taken."""
    _DATASETS.add(row)


def namespaces() -> dict[str, str]:
    """Return the descriptions of the namespaces, which are the folders of a Minari root."""
    found = {"envzoo": "Datasets on the environments of envzoo, made on this machine from its recipes."}
    for row in recipes().values():
        if row.namespace:
            found.setdefault(row.id.rpartition("/")[0], row.namespace)
    return found
