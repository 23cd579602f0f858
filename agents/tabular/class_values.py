"""Estimates of the values of all policies of a class from one set of episodes (paper 36)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.tabular.policy_class import PolicyClass, require_consistent


class Episodes(NamedTuple):
    """Episodes of at most H steps; steps after the end are 0.

    Attributes:
        states: (n, H) int32, the layer of a state being its column.
        actions: (n, H) int16.
        rewards: (n, H) float64.
        first: (n,) int64, the layer in which the episode begins.
        end: (n,) int64, one more than its last layer.
    """

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    first: np.ndarray
    end: np.ndarray


@njit(cache=True)
def _weighted_returns(table, states, actions, weight, values):
    """Write into values (N,) the sum of the weights (n,) of the trajectories with which each policy is consistent."""
    for n in range(table.shape[0]):
        total = 0.0
        for i in range(states.shape[0]):
            same = True
            for t in range(states.shape[1]):
                if table[n, states[i, t]] != actions[i, t]:
                    same = False
                    break
            if same:
                total += weight[i]
        values[n] = total


def importance_values(policies: PolicyClass, episodes: Episodes, weights: np.ndarray) -> np.ndarray:
    """Estimate the values (N,) of all policies: the mean of w_i 1[policy is consistent with trajectory i] G_i.

    The estimates are not clipped, so that they are unbiased.

    Args:
        policies: The class.
        episodes: n whole episodes of H steps.
        weights: (n,), 1 over the probability that the sampler takes the actions of a trajectory in its states: A^H for
            uniform actions, K / (number of consistent core policies) for a uniform policy of a core.
    """
    table = policies.act(np.arange(int(episodes.states.max()) + 1))
    values = np.empty(len(policies))
    returns = episodes.rewards.sum(axis=1) * weights
    _weighted_returns(table, episodes.states, episodes.actions, returns, values)
    return values / len(returns)


def uniform_values(policies: PolicyClass, episodes: Episodes, num_actions: int) -> np.ndarray:
    """Estimate the values (N,) of all policies from episodes of uniform actions, each with the weight A^H."""
    count, steps = episodes.states.shape
    return importance_values(policies, episodes, np.full(count, float(num_actions) ** steps))


def core_values(policies: PolicyClass, core: PolicyClass, episodes: Episodes) -> np.ndarray:
    """Estimate the values (N,) of all policies from episodes in each of which a uniform policy of the core acts.

    Raises:
        EnvzooError: No policy of the core is consistent with some trajectory, which the core then cannot have made.
    """
    counts = require_consistent(core, episodes.states, episodes.actions).sum(axis=0)
    return importance_values(policies, episodes, len(core) / counts)


# ---------------------------------------------------------------------------- POPLER's Markov reward processes


@njit(cache=True)
def core_prefixes(core, states, actions, first, end):
    """Count for each trajectory and layer t the core policies consistent from its first layer to t - 1, (n, H + 1)."""
    count = np.zeros((states.shape[0], states.shape[1] + 1), np.int64)
    for i in range(states.shape[0]):
        alive = np.ones(core.shape[0], np.bool_)
        count[i, first[i]] = core.shape[0]
        for t in range(first[i], end[i]):
            left = 0
            for k in range(core.shape[0]):
                if alive[k] and core[k, states[i, t]] != actions[i, t]:
                    alive[k] = False
                if alive[k]:
                    left += 1
            count[i, t + 1] = left
    return count


@njit(cache=True)
def _walk(policy, petals, stops, states, actions, rewards, first, end, count, size, top, low, high, moved):
    """Add up the segments of a policy from a special state, whose episodes are the rows low to high - 1.

    A segment ends in the first petal marked in `stops` (D,) after its first state, or with the episode; from the top it
    may end in the first state of the episode. Writes the estimated probabilities of the petals into moved (D,), and
    returns the estimated reward of a segment.
    """
    pays = 0.0
    moved[:] = 0.0
    for i in range(low, high):
        total, t, hit, same = 0.0, first[i], -1, True
        while t < end[i]:
            s = states[i, t]
            if top or t > first[i]:
                for j in range(petals.size):
                    if petals[j] == s and stops[j]:
                        hit = j
                if hit >= 0:
                    break
            if policy[s] != actions[i, t]:
                same = False
                break
            total += rewards[i, t]
            t += 1
        if same and count[i, t] > 0:
            weight = size / count[i, t]
            pays += weight * total
            if hit >= 0:
                moved[hit] += weight
    if high > low:
        pays /= high - low
        moved /= high - low
    return pays


@njit(cache=True)
def reward_processes(
    table, petals, order, known, states, actions, rewards, first, end, count, size, begin, values, reach
):
    """Solve the Markov reward process of every policy over the top, its known petals and the bottom.

    Args:
        table: (N, S) actions of the class.
        petals: (N, D) petals of each policy, -1 where it has fewer.
        order: (S,) the layer of each state.
        known: (S,) bool, the special states from which there are episodes.
        states, actions, rewards, first, end: Episodes, sorted by the special state in which they begin.
        count: (n, H + 1) from `core_prefixes`.
        size: Number of core policies, K.
        begin: (S + 2,) rows in which the episodes of each special state begin; those of the top come last, S.
        values: (N,), the estimated values are written here.
        reach: (N, D), the estimated probabilities to come to each petal are written here.
    """
    depth, top = petals.shape[1], table.shape[1]
    moved, stops, flow, aside = np.empty(depth), np.empty(depth, np.bool_), np.zeros(depth), np.empty(depth)
    for n in range(table.shape[0]):
        mine = petals[n]
        for j in range(depth):
            stops[j] = mine[j] >= 0 and known[mine[j]]
            flow[j] = 0.0
            reach[n, j] = 0.0
        # The known petals by layer, so that all that flows into one is known before it flows on.
        ranks = np.argsort(np.array([order[s] if s >= 0 else -1 for s in mine]))
        values[n] = 0.0
        for k in range(-1, depth):
            j = -1 if k < 0 else ranks[k]
            if k >= 0 and not stops[j]:
                continue
            source, amount = (top, 1.0) if k < 0 else (mine[j], flow[j])
            low, high = begin[source], begin[source + 1]
            row, is_top = table[n], k < 0
            pays = _walk(row, mine, stops, states, actions, rewards, first, end, count, size, is_top, low, high, moved)
            values[n] += amount * pays
            flow += amount * moved
            for other in range(depth):
                if mine[other] >= 0 and not stops[other]:
                    stops[other] = True
                    _walk(
                        table[n],
                        mine,
                        stops,
                        states,
                        actions,
                        rewards,
                        first,
                        end,
                        count,
                        size,
                        k < 0,
                        low,
                        high,
                        aside,
                    )
                    reach[n, other] += amount * aside[other]
                    stops[other] = False
        for j in range(depth):
            if stops[j]:
                reach[n, j] = flow[j]


# ---------------------------------------------------------------------------- trajectory trees


class TreeLevel(NamedTuple):
    """The nodes of a level of several random trees.

    Attributes:
        tree: (n,) the tree of each node.
        state: (n,) its state.
        place: (M, N) the node at which each policy is in each of the M trees, -1 where its episode has ended.
    """

    tree: np.ndarray
    state: np.ndarray
    place: np.ndarray


def first_level(states: np.ndarray, policies: int) -> TreeLevel:
    """Return the roots of M trees, whose states (M,) were drawn from the initial law."""
    trees = np.arange(len(states))
    return TreeLevel(trees, np.asarray(states, np.int64), np.repeat(trees[:, None], policies, axis=1))


def branches(level: TreeLevel, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the pairs (node, action) that some policy takes.

    Returns:
        Their nodes (m,) and actions (m,), and the pair (M, N) of each policy, -1 where its episode has ended.
    """
    most = int(table.max()) + 1
    alive = level.place >= 0
    states = level.state[np.where(alive, level.place, 0)] if len(level.state) else np.zeros_like(level.place)
    chosen = table[np.arange(len(table)), states]
    code = np.where(alive, level.place * most + chosen, -1)
    distinct, inverse = np.unique(code, return_inverse=True)
    inverse = inverse.reshape(code.shape)
    if len(distinct) and distinct[0] < 0:
        distinct, inverse = distinct[1:], inverse - 1
    return distinct // most, distinct % most, inverse


def next_level(level: TreeLevel, node: np.ndarray, pair: np.ndarray, state: np.ndarray, done: np.ndarray) -> TreeLevel:
    """Return the level below, after the pairs have led to states (m,) and some episodes have ended, bool (m,)."""
    number = np.where(done, -1, np.cumsum(~done) - 1)
    place = np.where(pair >= 0, np.append(number, -1)[pair], -1)
    return TreeLevel(level.tree[node][~done], np.asarray(state, np.int64)[~done], place)
