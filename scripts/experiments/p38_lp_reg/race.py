"""A race between two strategies in a softmax table, and the point at which Lp-Reg's pull balances the punishment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from envzoo.agents.reasoning.grpo import GRPO
from envzoo.agents.reasoning.lp_reg import LpReg, lp_reg
from envzoo.agents.text.table import TokenPuzzle, TokenTable, build_puzzle
from envzoo.scripts.experiments.core.results import Results

AGENTS = {cls.__name__: cls for cls in (GRPO, LpReg)}
JUNK = 10
USUAL, SPARK = 0, 1  # tokens; those after are junk
FIRST, SECOND = 0, 1  # rows of the table
SPARK_SHARE, JUNK_SHARE, SKILL = 0.04, 0.01, 0.12
EXCLUDED = -1e4
LEARNING_RATE, GROUPS, COPIES, POINTS = 1.0, 16, 16, 10
P_SPARK, P_JUNK, SURVIVES, GATED = "P(spark)", "P(junk)", "spark survives", "gated tokens"


@lru_cache(maxsize=1)
def race_puzzle() -> TokenPuzzle:
    """Make the race: A is right for the easy half of the prompts; B is right if a second token is.

    Which half a prompt belongs to does not show. Ten further first tokens are never right. The wrong second token is
    not rare, so no method protects it.
    """

    def advance(state: tuple, token: int) -> tuple:
        if state[0] == "second":
            return "end", 2, token == USUAL
        return ("second",) if token == SPARK else ("end", 1, token == USUAL and state[1] == "easy")

    return build_puzzle(
        "race",
        ("A", "B", *"CDEFGHIJKL"),
        [("first", "easy")] * 64 + [("first", "hard")] * 64,
        [],
        advance,
        reward=lambda state: float(state[2]) if state[0] == "end" else None,
        sees=lambda state: state[0],
    )


def first_logits() -> np.ndarray:
    """Return the logits (2, 12) at the start: B is rare, junk is rarer, and the second token is mostly wrong."""
    logits = np.full((2, 2 + JUNK), EXCLUDED)
    logits[FIRST] = math.log(JUNK_SHARE / JUNK)
    logits[FIRST, :2] = math.log(1 - SPARK_SHARE - JUNK_SHARE), math.log(SPARK_SHARE)
    logits[SECOND, :2] = math.log(SKILL), math.log(1 - SKILL)
    return logits


def run_race(
    seeds: Sequence[int], budget: int, quick: bool, method: str, hyperparameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Run the race with many seeds; a run of arms.

    Returns:
        For each seed, the probabilities of the spark and of junk at the end, whether the spark survives (its
        probability is above one half), and their curves.
    """
    agent = AGENTS[method]
    # Plain gradient descent: Adam's steps have one size, whatever a rare token's gradient is.
    common = {"learning_rate": LEARNING_RATE, "max_grad_norm": 1e9, "num_prompts": GROUPS, "group_size": COPIES}
    table = TokenTable(
        race_puzzle(), agent.Method, config=agent.Config, seeds=seeds, optimizer="sgd",
        **common | dict(hyperparameters or {}),
    )  # fmt: skip
    table.set_logits(first_logits())
    first, gated = [table.probabilities()[:, FIRST]], []
    size = max(1, budget // POINTS)
    while table.updates < budget:
        curves = table.learn(min(size, budget - table.updates), exact=None)
        gated.append(curves.get("policy/gated_fraction", np.zeros((len(table.seeds), 1))).mean(1))
        first.append(table.probabilities()[:, FIRST])
    updates = [min(size * k, budget) for k in range(len(first))]
    found = []
    for s in range(len(table.seeds)):
        spark = [float(p[s, SPARK]) for p in first]
        junk = [float(p[s, SPARK + 1 :].sum()) for p in first]
        scores = {
            P_SPARK: spark[-1],
            P_JUNK: junk[-1],
            SURVIVES: float(spark[-1] > 0.5),
            GATED: float(np.mean([g[s] for g in gated])),
        }
        curves = {P_SPARK: [float(f"{p:.4g}") for p in spark], P_JUNK: [float(f"{p:.4g}") for p in junk]}
        found.append({"scores": scores, "curves": {"timesteps": updates, **curves}})
    return found


def worst_fixed_point(results: Results, factor: float = 1.0) -> float:
    """Compute the largest distance of a punished token's ratio from the solution of |A| r = beta (1/r - 1).

    A single gated token takes gradient steps on Lp-Reg's loss within one rollout, for nine pairs of advantage and
    weight, until it rests. A `factor` other than 1 multiplies beta in the equation, as an error.
    """
    worst = 0.0
    for size in (0.3, 1.0, 3.0):
        for beta in (1.0, 5.0, 20.0):
            old = torch.tensor([[math.log(0.04)]], dtype=torch.float64)
            logp = old.clone()
            mask, advantage = torch.ones_like(old), torch.full_like(old, -size)
            for _ in range(150):
                logp.requires_grad_()
                loss, _ = lp_reg(logp, old, old, advantage, mask, rho=1.0, beta=beta)
                (slope,) = torch.autograd.grad(loss.sum(), [logp])
                logp = (logp - 0.3 / (size + 2 * beta) * slope).detach()
            b = factor * beta
            expected = (math.sqrt(b * b + 4 * size * b) - b) / (2 * size)
            worst = max(worst, abs(math.exp(float(logp - old)) - expected))
    return worst
