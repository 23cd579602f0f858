"""Policy gradient on a few logits in a game of preferences, for many seeds at once: self-play and a reward model.

Both learners see the same comparisons: in each iteration, `samples` arms of the policy against the last `queue` arms.
Self-play (SPO) rewards an arm by the share of the queue that it beats. The reward model fits rewards r to all
comparisons so far, P(i beats j) = sigmoid(r_i - r_j), and rewards an arm by r. Source: Swamy et al. 2024 (arXiv
2401.04056); one Numba kernel, a row per seed.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.kernel.stream import keys, uniform
from envzoo.preference.games import read_game

LEARNERS = ("self_play", "reward_model")
RIDGE = 1e-2  # of the reward model's log-likelihood, in comparisons; r exists without it only if every arm loses


class SelfPlay(NamedTuple):
    """Policies after self-play, a row per seed.

    Attributes:
        last: (seeds, K), the last policy.
        mean: (seeds, K), the mean of all policies, which the mixture of them plays.
    """

    last: np.ndarray
    mean: np.ndarray


@njit(cache=True)
def _softmax(logits, policy):
    top = logits.max()
    total = 0.0
    for k in range(logits.size):
        policy[k] = math.exp(logits[k] - top)
        total += policy[k]
    for k in range(logits.size):
        policy[k] /= total


@njit(cache=True)
def _draw(policy, streams, row):
    left = uniform(streams, row)
    for k in range(policy.size - 1):
        left -= policy[k]
        if left < 0:
            return k
    return policy.size - 1


@njit(cache=True)
def _fit(wins, rewards, steps):
    """Improve Bradley-Terry rewards (K,) on wins (K, K) by coordinate Newton steps."""
    arms = rewards.size
    for _ in range(steps):
        for i in range(arms):
            slope, curve = -RIDGE * rewards[i], RIDGE
            for j in range(arms):
                count = wins[i, j] + wins[j, i]
                if j != i and count > 0:
                    p = 1 / (1 + math.exp(rewards[j] - rewards[i]))
                    slope += wins[i, j] - count * p
                    curve += count * p * (1 - p)
            rewards[i] += min(max(slope / curve, -1.0), 1.0)


@njit(cache=True)
def _train(win, streams, learned, iterations, samples, queue_size, entropy, rate, sampled, last, mean):
    arms = win.shape[0]
    for row in range(last.shape[0]):
        logits, policy, gradient = np.zeros(arms), np.empty(arms), np.empty(arms)
        score, count, rewards = np.empty(arms), np.zeros(arms), np.zeros(arms)
        wins = np.zeros((arms, arms))
        queue = np.empty(queue_size, np.int64)
        chosen, value = np.empty(samples, np.int64), np.empty(samples)
        _softmax(logits, policy)
        for q in range(queue_size):
            queue[q] = _draw(policy, streams, row)
            count[queue[q]] += 1
        oldest = 0
        for _ in range(iterations):
            _softmax(logits, policy)
            for k in range(arms):
                mean[row, k] += policy[k] / iterations
                score[k] = 0.0
                for j in range(arms):
                    score[k] += win[k, j] * count[j] / queue_size
            total = 0.0
            for i in range(samples):
                chosen[i] = _draw(policy, streams, row)
                if sampled:
                    beaten = 0
                    for q in range(queue_size):
                        label = uniform(streams, row) < win[chosen[i], queue[q]]
                        beaten += label
                        if learned:
                            if label:
                                wins[chosen[i], queue[q]] += 1
                            else:
                                wins[queue[q], chosen[i]] += 1
                    value[i] = beaten / queue_size
                else:
                    value[i] = score[chosen[i]]
                    if learned:
                        for j in range(arms):
                            wins[chosen[i], j] += win[chosen[i], j] * count[j]
                            wins[j, chosen[i]] += win[j, chosen[i]] * count[j]
            if learned:
                _fit(wins, rewards, 2)
                for i in range(samples):
                    value[i] = rewards[chosen[i]]
            for i in range(samples):
                total += value[i]
            # The gradient of mean(value) - c * sum(p log p), with the mean of the other samples as baseline.
            inner = 0.0
            for k in range(arms):
                gradient[k] = 0.0
                inner += policy[k] * math.log(max(policy[k], 1e-300))
            for i in range(samples):
                advantage = (value[i] - (total - value[i]) / (samples - 1)) / samples
                for k in range(arms):
                    gradient[k] -= advantage * policy[k]
                gradient[chosen[i]] += advantage
            for k in range(arms):
                gradient[k] -= entropy * policy[k] * (math.log(max(policy[k], 1e-300)) - inner)
                logits[k] += rate * gradient[k]
            for i in range(samples):
                count[queue[oldest]] -= 1
                queue[oldest] = chosen[i]
                count[chosen[i]] += 1
                oldest = (oldest + 1) % queue_size
        _softmax(logits, policy)
        last[row] = policy


def train_bandits(
    game: Any,
    seeds: Any,
    learner: str = "self_play",
    *,
    iterations: int = 3000,
    samples: int = 16,
    queue: int = 100,
    entropy: float = 0.0,
    learning_rate: float = 0.5,
    labels: str = "exact",
) -> SelfPlay:
    """Train a softmax policy over the arms of a game by policy gradient, once per seed.

    Args:
        game: (K, K), see `envzoo.preference.games`.
        seeds: Seeds (n,); the result of a seed does not depend on the others.
        learner: "self_play" or "reward_model".
        iterations: Number of updates.
        samples: Arms drawn per update, at least 2.
        queue: Length of the queue of past arms.
        entropy: Weight of the entropy of the policy, per update.
        learning_rate: Step size on the logits.
        labels: "exact" compares by the probability of winning, "sampled" by one random label per comparison.

    Raises:
        EnvzooError: A value that is not usable.
    """
    game = read_game(game)
    if learner not in LEARNERS:
        raise EnvzooError(f"learner is {learner!r}; expected one of {', '.join(LEARNERS)}")
    if labels not in ("exact", "sampled"):
        raise EnvzooError(f"labels is {labels!r}; expected exact or sampled")
    iterations, samples = check_whole("iterations", iterations, 1), check_whole("samples", samples, 2)
    queue = check_whole("queue", queue, 1)
    entropy = check_number("entropy", entropy, 0.0)
    rate = check_number("learning_rate", learning_rate, 0.0, above=True)
    seeds = np.atleast_1d(np.asarray(seeds, np.uint64))
    streams = np.zeros((len(seeds), 2), np.uint64)
    streams[:, 0] = keys(seeds)
    last, mean = np.empty((len(seeds), len(game))), np.zeros((len(seeds), len(game)))
    learned = learner == "reward_model"
    _train((1 + game) / 2, streams, learned, iterations, samples, queue, entropy, rate, labels == "sampled", last, mean)
    return SelfPlay(last, mean)
