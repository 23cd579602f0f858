"""Differential information distributions (DID): what turns one policy into another, and which pairs teach it.

For full-support distributions pi and ref (..., n) over the same responses,

    q(y) = (pi(y) / ref(y)) / sum_y' pi(y') / ref(y')

is the distribution that updates ref to pi by Bayes' rule from a uniform prior. If chosen responses are drawn from ref
and rejected ones from `optimal_rejected`, the preferences follow the Bradley-Terry model with the reward
beta log(target / ref), so that DPO has the target as its optimum. Source: Won et al. 2025 (arXiv 2505.23761). All
functions compute in float64 and in nats.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, read_array


def read_policy(name: str, values: Any) -> np.ndarray:
    """Return positive probabilities (..., n) as float64, normalised.

    Raises:
        EnvzooError: They are not finite, not positive, or do not add up to 1.
    """
    array = read_array(name, values)
    if array.ndim < 1 or not array.size or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise EnvzooError(f"{name} is {array.dtype} of shape {array.shape}; expected finite probabilities (..., n)")
    array = array.astype(np.float64)
    if (array <= 0).any() or np.abs(array.sum(-1) - 1).max() > 1e-9:
        raise EnvzooError(f"{name} has the minimum {array.min():g}; expected positive probabilities with the sum 1")
    return array / array.sum(-1, keepdims=True)


def _pair(policy: Any, reference: Any) -> tuple[np.ndarray, np.ndarray]:
    policy, reference = read_policy("the policy", policy), read_policy("the reference policy", reference)
    if policy.shape != reference.shape:
        raise EnvzooError(
            f"the policy has the shape {policy.shape} and the reference {reference.shape}; expected equal ones"
        )
    return policy, reference


def _normalise(log_weight: np.ndarray) -> np.ndarray:
    weight = np.exp(log_weight - log_weight.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True)


def did(policy: Any, reference: Any) -> np.ndarray:
    """Compute the DID (..., n) from a reference policy to a policy."""
    policy, reference = _pair(policy, reference)
    return _normalise(np.log(policy) - np.log(reference))


def did_entropy(policy: Any, reference: Any) -> np.ndarray:
    """Compute the entropy (...) of the DID; log n if and only if the policies are equal."""
    q = did(policy, reference)
    return -(q * np.log(q)).sum(-1)


def sampled_did_entropy(log_policy: Any, log_reference: Any) -> float:
    """Estimate the entropy of the DID from responses y_1, ..., y_K drawn from the policy.

    H(q) = log Z - E_q log(pi / ref) with Z = E_pi[1 / ref]. The weights 1 / ref are heavy-tailed, so the estimate is
    for demonstrations; enumerate where you can.

    Args:
        log_policy: (K,), log pi(y_k).
        log_reference: (K,), log ref(y_k).
    """
    log_policy, log_reference = np.asarray(log_policy, np.float64), np.asarray(log_reference, np.float64)
    if log_policy.shape != log_reference.shape or log_policy.ndim != 1 or not log_policy.size:
        raise EnvzooError(
            f"log-probabilities have the shapes {log_policy.shape} and {log_reference.shape}; expected (K,)"
        )
    top = float((-log_reference).max())
    weight = np.exp(-log_reference - top)
    log_z = top + np.log(weight.mean())
    return float(log_z - (weight / weight.sum()) @ (log_policy - log_reference))


def optimal_rejected(reference: Any, target: Any, beta: float) -> np.ndarray:
    """Compute the sampler (..., n) of rejected responses for which DPO on chosen ones from `reference` finds `target`.

    It is proportional to ref (ref / target)^beta: the power law q(ref / rejected) ~ q(target / ref)^beta.
    """
    target, reference = _pair(target, reference)
    beta = check_number("beta", beta, 0.0, above=True)
    return _normalise((1 + beta) * np.log(reference) - beta * np.log(target))


def optimal_chosen(reference: Any, target: Any, beta: float) -> np.ndarray:
    """Compute the sampler of chosen responses for rejected ones from `reference`: ref (target / ref)^beta."""
    target, reference = _pair(target, reference)
    beta = check_number("beta", beta, 0.0, above=True)
    return _normalise((1 - beta) * np.log(reference) + beta * np.log(target))


def mismatched_optimum(reference: Any, target: Any, data_beta: float, loss_beta: float) -> np.ndarray:
    """Compute where DPO with `loss_beta` converges on data made with `data_beta`: ref (target / ref)^(data / loss)."""
    target, reference = _pair(target, reference)
    ratio = check_number("data_beta", data_beta, 0.0, above=True) / check_number(
        "loss_beta", loss_beta, 0.0, above=True
    )
    return _normalise((1 - ratio) * np.log(reference) + ratio * np.log(target))


def pair_weights(chosen: Any, rejected: Any) -> np.ndarray:
    """Return P(y_w = i, y_l = j) = chosen[i] rejected[j], (n, n), of independent draws."""
    chosen, rejected = _pair(chosen, rejected)
    return np.outer(chosen, rejected)


def jensen_shannon(p: Any, q: Any) -> float:
    """Compute the Jensen-Shannon divergence of two distributions (n,) in nats."""
    p, q = _pair(p, q)
    middle = (p + q) / 2
    return float((p * np.log(p / middle)).sum() / 2 + (q * np.log(q / middle)).sum() / 2)
