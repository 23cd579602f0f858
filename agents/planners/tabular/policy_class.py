"""Exact quantities of policy classes in layered worlds: values, moments of estimates, spanning capacity, sunflowers."""

from __future__ import annotations

import itertools

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP
from envzoo.tabular.policy_class import PolicyProblem

MOST = 20_000_000  # places of policies in all worlds that the spanning capacity goes through


def layers_of(problem: PolicyProblem) -> list[np.ndarray]:
    """Return the states of each layer."""
    return [np.flatnonzero(problem.layer == h) for h in range(problem.horizon)]


def class_values(model: FiniteMDP, problem: PolicyProblem) -> np.ndarray:
    """Compute the values (N, S) of all policies of the class, backwards over the layers."""
    table = problem.table().astype(np.int64)
    values = np.zeros(table.shape)
    following = np.zeros((len(table), 0))
    after = np.zeros(0, np.int64)
    for states in reversed(layers_of(problem)):
        rewards, moves = model.r[states], model.p[states][:, :, after]
        q = rewards + np.einsum("sat,nt->nsa", moves, following)  # without BLAS: the same bits whatever the memory
        following = np.take_along_axis(q, table[:, states, None], axis=2)[..., 0]
        values[:, states], after = following, states
    return values


def start_values(model: FiniteMDP, problem: PolicyProblem) -> np.ndarray:
    """Compute the values (N,) of all policies from the initial law."""
    return class_values(model, problem) @ model.initial


def second_moments(model: FiniteMDP, problem: PolicyProblem, policy: np.ndarray) -> np.ndarray:
    """Compute the second moments of the return of one policy (S,), weighted by importance, for both samplers.

    One sampler takes uniform actions (weight A^H of a consistent trajectory), the other plays a uniform policy of the
    core of K policies (weight K over the number of core policies that are consistent).

    Returns:
        (uniform, core), E[w^2 1[trajectory is consistent] G^2]. Rewards must be known given state and action.

    Raises:
        EnvzooError: There is no core, it does not explain some trajectory of the policy, or rewards are random.
    """
    if problem.core is None:
        raise EnvzooError("the problem has no core; expected core policies that explore for the class")
    joint = model.joint
    if (np.abs(joint.reward - model.r[..., None]) * (joint.probability > 0)).max() > 1e-12:
        raise EnvzooError("rewards are random given state and action; expected mean rewards")
    size, core = len(problem.core), problem.core.act(np.arange(len(problem.layer)))
    agrees = core == policy
    # Forward over layers: for each state and set of core policies consistent so far, probability, mean and mean square
    # of the return until now.
    reached = {(int(s), (1 << size) - 1): np.array([p, 0.0, 0.0]) for s, p in enumerate(model.initial) if p > 0}
    ended = {}
    for _ in range(problem.horizon):
        following: dict[tuple[int, int], np.ndarray] = {}
        for (s, mask), (p, first, second) in reached.items():
            left = mask & sum(1 << k for k in range(size) if agrees[k, s])
            a = int(policy[s])
            r = model.r[s, a]
            moments = np.array([p, first + r * p, second + 2 * r * first + r * r * p])
            row = model.p[s, a]
            stays = 1 - row.sum()
            if stays > 1e-12:
                ended[left] = ended.get(left, 0.0) + stays * moments[2]
            for t in np.flatnonzero(row):
                key = (int(t), left)
                following[key] = following.get(key, 0.0) + row[t] * moments
        reached = following
    if ended.get(0, 0.0) > 0:
        raise EnvzooError("no policy of the core is consistent with some trajectory of the policy; expected a core")
    uniform = float(model.num_actions**problem.horizon) * sum(ended.values())
    # The core draws a trajectory with probability count / K times that of the policy; its weight is K / count.
    core_moment = sum(size / mask.bit_count() * second for mask, second in ended.items())
    return np.array([uniform, core_moment])


# ---------------------------------------------------------------------------- spanning capacity


def spanning_capacity(problem: PolicyProblem) -> np.ndarray:
    """Compute for each layer the spanning capacity of the class by trying all deterministic worlds.

    It is the largest number of pairs (state, action) of the layer that the policies of the class reach and take in a
    deterministic world with these layers, from the first state.

    Returns:
        (H,) int64; the spanning capacity of the class is the largest of them.

    Raises:
        EnvzooError: There are too many worlds to try.
    """
    table, layers = problem.table(), layers_of(problem)
    found = np.zeros(problem.horizon, np.int64)
    groupings = {(int(layers[0][0]),) * len(table)}
    policies = np.arange(len(table))
    for h, states in enumerate(layers):
        moved = set()
        for places in groupings:
            pairs = list(zip(places, table[policies, places].tolist(), strict=True))
            distinct = sorted(set(pairs))
            found[h] = max(found[h], len(distinct))
            if h + 1 == len(layers):
                continue
            index = {pair: k for k, pair in enumerate(distinct)}
            where = [index[pair] for pair in pairs]
            following = layers[h + 1].tolist()
            if (len(moved) + len(following) ** len(distinct)) * len(table) > MOST:
                raise EnvzooError(f"layer {h + 1} of {len(states)} states has too many worlds to try; expected fewer")
            for image in itertools.product(following, repeat=len(distinct)):
                moved.add(tuple(image[k] for k in where))
        groupings = moved
    return found


# ---------------------------------------------------------------------------- sunflowers


def find_violation(problem: PolicyProblem) -> tuple[int, int, int] | None:
    """Look for a segment that neither enters a petal of its policy nor is explained by the core.

    A segment of policy n from layer h to layer h' takes any state of each layer, and the policy's action there. It must
    enter one of the policy's petals after its first state, or be consistent with a policy of the core.

    Returns:
        The first violation (policy, h, h'), or None: core and petals are a sunflower of the class.
    """
    if problem.core is None:
        raise EnvzooError("the problem has no core; expected a core and petals")
    table, core = problem.table(), problem.core.act(np.arange(len(problem.layer)))
    layers = layers_of(problem)
    for n, policy in enumerate(table):
        agrees = core == policy  # (K, S)
        free = ~np.isin(np.arange(table.shape[1]), problem.petals[n])
        for first in range(problem.horizon):
            # Sets of core policies that are consistent with some segment from `first` to the present layer.
            sets = {(True,) * len(core)}
            for h in range(first, problem.horizon):
                states = layers[h] if h == first else layers[h][free[layers[h]]]
                columns = {tuple(agrees[:, s].tolist()) for s in states}
                sets = {
                    tuple(a and b for a, b in zip(left, column, strict=True)) for left in sets for column in columns
                }
                if any(not any(left) for left in sets):
                    return n, first, h
    return None


# ---------------------------------------------------------------------------- population versions of two methods


def exact_psdp(model: FiniteMDP, problem: PolicyProblem) -> tuple[np.ndarray, float]:
    """Run policy search by dynamic programming on the exact tables, as if it had infinitely many samples.

    For h = H .. 1 it keeps the policy of the class with the largest expected return from mu_h if the kept policies
    follow (the first of those that tie).

    Returns:
        The kept policies (H,), and the value of playing each at its layer.
    """
    table = problem.table().astype(np.int64)
    kept, following, after = np.zeros(problem.horizon, np.int64), np.zeros(0), np.zeros(0, np.int64)
    for h, states in reversed(list(enumerate(layers_of(problem)))):
        q = model.r[states] + model.p[states][:, :, after] @ following
        of_policies = np.take_along_axis(q[None], table[:, states, None], axis=2)[..., 0]
        scores = of_policies @ problem.cover[h, states]
        kept[h] = int((scores >= scores.max() - 1e-12).argmax())
        following, after = of_policies[kept[h]], states
    return kept, float(model.initial[after] @ following)


def exact_cpi(
    model: FiniteMDP, problem: PolicyProblem, *, eps: float = 0.01, rounds: int = 100_000
) -> tuple[np.ndarray, float]:
    """Run conservative policy iteration on the exact tables, from the policy that is uniform over actions.

    A round adds up over start layers l (with weight 1 / H) and later layers the advantage of every policy of the class
    under the states that the present policy comes to from mu_l, and mixes in the best one with weight advantage /
    (4 H), at most 1. It ends when no advantage reaches eps / 3.

    Returns:
        The policy (S, A), and its value.
    """
    table, layers, horizon = problem.table().astype(np.int64), layers_of(problem), problem.horizon
    pi = np.full(model.r.shape, 1 / model.num_actions)
    one_hot = np.eye(model.num_actions)[table]  # (N, S, A)
    for _ in range(rounds):
        q, v = np.zeros(model.r.shape), np.zeros(len(model.r))
        for states in reversed(layers):
            q[states] = model.r[states] + model.p[states] @ v
            v[states] = (pi[states] * q[states]).sum(axis=1)
        visits, where = np.zeros(len(v)), np.zeros(len(v))
        moves = np.einsum("sa,sat->st", pi, model.p)
        for h in range(horizon):
            where = where @ moves + problem.cover[h] / horizon
            visits += where
        advantage = np.einsum("nsa,sa->n", one_hot, visits[:, None] * (q - v[:, None]))
        best = int(advantage.argmax())
        if advantage[best] < eps / 3:
            break
        weight = min(1.0, advantage[best] / (4 * horizon))
        pi = (1 - weight) * pi + weight * one_hot[best]
    return pi, float(model.initial @ v)
