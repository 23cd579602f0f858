"""Runs of AEPO on a softmax table, with the exact entropy over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from envzoo.agents.reasoning.aepo_arbitrary import AEPOArbitrary
from envzoo.agents.reasoning.grpo import GRPO
from envzoo.agents.text.table import TokenTable, sum_to

AGENTS = {cls.__name__: cls for cls in (GRPO, AEPOArbitrary)}
ENTROPY, ACCURACY, INJECTED = "entropy", "accuracy", "injected answers"
HELD, TREND, FINAL = "entropy held", "rho of time and entropy", "final accuracy"
EVERY = 5


def run_control(
    seeds: Sequence[int], budget: int, quick: bool, method: str, hyperparameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Train with many seeds on TextSumTo as a softmax table; a run of arms.

    Returns:
        For each seed, curves of the exact entropy and accuracy over the training prompts, and as scores the mean
        entropy over the last third, Spearman's rho of time and entropy, final accuracy, and the injected answers.
    """
    agent = AGENTS[method]
    table = TokenTable(sum_to(), agent.Method, config=agent.Config, seeds=seeds, **dict(hyperparameters or {}))
    curves = table.learn(budget, every=EVERY)
    last = table.measure()
    entropy = np.column_stack([curves["exact/entropy"][:, ::EVERY], last.entropy])
    accuracy = np.column_stack([curves["exact/accuracy"][:, ::EVERY], last.accuracy])
    injected = curves.get("select/injected", np.zeros((len(table.seeds), 1))).mean(1)
    points = [*range(0, budget, EVERY), budget]
    return [
        {
            "scores": {
                HELD: float(h[2 * len(h) // 3 :].mean()),
                TREND: float(spearmanr(points, h).statistic),
                FINAL: float(a[-1]),
                INJECTED: float(n),
            },
            "curves": {
                "timesteps": points,
                ENTROPY: [float(f"{value:.5g}") for value in h],
                ACCURACY: [float(f"{value:.5g}") for value in a],
            },
        }
        for h, a, n in zip(entropy, accuracy, injected, strict=True)
    ]


def temperature_moves_entropy(results: Any = None, power: int = 3) -> float:
    """Compute the largest error of dH/dT = Var(z) / T^power for softmax(z / T); the identity has the power 3."""
    generator, worst, step = np.random.default_rng(0), 0.0, 1e-5
    for _ in range(200):
        z, heat = generator.normal(size=10), generator.uniform(0.5, 2.0)

        def entropy(temperature: float, z: np.ndarray = z) -> float:
            log_p = z / temperature - np.logaddexp.reduce(z / temperature)
            return float(-np.exp(log_p) @ log_p)

        p = np.exp(z / heat - np.logaddexp.reduce(z / heat))
        slope = (p @ z**2 - (p @ z) ** 2) / heat**power
        worst = max(worst, abs((entropy(heat + step) - entropy(heat - step)) / (2 * step) - slope))
    return worst
