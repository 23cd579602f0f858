"""The table of kinds of sources: how each is recognised and resolved, as an object and by its id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from envzoo.agents import guard
from envzoo.agents.sources import dataset, environment, game, pairs, preferences
from envzoo.agents.sources.base import Source
from envzoo.agents.spec import AgentSpec
from envzoo.datasets import is_dataset_id, known_dataset_ids
from envzoo.errors import EnvzooError, UnknownNameError, UnsupportedSpaceError, unknown
from envzoo.games import games


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: how its objects and ids are recognised and resolved.

    Attributes:
        kind: Name of the kind, as in `AgentSpec.sources`.
        fits: Tells whether an object is of this kind.
        take: Resolves such an object.
        knows: Tells whether a name is an id of this kind; None where there are no ids.
        look_up: Resolves an id with keywords.
        ids: Returns the known ids, for suggestions.
    """

    kind: str
    fits: Callable[[Any], bool]
    take: Callable[[Any], Source]
    knows: Callable[[str], bool] | None = None
    look_up: Callable[[str, dict[str, Any]], Source] | None = None
    ids: Callable[[], Iterable[str]] = tuple


# The first row that fits decides. A function comes last: games and datasets may be callable, too.
KINDS = (
    SourceKind(
        "environment",
        environment.is_environment,
        environment.from_environment,
        environment.is_environment_id,
        environment.from_environment_id,
        environment.environment_ids,
    ),
    SourceKind("game", game.is_game, game.from_game, lambda name: name in games(), game.from_game_id, games),
    SourceKind(
        "dataset",
        dataset.is_dataset,
        dataset.from_dataset,
        is_dataset_id,
        dataset.from_dataset_id,
        known_dataset_ids,
    ),
    SourceKind("pairs", pairs.is_pairs, pairs.from_pairs),
    SourceKind("preferences", preferences.is_preferences, preferences.from_preferences),
    SourceKind("environment", environment.is_maker, environment.from_maker),
)
# What a source of one kind can be turned into for learners that do not take the kind itself.
CONVERSIONS: dict[tuple[str, str], Callable[[Source], Source]] = {
    ("dataset", "pairs"): pairs.pairs_of_dataset,
    ("dataset", "preferences"): preferences.preferences_of_dataset,
}
# How ids begin that packages register only when they are imported.
ELSEWHERE = {"MiniGrid-": "minigrid", "BabyAI-": "minigrid", "ALE/": "ale_py", "highway-": "highway_env"}
ARTICLES = {
    "environment": "an environment",
    "game": "a game",
    "dataset": "a dataset",
    "pairs": "pairs of observations",
    "preferences": "preferences",
}


def resolve(source: Any, spec: AgentSpec, env_kwargs: dict[str, Any] | None = None) -> Source:
    """Resolve a source, after checking that the learner takes its kind.

    Args:
        source: An id, or an object of one of `KINDS`.
        spec: The learner's row; its `sources` say which kinds it takes.
        env_kwargs: Keywords of the environment or game, with an id only.

    Raises:
        UnknownNameError: A name that is no environment, game or dataset; the sentence names the nearest.
        UnsupportedSpaceError: The learner does not take this kind of source.
        DatasetError: A known dataset that has not been made; the sentence says how to make it.
    """
    found = _from_id(source, spec, env_kwargs or {}) if isinstance(source, str) else _from_object(source, env_kwargs)
    if found.kind in spec.sources:
        return found
    for kind in spec.sources:
        if (found.kind, kind) in CONVERSIONS:
            return CONVERSIONS[found.kind, kind](found)
    expected = " or ".join(ARTICLES[kind] for kind in spec.sources)
    verb = "are" if found.kind in ("pairs", "preferences") else "is"
    raise UnsupportedSpaceError(f"{spec.name} takes {expected}, but {found.name} {verb} {ARTICLES[found.kind]}")


def _from_object(source: Any, env_kwargs: dict[str, Any] | None) -> Source:
    if env_kwargs:
        raise EnvzooError(f"env_kwargs go with an environment id, not with a {type(source).__name__} object")
    for kind in KINDS:
        if kind.fits(source):
            return kind.take(source)
    raise UnsupportedSpaceError(
        f"a {type(source).__name__} is no source; expected an environment id, a Gymnasium environment or vector "
        "environment, a function that makes an environment, a PettingZoo game, a Minari dataset or its id, Pairs or "
        "Preferences"
    )


def _from_id(name: str, spec: AgentSpec, env_kwargs: dict[str, Any]) -> Source:
    guard.check_environment(name)
    guard.check_keywords(name, env_kwargs)
    for kind in KINDS:
        if kind.knows is not None and kind.knows(name):
            return kind.look_up(name, env_kwargs)
    for prefix, module in ELSEWHERE.items():
        if name.startswith(prefix):
            raise UnknownNameError(f"unknown source {name!r}; its package must be named: '{module}:{name}'")
    wanted = {*spec.sources, *(given for given, kind in CONVERSIONS if kind in spec.sources)}
    choices = [choice for kind in KINDS if kind.kind in wanted for choice in kind.ids()]
    raise unknown("source", name, choices, where="`envzoo list envs` and `envzoo list datasets` show ours")
