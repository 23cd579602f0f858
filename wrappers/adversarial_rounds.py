"""AdversarialRounds: the game of adversarial surprise on any environment, from Control's side (arXiv 2107.07394)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.kernel.arguments import check_choice
from envzoo.surprise.density import make_density
from envzoo.wrappers.augment_observation import Joiner
from envzoo.wrappers.round_switcher import CONTROL, RoundTracker
from envzoo.wrappers.stateful import Tracker, TrackingWrapper, VectorTrackingWrapper

MEMORIES = ("episode", "round", "lifetime")


class AdversarialTracker(Tracker):
    """Clocks and density models of B episodes; see `AdversarialRounds` for the arguments and errors."""

    name = "AdversarialRounds"

    def __init__(
        self,
        space: spaces.Space,
        num_envs: int,
        rounds: int = 4,
        round_length: int | None = None,
        explore_first: bool = True,
        warm_up: float = 0.5,
        density: str = "auto",
        memory: str = "episode",
        horizon: int | None = None,
    ) -> None:
        check_choice("memory", memory, MEMORIES)
        self._memory = memory
        self.turns = RoundTracker(space, num_envs, rounds, round_length, explore_first, warm_up, horizon=horizon)
        # The model reads the environment's own observation, so that neither clock nor player surprise anybody.
        self.density = make_density(density, space, num_envs)
        value = spaces.Box(self.density.low, self.density.high, dtype=np.float32)
        self._join = Joiner(self.turns.space, "density", value)
        self.space = self._join.space
        self.arrays = self.turns.arrays | self.density.arrays
        self._scored = np.zeros(num_envs, np.bool_)
        self._log_prob = np.zeros(num_envs)

    @classmethod
    def defaults(cls, env: Any) -> dict[str, Any]:
        """The environment's own time limit."""
        return RoundTracker.defaults(env)

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Begin the first round, as a rule with empty models."""
        self.turns.start(where, observation, infos)
        self._scored[where], self._log_prob[where] = False, 0.0
        if self._memory != "lifetime" and where.any():
            self.density.clear(where)

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray:
        """Control's rewards: log p(o) in its scored steps, whose observations are learned then, and 0 in all others."""
        self._scored = where & self.turns.scored()
        self._log_prob = np.zeros(len(where))
        if self._scored.any():
            self._log_prob = self.density.score(self.density.encode(observation), self._scored)
        self.turns.advance(where, observation, infos)
        if self._memory != "lifetime":
            clock = self.turns.arrays["clock"]
            over = where & (clock == 0)  # the rounds begin again
            if self._memory == "round":
                over |= where & (clock % self.turns.round_length == 0) & (self.turns.player() == CONTROL)
            if over.any():
                self.density.clear(over)
        return self._log_prob

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add turn and parameters."""
        return self._join(self.turns.extend(observation, rows), self.density.parameters()[rows])

    def infos(self) -> dict[str, np.ndarray]:
        """Player and round of the next step, and how the last one was scored."""
        return {**self.turns.infos(), "scored": self._scored.copy(), "log_prob": self._log_prob.copy()}


class AdversarialRounds(TrackingWrapper):
    """Explore and Control take turns in one body; the reward is Control's, and Explore's is minus that.

    Episodes are divided into rounds as by `RoundSwitcher`. After its warm-up, Control is paid log p(o) for every
    observation it brings about, p fitted to the observations it was paid for before; everything else pays 0. The
    observation gets the entries `turn` and `density` (the parameters of p); a vector of floats becomes longer by both,
    any other observation a Dict. `info` holds `player` (who acts next: 0 Explore, 1 Control), `round`, `scored`
    (whether the step was) and `log_prob`. `VectorAdversarialRounds` does the same to a vector environment, and
    `adversarial_surprise_v0` is the game of two players. Where the environment has `get_state` and `set_state`, the
    wrapper has them too.

    Args:
        env: The environment.
        rounds: Number of rounds.
        round_length: Steps of a round, None to divide the environment's time limit evenly.
        explore_first: Whether Explore has the first round; the number of rounds must be even then.
        warm_up: Share of each of Control's rounds in which nothing is scored, in [0, 1), rounded up to whole steps.
        density: "categorical", "bernoulli", "gaussian" or "auto"; see `envzoo.surprise.density.make_density`.
        memory: When the models forget: with each "episode", with each "round" of Control, or never ("lifetime").

    Raises:
        EnvzooError: Rounds or a warm-up that make no game; no length is given or can be had from the time limit.
        UnknownNameError: No such density or memory.
        UnsupportedSpaceError: No density model, or not the one asked for, fits the observation space.
    """

    tracker_class = AdversarialTracker


class VectorAdversarialRounds(VectorTrackingWrapper):
    """The vector face of `AdversarialRounds`, with the same arguments."""

    tracker_class = AdversarialTracker
