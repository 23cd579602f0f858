"""Names, targets and scores of paper 19's experiment, for its arms, checks and figure."""

from __future__ import annotations

import math

DIMENSIONS = 2  # of an action in PointMultiGoal; the target entropy is its negative
ENTROPY, TEMPERATURE = "policy/entropy", "policy/temperature"
CURVES = ("rollout/return_mean", ENTROPY, TEMPERATURE)
LEAST_GOAL, GOALS = "sampled/least goal", "sampled/goals"
EPISODES = 200

# The optimal policy of the bandit is normal with variance alpha / 2, which has entropy -1 at this temperature
# (squashing the actions changes it by less than 2%).
BANDIT_TEMPERATURE = math.exp(-2 - 1) / math.pi

# Scale of the rewards -> arm.
SCALES = (0.1, 1.0, 10.0)
LEARNED = {0.1: "bandit, reward x 0.1", 1.0: "bandit from 1", 10.0: "bandit, reward x 10"}
FIXED = {scale: f"bandit, fixed temperature, reward x {scale:g}" for scale in SCALES}
# Initial temperature -> arm.
BANDIT = {0.01: "bandit from 0.01", 1.0: "bandit from 1", 10.0: "bandit from 10"}
FOUR_GOALS = {value: f"four goals from {value:g}" for value in BANDIT}
# The temperature of the authors' own multi-goal example (reward scale 3, rewards a tenth of those here).
EXPLORING, COLLAPSED = "four goals, fixed 10/3", "four goals, fixed 0.0001"
PENDULUM, PENDULUM_RANDOM = "Pendulum", "Pendulum, random"
