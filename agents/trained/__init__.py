"""Pretrained agents that come with the package: small, made by seeded recipes, with their measured scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envzoo.agents.making import load
from envzoo.agents.trained.recipes import RECIPES, TrainingRecipe
from envzoo.errors import UnknownNameError

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

FOLDER = Path(__file__).parent
SCORES = FOLDER / "scores.json"


def scores() -> dict[str, dict[str, Any]]:
    """Read the measured scores by file name: mean and standard deviation of the return, and episodes."""
    return json.loads(SCORES.read_text(encoding="utf-8"))


def find_recipe(agent: str, source: str) -> TrainingRecipe:
    """Find the recipe of a pretrained agent.

    Raises:
        UnknownNameError: There is no such agent; the sentence lists those of the agent or of the source.
    """
    for recipe in RECIPES:
        if (recipe.agent, recipe.source) == (agent, source):
            return recipe
    near = [recipe for recipe in RECIPES if agent == recipe.agent or source == recipe.source] or RECIPES
    there = ", ".join(f"{recipe.agent} on {recipe.source}" for recipe in near)
    raise UnknownNameError(f"there is no pretrained {agent} on {source}; there is {there}")


def pretrained(agent: str, source: str, *, device: str = "cpu") -> Agent:
    """Load a pretrained agent that comes with the package.

    Args:
        agent: Name of the agent, such as "SubPO".
        source: Id of the environment, such as "envzoo/GridCoverage-v0".
        device: As in `make`.

    Raises:
        UnknownNameError: There is no such agent.
    """
    return load(FOLDER / find_recipe(agent, source).file, source, device=device, expect=agent)
