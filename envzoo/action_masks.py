"""Which actions are allowed: masks that environments give, and how policies are asked with them.

An environment whose actions are restricted says so in `info["action_mask"]`, an array (A,) of a `Discrete(A)` action
space that holds 1 for each allowed action and 0 for the others, after every reset and every step. An entry
"action_mask" of a `Dict` observation means the same. Agents for discrete actions give the others probability 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError

NAME = "action_mask"


def current_mask(infos: Mapping[str, Any]) -> np.ndarray | None:
    """Return the masks of a vector environment's current observations, bool (B, A), or None where there are none.

    Episodes without a mask of their own (as `infos["_action_mask"]` tells) are allowed everything.
    """
    if NAME not in infos:
        return None
    return _rows(infos[NAME], infos.get(f"_{NAME}"))


def mask_led_to(infos: Mapping[str, Any], done: np.ndarray, mask: np.ndarray | None) -> np.ndarray | None:
    """Return the masks of the observations that a step led to, also where an episode ended and was reset at once.

    Args:
        infos: Those of the step.
        done: (B,) bool, which episodes ended.
        mask: What `current_mask` gave.
    """
    final = infos.get("final_info")
    if mask is None or final is None or NAME not in final:
        return mask
    given = np.asarray(final.get(f"_{NAME}", done), bool)
    return np.where((done & given)[:, None], _rows(final[NAME], given), mask)


def _rows(values: Any, given: Any) -> np.ndarray:
    rows = np.asarray(values)
    if rows.dtype == object:  # Gymnasium keeps lists in arrays of objects, and None where there is none
        found = [np.asarray(row) for row in rows if row is not None]
        whole = np.ones((len(rows), *(found[0].shape if found else ())), bool)
        for i, row in enumerate(rows):
            if row is not None:
                whole[i] = np.asarray(row) != 0
        rows = whole
    rows = rows != 0
    if given is not None and not np.all(given):
        rows = rows.copy()
        rows[~np.asarray(given, bool)] = True
    return rows


def check_mask(mask: Any, count: int, n: int) -> np.ndarray:
    """Check action masks and return them as bool (count, n).

    Raises:
        EnvzooError: Another shape, or numbers besides 0 and 1.
    """
    array = np.asarray(mask)
    if array.shape != (count, n) or array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
        raise EnvzooError(
            f"{NAME} has the shape {array.shape} and the type {array.dtype}; expected zeros and ones, one for each of "
            f"{n} actions in each of {count} observations"
        )
    return array != 0


def replace_illegal(action: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Replace disallowed actions by allowed ones, drawn uniformly.

    Where the actions were drawn evenly from all, the result is drawn evenly from those allowed.

    Args:
        action: (B,) integers from 0.
        mask: (B, A) bool; rows that allow nothing are left alone.
        generator: Source of the choice.
    """
    legal = mask | ~mask.any(axis=1, keepdims=True)
    wrong = ~legal[np.arange(len(action)), action]
    if not wrong.any():
        return action
    drawn = np.where(legal[wrong], generator.random((int(wrong.sum()), mask.shape[1])), -1.0).argmax(axis=1)
    action = action.copy()
    action[wrong] = drawn
    return action


def takes_mask(predict: Callable[..., Any]) -> bool:
    """Return whether a function has the keyword `action_mask`."""
    try:
        return NAME in inspect.signature(predict).parameters
    except (TypeError, ValueError):  # functions of extension modules
        return False


def with_masks(predict: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `predict` into a function with a fifth argument, the infos of the current observations.

    The masks among them are handed on where `predict` takes them.
    """
    takes = takes_mask(predict)

    def ask(observation: Any, state: Any, start: Any, deterministic: bool, infos: Mapping[str, Any]) -> Any:
        mask = infos.get(NAME) if takes else None
        if mask is None:
            return predict(observation, state, start, deterministic)
        rows = current_mask(infos) if np.ndim(mask) != 1 or f"_{NAME}" in infos else np.asarray(mask)
        return predict(observation, state, start, deterministic, action_mask=rows)

    return ask
