"""SubmodularReward: reward the marginal gain of each visited element under a set function (arXiv 2307.13372)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.coverage.set_functions import SetFunction
from envzoo.errors import EnvzooError
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker
from envzoo.wrappers.visited_elements import ElementReader, Key


class SubmodularTracker(Tracker):
    """Tracker of the visited elements of B episodes; see `SubmodularReward` for the arguments and errors."""

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
        """Initialise the sets with the start elements, which give no reward."""
        elements = self._reader.read(observation, infos, where)
        self._function.restart(self._sets, where)
        self._function.add(self._sets, elements, where)
        self._modular[where] = 0.0

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray:
        """Return the marginal gains of the visited elements."""
        elements = self._reader.read(observation, infos, where)
        self._modular[:] = np.where(where, self._function.singles[elements], 0.0)
        return self._function.add(self._sets, elements, where)

    def infos(self) -> dict[str, np.ndarray]:
        """Return the entries of `info`."""
        return {"modular_reward": self._modular.copy(), "coverage": self._sets.value.copy()}


class SubmodularReward(StatefulWrapper):
    """Replaces the reward by F(path + new element) - F(path), where F is a monotone submodular set function.

    The return of an episode is then F of the set of elements it visits, and revisits give no reward. The start element
    belongs to the set but gives no reward, so the return is F(path) - F({start}). `info["coverage"]` holds F of the
    path so far, `info["modular_reward"]` the additive reward F({element}), which treats every visit as the first (0
    after a reset); both overwrite entries of the same name.

    `VectorSubmodularReward` wraps vector environments. The wrapper supports `get_state` and `set_state`, including the
    visited sets, if the environment does.

    ```python
    env = gym.make("CliffWalking-v1")
    env = SubmodularReward(env, Coverage.on_grid(4, 12, radius=1))
    ```

    Args:
        env: The environment.
        set_function: The set function, from `envzoo.coverage.set_functions`.
        key: Where to read the element: the observation, one of its entries or components, `info` ("info/NAME"), or a
            callable that computes it from the observation; see `envzoo.wrappers.visited_elements.ElementReader`.
        discretiser: Maps positions (B, d) to elements (B,); see `GridDiscretiser`.
        capacity: Largest number of elements that an episode visits, None for all; see `SetFunction.initial_state`.
        check: Whether to test on random sets that the set function is monotone.

    Raises:
        UnknownNameError: The observation has no entry `key`; or, at a reset or step, `info` has none.
        UnsupportedSpaceError: The values at `key` are not integers, and no discretiser is given.
        EnvzooError: There are more positions than elements; the set function is not monotone; or, at a reset or step,
            an element is out of range.
    """

    tracker_class = SubmodularTracker


class VectorSubmodularReward(StatefulVectorWrapper):
    """Vector version of `SubmodularReward`, with the same arguments."""

    tracker_class = SubmodularTracker
