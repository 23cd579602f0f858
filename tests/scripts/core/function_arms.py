"""An experiment of two function arms, whose runs are counted."""

import numpy as np
import pytest

from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table

CALLS = []  # the seeds that have been run


def draw_one(seed, budget, quick, shift=0.0):
    """A normal number around `shift`, from its seed alone."""
    CALLS.append(seed)
    values = np.random.default_rng(seed).normal(size=budget)
    return {"scores": {"x": shift + values.mean()}, "curves": {"timesteps": [1, 2], "y": [shift, float("nan")]}}


def draw_many(seeds, budget, quick, shift=0.0):
    """The same for many seeds at once."""
    return [draw_one(seed, budget, quick, shift) for seed in seeds]


def nothing(results, figure):
    figure.subplots()


@pytest.fixture
def experiment():
    CALLS.clear()
    return Experiment(
        paper=Paper("Functions", "Nobody", 2024, number="97"),
        question="Is one larger than the other?",
        claim="It is.",
        arms=(
            FunctionArm("plain", draw_one, budget=4, group="g"),
            FunctionArm("shifted", run_seeds=draw_many, budget=4, settings={"shift": 1.0}, group="g", batch=3, seeds=4),
        ),
        checks=(
            seeded(
                "shifted is larger",
                Difference("shifted", "plain", "x"),
                ">",
                0.5,
                null={"shifted": "plain"},
                primary=True,
            ),
        ),
        figure=nothing,
        tables=(Table("g", "All", {"x": "x"}),),
        seeds=6,
        quick_seeds=2,
    )
