"""Recognise registered environments that are written on the kernel base, whoever wrote them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from envzoo.kernel.vector import KernelVectorEnv


def has_kernel(spec: EnvSpec) -> bool:
    """Return whether the vector environment of a registered environment is a `KernelVectorEnv`.

    The class is imported for that, as `gymnasium.make_vec` would import it. Ids that come from a file are to be judged
    before their specification is looked up (see `envzoo.agents.guard`).
    """
    entry: Any = spec.vector_entry_point
    if isinstance(entry, str):
        try:
            entry = load_env_creator(entry)
        except (ImportError, AttributeError, ValueError, gym.error.Error):  # what cannot be imported runs one by one
            return False
    return isinstance(entry, type) and issubclass(entry, KernelVectorEnv)
