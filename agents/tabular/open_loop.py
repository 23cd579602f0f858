"""Base of the agents that choose a whole sequence of actions per episode in a revealing lock (paper 45)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.loops.experience import Step
from envzoo.agents.spec import require
from envzoo.agents.tabular.learning import TabularAgent, TabularConfig, first_env
from envzoo.errors import UnsupportedSpaceError
from envzoo.tabular.revealing_lock import Lock


@dataclass(frozen=True)
class OpenLoopConfig(TabularConfig):
    """Hyperparameters of agents that choose a whole sequence of actions per episode."""

    num_episodes: int = 10_000
    """Number of episodes that will be played (T), on which the sizes of tests and bonuses depend."""

    def __post_init__(self):
        super().__post_init__()
        require(self.num_episodes >= 1, f"num_episodes is at least 1, got {self.num_episodes}")


def find_lock(env: Any, name: str) -> Lock:
    """Return the lock of an environment, single or vector, of which agents use the sizes, gap and signal only.

    Raises:
        UnsupportedSpaceError: It is no revealing lock.
    """
    single = first_env(env)
    lock = getattr(getattr(single, "definition", None), "lock", None)
    if not isinstance(lock, Lock):
        raise UnsupportedSpaceError(f"{name} plays envzoo/RevealingLock-v0, and {single} is none")
    return lock


class OpenLoopAgent(TabularAgent):
    """Base of agents that choose all W + 3 actions of an episode beforehand and learn from what it showed.

    What a lock hides is never read: leaf, arm, code and signs.

    Attributes:
        lock: Sizes, gap and signal of the lock.
    """

    Config = OpenLoopConfig
    config: OpenLoopConfig

    def prepare(self, env: Any) -> None:
        """Read the sizes of the lock."""
        self.lock = find_lock(env, self.spec.name)
        self.steps = self.lock.length + 3

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return the plan of each run, what its episode has shown, and the episodes played."""
        return {
            "plan": np.zeros((runs, self.steps), np.int64),
            "shown": np.zeros((runs, self.steps + 1), np.int64),
            "planned": np.zeros(runs, np.bool_),
            "episodes": np.zeros(runs, np.int64),
        }

    @abstractmethod
    def make_plan(self, run: int) -> np.ndarray:
        """Return the actions (W + 3,) of the next episode of a run."""

    @abstractmethod
    def best_plan(self, run: int) -> np.ndarray:
        """Return the actions (W + 3,) that the run thinks best."""

    @abstractmethod
    def learn_run(self, run: int, shown: np.ndarray, plan: np.ndarray, reward: float) -> None:
        """Learn from an episode: observations (t + 1,), actions (t,) and the reward."""

    def act(self, states: np.ndarray) -> np.ndarray:
        """Follow the plan; make a new one at the start of an episode."""
        p = self.policy
        for run in np.flatnonzero(self.experience.start | ~p.planned):
            p.plan[run], p.planned[run] = self.make_plan(run), True
        runs, time = np.arange(self.num_runs), np.minimum(self.time, self.steps - 1)
        p.shown[runs, time] = states
        return np.clip(p.plan[runs, time], 0, self.lock.actions)

    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """At the end of an episode, learn from it."""
        p = self.policy
        for run in np.flatnonzero(step.valid & step.done):
            length = min(int(self.time[run]) + 1, self.steps)
            shown = np.append(np.clip(p.shown[run, :length], 0, self.states - 1), following[run])
            p.episodes[run] += 1
            self.learn_run(run, shown, p.plan[run, :length], float(step.reward[run]))

    def choose(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray, deterministic: bool) -> np.ndarray:
        """Follow the best plan of the run; these policies are deterministic."""
        plans = np.stack([self.best_plan(run) for run in runs])
        return np.clip(plans[np.arange(len(runs)), np.minimum(time, self.steps - 1)], 0, self.lock.actions)
