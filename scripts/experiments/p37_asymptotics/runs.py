"""The runs of the experiment on paper 37: exact laws, and two agents that are compared with them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch

from envzoo import agents
from envzoo.agents.preference.best_of_n_law import (
    best_of_levels,
    best_of_n_bound,
    best_of_n_law,
    divergence_from_tilt,
    levels,
)
from envzoo.agents.preference.tilting import cumulant, kl_divergence, rate_function, tilt, tilt_by
from envzoo.agents.text.models.language import answer_log_probs
from envzoo.reasoning.task import EOS

P, R = np.array([0.5, 0.3, 0.2]), np.array([0.0, 1.0, 2.5])
DELTA = 0.1
# Number of tokens -> number of candidates, exp(DELTA * m), rounded where that is a small number.
CANDIDATES = {
    5: 2.0,
    20: 7.0,
    40: 55.0,
    80: 2981.0,
    160: float(round(math.exp(16))),
    320: math.exp(32),
    640: math.exp(64),
}
TAIL = 1.6  # mean reward whose tail is compared with the rate function
TEXT = {"symbols": 4, "length": 3, "split": "all"}
TEXT_N = 4


def exact_laws(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Compute the trade-off of best-of-N for growing m, and how it compares with the tilt."""
    best = tilt(P, R, DELTA)
    scores = {"multiplier": best.multiplier, "tilt_reward": best.reward}
    scores |= {f"phi{k}": float(value) for k, value in enumerate(best.probability)}
    for m, n in CANDIDATES.items():
        law = best_of_n_law(P, R, n, m)
        divergence = law.divergence / m
        scores[f"reward_{m}"] = law.reward / m
        scores[f"divergence_{m}"] = divergence
        scores[f"bound_{m}"] = best_of_n_bound(n) / m
        scores[f"distance_{m}"] = divergence_from_tilt(law, P, R, best.multiplier, m) / m
        scores[f"below_{m}"] = tilt(P, R, divergence).reward - law.reward / m
        scores[f"below_half_{m}"] = tilt(P, R, divergence / 2).reward - law.reward / m
        # What a naive power of the distribution function gives: 1 - 1e-17 is 1.
        found = levels(P, R, m)
        below = np.cumsum(found.probability)
        naive = np.diff(below**n, prepend=0.0)
        scores[f"naive_reward_{m}"] = float(naive @ found.value) / m
        tail = levels(best.probability, R, m)
        probability = tail.probability[tail.value >= TAIL * m - 1e-6].sum()
        scores[f"excess_{m}"] = -math.log(probability) / m - rate_function(P, R, TAIL, best.multiplier)
        scores[f"excess_of_base_{m}"] = -math.log(probability) / m - rate_function(P, R, TAIL)
    return {"scores": scores}


def identities(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Compute the largest errors of the identities over random distributions, rewards and multipliers."""
    rng = np.random.default_rng(seed)
    worst = dict.fromkeys(("three_point", "three_point_without_reward", "legendre", "product", "cumulant"), 0.0)
    for _ in range(budget):
        p, phi = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
        r, multiplier = rng.normal(size=5), float(rng.uniform(0.1, 3))
        best = tilt_by(p, r, multiplier)
        distance, spent = kl_divergence(phi, best.probability), kl_divergence(phi, p)
        gain = multiplier * (best.reward - float(phi @ r))
        log_sum = math.log(float(p @ np.exp(multiplier * r)))
        three = levels(p[:3] / p[:3].sum(), r[:3], 3)
        product = tilt_by(p[:3] / p[:3].sum(), r[:3], multiplier)
        tripled = tilt_by(three.probability, three.value, multiplier)
        t = float(rng.normal())
        errors = {
            "three_point": distance - (spent - best.divergence + gain),
            "three_point_without_reward": distance - (spent - best.divergence),
            "legendre": best.reward - best.divergence / multiplier - log_sum / multiplier,
            "product": tripled.divergence - 3 * product.divergence,
            "cumulant": cumulant(p, r, t, multiplier) - math.log(float(best.probability @ np.exp(t * r))),
        }
        worst = {name: max(worst[name], abs(error)) for name, error in errors.items()}
    return {"scores": worst}


def policy_gradient(seed: int, budget: int, quick: bool, updates: int) -> dict[str, Any]:
    """Train the policy gradient with the penalty of the tilt, and compute its exact reward and KL per token."""
    best = tilt(P, R, DELTA)
    settings = {"kl_coefficient": 1 / best.multiplier, "num_envs": budget // (20 * updates)}
    agent = agents.make("KLPolicyGradient", "envzoo/MemorylessAlign-v0", seed=seed, device="cpu", **settings)
    lines: dict[str, list[float]] = {"timesteps": [], "reward": [], "divergence": []}

    def record(learner: Any, metrics: dict[str, float]) -> None:
        if learner.iteration % 10 == 1:
            reward, divergence = _per_token(learner)
            for name, value in (("timesteps", learner.iteration), ("reward", reward), ("divergence", divergence)):
                lines[name].append(value)

    start = _per_token(agent)
    agent.learn(budget, record)
    reward, divergence = _per_token(agent)
    scores = {"reward": reward, "divergence": divergence, "start_reward": start[0], "start_divergence": start[1]}
    return {"scores": scores, "curves": lines}


def _per_token(agent: Any) -> tuple[float, float]:
    """Compute mean reward and KL divergence per token of a policy of MemorylessAlign in closed form."""
    log_policy = torch.log_softmax(agent.policy.logits.detach().double(), -1).numpy()[:20]
    policy = np.exp(log_policy)
    return float((policy @ R).mean()), float((policy * (log_policy - np.log(P))).sum(1).mean())


def measured_best_of_n(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Sample best-of-N of a tiny language model, and compare with the law that its enumerated answers have."""
    small = {"model_dim": 16, "model_layers": 1, "model_heads": 2, "warm_up_updates": 100, "warm_up_batch": 64}
    source = "envzoo/TextTilt-v0"
    model = agents.make(
        "GRPO", source, seed=seed, device="cpu", env_kwargs=TEXT, warm_up_cache=False, num_prompts=4, **small
    )
    model.assess(1, 1)  # warms up
    task = model.task
    prompt = task.prompt_ids(["a"])
    rewards, probability = _enumerate(model, prompt)
    mass = np.bincount(rewards, probability, minlength=TEXT["length"] + 1)
    law = best_of_levels(mass, TEXT_N)
    chooser = agents.make("BestOfN", source, seed=seed, device="cpu", env_kwargs=TEXT, n=TEXT_N).draw_from(model)
    answers, _ = chooser.predict(np.array(["a"] * budget, object), deterministic=False)
    found = np.bincount(task.verify_text(["a"] * budget, answers).astype(int), minlength=mass.size) / budget
    value = np.arange(mass.size)
    scores = {
        "law_reward": float(law @ value),
        "base_reward": float(mass @ value),
        "reward_gap": float((found - law) @ value),
        "gap_from_base": float((found - mass) @ value),
        "mass": float(mass.sum()),
    }
    scores |= {f"law_{k}": float(law[k]) for k in value} | {f"measured_{k}": float(found[k]) for k in value}
    return {"scores": scores}


@torch.no_grad()
def _enumerate(model: Any, prompt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rewards and probabilities of all answers of a model to a prompt."""
    task = model.task
    rows = set()
    for tokens in itertools.product(range(1, task.vocab_size), repeat=task.answer_length):
        end = tokens.index(EOS) + 1 if EOS in tokens else len(tokens)
        rows.add(tokens[:end] + (0,) * (len(tokens) - end))
    answers = np.array(sorted(rows))
    which = torch.zeros(len(answers), dtype=torch.int64)
    logp, _ = answer_log_probs(model.policy, torch.as_tensor(prompt), torch.as_tensor(answers), 1.0, which)
    total = torch.where(torch.as_tensor(answers) != 0, logp, 0.0).double().sum(1)
    rewards = task.verify(np.repeat(prompt, len(answers), 0), answers)
    return rewards.astype(np.int64), total.exp().numpy()
