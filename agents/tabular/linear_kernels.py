"""Kernels of policy optimisation with linear action values: estimators, bonuses, and whole runs (paper 44).

A layered world has H layers of n states, A actions and features phi (H, n, A, d). One episode of an algorithm is
`make_policy`, a trajectory, and `learn_episode`; `play_run` does all of it for one seed, without the interpreter.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envzoo.agents.planners.tabular.ftrl import entropy_row, log_barrier_row
from envzoo.kernel.stream import uniform
from envzoo.tabular.sampling import draw_index


@njit(cache=True)
def make_policy(total, eta, barrier, pi):
    """Write the policy (H, n, A) of the leader for cumulative losses `total` (H, n, A)."""
    for h in range(total.shape[0]):
        for s in range(total.shape[1]):
            if barrier:
                log_barrier_row(total[h, s], eta, pi[h, s])
            else:
                entropy_row(total[h, s], eta, pi[h, s])


@njit(cache=True)
def visit_law(p, initial, pi, law):
    """Write the probabilities (H, n) of the states under a policy."""
    layers, states, actions = pi.shape
    law[:] = 0.0
    law[0] = initial
    for h in range(layers - 1):
        for s in range(states):
            for a in range(actions):
                mass = law[h, s] * pi[h, s, a]
                if mass > 0.0:
                    for t in range(states):
                        law[h + 1, t] += mass * p[h, s, a, t]


@njit(cache=True)
def layer_covariance(phi, law, pi, out):
    """Write E[phi phi^T] (d, d) of one layer: phi (n, A, d), law (n,), pi (n, A)."""
    out[:] = 0.0
    for s in range(phi.shape[0]):
        for a in range(phi.shape[1]):
            mass = law[s] * pi[s, a]
            if mass > 0.0:
                for i in range(out.shape[0]):
                    for j in range(out.shape[0]):
                        out[i, j] += mass * phi[s, a, i] * phi[s, a, j]


@njit(cache=True)
def inverse(matrix, out):
    """Write the inverse of a positive definite matrix (d, d) into out, by Gauss-Jordan without pivoting."""
    size = matrix.shape[0]
    work = matrix.copy()
    out[:] = 0.0
    for i in range(size):
        out[i, i] = 1.0
    for i in range(size):
        scale = 1.0 / work[i, i]
        for j in range(size):
            work[i, j] *= scale
            out[i, j] *= scale
        for k in range(size):
            if k != i:
                factor = work[k, i]
                if factor != 0.0:
                    for j in range(size):
                        work[k, j] -= factor * work[i, j]
                        out[k, j] -= factor * out[i, j]


@njit(cache=True)
def estimate_layer(phi, inverse_covariance, law, pi, state, action, to_go, left, reduced, out):
    """Write the estimated action values (n, A) of one layer.

    Plain: phi^T Sigma^+ phi(state, action) to_go. Reduced in magnitude, with x the factor before to_go and (x)_- its
    negative part: x to_go - left (x)_- + left E[(phi^T Sigma^+ phi(s', a'))_-].

    Args:
        phi: (n, A, d) features.
        inverse_covariance: (d, d) Sigma^+.
        law: (n,) probabilities of the states.
        pi: (n, A) policy.
        state: State visited.
        action: Action taken there.
        to_go: Loss from this layer on.
        left: Largest possible loss from this layer on.
        reduced: Whether to reduce the magnitude.
        out: (n, A), written.
    """
    states, actions, size = phi.shape
    direction = np.empty(size)
    for i in range(size):
        direction[i] = 0.0
        for j in range(size):
            direction[i] += inverse_covariance[i, j] * phi[state, action, j]
    for s in range(states):
        for a in range(actions):
            x = 0.0
            for i in range(size):
                x += phi[s, a, i] * direction[i]
            out[s, a] = x * to_go
            if reduced:
                out[s, a] -= left * min(x, 0.0)
    if reduced:
        for t in range(states):
            if law[t] <= 0.0:
                continue
            for b in range(actions):
                mass = left * law[t] * pi[t, b]
                if mass <= 0.0:
                    continue
                for i in range(size):
                    direction[i] = 0.0
                    for j in range(size):
                        direction[i] += inverse_covariance[i, j] * phi[t, b, j]
                for s in range(states):
                    for a in range(actions):
                        x = 0.0
                        for i in range(size):
                            x += phi[s, a, i] * direction[i]
                        out[s, a] += mass * min(x, 0.0)


@njit(cache=True)
def dilated_bonus(p, phi, inverses, pi, beta, bonus, dilated):
    """Write bonuses and dilated bonuses, (H, n, A) each.

    b = beta (||phi||^2 + E_{a' ~ pi} ||phi(s, a')||^2) in the norms of the inverse covariances (H, d, d), and
    B = b + (1 + 1 / H) E B(s', a').
    """
    layers, states, actions = pi.shape
    size = phi.shape[3]
    following = np.zeros(states)
    for h in range(layers - 1, -1, -1):
        now = np.zeros(states)
        for s in range(states):
            mean = 0.0
            for a in range(actions):
                square = 0.0
                for i in range(size):
                    row = 0.0
                    for j in range(size):
                        row += inverses[h, i, j] * phi[h, s, a, j]
                    square += phi[h, s, a, i] * row
                bonus[h, s, a] = square
                mean += pi[h, s, a] * square
            for a in range(actions):
                bonus[h, s, a] = beta * (bonus[h, s, a] + mean)
                after = 0.0
                if h < layers - 1:
                    for t in range(states):
                        after += p[h, s, a, t] * following[t]
                dilated[h, s, a] = bonus[h, s, a] + (1.0 + 1.0 / layers) * after
                now[s] += pi[h, s, a] * dilated[h, s, a]
        following = now


@njit(cache=True)
def learn_episode(p, phi, law, pi, inverses, visited, taken, losses, reduced, beta, total, estimate, bonus, dilated):
    """Add the estimates of one episode, less the dilated bonus, to the cumulative losses `total` (H, n, A).

    Returns:
        The smallest estimate.
    """
    layers = pi.shape[0]
    dilated_bonus(p, phi, inverses, pi, beta, bonus, dilated)
    to_go, least = 0.0, np.inf
    for h in range(layers - 1, -1, -1):
        to_go += losses[h]
        left = float(layers - h)
        estimate_layer(phi[h], inverses[h], law[h], pi[h], visited[h], taken[h], to_go, left, reduced, estimate[h])
        least = min(least, estimate[h].min())
    total += estimate - dilated
    return least


@njit(cache=True)
def exact_inverses(phi, law, pi, gamma, matrix, inverses):
    """Write the inverses (H, d, d) of gamma I + E[phi phi^T] of all layers."""
    for h in range(pi.shape[0]):
        layer_covariance(phi[h], law[h], pi[h], matrix)
        for i in range(matrix.shape[0]):
            matrix[i, i] += gamma
        inverse(matrix, inverses[h])


@njit(cache=True)
def expected_loss(p, initial, pi, loss):
    """Compute the expected loss of a policy (H, n, A) for mean losses (H, n, A)."""
    layers, states, actions = pi.shape
    following = np.zeros(states)
    for h in range(layers - 1, -1, -1):
        now = np.zeros(states)
        for s in range(states):
            for a in range(actions):
                value = loss[h, s, a]
                if h < layers - 1:
                    for t in range(states):
                        value += p[h, s, a, t] * following[t]
                now[s] += pi[h, s, a] * value
        following = now
    total = 0.0
    for s in range(states):
        total += initial[s] * following[s]
    return total


@njit(cache=True, nogil=True)
def play_run(p, phi, initial, loss, schedule, marks, eta, gamma, beta, barrier, reduced, streams, seed, regret, least):
    """Play K episodes with the random stream of one seed.

    Args:
        p: (H, n, A, n) transitions; those of the last layer are not used.
        phi: (H, n, A, d) features.
        initial: (n,) law of the first state.
        loss: (T, H, n, A) mean losses of the T tables; observed losses are Bernoulli.
        schedule: (K,) int64, the table of each episode.
        marks: (m,) int64, increasing numbers of episodes after which the expected loss so far is recorded.
        eta: Step size.
        gamma: Regularisation of the covariance.
        beta: Factor of the bonus.
        barrier: Log-barrier in place of entropy.
        reduced: Magnitude-reduced estimates.
        streams: (seeds, 2) uint64 random streams.
        seed: The row of `streams` to use, and the row to write.
        regret: (seeds, m), written: expected losses of the policies up to the marks.
        least: (seeds,), written: the smallest estimate seen.
    """
    layers, states, actions, size = phi.shape
    total, pi = np.zeros((layers, states, actions)), np.empty((layers, states, actions))
    law, matrix, inverses = np.empty((layers, states)), np.empty((size, size)), np.empty((layers, size, size))
    estimate, bonus, dilated = np.empty_like(pi), np.empty_like(pi), np.empty_like(pi)
    visited, taken, seen = np.empty(layers, np.int64), np.empty(layers, np.int64), np.empty(layers)
    spent, mark, lowest = 0.0, 0, np.inf
    for k in range(schedule.size):
        now = loss[schedule[k]]
        make_policy(total, eta, barrier, pi)
        spent += expected_loss(p, initial, pi, now)
        state = draw_index(initial, streams, seed)
        for h in range(layers):
            action = draw_index(pi[h, state], streams, seed)
            visited[h], taken[h] = state, action
            seen[h] = 1.0 if uniform(streams, seed) < now[h, state, action] else 0.0
            if h < layers - 1:
                state = draw_index(p[h, state, action], streams, seed)
        visit_law(p, initial, pi, law)
        exact_inverses(phi, law, pi, gamma, matrix, inverses)
        found = learn_episode(
            p, phi, law, pi, inverses, visited, taken, seen, reduced, beta, total, estimate, bonus, dilated
        )
        lowest = min(lowest, found)
        if mark < marks.size and k + 1 == marks[mark]:
            regret[seed, mark] = spent
            mark += 1
    least[seed] = lowest
