"""CPI: conservative policy iteration over a class of policies, from resets to a covering law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.class_agent import PolicyClassAgent, PolicyClassConfig
from envzoo.sizes import check_bytes
from envzoo.wrappers.access import VectorMuResetAccess


@dataclass(frozen=True)
class CPIConfig(PolicyClassConfig):
    """Hyperparameters of CPI."""

    episodes_per_round: int = 2_000
    """Episodes from which the advantages of a round are estimated (n)."""
    eps: float = 0.05
    """Accuracy (eps): the search ends when no estimated advantage reaches eps / 3."""

    def __post_init__(self):
        super().__post_init__()
        require(self.episodes_per_round >= 1, f"episodes_per_round is at least 1, got {self.episodes_per_round}")
        require(0 < self.eps < float("inf"), f"eps is positive, got {self.eps}")


class CPI(PolicyClassAgent):
    """Conservative policy iteration: mix the policy of the largest advantage into the present one, a little at a time.

        advantage of pi = D / n sum over n episodes of A (1[pi(s) = a] - pi_t(a|s)) R                          (1)
        pi_{t+1} = (1 - w) pi_t + w argmax over pi of (1),  w = advantage / (4 H)                              (2)

    An episode begins in a state drawn from the covering law of a random layer, follows pi_t for a random number of
    steps to s, takes a uniform action a there and follows pi_t again; R is the return from s on. D = (H + 1) / 2 is the
    mean number of visits that the draw of layer and number of steps stands for. The first policy is uniform over
    actions. It ends when the advantage is below eps / 3. Source: Kakade and Langford, "Approximately optimal
    approximate reinforcement learning" (2002). Needs resets to a covering law (`MuResetAccess`).

    Metrics:
        rollout/return_mean: mean return of the episodes, from the layer in which they begin.
        rollout/episodes: their number.
        learner/rounds: number of rounds.
        learner/advantage: estimated advantage of the policy last mixed in.
    """

    Config = CPIConfig
    config: CPIConfig

    def wrap(self, env: Any) -> Any:
        """Allow resets to layers."""
        return VectorMuResetAccess(env, self.problem.cover)

    def tables(self) -> dict[str, Any]:
        """Return the mixture, and the sums of the present round."""
        check_bytes(8 * self.states * self.actions, f"a policy over {self.states} states")
        return {
            "mixture": np.full((self.states, self.actions), 1 / self.actions),
            "scores": np.zeros(self.size),
            "baseline": 0.0,
            "advantage": 0.0,
            "episodes": 0,
            "rounds": 0,
            "finished": False,
        }

    def _sample(self, states: np.ndarray, u: np.ndarray) -> np.ndarray:
        below = np.cumsum(self.policy.mixture[states], axis=1)
        return (u[:, None] * below[:, -1:] >= below).sum(axis=1).clip(max=self.actions - 1)

    def act_in(self, states: np.ndarray, deterministic: bool) -> np.ndarray:
        """Take an action of the mixture, or its most probable one."""
        if deterministic:
            return self.policy.mixture[states].argmax(axis=1)
        return self._sample(states, self.streams.numpy("predict").random(len(states)))

    def iterate(self) -> dict[str, float]:
        """Play a batch of episodes; at the end of a round, mix in a policy by (2)."""
        p, c = self.policy, self.config
        if p.finished:
            self.num_timesteps = max(self.num_timesteps, self.target_timesteps)
        else:
            self._play()
            if p.episodes >= c.episodes_per_round:
                self._improve()
        return self.pop_metrics() | {"learner/rounds": float(p.rounds), "learner/advantage": float(p.advantage)}

    def _play(self) -> None:
        p, generator, count = self.policy, self.streams.numpy("actions"), self.num_envs
        low, high = np.triu_indices(self.horizon)  # layers of the start and of the action that is tried
        drawn = generator.integers(len(low), size=count)
        start, tried = low[drawn], high[drawn]
        uniform = generator.integers(self.actions, size=count)

        def choose(states: np.ndarray, step: int) -> np.ndarray:
            follow = self._sample(states, generator.random(count))
            return np.where(start + step == tried, uniform, follow)

        rolled = self.roll(choose, {"layer": start}, start)
        rows = np.arange(count)
        reached = rolled.end > tried
        later = np.arange(self.horizon) >= tried[:, None]
        returns = np.where(reached, (rolled.rewards * later).sum(axis=1), 0.0) * self.actions
        states, actions = rolled.states[rows, tried], rolled.actions[rows, tried]
        p.scores += ((self.table[:, states] == actions) * returns).sum(axis=1)
        p.baseline += float((p.mixture[states, actions] * returns).sum())
        p.episodes += count

    def _improve(self) -> None:
        p, visits = self.policy, (self.horizon + 1) / 2
        best = int(p.scores.argmax())
        p.advantage = visits * (float(p.scores[best]) - p.baseline) / p.episodes
        p.finished = p.advantage < self.config.eps / 3
        if not p.finished:
            weight = min(1.0, p.advantage / (4 * self.horizon))
            p.mixture *= 1 - weight
            p.mixture[np.arange(self.states), self.table[best]] += weight
            p.rounds += 1
        p.scores[:], p.baseline, p.episodes = 0.0, 0.0, 0
