"""The runs of the experiment on paper 21: one warmed-up model per seed, and each method from there."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from envzoo import agents
from envzoo.agents.optim import make_optimizer
from envzoo.agents.preference.degradation import degrade
from envzoo.agents.preference.offline import OfflinePreference
from envzoo.preference.tiny_summary import TinySummary
from envzoo.scripts.experiments.p21_preference_degree.names import ARMS

FILLERS = 4  # few, so that a small model learns to read a post within a few hundred updates
WORLD = {"fillers": FILLERS}
MODEL = {"model_dim": 32, "pairs": 2000, "sft_updates": 200, "sft_batch": 64, "learning_rate": 3e-4}
READING, QUICK_READING = 600, 5  # updates on demonstrations without flaws, before chosen answers are imitated
READING_BATCH, READING_RATE = 64, 1e-2
POSTS = 256  # for evaluation
SMALL_MARGIN = 1.0
LEVELS = 6  # degrees that the implicit reward should order: 5 facts, none, ..., all removed


def method(seed: int, budget: int, quick: bool, name: str) -> dict[str, Any]:
    """Train one method from the warmed-up model of its seed, and measure it on posts of the evaluation split."""
    kind, settings = ARMS[name]
    agent = _make(kind, seed, **settings)
    weights, start = _warmed_up(seed, quick)
    agent.start_from(weights)
    scores = {f"start_{key}": value for key, value in start.items()}
    last: dict[str, float] = {}

    def record(_: Any, metrics: dict[str, float]) -> bool:
        last.update({key: metrics[key] for key in ("degree/accuracy", "preference/accuracy") if key in metrics})
        return True

    agent.learn(budget, record)
    scores |= _quality(agent, seed) | _rewards(agent, seed)
    scores |= {key.replace("/", "_"): value for key, value in last.items()}
    return {"scores": scores | _fingerprint(agent.policy)}


def _make(kind: str, seed: int, **settings: Any) -> OfflinePreference:
    return agents.make(
        kind, "envzoo/TextTinySummary-v0", seed=seed, device="cpu", threads=1, env_kwargs=WORLD, **MODEL, **settings
    )


@lru_cache(maxsize=16)
def _warmed_up(seed: int, quick: bool) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Teach a model to read posts by demonstrations without flaws, then to write as the chosen answers are written.

    Returns:
        The weights, and the quality of the answers.
    """
    agent = _make("DPO", seed)
    task, model = agent.task, agent.policy
    optimizer = make_optimizer(model, "adamw", lr=READING_RATE, max_grad_norm=1.0)
    for update in range(QUICK_READING if quick else READING):
        posts = task.sample(READING_BATCH, "train", seed, update * READING_BATCH)
        answers = model.encode_answers([task.text(row) for row in task.solve(posts)])
        prompts = model.encode_prompts([task.text(row) for row in posts])
        logp = model.log_probs(torch.from_numpy(prompts), torch.from_numpy(answers)[:, None])
        optimizer.step(-logp.sum() / int((answers != 0).sum()))
    agent.imitate()
    return {name: value.detach().clone() for name, value in model.state_dict().items()}, _quality(agent, seed)


def _posts(task: TinySummary, seed: int) -> tuple[np.ndarray, list[str]]:
    ids = task.sample(POSTS, "evaluation", seed)
    return ids, [task.text(row) for row in ids]


@torch.no_grad()
def _quality(agent: OfflinePreference, seed: int) -> dict[str, float]:
    """Compute the exact mean quality of sampled and of greedy answers, their length, and KL(policy || reference)."""
    model, task = agent.policy, agent.task
    _, texts = _posts(task, seed)
    prompts = torch.from_numpy(model.encode_prompts(texts))
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, draw in (("quality", generator), ("greedy_quality", None)):
        answers = model.answer(prompts, draw)
        found[name] = float(task.verify_text(texts, [model.text(row) for row in answers.tolist()]).mean())
        if draw is not None:
            found["length"] = float((answers > 1).sum(1).float().mean())
            ratio = model.log_probs(prompts, answers[:, None]) - agent.reference.log_probs(prompts, answers[:, None])
            found["kl"] = float(ratio.mean())
    return found


def _rewards(agent: OfflinePreference, seed: int) -> dict[str, float]:
    """Compute how well implicit rewards order degraded copies, and held-out pairs of small and large margin."""
    task = agent.task
    ids, texts = _posts(task, seed)
    whole = [task.text(row) for row in task.solve(ids)]
    rng = np.random.default_rng([seed, 21])
    found = {}
    for name, filler in (("spearman", ""), ("spearman_equal", "a")):
        copies = []
        for text in whole:
            spans = task.key_spans(text)
            copies.append(degrade(text, spans, LEVELS, rng.permutation(len(spans)).tolist(), filler))
        flat = [copy for row in copies for copy in row]
        if not all(flat):  # the last one has nothing left
            flat = [copy or "a" for copy in flat]
        rewards = agent.implicit_reward(np.repeat(np.array(texts, object), LEVELS), flat).reshape(-1, LEVELS)
        found[name] = float(np.mean([_spearman(row) for row in rewards]))
    held_out = TinySummary(FILLERS, split="evaluation").preference_pairs(4 * POSTS, seed)
    room = agent.policy.answer_length - 1  # set by the pairs of the training split, which may all be shorter
    pairs = zip(*(held_out[key] for key in ("prompts", "chosen", "rejected")), strict=True)
    pairs = [pair for pair in pairs if max(len(pair[1]), len(pair[2])) <= room]
    prompts, first, second = map(list, zip(*pairs, strict=True))
    truth = task.verify_text(prompts, first) - task.verify_text(prompts, second)
    margin = agent.implicit_reward(prompts, first) - agent.implicit_reward(prompts, second)
    right = (margin > 0) == (truth > 0)
    for name, rows in (("small", np.abs(truth) <= SMALL_MARGIN), ("large", np.abs(truth) > SMALL_MARGIN)):
        found[f"{name}_margin"] = float(right[rows & (truth != 0)].mean())
    return found


def _spearman(rewards: np.ndarray) -> float:
    """Compute the rank correlation of the rewards (n,) of ever more degraded copies with 0, -1, ..., without ties."""
    ranks = np.argsort(np.argsort(rewards))
    n = len(rewards)
    return 1 - 6 * float(((ranks - np.arange(n)[::-1]) ** 2).sum()) / (n * (n * n - 1))


def _fingerprint(model: torch.nn.Module) -> dict[str, float]:
    """Compute four numbers from the bytes of all weights; equal ones mean equal weights."""
    digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).digest()
    return {f"weights_{k}": float(int.from_bytes(digest[6 * k : 6 * k + 6], "big")) for k in range(4)}
