"""All policies of tiny worlds: the truth that tests compare planners with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from envzoo.agents.planners.tabular.evaluation import evaluate_policy
from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP, FinitePOMDP, LatentMDP

MOST = 1_000_000  # policies


def all_policies(states: int, actions: int) -> Iterator[np.ndarray]:
    """Yield all deterministic policies (S,); raises EnvzooError if there are over a million."""
    if states * math.log(actions) > math.log(MOST):
        raise EnvzooError(f"{actions}^{states} policies are too many to try; expected at most {MOST}")
    for policy in itertools.product(range(actions), repeat=states):
        yield np.array(policy)


def best_values(model: FiniteMDP) -> np.ndarray:
    """Compute the optimal values (S,) of a discounted process as the maximum over all deterministic policies."""
    allowed = model.available
    values = [
        evaluate_policy(model, policy)[0]
        for policy in all_policies(model.num_states, model.num_actions)
        if allowed[np.arange(model.num_states), policy].all()
    ]
    return np.max(values, axis=0)


def best_pomdp_value(model: FinitePOMDP) -> float:
    """Compute the best value over all history-dependent policies, by the tree of all histories.

    At a history the latent states have unnormalised probabilities; the best continuation of each history is chosen
    separately, which is the maximum over all policies that map histories to actions.
    """
    if model.horizon is None:
        raise EnvzooError("the tree of histories needs a horizon")

    def value(belief: np.ndarray, left: int) -> float:
        if left == 0 or not belief.any():
            return 0.0
        best = -np.inf
        for a in range(model.num_actions):
            moved = belief @ model.p[:, a]
            total = 0.0
            for o in range(model.num_observations):
                seen = moved * model.emission[:, o]
                total += model.reward[o] * seen.sum() + model.gamma * value(
                    np.where(model.terminal, 0.0, seen), left - 1
                )
            best = max(best, total)
        return best

    return sum(value(model.initial * model.emission[:, o], model.horizon) for o in range(model.num_observations))


def best_lmdp_value(model: LatentMDP) -> float:
    """Compute the best value over all history-dependent policies of a latent process, by the tree of all histories."""

    def value(weights: np.ndarray, s: int, left: int) -> float:
        if left == 0 or not weights.any():
            return 0.0
        best = -np.inf
        for a in range(model.num_actions):
            total = float(weights @ model.r[:, s, a])
            for t in range(model.num_states):
                total += value(weights * model.p[:, s, a, t], t, left - 1)
            best = max(best, total)
        return best

    first = model.weights[:, None] * model.initial
    return sum(value(first[:, s], s, model.horizon) for s in range(model.num_states))


def enumerate_history_policies(model: LatentMDP) -> float:
    """Compute the same as `best_lmdp_value` by enumerating every map from histories to actions; only for the tiniest.

    A history is the sequence of states and actions up to now.
    """
    histories = [h for t in range(model.horizon) for h in itertools.product(range(model.num_states), repeat=t + 1)]
    best = -np.inf
    for choice in all_policies(len(histories), model.num_actions):
        act = dict(zip(histories, choice.tolist(), strict=True))
        total = 0.0
        for m, weight in enumerate(model.weights):
            stack = [((s,), weight * model.initial[m, s]) for s in range(model.num_states)]
            while stack:
                h, probability = stack.pop()
                a = act[h]
                total += probability * model.r[m, h[-1], a]
                if len(h) < model.horizon:
                    stack += [((*h, t), probability * model.p[m, h[-1], a, t]) for t in range(model.num_states)]
        best = max(best, total)
    return best
