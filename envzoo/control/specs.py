"""Registered environments of the control family: small worlds with known maximum-entropy solutions."""

from __future__ import annotations

from envzoo.specs import kernel

_GOALS = "envzoo.control.point_multi_goal:PointMultiGoal"
_BANDIT = "envzoo.control.entropy_bandit:EntropyBandit"

ENVIRONMENTS = (
    kernel(
        "envzoo/PointMultiGoal-v0",
        _GOALS,
        "control",
        "a point in the plane with four equally good goals",
        paper="19-sac",
        max_episode_steps=30,
    ),
    kernel(
        "envzoo/PointMultiGoal-Paper-v0",
        _GOALS,
        "control",
        "the four goals with the original's ten times larger actuation cost",
        paper="19-sac",
        kwargs={"actuation_cost": 30.0},
        max_episode_steps=30,
    ),
    kernel(
        "envzoo/EntropyBandit-v0",
        _BANDIT,
        "control",
        "one-step bandit whose maximum-entropy policy is known exactly",
        paper="19-sac",
    ),
    kernel(
        "envzoo/EntropyBanditContinuous-v0",
        f"{_BANDIT}Continuous",
        "control",
        "one-step reward -a^2 whose maximum-entropy policy is known exactly",
        paper="19-sac",
    ),
)
