"""CombUCB1: blocks of pulls planned by upper confidence bounds from the present states (Laforgue et al.)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from envzoo.agents.bandits.learning import BanditLearner, BanditLearnerConfig
from envzoo.agents.spec import require
from envzoo.bandits.kernels import after_pull, after_rest
from envzoo.bandits.model import BanditModel
from envzoo.errors import UnsupportedSpaceError
from envzoo.sizes import check_bytes


@dataclass(frozen=True)
class CombUCB1Config(BanditLearnerConfig):
    """Hyperparameters of CombUCB1 and ISICombUCB1."""

    block: int | None = None
    """Rounds per block (d); None for the number of positive states (ISICombUCB1: one more, as in the paper's code)."""
    confidence: float = 1.5
    """Factor c of the bonus sqrt(c log t / n)."""
    beam: int = 64
    """Beam width of the search for the best block; exact if at least arms^(d - 1)."""

    def __post_init__(self):
        super().__post_init__()
        require(self.block is None or self.block >= 1, f"block is at least 1, got {self.block}")
        require(self.confidence > 0, f"confidence is positive, got {self.confidence}")
        require(self.beam >= 1, f"beam is at least 1, got {self.beam}")


@njit(cache=True)
def plan_block(index, satiation, columns, blind, beam, block):
    """Write to `block` (d,) the arms, one pull per round, with the largest sum of indices.

    Args:
        index: (K, S) float64.
        satiation: Number of negative states.
        columns: (K,) int64 initial columns.
        blind: Whether to ignore the initial states: the first pull of an arm has value 0 and puts it in state -1.
        beam: Number of prefixes kept.
        block: Result.
    """
    arms, states = index.shape
    length = block.size
    state, value = np.empty((beam, arms), np.int64), np.zeros(beam)
    seen, plan = np.zeros((beam, arms), np.bool_), np.zeros((beam, length), np.int64)
    next_state, next_seen, next_plan = state.copy(), seen.copy(), plan.copy()
    total = np.empty(beam * arms)
    state[0] = columns
    size = 1
    for t in range(length):
        for b in range(size):
            for arm in range(arms):
                gain = 0.0 if blind and not seen[b, arm] else index[arm, state[b, arm]]
                total[b * arms + arm] = value[b] + gain
        order = np.argsort(-total[: size * arms], kind="mergesort")
        kept = min(beam, size * arms)
        for new in range(kept):
            b, pulled = order[new] // arms, order[new] % arms
            next_plan[new, :t] = plan[b, :t]
            next_plan[new, t] = pulled
            next_seen[new] = seen[b]
            next_seen[new, pulled] = True
            for arm in range(arms):
                next_state[new, arm] = after_rest(state[b, arm], satiation, states)
            first = blind and not seen[b, pulled]
            next_state[new, pulled] = satiation - 1 if first else after_pull(state[b, pulled], satiation)
        for new in range(kept):
            value[new] = total[order[new]]
        state, next_state = next_state, state
        seen, next_seen = next_seen, seen
        plan, next_plan = next_plan, plan
        size = kept
    block[:] = plan[0]


@njit(cache=True)
def next_pulls(counts, sums, rounds, confidence, satiation, blind, beam, columns, run_of, block, position, pulls):
    """Choose the next pull of every row, and plan a new block where the last one has ended.

    Args:
        counts: (R, K, S) int64 counts.
        sums: (R, K, S) sums of the payoffs.
        rounds: (R,) int64 rounds played.
        confidence: c of the bonus.
        satiation: Number of negative states.
        blind: See `plan_block`.
        beam: See `plan_block`.
        columns: (B, K) int64.
        run_of: (B,) int64, the run whose statistics a row uses.
        block: (B, d) int64.
        position: (B,) int64, the next round of the block; d when it has ended.
        pulls: (B, K) bool, written.
    """
    arms, states = counts.shape[1:]
    length = block.shape[1]
    index = np.empty((arms, states))
    # Index of states without samples in the paper's code.
    unseen = length * math.sqrt(confidence * math.log(arms * length)) if arms * length > 1 else 1.0
    for row in range(columns.shape[0]):
        if position[row] >= length:
            run = run_of[row]
            log_t = math.log(max(rounds[run], 1))
            for arm in range(arms):
                for s in range(states):
                    n = counts[run, arm, s]
                    index[arm, s] = sums[run, arm, s] / n + math.sqrt(confidence * log_t / n) if n > 0 else unseen
            plan_block(index, satiation, columns[row], blind, beam, block[row])
            position[row] = 0
        pulls[row] = False
        pulls[row, block[row, position[row]]] = True
        position[row] += 1


class CombUCB1(BanditLearner):
    """Combinatorial UCB: every block of d rounds maximises the sum of upper confidence bounds of its pulls.

        max over blocks (i_1, ..., i_d) of  sum_h (mean_{i_h}(s_h) + sqrt(c log t / n_{i_h}(s_h)))

    The block starts from the arms' present states. Laforgue et al. plan a block by d K linear programs; here a beam
    search is used, which is exact for small blocks. Rounds after the block do not count, so arms are not rested for
    later blocks, and the learner converges to the best of such short-sighted plans. Source: Laforgue et al., CombUCB1.

    Metrics:
        learner/expected_return: mean over runs of the sum of the mean payoffs of all pulls so far.
        learner/average_reward: the same, per round.
        learner/recent_reward: the same, per round of the last iteration.
    """

    Config = CombUCB1Config
    config: CombUCB1Config
    blind = False  # whether blocks ignore the states in which they start

    def plan(self, model: BanditModel) -> None:
        """Check that the bandit has one pull per round."""
        if model.pulls_per_round > 1:
            raise UnsupportedSpaceError(
                f"{self.spec.name} plans one pull per round, but the bandit has {model.pulls_per_round}; "
                "LSDUCB and LSDExploreCommit take several"
            )

    def block_length(self) -> int:
        """Return d."""
        return self.config.block or self.model.deprivation

    def arrays(self, sizes: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Return the block of every run and the position in it."""
        length = self.block_length()
        check_bytes(8 * sizes[0] * length, f"blocks of {length} rounds of {sizes[0]} learners")
        return {"block": np.zeros((sizes[0], length), np.int64), "position": np.full(sizes[0], length)}

    def act(self, pulls: np.ndarray) -> None:
        """Choose the next pull of the block, and start a new block when it or an episode has ended."""
        p = self.policy
        p.position[self.runs.start] = p.block.shape[1]
        self._next(self.runs.columns, np.arange(self.num_runs), p.block, p.position, pulls)

    def choose(self, columns: np.ndarray, memory: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Choose pulls as in learning, with fixed statistics."""
        rows, length = len(columns), self.block_length()
        block = memory.setdefault("block", np.zeros((rows, length), np.int64))
        position = memory.setdefault("position", np.full(rows, length))
        position[start] = length
        pulls = np.zeros(columns.shape, bool)
        self._next(columns, np.arange(rows) % self.num_runs, block, position, pulls)
        return pulls

    def _next(self, columns: np.ndarray, run_of: np.ndarray, *plan: Any) -> None:
        c, p = self.config, self.policy
        options = (c.confidence, self.model.satiation, self.blind, c.beam)
        next_pulls(p.counts, p.sums, self.runs.rounds, *options, columns, run_of, *plan)
