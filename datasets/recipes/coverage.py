"""Recipes of datasets on environments of coverage."""

from envzoo.datasets.recipes import BeamReference, BehaviourPolicy, Recipe

_GRID = "envzoo/GridCoverage-v0"
# What was covered and where one stands decide the rest of a walk; the order of the visits does not.
_PLAN = BeamReference(width=1000, horizon=20, signature=("position", "covered"))

DATASETS = (
    Recipe(
        "envzoo/grid-coverage/random-v0",
        _GRID,
        BehaviourPolicy("Random"),
        _PLAN,
        "Uniformly random walks on the 10x10 grid.",
        namespace="Walks that cover a grid, for a reward of one per newly covered cell (envzoo/GridCoverage-v0).",
    ),
    Recipe(
        "envzoo/grid-coverage/medium-v0",
        _GRID,
        BehaviourPolicy("SubPO", timesteps=50_000),
        _PLAN,
        "Walks on the 10x10 grid sampled from a tabular SubPO policy that learned briefly: about four tenths of the "
        "way from random to planned.",
    ),
    Recipe(
        "envzoo/grid-coverage/expert-v0",
        _GRID,
        BehaviourPolicy("SubPO", timesteps=800_000),
        _PLAN,
        "Walks on the 10x10 grid sampled from a tabular SubPO policy that learned for long: about nine tenths of the "
        "way from random to planned.",
    ),
)
