"""The plug-in's rows; importing them imports nothing else of it."""

from envzoo.papers import Paper
from envzoo.specs import AgentSpec, Example, ExperimentSpec, kernel

PAPER = Paper("On the Wandering of Walkers", "Nobody et al.", 2026, slug="wandering")

ENVIRONMENTS = (
    kernel(
        "plugin/Walk-v0",
        "zoo_plugin.walk:Walk",
        "walks",
        "A walk to the end of a line",
        paper=PAPER,
        max_episode_steps=20,
    ),
    kernel(
        "plugin/Walk-Short-v0",
        "zoo_plugin.walk:Walk",
        "walks",
        "A walk of two cells",
        paper=PAPER,
        kwargs={"cells": 2},
    ),
)
GAMBLER = AgentSpec(
    "Gambler",
    "zoo_plugin.gambler:Gambler",
    "walks",
    "PPO with a discount of its own.",
    actions=("discrete",),
    paper=PAPER,
    example=Example("plugin/Walk-v0", {"cells": 3}, {"num_envs": 2, "num_steps": 8, "hidden": (4,)}, timesteps=16),
)
EXPERIMENTS = (ExperimentSpec("wandering", "zoo_plugin.experiment:EXPERIMENT"),)
