"""CollisionETC: find arm and code of a revealing lock by uniformity tests, then commit (paper 45)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.open_loop import OpenLoopAgent, OpenLoopConfig
from envzoo.agents.tabular.revealing import collision_statistic, probes_needed


@dataclass(frozen=True)
class CollisionETCConfig(OpenLoopConfig):
    """Hyperparameters of CollisionETC."""

    probes: int | None = None
    """Episodes for each candidate (n); None takes factor sqrt(N ln T) / (gap signal)^2."""
    factor: float = 8.0
    """Factor of the number of probes."""

    def __post_init__(self):
        super().__post_init__()
        require(self.probes is None or self.probes >= 1, f"probes is at least 1, got {self.probes}")
        require(self.factor > 0, f"factor is positive, got {self.factor}")


class CollisionETC(OpenLoopAgent):
    """Explore, then commit: probe arms, then one digit of the code after the other.

        Z = sum_j ((N_j - n / N)^2 - N_j) / (n / N)                                                     (1)

    Every candidate is probed n times behind what was found before, and the symbols that its probes show are counted.
    Wrong candidates show exactly uniform symbols, the right one is tilted in a direction that nobody knows, so that the
    test (1) of uniformity needs of the order of sqrt(N) / tilt^2 probes. The candidate with the largest Z is kept. A
    baseline for the lower bounds of Chen et al., arXiv 2302.01333, which have no algorithm.

    Metrics:
        rollout/return_mean: mean return of the episodes that ended.
        rollout/length_mean: their mean length.
        rollout/episodes: their number.
        learner/stage: mean number of stages that the runs have finished, of length + 1.
    """

    Config = CollisionETCConfig
    config: CollisionETCConfig

    def tables(self, runs: int) -> dict[str, np.ndarray]:
        """Return the stage and candidate of each run, its counts, and what it has found."""
        k, c = self.lock, self.config
        self.probes = c.probes or probes_needed(len(k.signs), k.gap * k.signal, c.num_episodes, c.factor)
        candidates = max(k.leaves * k.actions, k.actions)
        return super().tables(runs) | {
            "stage": np.zeros(runs, np.int64),
            "candidate": np.zeros(runs, np.int64),
            "done": np.zeros(runs, np.int64),
            "counts": np.zeros((runs, candidates, len(k.signs)), np.int64),
            "found": np.zeros((runs, k.length + 2), np.int64),  # leaf, arm, code
        }

    def _position(self, stage: int) -> int:
        return 2 + stage  # of the action after the candidate's last one

    def best_plan(self, run: int) -> np.ndarray:
        """Return what was found, and an action that opens."""
        return np.append(self.policy.found[run], 0)

    def make_plan(self, run: int) -> np.ndarray:
        """Probe the present candidate, or play what was found."""
        p, k = self.policy, self.lock
        stage, candidate = int(p.stage[run]), int(p.candidate[run])
        plan = self.best_plan(run)
        if stage > k.length:
            return plan
        if stage == 0:
            plan[0], plan[1] = divmod(candidate, k.actions)
        else:
            plan[1 + stage] = candidate
        if k.mode == "paid":
            plan[self._position(stage)] = k.actions
        return plan

    def learn_run(self, run: int, shown: np.ndarray, plan: np.ndarray, reward: float) -> None:
        """Count the symbol; after n probes of the last candidate, keep the best one."""
        p, k = self.policy, self.lock
        stage = int(p.stage[run])
        if not 0 <= stage <= k.length:
            return
        at = self._position(stage) + (1 if k.mode == "paid" else 0)
        symbol = k.symbol_after(int(shown[at])) if at < len(shown) else -1
        candidates = k.leaves * k.actions if stage == 0 else k.actions
        candidate = int(np.clip(p.candidate[run], 0, candidates - 1))
        if symbol >= 0:
            p.counts[run, candidate, symbol] += 1
        p.done[run] += 1
        if p.done[run] < self.probes:
            return
        p.done[run], p.candidate[run] = 0, candidate + 1
        if candidate + 1 == candidates:
            best = int(collision_statistic(p.counts[run, :candidates]).argmax())
            p.found[run, :2] = divmod(best, k.actions) if stage == 0 else p.found[run, :2]
            if stage > 0:
                p.found[run, 1 + stage] = best
            p.counts[run], p.candidate[run], p.stage[run] = 0, 0, stage + 1

    def metrics(self) -> dict[str, float]:
        """Report the stages."""
        return {"learner/stage": float(self.policy.stage.mean())}
