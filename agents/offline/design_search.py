"""Search over the four design choices of model-based offline learning, judged on seeds that the search did not see."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from envzoo.agents.offline.penalties import PENALTIES, find_penalty
from envzoo.errors import EnvzooError

Evaluate = Callable[[Mapping[str, Any], int], float]


@dataclass(frozen=True)
class DesignSpace:
    """The choices: penalty, members of the ensemble, length of imagined flights, and weight of the penalty."""

    penalties: tuple[str, ...] = tuple(PENALTIES)
    """Names of penalties; they are normalised, so that one range of weights serves all."""
    members: tuple[int, int] = (2, 15)
    """Smallest and largest ensemble."""
    rollout_length: tuple[int, int] = (1, 50)
    """Shortest and longest flight, searched on a logarithmic scale."""
    penalty_weight: tuple[float, float] = (0.01, 100.0)
    """Smallest and largest weight, searched on a logarithmic scale."""

    def __post_init__(self):
        if not self.penalties:
            raise EnvzooError("a design space has at least one penalty")
        for name in self.penalties:
            find_penalty(name)
        for name, least in (("members", 1), ("rollout_length", 1), ("penalty_weight", 0)):
            low, high = getattr(self, name)
            if not (low <= high and math.isfinite(high)) or low < least or low <= 0:
                raise EnvzooError(f"{name} of a design space is a pair of positive numbers, got {low, high}")

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Draw hyperparameters of MOPO for a trial of optuna."""
        members = trial.suggest_int("members", *self.members)
        return {
            "penalty": trial.suggest_categorical("penalty", list(self.penalties)),
            "normalize_penalty": True,
            "members": members,
            "elites": max(1, round(5 / 7 * members)),  # the share of the published code
            "rollout_length": trial.suggest_int("rollout_length", *self.rollout_length, log=True),
            "penalty_weight": trial.suggest_float("penalty_weight", *self.penalty_weight, log=True),
        }


@dataclass(frozen=True)
class DesignSearch:
    """Result of `search_designs`.

    Attributes:
        best: Hyperparameters with the highest score in the search.
        trials: Hyperparameters and score of every trial, in order.
        selected: Score of the best in the search; too high on average, because it is a maximum of noisy scores.
        fresh: Scores of the best on the fresh seeds.
    """

    best: dict[str, Any]
    trials: list[tuple[dict[str, Any], float]]
    selected: float
    fresh: np.ndarray


def search_designs(
    evaluate: Evaluate,
    trials: int = 20,
    *,
    seed: int = 0,
    fresh_seeds: Iterable[int],
    space: DesignSpace | None = None,
) -> DesignSearch:
    """Search with the tree-structured Parzen estimator of optuna, then evaluate the best design on fresh seeds.

    Every trial costs evaluations in the true environment: it is a budget of online experience that a purely offline
    method does not have.

    Args:
        evaluate: Function of hyperparameters of MOPO and a seed to a score, the larger the better, such as the
            normalised return of an agent trained with them.
        trials: Designs to try, all with `seed`.
        seed: Seed of the search, and of the agents in it.
        fresh_seeds: Seeds on which the best design is evaluated again; they must not contain `seed`.
        space: The choices; None for those of `DesignSpace`.

    Raises:
        EnvzooError: optuna is not installed, no trials, or a fresh seed that is not fresh.
    """
    fresh_seeds = list(fresh_seeds)
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise EnvzooError(f"trials is {trials!r}; expected a whole number of at least 1")
    if not fresh_seeds or seed in fresh_seeds:
        raise EnvzooError(f"fresh_seeds is {fresh_seeds}; expected seeds other than that of the search, {seed}")
    try:
        import optuna
    except ImportError:
        raise EnvzooError('the search over designs needs optuna; install it with `pip install ".[tune]"`') from None

    space = space or DesignSpace()
    seen: list[tuple[dict[str, Any], float]] = []

    def objective(trial: Any) -> float:
        design = space.suggest(trial)
        score = float(evaluate(design, seed))
        if not math.isfinite(score):
            raise EnvzooError(f"the score of {design} is {score}; expected a finite number")
        seen.append((design, score))
        return score

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(objective, n_trials=trials)
    finally:
        optuna.logging.set_verbosity(before)
    best, selected = max(seen, key=lambda trial: trial[1])
    return DesignSearch(best, seen, selected, np.array([evaluate(best, fresh) for fresh in fresh_seeds]))
