"""AdversarialRounds: adversarial surprise on any environment, from Control's point of view (arXiv 2107.07394)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.kernel.arguments import check_choice
from envzoo.surprise.density import make_density
from envzoo.wrappers.augment_observation import ObservationAugmenter
from envzoo.wrappers.round_switcher import CONTROL, RoundTracker
from envzoo.wrappers.stateful import StatefulVectorWrapper, StatefulWrapper, Tracker

MEMORIES = ("episode", "round", "lifetime")


class AdversarialTracker(Tracker):
    """Tracker of the rounds and density models of B episodes; see `AdversarialRounds` for the arguments and errors."""

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
        # The model reads the environment's own observation, so that the clock and the player never count as surprising.
        self.density = make_density(density, space, num_envs)
        value = spaces.Box(self.density.low, self.density.high, dtype=np.float32)
        self._augment = ObservationAugmenter(self.turns.space, "density", value)
        self.space = self._augment.space
        self.arrays = self.turns.arrays | self.density.arrays
        self._scored = np.zeros(num_envs, np.bool_)
        self._log_prob = np.zeros(num_envs)

    @classmethod
    def defaults(cls, env: Any) -> dict[str, Any]:
        """Take the time limit from the environment."""
        return RoundTracker.defaults(env)

    def start(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> None:
        """Begin the first round, with empty models unless they last a lifetime."""
        self.turns.start(where, observation, infos)
        self._scored[where], self._log_prob[where] = False, 0.0
        if self._memory != "lifetime" and where.any():
            self.density.clear(where)

    def advance(self, where: np.ndarray, observation: Any, infos: Mapping[str, Any]) -> np.ndarray:
        """Return Control's rewards: log p(o) in its scored steps, which also update the model, and 0 in all others."""
        self._scored = where & self.turns.scored()
        self._log_prob = np.zeros(len(where))
        if self._scored.any():
            self._log_prob = self.density.score(self.density.encode(observation), self._scored)
        self.turns.advance(where, observation, infos)
        if self._memory != "lifetime":
            clock = self.turns.arrays["clock"]
            over = where & (clock == 0)  # the first round begins again
            if self._memory == "round":
                over |= where & (clock % self.turns.round_length == 0) & (self.turns.player() == CONTROL)
            if over.any():
                self.density.clear(over)
        return self._log_prob

    def extend(self, observation: Any, rows: Any) -> Any:
        """Add the turn and the model parameters to the observation."""
        return self._augment(self.turns.extend(observation, rows), self.density.parameters()[rows])

    def infos(self) -> dict[str, np.ndarray]:
        """Return the player and round of the next step, and how the last step was scored."""
        return {**self.turns.infos(), "scored": self._scored.copy(), "log_prob": self._log_prob.copy()}


class AdversarialRounds(StatefulWrapper):
    """Explore and Control alternate in controlling the agent; the reward is Control's, and Explore's is its negative.

    Episodes are divided into rounds as in `RoundSwitcher`. After its warm-up, Control receives log p(o) for every
    observation it reaches, where p is fitted to the observations scored before; all other steps give 0. The observation
    gains the entries `turn` and `density` (the parameters of p): a float vector is extended by both, any other
    observation becomes a Dict. `info` holds `player` (who acts next: 0 Explore, 1 Control), `round`, `scored` (whether
    the step was scored) and `log_prob`. `VectorAdversarialRounds` wraps vector environments, and
    `adversarial_surprise_v0` is the two-player game. The wrapper supports `get_state` and `set_state` if the
    environment does.

    Args:
        env: The environment.
        rounds: Number of rounds.
        round_length: Steps per round, None to divide the environment's time limit evenly.
        explore_first: Whether Explore plays the first round; the number of rounds must then be even.
        warm_up: Fraction of each of Control's rounds that is not scored, in [0, 1), rounded up to whole steps.
        density: "categorical", "bernoulli", "gaussian" or "auto"; see `envzoo.surprise.density.make_density`.
        memory: When the models are reset: with each "episode", with each "round" of Control, or never ("lifetime").

    Raises:
        EnvzooError: The rounds or the warm-up are invalid, or no round length is given or follows from a time limit.
        UnknownNameError: The density or memory is unknown.
        UnsupportedSpaceError: No density model, or not the requested one, supports the observation space.
    """

    tracker_class = AdversarialTracker


class VectorAdversarialRounds(StatefulVectorWrapper):
    """Vector version of `AdversarialRounds`, with the same arguments."""

    tracker_class = AdversarialTracker
