"""The compared methods, their strengths, and those that `envzoo reproduce entropy-sweeps` chose on other seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envzoo.scripts.experiments.text.clipped import COUNTDOWN, RULES


def turned(keyword: str, *values: float) -> dict[str, dict[str, float]]:
    """Map labels such as ".5" to the keyword with that value."""
    return {f"{value:g}".removeprefix("0") if value < 1 else f"{value:g}": {keyword: value} for value in values}


@dataclass(frozen=True)
class Method:
    """A method with its strengths.

    Attributes:
        agent: Name of the agent.
        common: Hyperparameters at all strengths that differ from the defaults.
        dial: Description of the strength hyperparameter; empty for a method without one.
        strengths: Label -> hyperparameters, from weak to strong.
    """

    agent: str
    common: Mapping[str, Any] = field(default_factory=dict)
    dial: str = ""
    strengths: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})


GRPO = "GRPO"
METHODS: Mapping[str, Method] = {
    GRPO: Method("GRPO"),
    "Dr. GRPO": Method("DrGRPO"),
    "DAPO": Method("DAPO"),
    "RLOO": Method("RLOO"),
    "REINFORCE++": Method("ReinforcePlusPlus"),
    "GSPO": Method("GSPO"),
    "CISPO": Method("CISPO"),
    "clip-higher": Method("ClipHigher", {}, "upper bound less 1", turned("eps_high", 0.28, 0.4, 1.0)),
    "entropy bonus": Method("EntropyBonus", {}, "weight", turned("entropy_coefficient", 0.01, 0.02, 0.05, 0.1)),
    "80/20": Method("ForkTokens", {}, "share of tokens", turned("share", 0.5, 0.2)),
    "Clip-Cov": Method(
        "ClipCov", {"eps_low": 0.2, "eps_high": 0.2}, "share of tokens", turned("fraction", 0.02, 0.05, 0.1)
    ),
    "KL-Cov": Method("KLCov", {"fraction": 0.1}, "weight", turned("beta", 0.5, 1.0, 2.0, 4.0)),
    "STEER": Method("STEER", {}, "least weight", turned("smallest_weight", 0.8, 0.5, 0.2, 0.1)),
    # At 2 the redistribution is unchanged: beyond 1 it would flip the sign of advantages.
    "HAPO": Method(
        "HAPO",
        {},
        "times the paper's",
        {".5": {"tau": 0.025, "alpha": 0.5, "beta": 0.5}, "1": {}, "2": {"tau": 0.1, "alpha": 2.0}},
    ),
    "D3S": Method(
        "D3S",
        {},
        "answers at first, %",
        {
            "50": {"first_rows": 0.5, "first_tokens": 0.5},
            "25": {"first_rows": 0.25, "first_tokens": 0.2},
            "12": {"first_rows": 0.125, "first_tokens": 0.1},
        },
    ),
    "BAPO": Method("BAPO", {"num_epochs": 1}, "share of rewarded tokens", turned("target", 0.4, 0.5, 0.6)),
    "Lp-Reg": Method(
        "LpReg",
        {},
        "weight of the pull",
        {"1": {}, "5": {"beta": 5.0, "rho": 0.3}, "20": {"beta": 20.0, "rho": 0.3}},
    ),
    "AEPO": Method("AEPOArbitrary", {}, "target, nats", turned("target_entropy", 0.25, 0.5, 0.75)),
}
SWEPT = tuple(name for name, method in METHODS.items() if method.dial)
# Puzzle -> method -> label of the strength that the rule chose.
CHOSEN: Mapping[str, Mapping[str, str]] = {
    RULES: {
        "clip-higher": ".28",
        "entropy bonus": ".05",
        "80/20": ".5",
        "Clip-Cov": ".1",
        "KL-Cov": "1",
        "STEER": ".1",
        "HAPO": ".5",
        "D3S": "50",
        "BAPO": ".5",
        "Lp-Reg": "5",
        "AEPO": ".25",
    },
    COUNTDOWN: {
        "clip-higher": ".28",
        "entropy bonus": ".1",
        "80/20": ".5",
        "Clip-Cov": ".05",
        "KL-Cov": "1",
        "STEER": ".1",
        "HAPO": "1",
        "D3S": "50",
        "BAPO": ".6",
        "Lp-Reg": "5",
        "AEPO": ".25",
    },
}
# Method and strength that the comparison recommends, by `recommended` of the sweeps.
RECOMMENDED = ("entropy bonus", ".05")


def strength(method: str, label: str) -> dict[str, Any]:
    """Return the hyperparameters of a method at a strength."""
    described = METHODS[method]
    return {**described.common, **described.strengths[label]}


def chosen(method: str, puzzle: str) -> str:
    """Return the label of the strength at which a method is compared on a puzzle, "" if it has none."""
    return CHOSEN[puzzle].get(method, next(iter(METHODS[method].strengths)))
