"""Wrappers by name, with arguments as data: "FrameStackObservation:stack_size=4".

Names are looked up in a table and arguments are JSON, so that a wrapper that is named in a file imports and evaluates
nothing.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from envzoo.errors import EnvzooError, shorten, unknown
from envzoo.kernel.arguments import check_whole
from envzoo.sizes import check_bytes

_GYMNASIUM = (
    "ClipAction",
    "ClipReward",
    "DelayObservation",
    "DiscretizeAction",
    "DiscretizeObservation",
    "FilterObservation",
    "FlattenObservation",
    "FrameStackObservation",
    "GrayscaleObservation",
    "MaxAndSkipObservation",
    "NormalizeObservation",
    "NormalizeReward",
    "RepeatAction",
    "RescaleAction",
    "RescaleObservation",
    "ReshapeObservation",
    "ResizeObservation",
    "StickyAction",
    "TimeAwareObservation",
    "TimeLimit",
)
_OURS = (
    "HistoryObservation",
    "LossSchedule",
    "MultiReward",
    "PreferenceWrapper",
    "ReturnNormalizer",
    "RewardPerturbation",
    "TimeInObservation",
    "VisitationMask",
)
WRAPPERS: Mapping[str, str] = {
    **{name: "gymnasium.wrappers" for name in _GYMNASIUM if hasattr(gym.wrappers, name)},
    **dict.fromkeys(_OURS, "envzoo.wrappers"),
}

# Wrappers that keep observations, and the argument that says how many.
QUEUES = {"FrameStackObservation": "stack_size", "DelayObservation": "delay"}


def parse_wrapper(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Split the text of a wrapper into its name, positional arguments and keyword arguments.

    Args:
        text: "NAME" or "NAME:ARGUMENTS". Arguments are separated by commas, VALUE or KEY=VALUE; values are JSON, or
            else strings.

    Raises:
        UnknownNameError: There is no such wrapper.
        EnvzooError: The arguments cannot be read.
    """
    name, _, rest = text.partition(":")
    if name not in WRAPPERS:
        raise unknown("wrapper", name, WRAPPERS)
    values, keywords = [], {}
    for part in _parts(rest) if rest.strip() else ():
        key, equals, value = part.partition("=")
        if equals and key.strip().isidentifier():
            keywords[key.strip()] = _value(value)
        elif part.strip() and not keywords:
            values.append(_value(part))
        else:
            raise EnvzooError(
                f"the arguments of the wrapper {shorten(text)!r} cannot be read; expected {name}:KEY=VALUE,KEY=VALUE"
            )
    return name, values, keywords


def _parts(text: str) -> list[str]:
    """Split at commas outside brackets and quotes."""
    parts, depth, quoted = [""], 0, False
    for sign in text:
        quoted ^= sign == '"'
        depth += 0 if quoted else (sign in "[{") - (sign in "]}")
        if sign == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def add_wrappers(env: gym.Env, wrappers: Sequence[str]) -> gym.Env:
    """Wrap an environment; the first wrapper is the innermost.

    Raises:
        UnknownNameError: There is no such wrapper.
        EnvzooError: A wrapper refuses its arguments or the environment.
    """
    for text in wrappers:
        name, values, keywords = parse_wrapper(text)
        wrapper = getattr(importlib.import_module(WRAPPERS[name]), name)
        try:
            _check_size(env, name, values, keywords)
            env = wrapper(env, *values, **keywords)
        except EnvzooError as error:
            raise EnvzooError(f"the wrapper {shorten(text)}: {error}") from None
        except Exception as error:  # wrappers refuse arguments with whatever error they like
            reason = shorten(" ".join(f"{type(error).__name__}: {error}".split()))
            raise EnvzooError(f"the wrapper {shorten(text)} cannot be applied ({reason})") from error
    return env


def _check_size(env: gym.Env, name: str, values: list[Any], keywords: dict[str, Any]) -> None:
    """Refuse queues of observations that do not fit into memory."""
    if name in QUEUES:
        length = values[0] if values else keywords.get(QUEUES[name])
        each = sum(leaf.nbytes for leaf in _arrays(env.observation_space.sample()))
        check_bytes(check_whole(QUEUES[name], length, 0) * each, f"{length} observations")


def _arrays(observation: Any) -> list[np.ndarray]:
    if isinstance(observation, Mapping):
        return [leaf for part in observation.values() for leaf in _arrays(part)]
    if isinstance(observation, tuple):
        return [leaf for part in observation for leaf in _arrays(part)]
    return [np.asarray(observation)]


@dataclass(frozen=True)
class WrappedMaker:
    """A function that makes an environment with wrappers; agents take it as their source.

    Attributes:
        env_id: Id of the environment.
        wrappers: Texts of the wrappers, see `parse_wrapper`; the first is the innermost.
        env_kwargs: Keywords of the environment.
    """

    env_id: str
    wrappers: tuple[str, ...]
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the id and the texts.

        Raises:
            UnknownNameError: There is no such wrapper.
            EnvzooError: The id is not that of an environment, or arguments cannot be read.
        """
        if self.env_id not in gym.registry and ":" not in self.env_id:
            raise EnvzooError(f"wrappers wrap environments, and {shorten(self.env_id)} is not the id of one")
        for text in self.wrappers:
            parse_wrapper(text)

    @property
    def __name__(self) -> str:
        """Name for people."""
        return " + ".join([self.env_id, *self.wrappers])

    def __call__(self, **more: Any) -> gym.Env:
        """Make an environment; `more` are further keywords of `gym.make`, such as render_mode."""
        return add_wrappers(
            gym.make(self.env_id, disable_env_checker=True, **{**self.env_kwargs, **more}), self.wrappers
        )


def source_with(
    source: str, env_kwargs: Mapping[str, Any], wrappers: Sequence[str]
) -> tuple[str | WrappedMaker, dict[str, Any]]:
    """Return a source for `agents.make` and its keywords: the id, or a function if there are wrappers."""
    if not wrappers:
        return source, dict(env_kwargs)
    return WrappedMaker(source, tuple(wrappers), dict(env_kwargs)), {}
