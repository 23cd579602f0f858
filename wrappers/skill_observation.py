"""SkillObservation: show a skill in the observation, drawn at the start of every episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, keys
from envzoo.sizes import check_bytes
from envzoo.wrappers.augment_observation import Joiner
from envzoo.wrappers.stateful import Tracker, TrackingWrapper, VectorTrackingWrapper


class SkillTracker(Tracker):
    """The skills of B episodes; see `SkillObservation` for the arguments and errors."""

    name = "SkillObservation"

    def __init__(self, space: spaces.Space, num_envs: int, skills: int = 16, seed: int = 0, entry: str = "skill"):
        check_whole("skills", skills, 1)
        check_whole("seed", seed, 0, None)
        self._skills = int(skills)
        check_bytes(32 * (num_envs + 1) * self._skills, f"{skills} skills in the observations of {num_envs} episodes")
        self._join = Joiner(space, entry, spaces.Box(0.0, 1.0, (self._skills,), np.float32))
        self.space = self._join.space
        streams = np.zeros((num_envs, 2), np.uint64)
        streams[:, 0] = keys(np.uint64(seed % 2**64) + np.arange(num_envs, dtype=np.uint64))
        self.arrays = {"skill": np.zeros(num_envs, np.int64), "stream": streams}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Draw new skills."""
        for i in np.flatnonzero(where):
            self.arrays["skill"][i] = integer(self.arrays["stream"], i, self._skills)

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Keep them."""

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the skill, one-hot."""
        one_hot = self.arrays["skill"][rows][..., None] == np.arange(self._skills)
        return self._join(observation, one_hot.astype(np.float32))

    def infos(self) -> dict[str, np.ndarray]:
        """The number of the skill."""
        return {"skill": self.arrays["skill"].copy()}


class SkillObservation(TrackingWrapper):
    """Adds the entry `skill` to the observation: one of `skills`, one-hot, drawn uniformly for every episode.

    A vector of floats becomes longer by it, any other observation a Dict. `info["skill"]` holds its number. Skills are
    drawn from a stream of their own, which `seed` starts and resets do not touch. `VectorSkillObservation` does the
    same to a vector environment. Where the environment has `get_state` and `set_state`, the wrapper has them too.

    Args:
        env: The environment.
        skills: How many there are.
        seed: Seed of the stream; episode i of a vector environment has the seed `seed + i`.
        entry: Name of the entry.

    Raises:
        EnvzooError: Not a usable number, or the name is taken.
    """

    tracker_class = SkillTracker


class VectorSkillObservation(VectorTrackingWrapper):
    """The vector face of `SkillObservation`, with the same arguments."""

    tracker_class = SkillTracker
