"""PSDP: policy search by dynamic programming, from resets to a covering law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.class_agent import PolicyClassAgent, PolicyClassConfig
from envzoo.wrappers.access import VectorMuResetAccess


@dataclass(frozen=True)
class PSDPConfig(PolicyClassConfig):
    """Hyperparameters of PSDP."""

    episodes_per_layer: int = 2_000
    """Episodes that begin in each layer (n)."""

    def __post_init__(self):
        super().__post_init__()
        require(self.episodes_per_layer >= 1, f"episodes_per_layer is at least 1, got {self.episodes_per_layer}")


class PSDP(PolicyClassAgent):
    """Policy search by dynamic programming: choose a policy of the class for each layer, the last layer first.

        pi_h = argmax over pi of (A / n) sum over n episodes of 1[pi(s) = a] R                                 (1)

    An episode begins in a state s drawn from the covering law of layer h, takes a uniform action a and then the
    policies found for the later layers; R is its return. The result plays pi_h in layer h. It finds a policy as good as
    the best of the class only if the class is complete: where its members cannot be combined, as in `PSDPTrap`, it
    fails with any number of episodes. Source: Bagnell et al., "Policy search by dynamic programming" (2003). Needs
    resets to a covering law (`MuResetAccess`).

    Metrics:
        rollout/return_mean: mean return of the episodes, from the layer in which they begin.
        rollout/episodes: their number.
        learner/layers: number of layers that have a policy.
    """

    Config = PSDPConfig
    config: PSDPConfig

    def wrap(self, env: Any) -> Any:
        """Allow resets to layers."""
        return VectorMuResetAccess(env, self.problem.cover)

    def tables(self) -> dict[str, Any]:
        """Return the policies found, and the sums of the present layer."""
        return {
            "kept": np.zeros(self.horizon, np.int64),
            "scores": np.zeros(self.size),
            "episodes": 0,
            "layers": 0,  # that have a policy, the last ones
        }

    def act_in(self, states: np.ndarray, deterministic: bool) -> np.ndarray:
        """Follow in each layer the policy found for it; where none has been, the first of the class."""
        kept = np.clip(self.policy.kept, 0, self.size - 1)
        return self.table[kept[self.problem.layer[states]], states].astype(np.int64)

    def iterate(self) -> dict[str, float]:
        """Play a batch of episodes from the present layer; after the last one, choose its policy."""
        p, c = self.policy, self.config
        layer = self.horizon - 1 - p.layers
        if not 0 <= layer < self.horizon:
            self.num_timesteps = max(self.num_timesteps, self.target_timesteps)
            return {"learner/layers": float(p.layers)}
        uniform = self.streams.numpy("actions").integers(self.actions, size=self.num_envs)

        def choose(states: np.ndarray, step: int) -> np.ndarray:
            return uniform if step == 0 else self.act_in(states, True)

        rolled = self.roll(choose, {"layer": layer}, np.full(self.num_envs, layer))
        count = min(self.num_envs, c.episodes_per_layer - p.episodes)
        returns = rolled.rewards.sum(axis=1)[:count]
        agrees = self.table[:, rolled.states[:count, layer]] == rolled.actions[:count, layer]
        p.scores += self.actions * (agrees * returns).sum(axis=1)
        p.episodes += count
        if p.episodes >= c.episodes_per_layer:
            p.kept[layer] = int(p.scores.argmax())
            p.scores[:], p.episodes = 0.0, 0
            p.layers += 1
        return self.pop_metrics() | {"learner/layers": float(p.layers)}
