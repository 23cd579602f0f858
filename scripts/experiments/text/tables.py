"""Arms on softmax tables: hundreds of seeds per method, with entropy and accuracy computed exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from envzoo.agents.reasoning.entropy_mechanism import fit_entropy_law
from envzoo.agents.registry import agent_class
from envzoo.agents.text.table import TokenPuzzle, TokenTable, countdown, sum_to_rules, walk
from envzoo.scripts.experiments.core.arms import FunctionArm

ACCURACY, ENTROPY, PASS, COVARIANCE = "accuracy", "entropy", "pass@16", "covariance"
CURVES = {ACCURACY: "exact/accuracy", ENTROPY: "exact/entropy", PASS: "exact/pass_at_16"}
AREA, AREA_PASS = "entropy at equal accuracy", "pass@16 at equal accuracy"
GENERATED, TRAINED = "tokens generated", "tokens trained on"
# TextSumTo-v1 then starts at an accuracy of .13 and an entropy of 1.06 nats.
START = {
    "rules": {"spread": 2.0, "bias": 4.0},
    "countdown": {"spread": 2.0, "bias": 4.0},
    "walk": {"spread": 1.0, "bias": 0.0},
    "long walk": {"spread": 3.0, "bias": 0.0},
}
LEVELS = (0.3, 0.8)  # accuracies between which methods are compared
FIRST_SEED, UPDATES, QUICK = 1000, 150, 20


@lru_cache(maxsize=4)
def puzzle_named(name: str) -> TokenPuzzle:
    """Make a puzzle of the experiments."""
    if name == "countdown":
        return countdown(numbers=2)  # with three numbers the table has 68,483 rows, most of which are never visited
    if name == "long walk":
        return walk(21, 30)
    return {"rules": sum_to_rules, "walk": walk}[name]()


def judged_split(puzzle: str) -> str:
    """Return the split on which a puzzle is measured; in TextCountdown nothing carries over to held-out prompts."""
    return "train" if puzzle == "countdown" else "evaluation"


def at_accuracy(accuracy: np.ndarray, values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Read a curve (n,) where the accuracy (n,) first reaches each level, linearly between points; nan if never."""
    found = np.full(len(levels), np.nan)
    for k, level in enumerate(levels):
        reached = np.flatnonzero(accuracy >= level)
        if reached.size and reached[0] == 0:
            found[k] = values[0]
        elif reached.size:
            j = reached[0]
            share = (level - accuracy[j - 1]) / (accuracy[j] - accuracy[j - 1])
            found[k] = values[j - 1] + share * (values[j] - values[j - 1])
    return found


def area(accuracy: np.ndarray, values: np.ndarray, levels: Sequence[float] = LEVELS) -> float:
    """Compute the mean of a curve (n,) over accuracies between two levels, each read where it is first reached."""
    return float(at_accuracy(accuracy, values, np.linspace(*levels, 51)).mean())


# Summaries of a metric over the updates of a run, (updates,); an early stage is a tenth of them.
STATISTICS: Mapping[str, Callable[[np.ndarray], float]] = {
    "mean": lambda values: np.nanmean(values),
    "early": lambda values: np.nanmean(values[: max(1, len(values) // 10)]),
    "p99": lambda values: np.nanpercentile(values, 99),
}


def run_table(
    seeds: Sequence[int],
    budget: int,
    quick: bool,
    method: str,
    hyperparameters: Mapping[str, Any] | None = None,
    puzzle: str = "rules",
    every: int = 5,
    measures: Mapping[str, Sequence[str]] | None = None,
    reach: float | None = None,
    levels: Sequence[float] = LEVELS,
) -> list[dict[str, Any]]:
    """Train a method on a softmax table with many seeds; a run of arms.

    Args:
        seeds: Seeds (S,).
        budget: Number of updates.
        quick: Whether the run is a quick one, which has no scores at equal accuracy.
        method: Name of a registered agent that trains language models.
        hyperparameters: Hyperparameters of the agent.
        puzzle: Key of `START`.
        every: Updates per point of the curves.
        measures: Further scores: name -> (metric of `TokenTable.learn`, key of `STATISTICS`).
        reach: Accuracy; if given, the tokens sampled and trained on are curves, and their numbers when a run first
            reaches this accuracy are scores.
        levels: Accuracies between which the scores at equal accuracy are averaged.

    Returns:
        For each seed, scores and curves. All measures are exact, on the prompts of `judged_split`; a curve has the
        values before updates 0, every, 2 every, ..., and after the last one.
    """
    made, agent = puzzle_named(puzzle), agent_class(method)
    table = TokenTable(
        made, agent.Method, config=agent.Config, seeds=seeds, **START[puzzle], **dict(hyperparameters or {})
    )
    split = judged_split(puzzle)
    curves = table.learn(budget, exact=split, every=every)
    last = table.measure(split)
    exact = {
        name: np.column_stack([curves[f"exact/{name}"][:, ::every], getattr(last, name)])
        for name in ("accuracy", "entropy", "pass_at_16", "covariance")
    }
    points = [*range(0, budget, every), budget]
    spent = {} if reach is None else {
        GENERATED: np.column_stack([curves["tokens/generated"][:, ::every], table.generated]),
        TRAINED: np.column_stack([curves["tokens/trained"][:, ::every], table.trained]),
    }  # fmt: skip
    found = []
    for s in range(len(seeds)):
        accuracy, entropy = exact["accuracy"][s], exact["entropy"][s]
        scores = {
            f"final {ACCURACY}": accuracy[-1],
            f"final {ENTROPY}": entropy[-1],
            f"final {PASS}": exact["pass_at_16"][s][-1],
            AREA: area(accuracy, entropy, levels),
            AREA_PASS: area(accuracy, exact["pass_at_16"][s], levels),
            **entropy_scores(seeds[s], accuracy, entropy, exact["covariance"][s]),
            **{name: STATISTICS[how](curves[metric][s]) for name, (metric, how) in (measures or {}).items()},
            **{name: at_accuracy(accuracy, tokens[s], np.array([reach]))[0] for name, tokens in spent.items()},
        }
        shown = {"timesteps": points} | {
            name: [float(f"{value:.5g}") for value in exact[column.removeprefix("exact/")][s]]
            for name, column in CURVES.items()
        }
        shown |= {name: tokens[s].tolist() for name, tokens in spent.items()}
        found.append({"scores": {name: float(value) for name, value in scores.items()}, "curves": shown})
    return found


def entropy_scores(seed: int, accuracy: np.ndarray, entropy: np.ndarray, covariance: np.ndarray) -> dict[str, float]:
    """Compute what paper 03 and 06 say about a run: the law, the covariance, and the changes of entropy per update."""
    from scipy.stats import spearmanr

    shuffled = np.random.default_rng(seed).permutation(entropy)
    change = np.diff(entropy)
    return {
        "R^2 of the law": fit_entropy_law(entropy, accuracy)[2],
        "R^2 of the law, shuffled": fit_entropy_law(shuffled, accuracy)[2],
        "share of positive covariances": float((covariance > 0).mean()),
        "rho of covariance and fall": spearmanr(covariance[:-1], -change).statistic,
        "rho of covariance and fall, shuffled": spearmanr(
            np.random.default_rng(seed).permutation(covariance[:-1]), -change
        ).statistic,
        "spread of changes": float(np.percentile(np.abs(change), 95)),
    }


def table_arm(
    name: str,
    method: str,
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    updates: int = UPDATES,
    group: str = "TextSumTo-v1",
    full_only: bool = False,
    seeds: int | None = None,
    **more: Any,
) -> FunctionArm:
    """Create an arm of `run_table`; `more` are further settings of it."""
    settings = {"method": method, "hyperparameters": dict(hyperparameters or {}), **more}
    return FunctionArm(
        name, run_seeds=run_table, budget=updates, settings=settings, group=group, quick_spend=min(QUICK, updates),
        full_only=full_only, seeds=seeds, batch=20,
    )  # fmt: skip


COLUMNS = {
    f"final {ENTROPY}": "entropy at the end, nats",
    f"final {ACCURACY}": "accuracy at the end",
    AREA: "entropy at equal accuracy",
    AREA_PASS: "pass@16 at equal accuracy",
}
TABLE_NOTE = (
    "The policy is a softmax table instead of a network (`envzoo.agents.text.table.TokenTable`): one logit per digit "
    "and per position, remaining sum and forbidden digit of TextSumTo-v1, with the losses of the agents themselves. "
    "Rollouts of 16 prompts with 16 answers, 4 minibatches, AdamW with a learning rate of 0.02. Accuracy and entropy "
    "are computed exactly on the 277 held-out prompts. A table cannot show what depends on how a network generalizes."
)
AREA_NOTE = (
    f"At equal accuracy: the mean over accuracies from {LEVELS[0]:g} to {LEVELS[1]:g} of the value at the update at "
    "which a run first reaches each of them. All methods of a seed start from the same logits."
)
