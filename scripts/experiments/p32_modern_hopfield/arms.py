"""Arms of the experiment of paper 32: retrieval, storage, the latch task, and PPO with associative recall."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents import make
from envzoo.agents.evaluation import evaluate
from envzoo.agents.networks.encoders import SequenceEncoder
from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.sequence import HopfieldMemory, HopfieldPooling, hopfield_energy, hopfield_retrieve
from envzoo.agents.networks.sequence.lstm import LSTM
from envzoo.agents.threads import using_threads

SYMBOLS, LENGTH, TRAIN, TEST = 20, 32, 3072, 1024


def measure_retrieval(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Measure, over `budget` random memories, how far one update exceeds its bound and by how much energy increases.

    The bound: |X softmax(beta X^T xi) - x_i| <= 2 M (N - 1) exp(-beta (Delta_i - 2 M |xi - x_i|)).
    """
    generator = torch.Generator().manual_seed(seed)
    excess, rise, below = [], [], []
    for _ in range(budget):
        count = int(torch.randint(2, 20, (), generator=generator))
        beta = float(10 ** (2 * torch.rand((), generator=generator) - 1))
        patterns = torch.randn(count, 16, generator=generator, dtype=torch.float64)
        noise = 0.3 * torch.rand((), generator=generator) * torch.randn(1, 16, generator=generator, dtype=torch.float64)
        query = patterns[:1] + noise
        found, largest = hopfield_retrieve(query, patterns, beta), patterns.norm(dim=1).max()
        similarity = patterns @ patterns[0]
        separation = similarity[0] - similarity[1:].max()
        power = -beta * (separation - 2 * largest * noise.norm())
        excess.append(float((found[0] - patterns[0]).norm() - 2 * largest * (count - 1) * torch.exp(power)))
        before = hopfield_energy(query, patterns, beta)
        rise.append(float((hopfield_energy(found, patterns, beta) - before).max()))
        inside = query * min(1.0, float(largest / query.norm()))
        below.append(float(-hopfield_energy(inside, patterns, beta).min()))
    return {"scores": {"excess": max(excess), "energy rise": max(rise), "energy below 0": max(below)}}


def store(seed: int, budget: int, quick: bool, network: str, patterns: int, beta: float = 1.0) -> dict[str, Any]:
    """Store random +-1 patterns of 64 numbers, and recover `budget` of them from half of their numbers."""
    generator = np.random.default_rng(seed)
    x = generator.choice([-1.0, 1.0], size=(patterns, 64))
    chosen = generator.integers(patterns, size=budget)
    query = x[chosen].copy()
    for row in query:
        row[generator.permutation(64)[:32]] = 0
    if network == "modern":
        found = np.sign(hopfield_retrieve(torch.from_numpy(query), torch.from_numpy(x), beta).numpy())
    else:
        weights = x.T @ x / 64
        np.fill_diagonal(weights, 0)
        found = query
        for _ in range(20):
            found = np.where(found @ weights >= 0, 1.0, -1.0)
    return {"scores": {"recovered": float((found == x[chosen]).all(axis=1).mean())}}


def latch(seed: int, budget: int, quick: bool, model: str) -> dict[str, Any]:
    """Train on the latch task for `budget` epochs of 96 updates, and return the validation accuracy."""
    with using_threads(1):
        generator = torch.Generator().manual_seed(seed)
        symbols = torch.randint(2, SYMBOLS, (TRAIN + TEST, LENGTH), generator=generator)
        symbols[:, 0] = torch.randint(0, 2, (TRAIN + TEST,), generator=generator)
        labels, x = symbols[:, 0].float(), nn.functional.one_hot(symbols, SYMBOLS).float()
        if model == "hopfield":
            body: nn.Module = HopfieldPooling(SYMBOLS, generator=generator)
            head = linear(SYMBOLS, 1, generator, gain=None)
        else:
            enter, cell = linear(SYMBOLS, 4, generator, gain=None), LSTM(4, generator)
            body, head = nn.ModuleList([enter, cell]), linear(4, 1, generator, gain=None)
        optimizer = torch.optim.AdamW([*body.parameters(), *head.parameters()], lr=1e-3)

        def logits(batch: Tensor) -> Tensor:
            if model == "hopfield":
                return head(body(batch))[:, 0]
            return head(body[1](body[0](batch.transpose(0, 1)))[0][-1])[:, 0]

        curve = []
        for _ in range(budget):
            for batch in torch.randperm(TRAIN, generator=generator).split(32):
                loss = nn.functional.binary_cross_entropy_with_logits(logits(x[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_([*body.parameters(), *head.parameters()], 1.0)
                optimizer.step()
            with torch.no_grad():
                curve.append(float(((logits(x[TRAIN:]) > 0) == (labels[TRAIN:] > 0.5)).float().mean()))
    return {"scores": {"accuracy": curve[-1]}, "curves": {"timesteps": list(range(1, budget + 1)), "accuracy": curve}}


def _memory(width: int, generator: torch.Generator) -> HopfieldMemory:
    return HopfieldMemory(width, window=16, generator=generator)


def recall(seed: int, budget: int, quick: bool, encoder: str, width: int) -> dict[str, Any]:
    """Train PPO on associative recall with 8 pairs, and return the mean return of 400 episodes."""
    own = functools.partial(SequenceEncoder, layer=_memory)
    agent = make(
        "PPO",
        "envzoo/AssociativeRecall-v0",
        seed=seed,
        device="cpu",
        encoder=own if encoder == "hopfield" else encoder,
        hidden=(width,),
        num_envs=64,
        num_steps=32,
        num_epochs=4,
        minibatch_size=512,
        gamma=0.5,
        gae_lambda=0.9,
        learning_rate=2e-3,
        entropy_coefficient=0.01,
        share_encoder=True,
    )
    times, curve = [], []

    def record(learner: Any, metrics: dict[str, float]) -> None:
        if "rollout/return_mean" in metrics:
            times.append(learner.num_timesteps)
            curve.append(metrics["rollout/return_mean"])

    agent.learn(budget, callback=record)
    count = sum(p.numel() for p in agent.policy.parameters())
    scores = {"return": float(np.mean(evaluate(agent, episodes=400).returns)), "parameters": float(count)}
    return {"scores": scores, "curves": {"timesteps": times, "return": curve}}
