"""PolicyEmulator: a small world on which all policies of a class have nearly the same values as on the true one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.class_agent import PolicyClassAgent, PolicyClassConfig
from envzoo.sizes import check_bytes
from envzoo.wrappers.access import VectorHybridAccess


@dataclass(frozen=True)
class PolicyEmulatorConfig(PolicyClassConfig):
    """Hyperparameters of PolicyEmulator."""

    observations: int = 20
    """Observations of each layer that become states of the emulator (n)."""
    successors: int = 8
    """Transitions drawn for each of them and each action (m)."""
    rollouts: int = 8
    """Episodes for each value by which an observation is matched."""
    tests: int = 4
    """Continuations whose values are compared: the best one on the emulator, and random policies."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("observations", "successors", "rollouts", "tests"):
            require(getattr(self, name) >= 1, f"{name} is at least 1, got {getattr(self, name)}")


class PolicyEmulator(PolicyClassAgent):
    """Build a small world from observations, and choose the policy that is best on it (experimental).

        q(x, a; c) = mean return of action a in x, followed by the policy c                                    (1)
        x' is taken for argmin over j of max over c of mean over pi of |q(x', pi(x'); c) - q_j(pi(x_j); c)|    (2)

    Layer by layer, the last one first, observations drawn from the covering law become states of the emulator. From
    each of them every action is tried by local resets, and what it led to is replaced by the state x_j of the next
    layer on which the policies of the class, with c after their first action, have the nearest values (2); q_j is
    computed on the emulator. Equal values of all actions would not suffice, because a policy may act well in one of two
    such states and badly in the other. Then all policies of the class are evaluated on the emulator exactly. The idea,
    that matching values of policies suffices and states need not be decoded, is that of Krishnamurthy, Li and Sekhari,
    arXiv 2504.05405, of which this is a simplified form without its guarantees. Needs a local simulator and resets to a
    covering law (`HybridAccess`).

    Metrics:
        rollout/return_mean: mean return of the episodes from which observations were matched.
        rollout/episodes: their number.
        learner/layers: number of layers of the emulator.
    """

    Config = PolicyEmulatorConfig
    config: PolicyEmulatorConfig

    def wrap(self, env: Any) -> Any:
        """Allow resets to observed states and to layers."""
        return VectorHybridAccess(env, self.problem.cover)

    def tables(self) -> dict[str, Any]:
        """Return the emulator, and the values of the class on it."""
        c, pairs = self.config, (self.horizon, self.config.observations, self.actions)
        queries = c.observations * self.actions * max(c.successors, 1) * self.actions * c.tests * c.rollouts
        size = pairs[0] * pairs[1] * pairs[2] * pairs[1] + self.size * pairs[1] * (self.horizon + 1) + 8 * queries
        matched = c.observations * self.actions * c.successors * self.actions
        size += matched * (3 * c.observations * self.actions + self.size)
        check_bytes(8 * size, f"an emulator of {c.observations} observations for {self.size} policies")
        return {
            "observations": np.zeros(pairs[:2], np.int64),
            "rewards": np.zeros(pairs),
            "moves": np.zeros((*pairs, c.observations)),
            "values": np.zeros((self.horizon + 1, self.size, c.observations)),  # of the class, from each layer
            "estimates": np.zeros(self.size),
            "layers": 0,  # of the emulator, the last ones
            "finished": False,
        }

    def act_in(self, states: np.ndarray, deterministic: bool) -> np.ndarray:
        """Follow the best policy on the emulator."""
        return self.table[int(self.policy.estimates.argmax()), states].astype(np.int64)

    def iterate(self) -> dict[str, float]:
        """Add a layer to the emulator; after the first layer, match the start."""
        p = self.policy
        layer = self.horizon - 1 - p.layers
        if 0 <= layer < self.horizon and not p.finished:
            self._add_layer(layer)
            p.layers += 1
            if layer == 0:
                count = self.config.observations
                starts = np.concatenate([self.begin() for _ in range(-(-count // self.num_envs))])[:count]
                p.estimates[:] = p.values[0][:, self._match(starts, 0)].mean(axis=1)
                p.finished = True
        else:
            self.num_timesteps = max(self.num_timesteps, self.target_timesteps)
        return self.pop_metrics() | {"learner/layers": float(p.layers)}

    def _add_layer(self, h: int) -> None:
        """Draw the observations of a layer, try every action, and evaluate the class from this layer on."""
        p, c = self.policy, self.config
        batches = -(-c.observations // self.num_envs)
        drawn = np.concatenate([self.begin({"layer": h}) for _ in range(batches)])[: c.observations]
        p.observations[h] = drawn
        index = np.repeat(np.arange(c.observations * self.actions), c.successors)
        i, a = np.divmod(index, self.actions)
        following, reward, done = self.sample(drawn[i], a)
        shape = (c.observations, self.actions)
        p.rewards[h] = np.bincount(index, reward, c.observations * self.actions).reshape(shape) / c.successors
        p.moves[h] = 0.0
        if h + 1 < self.horizon:
            on = np.flatnonzero(~done)
            distinct, back = np.unique(following[on], return_inverse=True)
            if len(distinct):
                matched = self._match(distinct, h + 1)[back]
                np.add.at(p.moves[h], (i[on], a[on], matched), 1 / c.successors)
        q = p.rewards[h] + np.einsum("iaj,nj->nia", p.moves[h], p.values[h + 1])
        chosen = self.table[:, drawn].astype(np.int64)
        p.values[h] = np.take_along_axis(q, chosen[..., None], axis=2)[..., 0]

    def _match(self, states: np.ndarray, h: int) -> np.ndarray:
        """Return for states (m,) of layer h the emulator states that (2) takes them for."""
        p, c = self.policy, self.config
        following = p.values[h + 1]  # (N, n)
        best = int(following.mean(axis=1).argmax())
        others = self.streams.numpy("tests").integers(self.size, size=c.tests - 1)
        tests = np.append(best, others)
        known = p.rewards[h] + np.einsum("iaj,cj->cia", p.moves[h], following[tests])  # (C, n, A)
        grid = np.meshgrid(np.arange(len(states)), np.arange(c.tests), np.arange(self.actions), indexing="ij")
        s, test, a = (np.repeat(axis.ravel(), c.rollouts) for axis in grid)
        returns = self._returns(states[s], a, tests[test], h)
        shape = (len(states), c.tests, self.actions, c.rollouts)
        found = returns.reshape(shape).mean(axis=-1)  # (m, C, A)
        share = self._shares(states, p.observations[h])
        distance = np.zeros((len(states), c.observations))
        for at in range(c.tests):
            gaps = np.abs(found[:, at, :, None, None] - known[at][None, None])  # (m, A, n, A)
            distance = np.maximum(distance, (share * gaps).sum(axis=(1, 3)))
        return distance.argmin(axis=1)

    def _shares(self, states: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Compute the share of policies that take a in one state and b in the other, (m, A, n, A)."""
        actions = np.eye(self.actions)
        one, two = (actions[self.table[:, part].astype(np.int64)].reshape(self.size, -1) for part in (states, others))
        return (one.T @ two / self.size).reshape(len(states), self.actions, len(others), self.actions)

    def _returns(self, states: np.ndarray, actions: np.ndarray, policies: np.ndarray, h: int) -> np.ndarray:
        """Play an episode from each state (m,) of layer h: an action first, then a policy; returns the returns (m,)."""
        found = np.empty(len(states))
        for low in range(0, len(states), self.num_envs):
            part = np.arange(low, min(low + self.num_envs, len(states)))
            rows = np.resize(part, self.num_envs)

            def choose(now: np.ndarray, step: int, rows: np.ndarray = rows) -> np.ndarray:
                return actions[rows] if step == 0 else self.table[policies[rows], now].astype(np.int64)

            rolled = self.roll(choose, {"state": states[rows] + self._first}, np.full(self.num_envs, h))
            found[part] = rolled.rewards.sum(axis=1)[: len(part)]
        return found
