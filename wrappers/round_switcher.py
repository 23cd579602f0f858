"""RoundSwitcher: two minds take turns in one body."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.wrappers.augment_observation import Joiner
from envzoo.wrappers.stateful import Tracker, TrackingWrapper, VectorTrackingWrapper, time_limit

EXPLORE, CONTROL = 0, 1
PLAYERS = ("explore", "control")
MOST_STEPS = 2**31 - 1  # of rounds and of their steps, whose product the clocks hold


class RoundTracker(Tracker):
    """The clocks of B episodes; see `RoundSwitcher` for the arguments and errors."""

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
                raise EnvzooError("the environment states no time limit; give round_length, the steps of a round")
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
        # Steps before warm_up * round_length are not scored. Rounded, as 0.07 * 100 is 7.000000000000001.
        self.unscored = math.ceil(round(warm_up * self.round_length, 9))
        if self.unscored == self.round_length:
            raise EnvzooError(
                f"warm_up is {warm_up!r}, which leaves no step that is scored in rounds of {self.round_length}; give "
                "a smaller one, or longer rounds"
            )
        self._join = Joiner(space, entry, spaces.Box(0.0, 1.0, (2,), np.float32))
        self.space = self._join.space
        self.arrays = {"clock": np.zeros(num_envs, np.int64)}

    @classmethod
    def defaults(cls, env: Any) -> dict[str, Any]:
        """The environment's own time limit."""
        return {"horizon": time_limit(env)}

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Set the clocks to 0."""
        self.arrays["clock"][where] = 0

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Count the step; after the last round the first one comes again."""
        clock = self.arrays["clock"]
        clock[where] = (clock[where] + 1) % self.horizon

    def player(self) -> np.ndarray:
        """Who acts next, int64 (B,): 0 explore, 1 control."""
        return (self.arrays["clock"] // self.round_length + self.first) % 2

    def scored(self) -> np.ndarray:
        """Whether the next step is one that Control is scored for, bool (B,)."""
        return (self.player() == CONTROL) & (self.arrays["clock"] % self.round_length >= self.unscored)

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the clock and the player."""
        share = self.arrays["clock"][rows] / self.horizon
        return self._join(observation, np.stack([share, self.player()[rows]], axis=-1).astype(np.float32))

    def infos(self) -> dict[str, np.ndarray]:
        """Who acts next, and in which round."""
        return {"player": self.player(), "round": self.arrays["clock"] // self.round_length}


def check_rounds(rounds: int, explore_first: bool, warm_up: float) -> None:
    """Refuse rounds that make no game.

    Raises:
        EnvzooError: Not a whole number of rounds, an odd one with Explore first, or a warm-up outside [0, 1).
    """
    check_whole("rounds", rounds, 2, MOST_STEPS)
    if explore_first and rounds % 2:
        raise EnvzooError(
            f"rounds is {rounds}, but when Explore begins each of its rounds needs one of Control after it; expected "
            f"an even number such as {rounds + 1}"
        )
    if isinstance(warm_up, bool) or not isinstance(warm_up, int | float | np.number) or not 0 <= warm_up < 1:
        raise EnvzooError(f"warm_up is {warm_up!r}; expected a share of Control's rounds in [0, 1)")


class RoundSwitcher(TrackingWrapper):
    """Divides episodes into rounds in which two minds, Explore and Control, act in turns in one body.

    The observation gets the entry `turn`, Box (2,): the share of all rounds that is over, and who acts next (0 for
    Explore, 1 for Control); a vector of floats becomes longer by these two, any other observation a Dict.
    `info["player"]` and `info["round"]` hold the player and the number of the round as integers. Rewards are left as
    they are: `adversarial_surprise_v0` and the agent AdversarialSurprise put theirs on top. Where an episode goes on
    after the last round, the rounds begin again. `VectorRoundSwitcher` does the same to a vector environment. Where the
    environment has `get_state` and `set_state`, the wrapper has them too.

    Args:
        env: The environment.
        rounds: Number of rounds.
        round_length: Steps of a round, None to divide the environment's time limit evenly.
        explore_first: Whether Explore has the first round; the number of rounds must be even then.
        warm_up: Share of each of Control's rounds in which nothing is scored, in [0, 1), rounded up to whole steps.
        entry: Name of the entry.

    Raises:
        EnvzooError: Rounds or a warm-up that make no game; no length is given or can be had from the time limit.
    """

    tracker_class = RoundTracker


class VectorRoundSwitcher(VectorTrackingWrapper):
    """The vector face of `RoundSwitcher`, with the same arguments."""

    tracker_class = RoundTracker
