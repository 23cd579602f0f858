"""POPLER: policy optimisation by learning eps-reachable states, online, for classes with a sunflower (paper 36)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.spec import require
from envzoo.agents.tabular.class_agent import PolicyClassAgent, PolicyClassConfig
from envzoo.agents.tabular.class_values import Episodes, core_prefixes, reward_processes
from envzoo.sizes import check_bytes
from envzoo.tabular.policy_class import PolicyProblem
from envzoo.wrappers.access import VectorOnlineAccess


@dataclass(frozen=True)
class POPLERConfig(PolicyClassConfig):
    """Hyperparameters of POPLER."""

    top_episodes: int = 2_000
    """Episodes of core policies from the start (n1)."""
    petal_episodes: int = 2_000
    """Episodes of core policies from each special state (n2)."""
    eps: float = 0.1
    """Accuracy (eps): petals that some policy reaches with an estimated probability of eps / (6 D) become special."""

    def __post_init__(self):
        super().__post_init__()
        require(self.top_episodes >= 1, f"top_episodes is at least 1, got {self.top_episodes}")
        require(self.petal_episodes >= 1, f"petal_episodes is at least 1, got {self.petal_episodes}")
        require(0 < self.eps < float("inf"), f"eps is positive, got {self.eps}")


class SpecialEpisodes:
    """Episodes by the special state in which they begin; S stands for the top, the start of all episodes."""

    def __init__(self, states: int, actions: int, horizon: int):
        self.states, self.actions, self.horizon = states, actions, horizon
        self.node = np.zeros(0, np.int64)
        empty = np.zeros((0, horizon))
        ends = np.zeros(0, np.int64)
        self.episodes = Episodes(empty.astype(np.int32), empty.astype(np.int16), empty, ends, ends)

    def count(self, node: int) -> int:
        """Return the number of episodes that begin in a special state."""
        return int((self.node == node).sum())

    def add(self, node: int, new: Episodes, most: int) -> None:
        """Add the first `most` episodes, which begin in `node`."""
        self.node = np.append(self.node, np.full(min(len(new.end), most), node))
        self.episodes = Episodes(
            *(np.concatenate([old, more[:most]]) for old, more in zip(self.episodes, new, strict=True))
        )

    def sorted(self) -> tuple[Episodes, np.ndarray]:
        """Return the episodes sorted by special state, and the rows (S + 2,) in which those of each begin."""
        order = np.argsort(self.node, kind="stable")
        begin = np.searchsorted(self.node[order], np.arange(self.states + 2))
        return Episodes(*(array[order] for array in self.episodes)), begin

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all arrays."""
        return {"node": self.node.copy(), **{name: array.copy() for name, array in self.episodes._asdict().items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the arrays.

        Raises:
            ValueError: They do not fit together, or numbers are out of range.
        """
        given = {name: np.array(state[name]) for name in ("node", *Episodes._fields)}
        rows = given["node"].shape[0] if given["node"].ndim == 1 else -1
        for name, present in (("node", self.node), *self.episodes._asdict().items()):
            array = given[name]
            if array.dtype != present.dtype or array.shape != (rows, *present.shape[1:]):
                raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
        largest = {"node": self.states + 1, "states": self.states, "actions": self.actions, "end": self.horizon + 1}
        for name, bound in largest.items():
            if not ((given[name] >= 0) & (given[name] < bound)).all():
                raise ValueError(f"{name} is out of range")
        if not ((given["first"] >= 0) & (given["first"] <= given["end"])).all():
            raise ValueError("first is out of range")
        if not np.isfinite(given["rewards"]).all():
            raise ValueError("rewards are not finite")
        self.node = given.pop("node")
        self.episodes = Episodes(**given)


def solve_processes(problem: PolicyProblem, data: SpecialEpisodes) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the values (N,) of all policies and the probabilities (N, D) to come to their petals."""
    table, core = problem.table(), problem.core.act(np.arange(len(problem.layer)))
    episodes, begin = data.sorted()
    known = begin[1 : data.states + 1] > begin[: data.states]
    count = core_prefixes(core, episodes.states, episodes.actions, episodes.first, episodes.end)
    values, reach = np.empty(len(table)), np.empty(problem.petals.shape)
    reward_processes(table, problem.petals, problem.layer, known, *episodes, count, len(core), begin, values, reach)
    return values, reach


class POPLER(PolicyClassAgent):
    """Policy optimisation by learning eps-reachable states: find the best policy of a class online.

        P(s -> s') = K / |D_s| sum over D_s of 1[pi agrees from s to s'] / (number of core policies that agree)  (1)

    The value of a policy is that of a Markov reward process over the top, its petals and the bottom, with the
    transitions (1) and the rewards of segments estimated alike; 0 / 0 counts as 0. Episodes of core policies from the
    top give the first estimates. A petal that some policy reaches with an estimated probability of at least eps / (6 D)
    becomes special: that policy is played until it comes there, and then a core policy. It ends when no petal is added.
    Rebuilt from Jia et al., arXiv 2310.06113; the class must have a sunflower (`PolicyProblem.core`, `petals`).

    Metrics:
        rollout/return_mean: mean return of the episodes.
        rollout/episodes: their number.
        learner/special_states: number of special states.
        learner/best_value: estimated value of the best policy.
    """

    Config = POPLERConfig
    config: POPLERConfig
    needs_core = True

    def wrap(self, env: Any) -> Any:
        """Allow episodes from the start only."""
        return VectorOnlineAccess(env)

    def tables(self) -> dict[str, Any]:
        """Return the state of the search, and make room for episodes."""
        c = self.config
        rows = c.top_episodes + c.petal_episodes * self.states
        check_bytes(rows * self.horizon * 14, f"{rows} episodes of {self.horizon} steps", later=True)
        check_bytes(8 * self.problem.petals.size, f"the petals of {self.size} policies")
        self.data = self.register("data", SpecialEpisodes(self.states, self.actions, self.horizon))
        self.core = self.problem.core.act(np.arange(self.states)).astype(np.int64)
        return {
            "values": np.zeros(self.size),
            "petal": -1,  # whose episodes are being collected
            "guide": 0,  # the policy that leads there
            "misses": 0,
            "finished": False,
        }

    def act_in(self, states: np.ndarray, deterministic: bool) -> np.ndarray:
        """Follow the policy with the largest estimated value."""
        return self.table[int(self.policy.values.argmax()), states].astype(np.int64)

    def iterate(self) -> dict[str, float]:
        """Collect a batch of episodes; estimate anew where a special state has all of its episodes."""
        p, c = self.policy, self.config
        top = self.states
        if p.finished:
            self.num_timesteps = max(self.num_timesteps, self.target_timesteps)
        elif self.data.count(top) < c.top_episodes:
            core = self._draw_core()
            rolled = self.roll(lambda states, step: self.core[core, states])
            self.data.add(top, rolled, c.top_episodes - self.data.count(top))
            if self.data.count(top) == c.top_episodes:
                self._search()
        else:
            self._visit()
        return self.pop_metrics() | {
            "learner/special_states": float(len(np.unique(self.data.node[self.data.node < top]))),
            "learner/best_value": float(p.values.max()),
        }

    def _draw_core(self) -> np.ndarray:
        return self.streams.numpy("core").integers(len(self.core), size=self.num_envs)

    def _visit(self) -> None:
        """Play the guide until it comes to the petal, and then a core policy; keep what follows the petal."""
        p, c = self.policy, self.config
        petal = int(np.clip(p.petal, 0, self.states - 1))
        guide, core = self.table[int(np.clip(p.guide, 0, self.size - 1))], self._draw_core()
        arrived = np.zeros(self.num_envs, np.bool_)

        def choose(states: np.ndarray, step: int) -> np.ndarray:
            np.logical_or(arrived, states == petal, out=arrived)
            return np.where(arrived, self.core[core, states], guide[states])

        rolled = self.roll(choose)
        hits = np.flatnonzero(arrived)
        layer = int(self.problem.layer[petal])
        kept = Episodes(*(array[hits] for array in rolled))._replace(first=np.full(len(hits), layer))
        self.data.add(petal, kept, c.petal_episodes - self.data.count(petal))
        p.misses += self.num_envs - len(hits)
        # An estimate by chance must not hold up the search for ever: twice the misses to expect at the threshold.
        limit = 12 * self.problem.petals.shape[1] * c.petal_episodes / c.eps
        if self.data.count(petal) == c.petal_episodes or p.misses > limit:
            self._search()

    def _search(self) -> None:
        """Estimate all values, and choose the next special state, that of the largest probability."""
        p = self.policy
        p.values[:], reach = solve_processes(self.problem, self.data)
        visited = np.append(np.isin(np.arange(self.states), self.data.node), True)  # the last for missing petals
        if 0 <= p.petal < self.states:
            visited[p.petal] = True
        reach = np.where(visited[self.problem.petals], 0.0, reach)
        best = int(reach.argmax()) if reach.size else 0
        if not reach.size or reach.flat[best] < self.config.eps / (6 * reach.shape[1]):
            p.finished = True
            return
        p.guide, column = divmod(best, reach.shape[1])
        p.petal, p.misses = int(self.problem.petals[p.guide, column]), 0
