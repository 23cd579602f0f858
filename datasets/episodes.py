"""Episodes as arrays, or as nested dicts of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from envzoo.action_masks import NAME
from envzoo.errors import DatasetError, UnsupportedSpaceError

Arrays = np.ndarray | dict[str, Any]


def map_arrays(function: Callable[..., Any], tree: Arrays, *rest: Any) -> Any:
    """Apply a function to an array, or to each array of a nested dict."""
    if isinstance(tree, dict):
        return {key: map_arrays(function, value, *(other[key] for other in rest)) for key, value in tree.items()}
    return function(tree, *rest)


def compact(array: Any) -> np.ndarray:
    """Convert an array to single precision, the precision of the agents, if it holds floats.

    Raises:
        UnsupportedSpaceError: The values are not numbers.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise UnsupportedSpaceError(
            f"a transition table holds numbers, but the dataset holds values of type {array.dtype}; expected Box, "
            "Discrete, MultiDiscrete or MultiBinary spaces, or a Dict of these"
        )
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


def check_episode(number: int, observations: Any, actions: Any, rewards: Any, terminations: Any, truncations: Any):
    """Reject an episode whose arrays do not fit together.

    Raises:
        UnsupportedSpaceError: Actions or observations are neither arrays nor a dict of them.
        DatasetError: Parts that are no arrays of numbers, or of other lengths than the episode.
    """
    if isinstance(actions, dict | tuple | list) or isinstance(observations, tuple | list):
        raise UnsupportedSpaceError(
            "a transition table takes array actions, and array or dict observations, but episode "
            f"{number} has {type(actions).__name__} actions and {type(observations).__name__} observations"
        )
    named = {"actions": actions, "rewards": rewards, "terminations": terminations, "truncations": truncations}
    parts: list[Any] = []
    map_arrays(parts.append, observations)
    for name, part in (*(("observations", part) for part in parts), *named.items()):
        if part is None:
            raise DatasetError(f"episode {number} has no {name}")
        if np.ndim(part) == 0:
            raise DatasetError(f"episode {number} holds a {type(part).__name__} in place of an array of its steps")
    for part in (rewards, terminations, truncations):
        if np.asarray(part).dtype.kind not in "biuf":
            raise DatasetError(f"rewards, terminations and truncations of episode {number} are not numbers")
    for name, part in (("rewards", rewards), ("actions", actions), *(("observations", part) for part in parts)):
        array = np.asarray(part)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DatasetError(f"episode {number} has NaN or infinite {name}; expected finite ones")
    steps = len(rewards)
    lengths: list[int] = []
    map_arrays(lambda a: lengths.append(len(a) - 1), observations)
    if steps == 0 or {*lengths, len(actions), len(terminations), len(truncations)} != {steps}:
        raise DatasetError(f"the arrays of episode {number} have lengths that do not fit its {steps} rewards")


def split_masks(masks: list[Any], lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split the action masks of episodes into those of observations and of next observations, bool (N, A) each.

    Args:
        masks: For each episode the masks of all its observations, (T + 1, A) zeros and ones.
        lengths: T of each episode.

    Raises:
        DatasetError: Masks of other shapes, or of other values than zeros and ones.
    """
    arrays = [np.asarray(mask) for mask in masks]
    for number, (array, length) in enumerate(zip(arrays, lengths.tolist(), strict=True)):
        fits = array.ndim == 2 and array.shape == (length + 1, arrays[0].shape[-1]) and array.dtype.kind in "biuf"
        if not fits or not ((array == 0) | (array == 1)).all():
            raise DatasetError(
                f"{NAME} of episode {number} has the shape {array.shape} and the type {array.dtype}; expected zeros "
                f"and ones, one for each action at each of its {length + 1} observations"
            )
    parts = [array != 0 for array in arrays]
    return np.concatenate([part[:-1] for part in parts]), np.concatenate([part[1:] for part in parts])
