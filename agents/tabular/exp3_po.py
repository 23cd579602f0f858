"""Exp3PO: Exp3 with implicit exploration in every state (a baseline of paper 44)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.loops.experience import Step
from envzoo.agents.planners.tabular.ftrl import Exp3
from envzoo.agents.spec import require
from envzoo.agents.tabular.episodic import EpisodicConfig, find_horizon
from envzoo.agents.tabular.learning import TabularAgent, read_losses
from envzoo.agents.tabular.linear_policy import sample
from envzoo.errors import EnvzooError
from envzoo.sizes import check_bytes


@dataclass(frozen=True)
class Exp3POConfig(EpisodicConfig):
    """Hyperparameters of Exp3PO."""

    num_episodes: int = 2_000
    """Number of episodes that will be played (K), from which the step size follows."""
    learning_rate: float | None = None
    """Step size (eta); None takes sqrt(2 ln A / (A K)) / H."""
    implicit_exploration: float | None = None
    """Implicit-exploration constant in the denominators of the estimates (gamma); None uses eta H / 2."""

    def __post_init__(self):
        super().__post_init__()
        require(self.num_episodes >= 1, f"num_episodes is at least 1, got {self.num_episodes}")
        for name in ("learning_rate", "implicit_exploration"):
            value = getattr(self, name)
            require(value is None or value >= 0, f"{name} is at least 0, got {value}")
        require(self.learning_rate != 0, "learning_rate is positive, got 0.0")


class Exp3PO(TabularAgent):
    """A bandit algorithm in every state, which learns the loss from there to the end of the episode.

        pi(.|s) = exp(-eta X(s, .)) / sum,  X(s_h, a_h) += L_h / (pi(a_h|s_h) + gamma)                  (1)

    Exp3-IX (Neu, 2015) for each state, without features, bonus or model. L_h is the loss from step h on. Rewards are
    losses with a minus, in [-1, 0].

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
    """

    Config = Exp3POConfig
    config: Exp3POConfig

    def prepare(self, env: Any) -> None:
        """Find the horizon and the step size."""
        c = self.config
        self.horizon = find_horizon(env, c.horizon, self.spec.name)
        check_bytes(24 * env.num_envs * self.horizon, f"episodes of {self.horizon} steps in {env.num_envs} runs")
        count = max(self.actions, 2)
        self.eta = c.learning_rate or float(np.sqrt(2 * np.log(count) / (count * c.num_episodes))) / self.horizon
        gamma = self.eta * self.horizon / 2 if c.implicit_exploration is None else c.implicit_exploration
        self.bandits = Exp3(env.num_envs * self.states, self.actions, self.eta, gamma=gamma)

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return the estimated losses of all states, and what was seen in the running episodes."""
        steps = (runs, self.horizon)
        return {
            "losses": self.bandits.losses,
            "visited": np.zeros(steps, np.int64),
            "taken": np.zeros(steps, np.int64),
            "seen": np.zeros(steps),
        }

    def act(self, states: np.ndarray) -> np.ndarray:
        """Sample from the policy."""
        rows = np.arange(self.num_runs) * self.states + states
        return sample(self.bandits.policy(rows), self.streams.numpy("actions"))

    def learn_step(self, states: np.ndarray, chosen: np.ndarray, step: Step, following: np.ndarray) -> None:
        """Note the step; at the end of an episode apply (1)."""
        t, runs = self.policy, np.flatnonzero(step.valid)
        loss = read_losses(step.reward[runs], self.spec.name)
        at = self.time[runs]
        if (at >= self.horizon).any():
            raise EnvzooError(f"an episode has more than {self.horizon} steps; give a larger horizon")
        t.visited[runs, at], t.taken[runs, at], t.seen[runs, at] = states[runs], chosen[runs], loss
        self._learn_episodes(runs[step.done[runs]])

    def _learn_episodes(self, ended: np.ndarray) -> None:
        """Apply (1) to the episodes of the runs that have just ended."""
        t, lengths = self.policy, self.time[ended] + 1
        seen = np.where(np.arange(self.horizon) < lengths[:, None], t.seen[ended], 0.0)
        to_go = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
        # One step of all runs at a time: a state may be met twice in an episode, but runs have bandits of their own.
        for h in range(lengths.max(initial=0)):
            among = np.flatnonzero(lengths > h)
            now = ended[among]
            rows = now * self.states + np.clip(t.visited[now, h], 0, self.states - 1)
            self.bandits.update(np.clip(t.taken[now, h], 0, self.actions - 1), to_go[among, h], rows)

    def choose(self, states: np.ndarray, runs: np.ndarray, time: np.ndarray, deterministic: bool) -> np.ndarray:
        """Take the likeliest action, or sample from the policy."""
        probabilities = self.bandits.policy(runs * self.states + states)
        return probabilities.argmax(axis=1) if deterministic else sample(probabilities, self.streams.numpy("predict"))
