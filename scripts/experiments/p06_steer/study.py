"""Compare STEER's estimate of the entropy change with the covariance, for tabular policies and a network."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import spearmanr

from envzoo.agents.reasoning.entropy_mechanism import token_covariance
from envzoo.agents.reasoning.steer import entropy_change_estimate
from envzoo.agents.text.losses.policy import ppo_clip_per_token
from envzoo.agents.text.losses.tokens import aggregate, entropy_of_logits, masked_mean
from envzoo.agents.text.models.language import answer_log_probs

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

ACTIONS, SAMPLES, DRAWS = 20, 16, 2_000
BATCHES, PROMPTS, RATE = 100, 4, 0.05
ESTIMATE, COVARIANCE = "study/estimate", "study/covariance"


def table_study(whole_gradient: bool) -> tuple[float, float]:
    """Compute Spearman's rho of the true entropy change with STEER's estimate and with the covariance.

    Each random draw is a softmax policy over 20 actions, 16 sampled actions with normal advantages, and one small step.

    Args:
        whole_gradient: Take the gradient step of the samples, which changes all logits; otherwise change only the logit
            of each sample, as the estimate assumes.
    """
    generator = np.random.default_rng(0)
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


def network_study(agent: Agent) -> dict[str, float]:
    """Compute the same correlations for a language model: one step of gradient descent on each of 100 minibatches.

    The change is that of the mean entropy at the token positions of the minibatch; every step starts from the same
    weights.
    """
    foretold, known = {ESTIMATE: [], COVARIANCE: []}, []
    temperature = agent.config.temperature
    for _ in range(BATCHES):
        batch = agent.sample(PROMPTS)
        batch = batch.replace(advantage=agent.advantages(batch))
        if not bool(batch.advantage.any()):
            continue
        model = copy.deepcopy(agent.policy)
        logp, every = answer_log_probs(model, batch.prompts, batch.tokens, temperature)
        loss, clipped = ppo_clip_per_token(logp, batch.old_logp, batch.advantage, 0.2, 0.28)
        omega = entropy_change_estimate(logp, batch.old_logp, batch.advantage, batch.entropy, clipped)
        foretold[ESTIMATE].append(-float(masked_mean(omega, batch.mask)))
        foretold[COVARIANCE].append(
            -float(masked_mean(token_covariance(logp, batch.advantage, batch.mask), batch.mask))
        )
        gradients = torch.autograd.grad(aggregate(loss, batch.mask), list(model.parameters()))
        with torch.no_grad():
            before = masked_mean(entropy_of_logits(every), batch.mask)
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= RATE * gradient
            _, every = answer_log_probs(model, batch.prompts, batch.tokens, temperature)
            known.append(float(masked_mean(entropy_of_logits(every), batch.mask) - before))
    return {name: float(spearmanr(values, known).statistic) for name, values in foretold.items()}
