"""PreferenceWrapper: give any environment a preference function between episodes."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_choice
from envzoo.preference.preferences import Preference, ReturnPreference

KINDS = ("max", "noisy")


def make_preference(preference: Preference | str, temperature: float, flip: float) -> Preference:
    """Return a preference function, given itself or as the name of one between returns.

    Raises:
        EnvzooError: Neither.
    """
    if isinstance(preference, Preference):
        return preference
    if not isinstance(preference, str):
        raise EnvzooError(
            f"preference is a {type(preference).__name__}; expected 'max', 'noisy' or an "
            "envzoo.preference.preferences.Preference"
        )
    check_choice("preference", preference, KINDS)
    return ReturnPreference(temperature if preference == "noisy" else 0.0, flip)


class PreferenceWrapper(gym.Wrapper, RecordConstructorArgs):
    """Gives an environment the attribute `preference`, by which episodes are compared; nothing else changes.

    Agents that learn from preferences (`SPO`, `IterativeRewardModel`) read the attribute and ignore the reward.
    `VectorPreferenceWrapper` wraps vector environments.

    Args:
        env: The environment.
        preference: "max" (the larger return is preferred), "noisy" (with probability sigmoid(difference of the returns
            / temperature)), or a `Preference` of your own.
        temperature: Temperature of "noisy".
        flip: Probability that a label is turned around, at most 0.5.

    Raises:
        EnvzooError: The preference is none of these, or a value is out of range.
    """

    def __init__(
        self, env: gym.Env, preference: Preference | str = "max", temperature: float = 1.0, flip: float = 0.0
    ) -> None:
        RecordConstructorArgs.__init__(self, preference=preference, temperature=temperature, flip=flip)
        gym.Wrapper.__init__(self, env)
        self.preference = make_preference(preference, temperature, flip)


class VectorPreferenceWrapper(VectorWrapper):
    """`PreferenceWrapper` for vector environments."""

    def __init__(
        self, env: VectorEnv, preference: Preference | str = "max", temperature: float = 1.0, flip: float = 0.0
    ) -> None:
        super().__init__(env)
        self.preference = make_preference(preference, temperature, flip)


def find_preference(env: Any) -> Preference | None:
    """Return the preference function of the outermost layer of an environment that has one, or None."""
    while True:
        found = getattr(env, "preference", None)
        if isinstance(found, Preference):
            return found
        if env is env.unwrapped:
            break
        env = env.env
    copies = getattr(env, "envs", None)  # of Gymnasium's vector environments
    return find_preference(copies[0]) if copies else None
