"""Recipes of datasets on the block chain."""

from envzoo.datasets.recipes import BeamReference, BehaviourPolicy, Recipe

DATASETS = (
    Recipe(
        "envzoo/block-chain-goal/random-v0",
        "envzoo/BlockChain-Goal-v0",
        BehaviourPolicy("Random"),
        # Rewards depend on where one stands when, and never on the noise.
        BeamReference(width=12, horizon=64, signature=("room",)),
        "Uniformly random walks along a line of twelve rooms, every second of which shows random colours until its "
        "button is pressed; the goal in the last room is found by few.",
        namespace="A line of dark and noisy rooms with a rewarded goal at its far end (envzoo/BlockChain-Goal-v0).",
    ),
)
