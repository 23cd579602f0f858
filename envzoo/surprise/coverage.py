"""Entries of `info` in all surprise worlds: how much of the world was visited and how much of its noise stopped."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Infos(NamedTuple):
    """Statistics of the episode so far."""

    room: Any  # index of the agent's room
    rooms_visited: Any  # number of rooms visited
    noisy_rooms: Any  # number of rooms that were noisy at the start
    noisy_stopped: Any  # number of them that were stopped
    noisy_stopped_fraction: Any  # noisy_stopped / noisy_rooms, 0 if there are none
    room_state: Any  # state of the agent's room: -1 noisy, 0 dark, 1 stopped
    in_active_noise: Any  # whether room_state is -1


def noise_layout() -> Infos:
    """Return the dtypes of the infos."""
    return Infos(np.int64, np.int64, np.int64, np.int64, np.float64, np.int64, np.bool_)
