"""Compare STEER's estimate of the entropy change with the covariance, for random tabular policies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from envzoo.agents.reasoning.entropy_mechanism import token_covariance
from envzoo.agents.reasoning.steer import entropy_change_estimate

ACTIONS, SAMPLES, DRAWS = 20, 16, 1_000
ESTIMATE, COVARIANCE, LEAD = "estimate", "covariance", "lead of the estimate"


def run_study(seed: int, budget: int, quick: bool, whole_gradient: bool) -> dict[str, Any]:
    """Compute both correlations for the random policies of a seed, and their difference; a run of arms."""
    estimate, covariance = table_study(whole_gradient, seed)
    return {"scores": {ESTIMATE: estimate, COVARIANCE: covariance, LEAD: estimate - covariance}}


def table_study(whole_gradient: bool, seed: int = 0) -> tuple[float, float]:
    """Compute Spearman's rho of the true entropy change with STEER's estimate and with the covariance.

    Each random draw is a softmax policy over 20 actions, 16 sampled actions with normal advantages, and one small step.

    Args:
        whole_gradient: Take the gradient step of the samples, which changes all logits; otherwise change only the logit
            of each sample, as the estimate assumes.
        seed: Seed of the policies, samples and advantages.
    """
    generator = np.random.default_rng(seed)
    z = 1.5 * generator.normal(size=(DRAWS, ACTIONS))
    p = _softmax(z)
    actions = (p.cumsum(1)[:, None, :] < generator.random((DRAWS, SAMPLES, 1))).sum(2).clip(max=ACTIONS - 1)
    advantage = generator.normal(size=(DRAWS, SAMPLES))
    chosen = np.take_along_axis(p, actions, 1)
    step = np.zeros_like(z)
    weight = advantage if whole_gradient else advantage * (1 - chosen)
    np.add.at(step, (np.arange(DRAWS)[:, None], actions), weight)
    if whole_gradient:
        step -= advantage.sum(1, keepdims=True) * p
    change = _entropy(_softmax(z + 1e-5 * step)) - _entropy(p)
    logp = torch.as_tensor(np.log(chosen))
    h = torch.as_tensor(_entropy(p))[:, None].expand(DRAWS, SAMPLES)
    adv = torch.as_tensor(advantage)
    omega = entropy_change_estimate(logp, logp, adv, h).sum(1).numpy()
    ones = torch.ones(1, SAMPLES)
    pairs = zip(logp, adv, strict=True)
    covariance = [float(token_covariance(x[None], a[None], ones).sum()) for x, a in pairs]
    return float(spearmanr(-omega, change).statistic), float(spearmanr(-np.array(covariance), change).statistic)


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(1)
