"""SkillObservation: add a skill, drawn at the start of every episode, to the observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, keys
from envzoo.sizes import check_bytes
from envzoo.wrappers.augment_observation import ObservationAugmenter
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker


class SkillTracker(Tracker):
    """Tracker of the skills of B episodes; see `SkillObservation` for the arguments and errors."""

    name = "SkillObservation"

    def __init__(self, space: spaces.Space, num_envs: int, skills: int = 16, seed: int = 0, entry: str = "skill"):
        check_whole("skills", skills, 1)
        check_whole("seed", seed, 0, None)
        self._skills = int(skills)
        check_bytes(32 * (num_envs + 1) * self._skills, f"{skills} skills in the observations of {num_envs} episodes")
        self._augment = ObservationAugmenter(space, entry, spaces.Box(0.0, 1.0, (self._skills,), np.float32))
        self.space = self._augment.space
        streams = np.zeros((num_envs, 2), np.uint64)
        streams[:, 0] = keys(np.uint64(seed % 2**64) + np.arange(num_envs, dtype=np.uint64))
        self.arrays = {"skill": np.zeros(num_envs, np.int64), "stream": streams}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Draw new skills."""
        for i in np.flatnonzero(where):
            self.arrays["skill"][i] = integer(self.arrays["stream"], i, self._skills)

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Do nothing: skills last for the whole episode."""

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the skill as a one-hot vector."""
        one_hot = self.arrays["skill"][rows][..., None] == np.arange(self._skills)
        return self._augment(observation, one_hot.astype(np.float32))

    def infos(self) -> dict[str, np.ndarray]:
        """Return the index of the skill."""
        return {"skill": self.arrays["skill"].copy()}


class SkillObservation(StatefulWrapper):
    """Adds a one-hot skill to the observation under the key `skill`, drawn uniformly for every episode.

    A float vector is extended by it, any other observation becomes a Dict. `info["skill"]` holds the index of the
    skill. Skills are drawn from a separate random stream, seeded by `seed` and independent of resets.
    `VectorSkillObservation` wraps vector environments. The wrapper supports `get_state` and `set_state` if the
    environment does.

    Args:
        env: The environment.
        skills: Number of skills.
        seed: Seed of the stream; episode i of a vector environment uses the seed `seed + i`.
        entry: Key of the skill in the Dict.

    Raises:
        EnvzooError: A number is invalid, or the observation already has that entry.
    """

    tracker_class = SkillTracker


class VectorSkillObservation(StatefulVectorWrapper):
    """Vector version of `SkillObservation`, with the same arguments."""

    tracker_class = SkillTracker
