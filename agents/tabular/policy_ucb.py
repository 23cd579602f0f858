"""PolicyUCB: UCB1 over all open-loop policies of a lock, from rewards alone (a baseline of paper 45)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.open_loop import OpenLoopAgent, OpenLoopConfig
from envzoo.sizes import check_bytes


@dataclass(frozen=True)
class PolicyUCBConfig(OpenLoopConfig):
    """Hyperparameters of PolicyUCB."""

    confidence: float = 2.0
    """Factor c of the bonus sqrt(c ln t / n)."""

    def __post_init__(self):
        super().__post_init__()
        require(self.confidence > 0, f"confidence is positive, got {self.confidence}")


class PolicyUCB(OpenLoopAgent):
    """UCB1 with an arm for each of the L A A^W sequences of leaf, arm and code; observations are ignored.

        index = mean + sqrt(c ln t / n);  every sequence is played once first                          (1)

    It needs of the order of L A^(W+1) / gap^2 episodes and no symbols, so that it is ahead of every test of symbols
    where the lock is short.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/tried: share of the policies that were tried.
    """

    Config = PolicyUCBConfig
    config: PolicyUCBConfig

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return plays and wins of every policy, the order in which they are first tried, and the present one."""
        k = self.lock
        count = k.leaves * k.actions ** (k.length + 1)
        check_bytes(24 * runs * count, f"the tables of {count} policies and {runs} runs")
        order = [self.streams.numpy("order").permutation(count) for _ in range(runs)]
        return super().tables(runs) | {
            "order": np.array(order, np.int64),
            "plays": np.zeros((runs, count), np.int64),
            "wins": np.zeros((runs, count)),
            "present": np.zeros(runs, np.int64),
        }

    def _plan(self, number: int) -> np.ndarray:
        k = self.lock
        digits = []
        for _ in range(k.length + 1):
            number, digit = divmod(number, k.actions)
            digits.append(digit)
        return np.array([number % k.leaves, *digits, 0], np.int64)

    def best_plan(self, run: int) -> np.ndarray:
        """Return the policy with the best mean."""
        p = self.policy
        return self._plan(int((p.wins[run] / np.maximum(p.plays[run], 1)).argmax()))

    def make_plan(self, run: int) -> np.ndarray:
        """Play the policy with the largest index (1)."""
        p = self.policy
        tried = int(p.plays[run].sum())
        if tried < p.plays.shape[1]:
            number = int(np.clip(p.order[run, tried], 0, p.plays.shape[1] - 1))
        else:
            plays = np.maximum(p.plays[run], 1)
            index = p.wins[run] / plays + np.sqrt(self.config.confidence * np.log(tried) / plays)
            number = int(index.argmax())
        p.present[run] = number
        return self._plan(number)

    def learn_run(self, run: int, shown: np.ndarray, plan: np.ndarray, reward: float) -> None:
        """Count the win."""
        p = self.policy
        at = int(np.clip(p.present[run], 0, p.plays.shape[1] - 1))
        p.plays[run, at] += 1
        p.wins[run, at] += reward

    def metrics(self) -> dict[str, float]:
        """Report the share of policies that were tried."""
        return {"learner/tried": float((self.policy.plays > 0).mean())}
