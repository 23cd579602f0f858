"""Arms of the experiment of paper 46: blobs, a classifier with true and with shuffled labels, and one PPO agent."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from envzoo.agents import make
from envzoo.agents.callbacks import RepresentationProbe
from envzoo.agents.diagnostics import dse, dsmi, median_distance
from envzoo.agents.evaluation import evaluate
from envzoo.agents.networks.layers import linear
from envzoo.agents.threads import using_threads

CLASSES, DIMENSIONS, TRAIN, TEST = 10, 64, 1200, 597


def measure_blobs(seed: int, budget: int, quick: bool, separation: float) -> dict[str, Any]:
    """Measure DSE of `budget` samples of five blobs in 20 dimensions, for two diffusion times."""
    generator = np.random.default_rng(seed)
    centres = separation / np.sqrt(40) * generator.normal(size=(5, 20))  # the root mean square distance: `separation`
    z = centres[np.arange(budget) % 5] + generator.normal(size=(budget, 20))
    return {"scores": {"t = 1": dse(z, 10, 1), "t = 2": dse(z, 10, 2)}}


def classify(seed: int, budget: int, quick: bool, shuffled: bool) -> dict[str, Any]:
    """Train a classifier of ten blobs for `budget` epochs, and measure its hidden layer on the test set."""
    with using_threads(1):
        generator = torch.Generator().manual_seed(seed)
        centres = 0.5 * torch.randn(CLASSES, DIMENSIONS, generator=generator)
        labels = torch.arange(TRAIN + TEST) % CLASSES
        x = centres[labels] + 0.7 * torch.randn(TRAIN + TEST, DIMENSIONS, generator=generator)
        order = torch.randperm(TRAIN, generator=generator)
        targets = labels[:TRAIN][order] if shuffled else labels[:TRAIN]
        hidden = nn.Sequential(
            linear(DIMENSIONS, 256, generator, gain=None), nn.ReLU(), linear(256, 64, generator, gain=None), nn.ReLU()
        )
        head = linear(64, CLASSES, generator, gain=None)
        optimizer = torch.optim.Adam([*hidden.parameters(), *head.parameters()], lr=1e-3, fused=True)
        rows: list[dict[str, float]] = []

        def measure() -> dict[str, float]:
            with torch.no_grad():
                z = hidden(x[TRAIN:])
                right = (head(z).argmax(dim=1) == labels[TRAIN:]).float().mean()
                fitted = (head(hidden(x[:TRAIN])).argmax(dim=1) == targets).float().mean()
            median = median_distance(z)
            return {
                "dse": dse(z),
                "dsmi": dsmi(z, labels[TRAIN:].numpy()),
                "dse at median": dse(z, median),
                "dsmi at median": dsmi(z, labels[TRAIN:].numpy(), median),
                "test accuracy": float(right),
                "train accuracy": float(fitted),
            }

        rows.append(measure())
        every = max(1, budget // 10)
        for epoch in range(1, budget + 1):
            for batch in torch.randperm(TRAIN, generator=generator).split(64):
                loss = nn.functional.cross_entropy(head(hidden(x[:TRAIN][batch])), targets[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if epoch % every == 0:
                rows.append(measure())
    scores = dict(rows[-1]) | {"dse rise": rows[-1]["dse"] - rows[0]["dse"], "first dse": rows[0]["dse"]}
    curves = {name: [row[name] for row in rows] for name in rows[0]}
    return {"scores": scores, "curves": {"timesteps": [every * k for k in range(len(rows))]} | curves}


def best_moves() -> tuple[np.ndarray, np.ndarray]:
    """Return every observation of the frozen lake without slipping whose best first move is unique, and that move.

    Repeated so that every move has at least 20 observations.
    """
    from gymnasium.envs.toy_text.frozen_lake import MAPS

    grid = [list(row) for row in MAPS["4x4"]]
    distance = {(3, 3): 0}
    queue, moves = [(3, 3)], {0: (0, -1), 1: (1, 0), 2: (0, 1), 3: (-1, 0)}
    while queue:
        row, column = queue.pop(0)
        for down, right in moves.values():
            place = (row - down, column - right)
            inside = 0 <= place[0] < 4 and 0 <= place[1] < 4
            if inside and place not in distance and grid[place[0]][place[1]] != "H":
                distance[place] = distance[row, column] + 1
                queue.append(place)
    found = []
    for (row, column), steps in distance.items():
        after = [distance.get((row + d, column + r), 99) for d, r in moves.values()]
        best = [move for move, length in enumerate(after) if length == steps - 1]
        if len(best) == 1:
            found.append((4 * row + column, best[0]))
    states, labels = map(np.array, zip(*found, strict=True))
    return np.tile(states, 20), np.tile(labels, 20)


def watch_ppo(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Train PPO on the frozen lake without slipping with a probe of its encoder; labels are the best moves."""
    states, labels = best_moves()
    agent = make(
        "PPO",
        "FrozenLake-v1",
        env_kwargs={"is_slippery": False},
        seed=seed,
        device="cpu",
        num_envs=8,
        num_steps=64,
        entropy_coefficient=0.01,
    )
    times: list[int] = []
    rows: list[dict[str, float]] = []

    def record(learner: Any, metrics: dict[str, float]) -> None:
        if "representation/dse" in metrics:
            times.append(learner.num_timesteps)
            rows.append({k: metrics[f"representation/{k}"] for k in ("dse", "dsmi", "dse_median", "dsmi_median")})

    probe = RepresentationProbe(states, labels, every=max(1, budget // 12))
    agent.learn(budget, callback=[probe, record])
    result = evaluate(agent, episodes=20)
    scores = {"return": float(np.mean(result.returns))} | rows[-1]
    scores["dsmi rise"] = rows[-1]["dsmi_median"] - rows[0]["dsmi_median"]
    curves = {name: [row[name] for row in rows] for name in rows[0]}
    return {"scores": scores, "curves": {"timesteps": times} | curves}


def measure_limits(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Measure the largest errors at the exact limits of DSE and DSMI."""
    generator = np.random.default_rng(seed)
    far = np.arange(50)[:, None] * 1e4 * np.ones(3)
    errors = [abs(dse(np.ones((50, 3)))), abs(dse(far) - np.log2(50))]
    for k in (2, 4, 8):
        errors += [abs(dse(np.repeat(far[:k], 6, axis=0), t=t) - np.log2(k)) for t in (1.0, 2.0, 5.0)]
    z = generator.normal(size=(600, 6)) * 10
    constant = abs(dsmi(z, np.zeros(600, int)))
    independent = abs(dsmi(z, generator.integers(0, 4, 600)))
    return {"scores": {"limits": max(errors), "constant labels": constant, "independent labels": independent}}
