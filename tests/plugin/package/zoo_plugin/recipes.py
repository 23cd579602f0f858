"""The plug-in's datasets."""

from envzoo.datasets.recipes import BehaviourPolicy, Recipe

DATASETS = (
    Recipe(
        "plugin/walk/gambler-v0",
        "plugin/Walk-v0",
        BehaviourPolicy("Gambler", timesteps=32, hyperparameters={"num_envs": 2, "num_steps": 8, "hidden": (4,)}),
        1.0,
        "Walks of a Gambler.",
        episodes=5,
        namespace="Walks along a line.",
    ),
)
