"""Runs of the comparison of methods: exact measures of a softmax table after equal numbers of generated tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envzoo.agents.registry import agent_class
from envzoo.agents.text.table import TokenTable
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text.clipped import COUNTDOWN, GROUPS, REGIME, RULES
from envzoo.scripts.experiments.text.strengths import GRPO, strength
from envzoo.scripts.experiments.text.tables import START, area, judged_split, puzzle_named

UPDATES, EVERY, QUICK = 40, 2, 6
# Tokens that GRPO generates in about 40 updates; answers to TextCountdown end with their first error.
TOKENS = {RULES: 40_000, COUNTDOWN: 24_000}
PARTS = {"a quarter": 0.25, "half": 0.5, "all": 1.0}  # of the tokens
LEVELS = {RULES: (0.3, 0.5), COUNTDOWN: (0.15, 0.25)}
ACCURACY, ENTROPY, PASS, KEPT = "accuracy", "entropy", "pass@16", "entropy at equal accuracy"
MEASURES = {ACCURACY: "accuracy", ENTROPY: "entropy", PASS: "pass_at_16"}
PER_UPDATE, TRAINED = "tokens generated per update", "tokens trained on per update"


def after(measure: str, part: str = "all") -> str:
    """Return the name of the score of a measure after a part of the tokens."""
    return f"{measure}, {part}"


def run_comparison(
    seeds: Sequence[int], budget: int, quick: bool, method: str, puzzle: str, hyperparameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Train a method on a puzzle with many seeds; a run of arms.

    Returns:
        For each seed, accuracy, entropy and pass@16 after a quarter, half and all of the tokens, linearly between
        updates; the entropy at equal accuracy; and the tokens generated and trained on per update.
    """
    made, agent = puzzle_named(puzzle), agent_class(method)
    table = TokenTable(
        made, agent.Method, config=agent.Config, seeds=seeds, **START[puzzle], **REGIME | dict(hyperparameters)
    )
    split = judged_split(puzzle)
    curves = table.learn(budget, exact=split, every=EVERY)
    last = table.measure(split)
    values = {
        name: np.column_stack([curves[f"exact/{field}"][:, ::EVERY], getattr(last, field)])
        for name, field in MEASURES.items()
    }
    generated = np.column_stack([curves["tokens/generated"][:, ::EVERY], table.generated])
    found = []
    for s in range(len(seeds)):
        scores = {
            after(name, part): np.interp(share * TOKENS[puzzle], generated[s], values[name][s])
            for part, share in PARTS.items()
            for name in MEASURES
        }
        scores[KEPT] = area(values[ACCURACY][s], values[ENTROPY][s], LEVELS[puzzle])
        scores[PER_UPDATE], scores[TRAINED] = table.generated[s] / budget, table.trained[s] / budget
        # Four digits are far below the spread between seeds, and 7,000 runs are stored.
        found.append({"scores": {name: float(f"{value:.4g}") for name, value in scores.items()}})
    return found


def compared_arm(name: str, method: str, agent: str, label: str, puzzle: str, **more: Any) -> FunctionArm:
    """Create an arm of `run_comparison`; `more` are fields of the arm."""
    settings = {"method": agent, "puzzle": puzzle, "hyperparameters": strength(method, label)}
    return FunctionArm(
        name, run_seeds=run_comparison, budget=UPDATES, settings=settings, group=GROUPS[puzzle], quick_spend=QUICK,
        batch=100, **more,
    )  # fmt: skip


def on(puzzle: str, method: str) -> str:
    """Return the name of a method's arm on a puzzle."""
    return method if puzzle == RULES else f"{method}, countdown"


def gain(results: Results, arm: str, plain: str, measure: str) -> np.ndarray:
    """Compute a measure after all tokens less that of another arm, for each seed, (seeds,)."""
    first, second = results.paired(arm, plain, after(measure))
    return first - second


def ratio(results: Results, arm: str, plain: str, score: str) -> float:
    """Compute the geometric mean of the ratio of a score to that of another arm; nan where a seed has none."""
    first, second = results.paired(arm, plain, score)
    return float(np.exp(np.log(first / second).mean()))


PLAIN = {puzzle: on(puzzle, GRPO) for puzzle in GROUPS}
COMPARISON_NOTE = (
    "The budget is the number of tokens generated: 40,000 on TextSumTo-v1 and 24,000 on TextCountdown, about 39 "
    "updates of GRPO. Measures are read linearly between updates. DAPO and AEPO generate more for an update and so "
    "take fewer of them. The entropy at equal accuracy is the mean over accuracies from .3 to .5 and from .15 to .25."
)
