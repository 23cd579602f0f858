"""Registered environments of the offline family."""

from __future__ import annotations

from envzoo.specs import kernel

_FAMILY = "offline"

ENVIRONMENTS = (
    kernel(
        "envzoo/LineWorld-v0",
        "envzoo.offline.line_world:LineWorld",
        _FAMILY,
        "a corridor whose datasets log the right action in some stretches only",
        paper="33-prdc",
        max_episode_steps=60,
    ),
    kernel(
        "envzoo/PointMazeStitch-v0",
        "envzoo.offline.point_maze_stitch:PointMazeStitch",
        _FAMILY,
        "a maze whose datasets hold the way to the goal only in two pieces",
        paper="42-odice",
        max_episode_steps=60,
    ),
    kernel(
        "envzoo/TwoStateRealizable-v0",
        "envzoo.offline.two_state_realizable:TwoStateRealizable",
        _FAMILY,
        "two states with a feature that represents the values, but not their Bellman backups",
        paper="24-realizability",
        max_episode_steps=50,
    ),
    kernel(
        "envzoo/BairdStar-v0",
        "envzoo.offline.baird_star:BairdStar",
        _FAMILY,
        "the star on which off-policy temporal differences diverge",
        paper="24-realizability",
        max_episode_steps=50,
    ),
    kernel(
        "envzoo/RandomFeatureMDP-v0",
        "envzoo.offline.random_feature_mdp:RandomFeatureMDP",
        _FAMILY,
        "a random finite world with random features that represent one policy's values",
        paper="24-realizability",
        max_episode_steps=50,
    ),
    kernel(
        "envzoo/LuckyBandit-v0",
        "envzoo.offline.lucky_bandit:LuckyBandit",
        _FAMILY,
        "a bandit whose rewards are a matter of luck, for agents that condition on the return",
        paper="dichotomy-of-control",
    ),
    kernel(
        "envzoo/LuckyBandit-Jackpot-v0",
        "envzoo.offline.lucky_bandit:LuckyBandit",
        _FAMILY,
        "a jackpot of 100 one time in a hundred, or 5 for certain",
        paper="dichotomy-of-control",
        kwargs={"probabilities": (0.01, 1.0), "rewards": (100.0, 5.0)},
    ),
    kernel(
        "envzoo/LuckyTree-v0",
        "envzoo.offline.lucky_tree:LuckyTree",
        _FAMILY,
        "three decisions, of which some are left to chance",
        paper="dichotomy-of-control",
    ),
    kernel(
        "envzoo/SlipLake-v0",
        "envzoo.offline.slip_lake:SlipLake",
        _FAMILY,
        "a frozen lake on which a step slips with a probability of your choice",
        paper="dichotomy-of-control",
        max_episode_steps=50,
    ),
    kernel(
        "envzoo/SlipLake-8x8-v0",
        "envzoo.offline.slip_lake:SlipLake",
        _FAMILY,
        "the slippery lake on 64 cells",
        paper="dichotomy-of-control",
        kwargs={"map": "8x8"},
        max_episode_steps=50,
    ),
)
