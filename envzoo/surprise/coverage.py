"""What `info` holds in all surprise worlds: how much of the world was seen, and how much of its noise was stopped."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Infos(NamedTuple):
    """Numbers of the episode so far."""

    room: Any  # the room the agent is in
    rooms_visited: Any  # how many rooms it has been in
    noisy_rooms: Any  # how many rooms were noisy at the start
    noisy_stopped: Any  # how many of them were stopped
    noisy_stopped_fraction: Any  # noisy_stopped / noisy_rooms, 0 where there are none
    room_state: Any  # of the room it is in: -1 noisy, 0 dark, 1 stopped
    in_active_noise: Any  # whether room_state is -1


def noise_layout() -> Infos:
    """The dtypes of the infos."""
    return Infos(np.int64, np.int64, np.int64, np.int64, np.float64, np.int64, np.bool_)
