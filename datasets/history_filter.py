"""Filtering of learning histories before sequence models are trained on them (Chen et al., 2025, arXiv 2505.15143).

A history is one run of a learning algorithm in one task, with the undiscounted returns R_1, ..., R_K of its episodes.
Histories that improve, and improve steadily, are kept more often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from envzoo.errors import EnvzooError


def improvement(returns: np.ndarray, best: float) -> float:
    """Compute (mean R + max R - min R) / (2 best), in [0, 1] for returns in [0, best].

    Args:
        returns: (K,) returns of the episodes, in their order.
        best: Largest possible return of the task.
    """
    returns = _check(returns, best)
    return float((returns.mean() + returns.max() - returns.min()) / (2 * best))


def stability(returns: np.ndarray, best: float) -> float:
    """Compute 1 + (mean of the negative differences R_{k+1} - R_k) / best; 1 if no return falls."""
    steps = np.diff(_check(returns, best))
    drops = steps[steps < 0]
    return float(1 + drops.mean() / best) if len(drops) else 1.0


def utility(returns: np.ndarray, best: float, weight: float = 1.0) -> float:
    """Compute improvement + weight * stability.

    A history that never finds a reward is perfectly stable: its utility is `weight`, so that with a large weight dead
    histories are preferred to those that learn with setbacks.
    """
    return improvement(returns, best) + weight * stability(returns, best)


def keep_probabilities(utilities: np.ndarray, temperature: float | None = None) -> np.ndarray:
    """Compute the probabilities of the histories of one task: (U - min U) / (max U - min U), all 1 if all are equal.

    Args:
        utilities: (L,).
        temperature: With a number, U is replaced by softmax(U / temperature) first.
    """
    u = np.asarray(utilities, np.float64)
    if u.ndim != 1 or not u.size or not np.isfinite(u).all():
        raise EnvzooError("utilities of histories are at least one finite number each")
    if temperature is not None:
        if not temperature > 0:
            raise EnvzooError(f"the temperature of the filter is positive, got {temperature!r}")
        weights = np.exp((u - u.max()) / temperature)
        u = weights / weights.sum()
    span = u.max() - u.min()
    return (u - u.min()) / span if span > 0 else np.ones_like(u)


def resample(probabilities: np.ndarray, generator: np.random.Generator, shuffle: bool = False) -> np.ndarray:
    """Draw as many histories as there are: sweep over them again and again, keeping each with its probability.

    The best history has probability 1, so this ends. Because it ends in the middle of a sweep, late histories are kept
    less often; with `shuffle`, each sweep has an order of its own (the paper's does not).

    Args:
        probabilities: (L,), the largest of them 1.
        generator: Source of the choices.
        shuffle: Draw a new order for each sweep.

    Returns:
        (L,) int64, with repetitions.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 1 or not p.size or not ((p >= 0) & (p <= 1)).all() or p.max() != 1:
        raise EnvzooError("probabilities to keep histories lie in [0, 1], and the largest of them is 1")
    kept: list[int] = []
    while len(kept) < len(p):
        order = generator.permutation(len(p)) if shuffle else np.arange(len(p))
        kept += order[generator.random(len(p)) < p[order]].tolist()
    return np.array(kept[: len(p)], np.int64)


@dataclass(frozen=True)
class LearningHistoryFilter:
    """Weights of the histories of several tasks.

    Attributes:
        weight: Weight of stability (lambda).
        temperature: See `keep_probabilities`.
        mode: "resample" draws a new set of histories, "weight" weights each by its probability.
        shuffle: See `resample`.
    """

    weight: float = 1.0
    temperature: float | None = None
    mode: Literal["resample", "weight"] = "resample"
    shuffle: bool = False

    def __call__(
        self,
        returns: Sequence[np.ndarray],
        tasks: np.ndarray,
        best: np.ndarray,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Compute how often each history counts; the mean over the histories of each task is 1.

        Args:
            returns: The returns of each of H histories.
            tasks: (H,) integers, the task of each.
            best: (H,) largest possible return of the task of each.
            generator: Source of the choices.

        Returns:
            (H,) float64.
        """
        tasks, best = np.asarray(tasks), np.asarray(best, np.float64)
        if not len(returns) == len(tasks) == len(best):
            raise EnvzooError(
                f"there are {len(returns)} histories, {len(tasks)} tasks and {len(best)} best returns; expected one "
                "task and one best return for each history"
            )
        counts = np.zeros(len(returns))
        for task in np.unique(tasks):
            mine = np.flatnonzero(tasks == task)
            utilities = np.array([utility(returns[h], best[h], self.weight) for h in mine])
            p = keep_probabilities(utilities, self.temperature)
            if self.mode == "weight":
                counts[mine] = p / p.mean()
            else:
                counts[mine] = np.bincount(resample(p, generator, self.shuffle), minlength=len(mine))
        return counts


def _check(returns: np.ndarray, best: float) -> np.ndarray:
    returns = np.asarray(returns, np.float64)
    if returns.ndim != 1 or not returns.size or not np.isfinite(returns).all():
        raise EnvzooError("returns of a history are at least one finite number, one for each episode")
    if not (np.isfinite(best) and best > 0):
        raise EnvzooError(f"the best return of a task is positive, got {best!r}")
    return returns
