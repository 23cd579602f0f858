"""Exact models of the dark rooms."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel import Definition
from envzoo.tabular import FiniteMDP

MOST_STATES = 2000  # the transition probabilities take 160 MB then


def dark_room_model(parameters: Any, with_key: bool) -> FiniteMDP:
    """Compute the exact model of a dark room, undiscounted and without a time limit.

    States are `row * size + column`. Where there are a key and a door, `size**2` is added with the key and twice
    that after the door.

    Args:
        parameters: `envzoo.offline.darkroom.Parameters`.
        with_key: Whether the goal is a key that opens a door, and each pays once.

    Raises:
        EnvzooError: The room is too large for a table of all pairs of states.
    """
    size, cells = parameters.size, parameters.size**2
    states = 3 * cells if with_key else cells
    if states > MOST_STATES:
        raise EnvzooError(f"the model of {states} states is too large; expected at most {MOST_STATES}")
    stage, cell = np.divmod(np.arange(states), cells)
    place = np.stack(np.divmod(cell, size), axis=1)
    moved = np.clip(place[:, None] + parameters.moves, 0, size - 1)  # (S, A, 2)
    at_goal = (moved == parameters.goal).all(axis=-1)
    before = np.broadcast_to(stage[:, None], at_goal.shape)
    if with_key:
        holds = (before == 1) | ((before == 0) & at_goal)
        through = holds & (moved == parameters.door).all(axis=-1)
        after = np.where(through, 2, np.where(holds, 1, before))
        reward = (after - before).astype(np.float64)
    else:
        after, reward = before, at_goal.astype(np.float64)
    following = after * cells + moved[..., 0] * size + moved[..., 1]
    first = int(parameters.start[0] * size + parameters.start[1])
    return FiniteMDP(np.eye(states)[following], reward, initial=first)


class ModelOfRoom:
    """Mixin of the environments of dark rooms: `env.unwrapped.model()`, read by planners."""

    definition: Definition
    with_key = False

    def model(self) -> FiniteMDP:
        """Return the exact model; see `dark_room_model`."""
        return dark_room_model(self.definition.parameters, self.with_key)


class ModelOfRoomWithKey(ModelOfRoom):
    """Mixin of the environments of dark rooms with a key and a door."""

    with_key = True
