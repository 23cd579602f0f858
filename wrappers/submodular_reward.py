"""SubmodularReward: pay for the marginal gain of each visited place under a set function (arXiv 2307.13372)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.coverage.set_functions import SetFunction
from envzoo.errors import EnvzooError
from envzoo.wrappers.stateful import Tracker, TrackingWrapper, VectorTrackingWrapper
from envzoo.wrappers.visited_elements import ElementReader, Key


class SubmodularTracker(Tracker):
    """The visited sets of B episodes; see `SubmodularReward` for the arguments and errors."""

    name = "SubmodularReward"

    def __init__(
        self,
        space: spaces.Space,
        num_envs: int,
        set_function: SetFunction,
        key: Key = None,
        discretiser: Callable[[np.ndarray], np.ndarray] | None = None,
        capacity: int | None = None,
        check: bool = False,
    ) -> None:
        if not isinstance(set_function, SetFunction):
            raise EnvzooError(
                f"set_function is a {type(set_function).__name__}; expected one of envzoo.coverage.set_functions, "
                "where CustomSetFunction takes any Python function"
            )
        if check:
            set_function.check_monotone()
        self.space = space
        self._function = set_function
        self._reader = ElementReader(space, key, discretiser, set_function.size)
        self.info_keys = self._reader.info_keys
        self._sets = set_function.initial_state(num_envs, capacity)
        self._modular = np.zeros(num_envs)
        self.arrays = dict(zip(self._sets._fields, self._sets, strict=True))

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Begin sets with the place where the episode starts, which is not paid for."""
        elements = self._reader.read(observation, infos, where)
        self._function.restart(self._sets, where)
        self._function.add(self._sets, elements, where)
        self._modular[where] = 0.0

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray:
        """The gains of the visited places."""
        elements = self._reader.read(observation, infos, where)
        self._modular[:] = np.where(where, self._function.singles[elements], 0.0)
        return self._function.add(self._sets, elements, where)

    def infos(self) -> dict[str, np.ndarray]:
        """What `info` gets."""
        return {"modular_reward": self._modular.copy(), "coverage": self._sets.value.copy()}


class SubmodularReward(TrackingWrapper):
    """Replaces the reward of any environment by F(path + new place) - F(path), F a monotone submodular set function.

    The value of an episode is then F of the set of places that it visits, and visiting one again pays nothing. The
    place of the start belongs to the set but is not paid for, so the return is F(path) - F({start}).
    `info["coverage"]` holds F of the path so far, `info["modular_reward"]` the additive reward F({place}), which pays
    for every visit as if it were the first (0 after a reset); both replace entries that had those names.

    `VectorSubmodularReward` does the same to a vector environment. Where the environment has `get_state` and
    `set_state`, the wrapper has them too, the visited sets included.

    ```python
    env = gym.make("CliffWalking-v1")
    env = SubmodularReward(env, Coverage.on_grid(4, 12, radius=1))
    ```

    Args:
        env: The environment.
        set_function: The set function, from `envzoo.coverage.set_functions`.
        key: Where the element stands: in the observation, in one of its entries or components, in info
            ("info/NAME"), or what a callable makes of the observation; see
            `envzoo.wrappers.visited_elements.ElementReader`.
        discretiser: Turns positions (B, d) into elements (B,); see `GridDiscretiser`.
        capacity: The most places that an episode visits, None for all; see `SetFunction.initial_state`.
        check: Whether to try on random sets that the set function is monotone.

    Raises:
        UnknownNameError: The observation has no entry `key`; or, at a reset or step, info has none.
        UnsupportedSpaceError: What stands at `key` are not integers, and no discretiser is given.
        EnvzooError: There are more places than elements; the set function is found not monotone; at a reset or step,
            an element is out of range.
    """

    tracker_class = SubmodularTracker


class VectorSubmodularReward(VectorTrackingWrapper):
    """The vector face of `SubmodularReward`, with the same arguments."""

    tracker_class = SubmodularTracker
