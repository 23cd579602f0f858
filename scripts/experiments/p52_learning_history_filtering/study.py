"""Runs of paper 52: in-context learners trained on learning histories, played on goals that no history has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from envzoo import agents
from envzoo.agents.baselines.random import Random
from envzoo.agents.evaluation import EVALUATION_SEED, evaluate
from envzoo.agents.offline.algorithm_distillation import AlgorithmDistillation
from envzoo.agents.offline.dpt import DPT
from envzoo.datasets.history_filter import improvement, keep_probabilities, resample, stability, utility
from envzoo.datasets.recipes.offline import HELD_OUT
from envzoo.scripts.experiments.offline_runs import provide

# The classes, and not only their names, so that stored results are of the present code of the agents.
AGENTS = {"AlgorithmDistillation": AlgorithmDistillation, "DPT": DPT}
ROOM, SIZE = "envzoo/Darkroom-v0", 5
EPISODES, COPIES, ENDS = 15, 8, 5


def play_held_out(agent: Any, copies: int) -> np.ndarray:
    """Play every held-out goal for EPISODES episodes, `copies` times side by side; returns means (EPISODES,)."""
    curves = []
    for number, goal in enumerate(HELD_OUT):
        env = gym.make_vec(ROOM, num_envs=copies, size=SIZE, goal=list(goal), autoreset_mode=AutoresetMode.SAME_STEP)
        seed = EVALUATION_SEED + 1000 * number
        played = evaluate(agent, env, episodes=copies * EPISODES, seed=seed, deterministic=False)
        curves.append(played.returns.reshape(EPISODES, copies).mean(axis=1))  # all episodes have one length
        env.close()
    return np.mean(curves, axis=0)


def score(curve: np.ndarray) -> dict[str, Any]:
    """Score the mean return over all episodes, over the first and the last five, and the ratio of these."""
    first, last = float(curve[:ENDS].mean()), float(curve[-ENDS:].mean())
    return {
        "scores": {"mean": float(curve.mean()), "first": first, "last": last, "last over first": last / first},
        "curves": {"timesteps": list(range(1, len(curve) + 1)), "return": curve.tolist()},
    }


def learn_and_play(
    agent: str, dataset: str, seed: int, budget: int, settings: Mapping[str, Any], copies: int
) -> np.ndarray:
    """Train an agent on a dataset of learning histories; returns its mean return on the held-out goals, (episodes,)."""
    provide(dataset)
    made = agents.make(agent, dataset, seed=seed, device="cpu", threads=1, **settings)
    made.learn(budget)
    return play_held_out(made, copies)


def run_agent(
    seed: int, budget: int, quick: bool, agent: str, dataset: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Train an agent on learning histories, and play it on the held-out goals."""
    return score(learn_and_play(AGENTS[agent].spec.name, dataset, seed, budget, settings, COPIES))


def run_random(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Play uniformly random actions on the held-out goals."""
    made = agents.make(Random.spec.name, ROOM, seed=seed, device="cpu")
    return score(play_held_out(made, 50 * COPIES))


def run_metrics(seed: int, budget: int, quick: bool) -> dict[str, Any]:
    """Score the largest errors of examples worked out by hand, and frequencies of the sampler over `budget` draws."""
    examples = (([0, 5, 10], 0.75, 1.0), ([10, 0, 10, 0], 0.75, 0.0), ([10, 10, 10], 0.5, 1.0), ([0, 0, 0], 0.0, 1.0))
    errors = []
    for returns, improved, stable in examples:
        row = np.array(returns, np.float64)
        errors += [improvement(row, 10) - improved, stability(row, 10) - stable, utility(row, 10) - improved - stable]
    p = keep_probabilities(np.array([1.0, 2.0, 3.0]))
    errors += (p - [0, 0.5, 1]).tolist()
    generator = np.random.default_rng(seed)
    drawn = [resample(p, generator) for _ in range(budget)]
    broken = sum(0 in kept or 2 not in kept for kept in drawn)
    many = np.tile([0.0, 0.25, 0.5, 1.0], 250)
    counts = np.zeros(4)
    for _ in range(max(1, budget // 10)):
        counts += np.bincount(resample(many, generator) % 4, minlength=4)
    shares = counts / counts.sum()
    expected = np.array([0.0, 0.25, 0.5, 1.0]) / 1.75
    return {
        "scores": {
            "metrics": float(np.abs(errors).max()),
            "broken": float(broken),
            "frequencies": float(np.abs(shares - expected).max()),
        }
    }
