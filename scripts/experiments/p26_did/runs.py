"""The runs of the experiment on paper 26: optima on tables, and a small language model on enumerable sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from envzoo import agents
from envzoo.agents.preference.table_optimum import minimise_on_table
from envzoo.preference.did import did, jensen_shannon, mismatched_optimum
from envzoo.preference.did_seq import Sequences
from envzoo.preference.did_table import DIDTable
from envzoo.scripts.experiments.p26_did.names import LOSSES, SAMPLERS

RESPONSES, BETA = 16, 0.5
SMALL = {"model_dim": 32, "model_layers": 1, "sft_updates": 300}


def _world(seed: int, sampler: str = "optimal") -> DIDTable:
    return DIDTable(RESPONSES, BETA, sampler, seed)


def _distance(policy: np.ndarray, other: np.ndarray) -> float:
    """Compute the Jensen-Shannon divergence of a policy that may lack some responses."""
    floor = np.maximum(policy, 1e-300)
    return jensen_shannon(floor / floor.sum(), other)


def identities(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Compute the errors of the power law and of the closed forms of the optima on one table."""
    world = _world(seed)
    reference, target = world.reference_policy, world.target
    power = did(target, reference) ** BETA
    wrong = did(target, reference)
    law = did(reference, world.rejected)
    weights = world.pair_weights()
    log_prob = minimise_on_table(weights, reference, "cpo", beta=BETA, nll_coefficient=0.0)
    twice = minimise_on_table(weights, reference, "dpo", beta=2 * BETA)
    still = minimise_on_table(_world(seed, "reference").pair_weights(), reference, "dpo", beta=BETA)
    return {
        "scores": {
            "power_law": float(np.abs(law - power / power.sum()).max()),
            "power_law_without_beta": float(np.abs(law - wrong).max()),
            "start": jensen_shannon(reference, target),
            "log_prob_to_did": _distance(log_prob, did(target, reference)),
            "log_prob_to_target": _distance(log_prob, target),
            "mismatch": _distance(twice, mismatched_optimum(reference, target, BETA, 2 * BETA)),
            "mismatch_to_target": _distance(twice, target),
            "no_information": _distance(still, reference),
        }
    }


def table(seed: int, budget: int, quick: bool, name: str) -> dict[str, Any]:
    """Minimise one loss on pairs of each sampler, and compute the Jensen-Shannon divergence of the optimum."""
    loss, settings = LOSSES[name]
    scores = {}
    for sampler in SAMPLERS:
        world = _world(seed, sampler)
        policy = minimise_on_table(world.pair_weights(), world.reference_policy, loss, **settings)
        scores[sampler] = _distance(policy, world.target)
        scores[f"entropy_{sampler}"] = float(-(policy * np.log(np.maximum(policy, 1e-300))).sum())
    return {"scores": scores}


def sequences(seed: int, budget: int, quick: bool, target: str) -> dict[str, Any]:
    """Train DPO on pairs of DIDSeq, and compute the change of entropy and likelihood over all sequences."""
    world = {"target": target, "model_seed": seed}
    agent = agents.make("DPO", "envzoo/DIDSeq-v0", seed=seed, device="cpu", env_kwargs=world, **SMALL)
    agent.learn(budget)
    task = Sequences(target, model_seed=seed)
    before, after = (_log_probs(agent, model, task) for model in (agent.reference, agent.policy))
    entropies = [_entropy(log_p) for log_p in (before, after)]
    change = after - before
    return {
        "scores": {
            "did_entropy": float(task.did_entropy().mean()),
            "start_entropy": entropies[0],
            "entropy": entropies[1],
            "entropy_change": entropies[1] - entropies[0],
            "chosen_change": float((task.reference * change).sum(1).mean()),
            "rejected_change": float((task.rejected * change).sum(1).mean()),
            "margin": float(((task.reference - task.rejected) * change).sum(1).mean()),
            "start_divergence": _divergence(task.target, before),
            "divergence": _divergence(task.target, after),
        }
    }


@torch.no_grad()
def _log_probs(agent: Any, model: Any, task: Sequences) -> np.ndarray:
    """Compute log-probabilities (symbols, n) of all sequences after all prompts."""
    texts = ["".join(task.alphabet[k] for k in row) for row in task.sequences]
    answers = torch.from_numpy(agent.policy.encode_answers(texts))[None]
    prompts = torch.from_numpy(agent.policy.encode_prompts(list(task.alphabet)))
    return np.stack([model.log_probs(row[None], answers)[0].double().numpy() for row in prompts])


def _entropy(log_p: np.ndarray) -> float:
    """Compute the mean entropy of the policy given that it writes a complete sequence."""
    log_q = log_p - np.log(np.exp(log_p).sum(1, keepdims=True))
    return float(-(np.exp(log_q) * log_q).sum(1).mean())


def _divergence(target: np.ndarray, log_p: np.ndarray) -> float:
    return float((target * (np.log(target) - log_p)).sum(1).mean())
