"""The plug-in's experiment: a Gambler against a number in closed form."""

from envzoo.scripts.experiments.core.arms import Arm, FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from zoo_plugin.specs import PAPER


def best_return(seed: int, budget: int, quick: bool, cells: int) -> dict:
    """Compute the return of the best walk."""
    return {"scores": {"return": 1.0 - 0.1 * (cells - 1)}}


def draw(results, figure) -> None:
    """Draw the two returns."""
    figure.subplots().bar(list(results.arms), [results.scores(arm, "return").mean() for arm in results.arms])


EXPERIMENT = Experiment(
    paper=PAPER,
    question="Do walkers wander?",
    claim="No walker beats the best walk.",
    arms=(
        FunctionArm("best", best_return, settings={"cells": 4}),
        Arm(
            "gambler",
            "Gambler",
            "plugin/Walk-v0",
            timesteps=64,
            hyperparameters={"num_envs": 2, "num_steps": 8, "hidden": (4,)},
        ),
    ),
    checks=(
        seeded(
            "The best walk is better by less than 1000.",
            Difference("best", "gambler", "return"),
            "<",
            1000.0,
            null=lambda results: [1000.0] * 2,
            primary=True,
        ),
    ),
    figure=draw,
    tables=(Table("", "Returns", {"return": "return"}),),
    seeds=2,
)
