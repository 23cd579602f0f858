"""Base of the agents that plan anew after each episode over a known horizon: UCBVI and posterior sampling."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.loops.experience import Step
from envzoo.agents.spec import require
from envzoo.agents.tabular.learning import TabularAgent, TabularConfig, first_env
from envzoo.errors import EnvzooError
from envzoo.sizes import check_bytes
from envzoo.tabular import HasModel


@dataclass(frozen=True)
class EpisodicConfig(TabularConfig):
    """Hyperparameters of agents that plan over a horizon."""

    horizon: int | None = None
    """Steps of an episode; None takes the horizon of the world, if it tells one, or its time limit."""

    def __post_init__(self):
        super().__post_init__()
        require(self.horizon is None or self.horizon >= 1, f"horizon is at least 1, got {self.horizon}")


def find_horizon(env: Any, given: int | None, name: str) -> int:
    """Return the horizon that was given, or that of the world, or its time limit.

    Raises:
        EnvzooError: There is none.
    """
    if given is not None:
        return given
    single = first_env(env)
    known = getattr(single.model(), "horizon", None) if isinstance(single, HasModel) else None
    if known is None:
        spec = getattr((getattr(env.unwrapped, "envs", ()) or (env,))[0], "spec", None)
        known = spec.max_episode_steps if spec is not None else None
    if known is None:
        raise EnvzooError(f"{name} plans over a horizon, and the world has none; give the hyperparameter horizon")
    return int(known)


class EpisodicPlanner(TabularAgent):
    """Base of agents that count transitions and follow a time-dependent plan, made anew after each episode.

    A subclass implements `plan`. Episodes that go on after the horizon follow the plan's last step.
    """

    Config = EpisodicConfig
    config: EpisodicConfig

    def prepare(self, env: Any) -> None:
        """Find the horizon."""
        self.horizon = find_horizon(env, self.config.horizon, self.spec.name)
        pairs = self.states * self.actions
        size = 8 * (pairs * (self.states + 3) + self.horizon * self.states)
        check_bytes(env.num_envs * size, f"the counts of {env.num_envs} runs of {self.spec.name}")

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return counts of transitions, sums of rewards, numbers of episodes, and the plan."""
        pairs = (runs, self.states, self.actions)
        return {
            "counts": np.zeros((*pairs, self.states), np.int64),
            "ended": np.zeros(pairs, np.int64),
            "rewards": np.zeros(pairs),
            "episodes": np.zeros(runs, np.int64),
            "actions": np.zeros((runs, self.horizon, self.states), np.int64),
            "planned": np.zeros(runs, np.bool_),
        }

    @abstractmethod
    def plan(self, runs: np.ndarray) -> None:
        """Write the plans (n, H, S) of `runs` (n,) into `policy.actions`."""

    def _at(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray) -> np.ndarray:
        chosen = self.policy.actions[runs, np.minimum(time, self.horizon - 1), states]
        return np.clip(chosen, 0, self.actions - 1)

    def act(self, states: np.ndarray) -> np.ndarray:
        """Follow the plan; make a new one at the start of an episode."""
        waiting = np.flatnonzero(~self.policy.planned | self.experience.start)
        if len(waiting):
            self.plan(waiting)
            self.policy.planned[waiting] = True
        return self._at(states, np.arange(self.num_runs), self.time)

    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """Count the step."""
        p, valid = self.policy, step.valid
        runs = np.flatnonzero(valid)
        at = (runs, states[valid], chosen[valid])
        over = step.terminated[valid]
        np.add.at(p.counts, (*at, following[valid]), (~over).astype(np.int64))
        p.ended[at] += over
        p.rewards[at] += step.reward[valid]
        p.episodes += step.done & valid

    def choose(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray, deterministic: bool) -> np.ndarray:
        """Follow the present plan."""
        missing = np.unique(runs[~self.policy.planned[runs]])
        if len(missing):
            self.plan(missing)
            self.policy.planned[missing] = True
        return self._at(states, runs, time)
