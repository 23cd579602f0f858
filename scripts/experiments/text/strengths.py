"""The strengths of methods in the experiments, chosen by `envzoo reproduce entropy-sweeps` on other seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Method -> label of the chosen strength among `DIALS[method]`.
CHOSEN = {"Clip-Cov": ".02", "KL-Cov": "1", "STEER": ".2", "HAPO": ".5", "BAPO": ".6"}

SWEPT = (
    "Strengths are chosen on seeds that no check uses: the one with the highest entropy at equal accuracy, among those "
    "that lose at most 0.05 accuracy (`envzoo reproduce entropy-sweeps`)."
)


def turned(keyword: str, *values: float) -> dict[str, dict[str, float]]:
    """Map labels such as ".5" to the keyword with that value."""
    return {f"{value:g}".removeprefix("0") if value < 1 else f"{value:g}": {keyword: value} for value in values}


# Hyperparameters of a method at all its strengths. With Clip-Cov's released upper ratio of 2, this model unlearns.
COMMON: Mapping[str, Mapping[str, Any]] = {
    "Clip-Cov": {"eps_low": 0.2, "eps_high": 0.2},
    "KL-Cov": {"fraction": 0.1},
    "STEER": {},
    "HAPO": {},
    "BAPO": {},
}
# Method -> label -> hyperparameters of that strength, from weak to strong.
DIALS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "Clip-Cov": turned("fraction", 0.02, 0.05, 0.1, 0.2),
    "KL-Cov": turned("beta", 0.3, 1.0, 2.0, 4.0, 8.0),
    "STEER": turned("smallest_weight", 0.5, 0.2, 0.1, 0.05),
    # At 2 the redistribution is unchanged: beyond 1 it would flip the sign of advantages.
    "HAPO": {".5": {"tau": 0.025, "alpha": 0.5, "beta": 0.5}, "1": {}, "2": {"tau": 0.1, "alpha": 2.0}},
    # The last two start their search at GRPO's lower bound.
    "BAPO": {
        **turned("target", 0.4, 0.5, 0.6),
        ".4, from .8": {"low_first": 0.8},
        ".5, from .8": {"target": 0.5, "low_first": 0.8},
    },
}


def strength(method: str, label: str | None = None) -> dict[str, Any]:
    """Return the hyperparameters of a method at a strength; None uses the chosen one."""
    return {**COMMON[method], **DIALS[method][CHOSEN[method] if label is None else label]}
