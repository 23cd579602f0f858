"""TrajectoryTree: evaluate all policies of a class on random trees drawn from a generative model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.class_agent import PolicyClassAgent, PolicyClassConfig
from envzoo.agents.tabular.class_values import branches, first_level, next_level
from envzoo.sizes import check_bytes
from envzoo.wrappers.access import VectorGenerativeAccess


@dataclass(frozen=True)
class TrajectoryTreeConfig(PolicyClassConfig):
    """Hyperparameters of TrajectoryTree."""

    trees_per_iteration: int = 8
    """Trees between two rows of metrics."""

    def __post_init__(self):
        super().__post_init__()
        require(self.trees_per_iteration >= 1, f"trees_per_iteration is at least 1, got {self.trees_per_iteration}")


class TrajectoryTree(PolicyClassAgent):
    """Reusable trajectories: all policies of a class are evaluated on the same random trees.

        V(pi) = mean over trees of the return of pi on the tree                                               (1)

    A tree draws one next state for every pair of node and action, but only for those that some policy takes, so that a
    layer has at most as many pairs as the spanning capacity of the class. Each tree is a deterministic world with the
    law of the true one, and (1) is unbiased for all policies at once. Source: Kearns, Mansour and Ng, "Approximate
    planning in large POMDPs via reusable trajectories" (1999); the sizes by spanning capacity are those of Jia et al.,
    arXiv 2310.06113. Needs access to a generative model (`GenerativeAccess`).

    Metrics:
        learner/trees: number of trees.
        learner/pairs_per_layer: mean number of pairs of node and action in a layer of a tree.
        learner/best_value: estimated value of the best policy.
    """

    Config = TrajectoryTreeConfig
    config: TrajectoryTreeConfig

    def wrap(self, env: Any) -> Any:
        """Allow resets to any state."""
        return VectorGenerativeAccess(env)

    def tables(self) -> dict[str, Any]:
        """Return the sums of returns, and the numbers of trees and pairs."""
        size = 8 * self.config.trees_per_iteration * self.size
        check_bytes(4 * size, f"{self.config.trees_per_iteration} trees for {self.size} policies")
        return {"returns": np.zeros(self.size), "trees": 0, "pairs": 0}

    @property
    def values(self) -> np.ndarray:
        """(N,) estimated values of all policies."""
        return self.policy.returns / max(self.policy.trees, 1)

    def act_in(self, states: np.ndarray, deterministic: bool) -> np.ndarray:
        """Follow the policy with the largest mean return."""
        return self.table[int(self.policy.returns.argmax()), states].astype(np.int64)

    def iterate(self) -> dict[str, float]:
        """Grow some trees, level by level."""
        p, count = self.policy, self.config.trees_per_iteration
        starts = np.concatenate([self.begin() for _ in range(-(-count // self.num_envs))])[:count]
        level = first_level(starts, self.size)
        for _ in range(self.horizon):
            node, action, pair = branches(level, self.table)
            if not len(node):
                break
            state, reward, done = self.sample(level.state[node], action)
            p.returns += np.where(pair >= 0, np.append(reward, 0.0)[pair], 0.0).sum(axis=0)
            p.pairs += len(node)
            level = next_level(level, node, pair, state, done)
        p.trees += count
        return {
            "learner/trees": float(p.trees),
            "learner/pairs_per_layer": p.pairs / (p.trees * self.horizon),
            "learner/best_value": float(self.values.max()),
        }
