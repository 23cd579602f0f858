"""RoundSwitcher: divide episodes into rounds in which two policies alternate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.wrappers.augment_observation import ObservationAugmenter
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker, time_limit

EXPLORE, CONTROL = 0, 1
PLAYERS = ("explore", "control")
MOST_STEPS = 2**31 - 1  # limit on the rounds and on their steps, whose product the clocks hold


class RoundTracker(Tracker):
    """Tracker of the clocks of B episodes; see `RoundSwitcher` for the arguments and errors."""

    name = "RoundSwitcher"

    def __init__(
        self,
        space: spaces.Space,
        num_envs: int,
        rounds: int = 4,
        round_length: int | None = None,
        explore_first: bool = True,
        warm_up: float = 0.5,
        entry: str = "turn",
        horizon: int | None = None,
    ) -> None:
        check_rounds(rounds, explore_first, warm_up)
        if round_length is None:
            if horizon is None:
                raise EnvzooError("the environment has no time limit; give round_length, the number of steps per round")
            check_whole("horizon", horizon, 1, MOST_STEPS)
            if horizon % rounds or horizon < rounds:
                raise EnvzooError(
                    f"the environment's {horizon} steps cannot be divided into {rounds} equal rounds; give "
                    f"round_length, or a time limit of {max(horizon // rounds, 1) * rounds} steps"
                )
            round_length = horizon // rounds
        check_whole("round_length", round_length, 1, MOST_STEPS)
        self.rounds, self.round_length = int(rounds), int(round_length)
        self.horizon = self.rounds * self.round_length
        self.first = EXPLORE if explore_first else CONTROL
        # Steps before warm_up * round_length are not scored. Rounded, because 0.07 * 100 is 7.000000000000001.
        self.unscored = math.ceil(round(warm_up * self.round_length, 9))
        if self.unscored == self.round_length:
            raise EnvzooError(
                f"warm_up is {warm_up!r}, which leaves no scored step in rounds of {self.round_length} steps; give "
                "a smaller one, or longer rounds"
            )
        self._augment = ObservationAugmenter(space, entry, spaces.Box(0.0, 1.0, (2,), np.float32))
        self.space = self._augment.space
        self.arrays = {"clock": np.zeros(num_envs, np.int64)}

    @classmethod
    def defaults(cls, env: Any) -> dict[str, Any]:
        """Take the time limit from the environment."""
        return {"horizon": time_limit(env)}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Set the clocks to 0."""
        self.arrays["clock"][where] = 0

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Count the step; after the last round the first one begins again."""
        clock = self.arrays["clock"]
        clock[where] = (clock[where] + 1) % self.horizon

    def player(self) -> np.ndarray:
        """Return the player who acts next, int64 (B,): 0 Explore, 1 Control."""
        return (self.arrays["clock"] // self.round_length + self.first) % 2

    def scored(self) -> np.ndarray:
        """Return whether the next step is scored for Control, bool (B,)."""
        return (self.player() == CONTROL) & (self.arrays["clock"] % self.round_length >= self.unscored)

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the clock and the player to the observation."""
        share = self.arrays["clock"][rows] / self.horizon
        return self._augment(observation, np.stack([share, self.player()[rows]], axis=-1).astype(np.float32))

    def infos(self) -> dict[str, np.ndarray]:
        """Return the player who acts next, and the round."""
        return {"player": self.player(), "round": self.arrays["clock"] // self.round_length}


def check_rounds(rounds: int, explore_first: bool, warm_up: float) -> None:
    """Validate the arguments that define the rounds.

    Raises:
        EnvzooError: `rounds` is not a whole number, or odd with Explore first; or `warm_up` is outside [0, 1).
    """
    check_whole("rounds", rounds, 2, MOST_STEPS)
    if explore_first and rounds % 2:
        raise EnvzooError(
            f"rounds is {rounds}, but with explore_first every round of Explore precedes one of Control; expected "
            f"an even number such as {rounds + 1}"
        )
    if isinstance(warm_up, bool) or not isinstance(warm_up, int | float | np.number) or not 0 <= warm_up < 1:
        raise EnvzooError(f"warm_up is {warm_up!r}; expected a fraction of Control's rounds in [0, 1)")


class RoundSwitcher(StatefulWrapper):
    """Divides episodes into rounds in which two policies, Explore and Control, alternate in controlling the agent.

    The observation gains the entry `turn`, Box (2,): the fraction of all rounds completed, and who acts next (0 for
    Explore, 1 for Control). A float vector is extended by these two, any other observation becomes a Dict.
    `info["player"]` and `info["round"]` hold the player and the index of the round as integers. Rewards are unchanged:
    `adversarial_surprise_v0` and the agent AdversarialSurprise define theirs on top. If an episode continues after the
    last round, the first round begins again. `VectorRoundSwitcher` wraps vector environments. The wrapper supports
    `get_state` and `set_state` if the environment does.

    Args:
        env: The environment.
        rounds: Number of rounds.
        round_length: Steps per round, None to divide the environment's time limit evenly.
        explore_first: Whether Explore plays the first round; the number of rounds must then be even.
        warm_up: Fraction of each of Control's rounds that is not scored, in [0, 1), rounded up to whole steps.
        entry: Key of the entry in the Dict.

    Raises:
        EnvzooError: The rounds or the warm-up are invalid, or no round length is given or follows from a time limit.
    """

    tracker_class = RoundTracker


class VectorRoundSwitcher(StatefulVectorWrapper):
    """Vector version of `RoundSwitcher`, with the same arguments."""

    tracker_class = RoundTracker
