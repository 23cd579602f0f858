"""Base of the bandit learners: many independent runs side by side, each with its own statistics."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from gymnasium.vector import VectorEnv

from envzoo.agents.bandits.estimates import record
from envzoo.agents.bandits.fill import choose_fill
from envzoo.agents.bandits.lsd_lp import cycle_order
from envzoo.agents.bandits.lsd_rounding import draw_virtual, mirrored_round, new_streams
from envzoo.agents.bandits.planning import BanditPlanner, model_of
from envzoo.agents.infos import step_info
from envzoo.agents.loops.experience import RunningEpisodes
from envzoo.agents.source import Source
from envzoo.agents.spec import require
from envzoo.agents.state_holder import StateHolder
from envzoo.bandits.model import BanditModel
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.sizes import check_bytes

ARRAYS = 8  # as large as the statistics, that a learner keeps at most


@dataclass(frozen=True)
class BanditLearnerConfig:
    """Hyperparameters of all learners of bandits."""

    num_envs: int = 64
    """Independent runs side by side: each environment has a learner of its own."""
    rounds_per_iteration: int = 500
    """Rounds of every run between two rows of metrics."""

    def __post_init__(self):
        require(self.num_envs >= 1, f"num_envs is at least 1, got {self.num_envs}")
        require(self.rounds_per_iteration >= 1, f"rounds_per_iteration is at least 1, got {self.rounds_per_iteration}")


@dataclass(frozen=True)
class RoundingLearnerConfig(BanditLearnerConfig):
    """Hyperparameters of learners that play a relaxation by mirrored rounding."""

    select: Literal["virtual", "real"] = "real"
    """Which active arms are pulled: those of the largest payoff in their virtual or in their real state."""
    fill: Literal["best", "none", "resync"] = "best"
    """Pulls for which no arm is active: "none" leaves them, "resync" gives them to the arm that pays most now and lets
    its virtual state follow, "best" tries both for every plan, in simulation with the payoffs that it was made for, and
    takes "resync" where it earned more. Only "none" keeps the guarantee of mirrored rounding. "resync" can earn next to
    nothing where pulls are not scarce, as it pulls arms that ought to rest; with as many pulls as arms "best" is
    "none", which then earns all that the plan is worth."""


class Arrays(StateHolder):
    """Named arrays that are saved and restored together."""

    LATER: ClassVar[tuple[str, ...]] = ("fill", "trials")  # which files of the first release lack

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore the arrays; those missing from a file of the first release keep their initial values."""
        super().load_state_dict({name: vars(self)[name] for name in self.LATER if name in vars(self)} | state)


class Runs(RunningEpisodes):
    """The environments of all runs, and the payoffs earned in them.

    Attributes:
        columns: (R, K) int64, the columns of the arms' states.
        start: (R,) bool, the runs in which an episode has just begun.
        expected: (R,) sum of the expected rewards since the first round.
        rounds: (R,) int64 rounds played.
    """

    ARRAYS: ClassVar[dict[str, str]] = {"columns": "columns", "start": "start", "resetting": "_resetting"}

    def __init__(self, env: VectorEnv, model: BanditModel, seed: int, notices: list[str]):
        super().__init__(env, seed, notices)
        self.several = model.pulls_per_round > 1
        self.expected, self.rounds = np.zeros(env.num_envs), np.zeros(env.num_envs, np.int64)
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Start a new episode in every run."""
        self.columns = np.array(self._begin(seed)[0], np.int64)

    def step(self, pulls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Play one round of pulls (R, K) bool; returns payoffs (R, K), and which runs played it, bool (R,).

        Raises:
            EnvzooError: A payoff outside [0, 1].
        """
        arms = pulls.shape[1]
        action = pulls.astype(np.int8) if self.several else np.where(pulls.any(axis=1), pulls.argmax(axis=1), arms)
        observation, reward, terminated, truncated, infos = self.env.step(action)
        done = terminated | truncated
        valid = ~self._resetting
        if self.several:
            paid = step_info(infos, "arm_rewards", done)
        else:
            paid = np.where(pulls, np.asarray(reward, float)[:, None], 0.0)
        if paid.max() > 1.0 or paid.min() < 0.0:
            raise EnvzooError(f"a pull paid {paid.flat[np.abs(paid - 0.5).argmax()]:g}; the learner expects 0 to 1")
        self.expected += np.where(valid, step_info(infos, "expected_reward", done), 0.0)
        self.rounds += valid
        self.columns = np.array(observation, np.int64)
        self._mark_starts(done)
        return paid, valid

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the runs, and the payoffs earned."""
        return super().state_dict() | {"expected": self.expected.copy(), "rounds": self.rounds.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the payoffs earned, and continue the runs from a saved state; see `RunningEpisodes`."""
        for name in ("expected", "rounds"):
            if state[name].shape != getattr(self, name).shape:
                raise ValueError(f"{name} has the shape {state[name].shape}")
            setattr(self, name, state[name].copy())
        super().load_state_dict(state)


class BanditLearner(BanditPlanner):
    """Base of the learners, which read only the sizes of the instance; payoffs are expected in [0, 1].

    A subclass makes its arrays in `arrays`, and implements `act`, `choose` and, where need be, `learned`. In `predict`,
    row b of a batch is played by the learner of run b modulo their number. The metrics are means over the runs:
    `learner/expected_return` is the sum of the expected rewards since the first round, from which regret is had.
    """

    config: BanditLearnerConfig
    policy: Arrays

    def __init__(self, source: Source, config: Any, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        env = source.training_env(config.num_envs)
        self.num_runs = env.num_envs
        table = ARRAYS * 8 * self.model.arms * self.model.num_states
        check_bytes(self.num_runs * table, f"the statistics of {self.num_runs} learners")
        self.runs = self.register("runs", Runs(env, self.model, self.streams.integer("environment"), self.notices))
        m, sizes = self.model, (self.num_runs, self.model.arms, self.model.num_states)
        self._cycles = cycle_order(m.deprivation, m.satiation)
        self._pulls = np.zeros(sizes[:2], bool)
        common = {"counts": np.zeros(sizes, np.int64), "sums": np.zeros(sizes)}
        self.policy = self.register("policy", Arrays(**common, **self.arrays(sizes)))

    def set_env(self, env: Any) -> None:
        """Check that this environment is a bandit of the sizes that are learned.

        Raises:
            UnsupportedSpaceError: It is not.
        """
        model = model_of(env)
        if model is None:
            raise UnsupportedSpaceError(
                f"{self.spec.name} learns bandits whose states it can read, and {env.unwrapped} is none; expected "
                "envzoo/LSDBandit-v0, envzoo/RechargingBandit-v0, or another environment with their model"
            )
        if self.model is None:
            self.plan(model)
            self.model = model
        mine, other = (
            {
                "arms": m.arms,
                "satiation": m.satiation,
                "deprivation": m.deprivation,
                "pulls per round": m.pulls_per_round,
            }
            for m in (self.model, model)
        )
        for name in mine:
            if mine[name] != other[name]:
                raise UnsupportedSpaceError(
                    f"{self.spec.name} has learned a bandit with {name} {mine[name]}, but {env.unwrapped} has "
                    f"{other[name]}"
                )

    def plan(self, model: BanditModel) -> None:
        """Reject sizes that the learner cannot take; there is nothing to plan yet."""

    @abstractmethod
    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Return the arrays that the algorithm keeps besides `counts` and `sums`; sizes are R, K and S."""

    @abstractmethod
    def act(self, pulls: np.ndarray) -> None:
        """Write the pulls (R, K) bool of the next round."""

    def teaches(self, pulls: np.ndarray) -> np.ndarray:
        """Return the pulls (R, K) of a round whose payoffs enter the statistics."""
        return pulls

    def learned(self) -> None:
        """Update the algorithm after a round whose payoffs have been added to the statistics."""

    def iterate(self) -> dict[str, float]:
        """Play some rounds in every run."""
        left = -(-(self.target_timesteps - self.num_timesteps) // self.num_runs)
        rounds = min(self.config.rounds_per_iteration, max(left, 1))
        before, p = self.runs.expected.mean(), self.policy
        for _ in range(rounds):
            self.act(self._pulls)
            columns = self.runs.columns
            paid, valid = self.runs.step(self._pulls)
            record(p.counts, p.sums, columns, self.teaches(self._pulls), paid, valid)
            self.learned()
        self.num_timesteps += rounds * self.num_runs
        expected = self.runs.expected
        return {
            "learner/expected_return": float(expected.mean()),
            "learner/average_reward": float((expected / np.maximum(self.runs.rounds, 1)).mean()),
            "learner/recent_reward": float((expected.mean() - before) / rounds),
        } | self.metrics()

    def metrics(self) -> dict[str, float]:
        """Return further metrics of the algorithm."""
        return {}


class RoundingLearner(BanditLearner):
    """Base of learners that solve the relaxation for a table of their own and play it by mirrored rounding.

    Their arrays `table`, `activation` and `stationary` (R, K, S) hold the plan of every run, `fill` (R,) whether its
    free pulls are filled.
    """

    config: RoundingLearnerConfig

    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Return the plans, the virtual states and the random streams."""
        return {
            "table": np.zeros(sizes),
            "activation": np.zeros(sizes),
            "stationary": np.zeros(sizes),
            "virtual": np.zeros(sizes[:2], np.int64),
            "streams": new_streams(self.streams.integer("rounding"), sizes[0]),
            "fill": np.full(sizes[0], self.config.fill == "resync"),
            "trials": new_streams(self.streams.integer("trials"), sizes[0]),
        }

    def play(self, where: np.ndarray, new: np.ndarray, pulls: np.ndarray) -> None:
        """Play one round of the plans of the runs in `where`, with new virtual states where `new` is set."""
        p, real = self.policy, self.runs.columns
        if new.any():
            draw_virtual(p.stationary, real, p.streams, new, p.virtual)
        self._round(p.table, p.activation, p.fill, real, p.virtual, p.streams, where, pulls)

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Choose pulls by one round of mirrored rounding with the plans of the runs."""
        rows = np.arange(len(columns)) % self.num_runs
        table, activation, stationary, fill = (array[rows] for array in self.plans())
        virtual = memory.setdefault("virtual", np.zeros_like(columns))
        draw_virtual(stationary, columns, memory["streams"], start, virtual)
        pulls = np.zeros(columns.shape, bool)
        where = np.ones(len(columns), bool)
        self._round(table, activation, fill, columns, virtual, memory["streams"], where, pulls)
        return pulls

    def plans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the table, activation, stationary distribution and fill of every run, as `predict` uses them."""
        return self.policy.table, self.policy.activation, self.policy.stationary, self.policy.fill

    def decide_fill(self, where, table, activation, stationary, fill, trials) -> None:
        """Write the fill of the plans that have just been made in the runs of `where`."""
        m, c = self.model, self.config
        if c.fill == "best":
            by_real = c.select == "real"
            choose_fill(table, activation, stationary, m.satiation, m.pulls_per_round, by_real, where, trials, fill)

    def _round(self, table, activation, fill, real, virtual, streams, where, pulls) -> None:
        m, by_real = self.model, self.config.select == "real"
        mirrored_round(
            table, activation, m.satiation, m.pulls_per_round, by_real, fill, real, virtual, streams, where, pulls
        )
