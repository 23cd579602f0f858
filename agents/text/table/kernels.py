"""Numba kernels of `TokenTable`: distributions, sampling, gradients and exact measures, for a batch of S seeds.

Every kernel treats each seed by itself, in the same order of operations, so that a batch of seeds gives the same bits
as each seed alone.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from envzoo.kernel.stream import integer, normal, uniform

BETA_1, BETA_2, ADAM_EPS = 0.9, 0.999, 1e-8  # AdamW's, as in `envzoo.agents.optim`
NORM_EPS = 1e-6  # of gradient clipping


@njit(cache=True)
def initialize(streams, plausible, spread, bias, logits):
    """Draw logits (S, R, V): normal numbers, minus `bias` on tokens that are not plausible."""
    for s in range(logits.shape[0]):
        for r in range(logits.shape[1]):
            for v in range(logits.shape[2]):
                logits[s, r, v] = spread * normal(streams, s) - (0.0 if plausible[r, v] else bias)


@njit(cache=True)
def tabulate(logits, temperature, needed, log_probs, entropy):
    """Compute log-probabilities (S, R, V) and entropies (S, R) of softmax(logits / temperature) in the needed rows.

    `temperature` and `needed`, bool, are (S, R).
    """
    width = logits.shape[2]
    for s in range(logits.shape[0]):
        for r in range(logits.shape[1]):
            if not needed[s, r]:
                continue
            high = -np.inf
            for v in range(width):
                log_probs[s, r, v] = logits[s, r, v] / temperature[s, r]
                high = max(high, log_probs[s, r, v])
            total = 0.0
            for v in range(width):
                total += math.exp(log_probs[s, r, v] - high)
            total = math.log(total) + high
            found = 0.0
            for v in range(width):
                log_probs[s, r, v] -= total
                found -= math.exp(log_probs[s, r, v]) * log_probs[s, r, v]
            entropy[s, r] = found


@njit(cache=True)
def draw_prompts(streams, prompts, chosen):
    """Draw distinct prompts, chosen (S, Q), for each seed."""
    order = np.empty_like(prompts)
    for s in range(chosen.shape[0]):
        order[:] = prompts
        for q in range(chosen.shape[1]):
            j = q + integer(streams, s, prompts.size - q)
            order[q], order[j] = order[j], order[q]
            chosen[s, q] = order[q]


@njit(cache=True)
def write_answers(streams, prompts, copies, after, row, reward, log_probs, rows, tokens, mask, rewards):
    """Sample `copies` answers to each prompt (S, Q); fills rows, tokens, mask (S, B, T) and rewards (S, B)."""
    width = log_probs.shape[2]
    for s in range(prompts.shape[0]):
        for q in range(prompts.shape[1]):
            for g in range(copies):
                i, state = q * copies + g, prompts[s, q]
                for k in range(rows.shape[2]):
                    r = row[state]
                    if r < 0:
                        rows[s, i, k], tokens[s, i, k], mask[s, i, k] = 0, 0, 0.0
                        continue
                    u, token = uniform(streams, s), width - 1
                    for v in range(width):
                        u -= math.exp(log_probs[s, r, v])
                        if u < 0.0:
                            token = v
                            break
                    rows[s, i, k], tokens[s, i, k], mask[s, i, k] = r, token, 1.0
                    state = after[state, token]
                rewards[s, i] = reward[state]


@njit(cache=True)
def distinct_right(tokens, rewards, copies):
    """Count the distinct right answers per prompt, averaged over the prompts, (S,)."""
    result = np.zeros(tokens.shape[0])
    groups = tokens.shape[1] // copies
    for s in range(tokens.shape[0]):
        for q in range(groups):
            for g in range(copies):
                i = q * copies + g
                new = rewards[s, i] > 0.5
                for j in range(q * copies, i):
                    if not new:
                        break
                    if rewards[s, j] > 0.5:
                        same = True
                        for k in range(tokens.shape[2]):
                            same &= tokens[s, i, k] == tokens[s, j, k]
                        new = not same
                result[s] += new
        result[s] /= groups
    return result


@njit(cache=True)
def _accumulate(rows, tokens, slope, entropy_slope, log_probs, entropy, temperature, gradient):
    """Compute the gradient (R, V) with respect to one seed's logits of a loss with the given slopes (n, T)."""
    width = log_probs.shape[1]
    gradient[:] = 0.0
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            a, b = slope[i, k], entropy_slope[i, k]
            if a == 0.0 and b == 0.0:
                continue
            r = rows[i, k]
            for v in range(width):
                p = math.exp(log_probs[r, v])
                gradient[r, v] -= p * (a + b * (log_probs[r, v] + entropy[r])) / temperature
            gradient[r, tokens[i, k]] += a / temperature


@njit(cache=True)
def take_step(rows, tokens, slope, entropy_slope, log_probs, entropy, temperature, active, logits, first, second,
              steps, norms, limit, rate, decay, adamw):  # fmt: skip
    """Take a step of AdamW or gradient descent on the logits (S, R, V) of the active seeds.

    `slope` is the derivative of the loss by the log-probability of each token, `entropy_slope` that by the entropy of
    its distribution, (S, n, T); log_probs (S, R, V) and entropy (S, R) are those of the policy at the temperature.
    Fills norms (S,) with the norms of the gradients, which are limited to `limit` afterwards.
    """
    gradient = np.empty(logits.shape[1:])
    for s in range(logits.shape[0]):
        norms[s] = 0.0
        if not active[s]:
            continue
        _accumulate(rows[s], tokens[s], slope[s], entropy_slope[s], log_probs[s], entropy[s], temperature, gradient)
        for r in range(gradient.shape[0]):
            for v in range(gradient.shape[1]):
                norms[s] += gradient[r, v] * gradient[r, v]
        norms[s] = math.sqrt(norms[s])
        scale = min(1.0, limit / (norms[s] + NORM_EPS))
        steps[s] += 1
        correct_1, correct_2 = 1.0 - BETA_1 ** steps[s], math.sqrt(1.0 - BETA_2 ** steps[s])
        for r in range(gradient.shape[0]):
            for v in range(gradient.shape[1]):
                g = scale * gradient[r, v]
                z = logits[s, r, v] * (1.0 - rate * decay)
                if adamw:
                    first[s, r, v] = BETA_1 * first[s, r, v] + (1.0 - BETA_1) * g
                    second[s, r, v] = BETA_2 * second[s, r, v] + (1.0 - BETA_2) * g * g
                    z -= rate / correct_1 * first[s, r, v] / (math.sqrt(second[s, r, v]) / correct_2 + ADAM_EPS)
                else:
                    z -= rate * g
                logits[s, r, v] = z


@njit(cache=True)
def solve(prompts, after, row, reward, log_probs, entropy, success, accuracy, mean_entropy, covariance):
    """Compute exact measures of each seed's policy by dynamic programming over the states.

    Fills success (S, prompts), and for each seed the mean success, the mean entropy per token, and the mean over tokens
    of Cov(log pi, A), with the exact advantage A of each token.
    """
    states, width = after.shape
    value, mass, probs = np.empty(states), np.empty(states), np.empty(log_probs.shape[1:])
    for s in range(log_probs.shape[0]):
        for r in range(probs.shape[0]):
            for v in range(width):
                probs[r, v] = math.exp(log_probs[s, r, v])
        for n in range(states - 1, -1, -1):  # a token leads to a higher number
            value[n] = reward[n]
            if row[n] >= 0:
                value[n] = 0.0
                for v in range(width):
                    value[n] += probs[row[n], v] * value[after[n, v]]
        mass[:] = 0.0
        total = 0.0
        for j in range(prompts.size):
            success[s, j] = value[prompts[j]]
            total += success[s, j]
            mass[prompts[j]] += 1.0 / prompts.size
        accuracy[s] = total / prompts.size
        tokens, sum_entropy, sum_covariance = 0.0, 0.0, 0.0
        for n in range(states):
            r = row[n]
            if r < 0 or mass[n] == 0.0:
                continue
            product = 0.0
            for v in range(width):
                product += probs[r, v] * log_probs[s, r, v] * value[after[n, v]]
                mass[after[n, v]] += mass[n] * probs[r, v]
            tokens += mass[n]
            sum_entropy += mass[n] * entropy[s, r]
            sum_covariance += mass[n] * (product + entropy[s, r] * value[n])
        mean_entropy[s], covariance[s] = sum_entropy / tokens, sum_covariance / tokens
