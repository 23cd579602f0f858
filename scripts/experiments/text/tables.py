"""Arms on softmax tables: hundreds of seeds per method, with entropy and accuracy computed exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from envzoo.agents.reasoning.aepo_arbitrary import AEPOArbitrary
from envzoo.agents.reasoning.bapo import BAPO
from envzoo.agents.reasoning.dapo import ClipHigher
from envzoo.agents.reasoning.entropy_mechanism import ClipCov, KLCov, fit_entropy_law
from envzoo.agents.reasoning.grpo import GRPO, EntropyBonus
from envzoo.agents.reasoning.hapo import HAPO
from envzoo.agents.reasoning.steer import STEER
from envzoo.agents.text.table import TokenPuzzle, TokenTable, sum_to_rules, walk
from envzoo.scripts.experiments.core.arms import FunctionArm

# Named here, so that the key of an arm depends on the code of the methods.
AGENTS = {
    cls.__name__: cls for cls in (GRPO, EntropyBonus, ClipHigher, ClipCov, KLCov, STEER, HAPO, BAPO, AEPOArbitrary)
}
ACCURACY, ENTROPY, PASS, COVARIANCE = "accuracy", "entropy", "pass@16", "covariance"
CURVES = {ACCURACY: "exact/accuracy", ENTROPY: "exact/entropy", PASS: "exact/pass_at_16"}
AREA, AREA_PASS = "entropy at equal accuracy", "pass@16 at equal accuracy"
# TextSumTo-v1 then starts at an accuracy of .13 and an entropy of 1.06 nats.
START = {"rules": {"spread": 2.0, "bias": 4.0}, "walk": {"spread": 1.0, "bias": 0.0}}
LEVELS = (0.3, 0.8)  # accuracies between which methods are compared
FIRST_SEED, UPDATES, QUICK = 1000, 150, 20


@lru_cache(maxsize=4)
def puzzle_named(name: str) -> TokenPuzzle:
    """Make a puzzle of the experiments."""
    return {"rules": sum_to_rules, "walk": walk}[name]()


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


def area(accuracy: np.ndarray, values: np.ndarray, levels: tuple[float, float] = LEVELS) -> float:
    """Compute the mean of a curve (n,) over accuracies between two levels, each read where it is first reached."""
    return float(at_accuracy(accuracy, values, np.linspace(*levels, 51)).mean())


def run_table(
    seeds: Sequence[int],
    budget: int,
    quick: bool,
    method: str,
    hyperparameters: Mapping[str, Any] | None = None,
    puzzle: str = "rules",
    every: int = 5,
    kept: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Train a method on a softmax table with many seeds; a run of arms.

    Args:
        seeds: Seeds (S,).
        budget: Number of updates.
        quick: Whether the run is a quick one, which has no scores at equal accuracy.
        method: Key of `AGENTS`.
        hyperparameters: Hyperparameters of the agent.
        puzzle: Key of `START`.
        every: Updates per point of the curves.
        kept: Metrics of `TokenTable.learn` whose mean over the updates is a score.

    Returns:
        For each seed, scores and curves. All measures are exact, on the held-out prompts; a curve has the values before
        updates 0, every, 2 every, ..., and after the last one.
    """
    made, agent = puzzle_named(puzzle), AGENTS[method]
    table = TokenTable(
        made, agent.Method, config=agent.Config, seeds=seeds, **START[puzzle], **dict(hyperparameters or {})
    )
    split = "evaluation" if made.evaluation.size else "train"
    curves = table.learn(budget, exact=split, every=every)
    last = table.measure(split)
    exact = {
        name: np.column_stack([curves[f"exact/{name}"][:, ::every], getattr(last, name)])
        for name in ("accuracy", "entropy", "pass_at_16", "covariance")
    }
    points = [*range(0, budget, every), budget]
    found = []
    for s in range(len(seeds)):
        accuracy, entropy = exact["accuracy"][s], exact["entropy"][s]
        scores = {
            f"final {ACCURACY}": accuracy[-1],
            f"final {ENTROPY}": entropy[-1],
            f"final {PASS}": exact["pass_at_16"][s][-1],
            AREA: area(accuracy, entropy),
            AREA_PASS: area(accuracy, exact["pass_at_16"][s]),
            **entropy_scores(seeds[s], accuracy, entropy, exact["covariance"][s]),
            **{name: np.nanmean(curves[name][s]) for name in kept},
        }
        shown = {"timesteps": points} | {
            name: [float(f"{value:.5g}") for value in exact[column.removeprefix("exact/")][s]]
            for name, column in CURVES.items()
        }
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
