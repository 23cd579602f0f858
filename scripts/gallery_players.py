"""Who plays the environments of the gallery, the first of these that there is: a pretrained agent, a planner, the best
policy of a dataset's recipe, a random policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from envzoo.agents import make, pretrained
from envzoo.agents.trained import find_recipe, scores
from envzoo.agents.trained.recipes import RECIPES
from envzoo.datasets.recipes import Demonstrations, Recipe, ScriptedPolicy, own_recipes
from envzoo.scripts.docs.links import Environment
from envzoo.scripts.make_dataset import train
from envzoo.specs import NOTHING

SEED = 3
# Agents that need no training.
PLANNERS = {
    "envzoo/RechargingBandit-v0": "RechargingLP",
    "envzoo/CodingGrid-v0": "MECB",
    "envzoo/CodingGridSmall-v0": "MECB",
    "envzoo/CodingCart-v0": "MECB",
    "envzoo/BimodalCoverage-v0": "GreedyMarginal",
    "envzoo/BayesianExperimentDesign-v0": "GreedyMarginal",
}
# Policies of environments without a dataset that shows them.
SCRIPTS = {
    "envzoo/RepeatFirst-v0": ScriptedPolicy("envzoo.datasets.memory_experts:latch"),
    "envzoo/TextSumTo-Tokens-v1": Demonstrations(noise=0.0),
}
BEST = ("expert", "oracle", "demonstrations")  # qualities of datasets that show a best policy


@dataclass(frozen=True)
class Player:
    """Who plays an environment.

    Attributes:
        env_id: Id of the environment.
        words: Who it is, for the caption.
        build: Makes the agent, or an object with its `predict` and `set_env`.
        deterministic: Whether it plays the mode of its policy.
        env_kwargs: Keywords of the environment.
    """

    env_id: str
    words: str
    build: Callable[[], Any]
    deterministic: bool = True
    env_kwargs: Mapping[str, Any] = field(default_factory=lambda: NOTHING)

    @property
    def caption(self) -> str:
        """Sentence below the picture."""
        return f"`{self.env_id}`, {self.words}."


class Single:
    """A policy for batches, as those of dataset recipes are, that plays one environment.

    Args:
        policy: Object with a `predict` for batches.
    """

    def __init__(self, policy: Any) -> None:
        self.policy = policy

    def set_env(self, env: Any) -> None:
        """Accept the environment, of which such a policy needs nothing."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Choose the action for one observation."""
        start = np.array([state is None])
        actions, state = self.policy.predict(np.asarray(observation)[None], state, start, deterministic)
        return actions[0], state


def player(environment: Environment) -> Player:
    """Choose who plays an environment."""
    ids = [row.id for row in environment.specs]
    for recipe in RECIPES:
        if recipe.source in ids:
            return _trained(recipe.agent, recipe.source)
    for env_id in ids:
        if env_id in PLANNERS:
            name = PLANNERS[env_id]
            return Player(env_id, f"the planner {name}", partial(make, name, env_id, seed=SEED))
        if env_id in SCRIPTS:
            return _demonstrator(Recipe(f"{env_id}/expert-v0", env_id, SCRIPTS[env_id], 0.0, ""), "the best policy")
    datasets = [row for row in own_recipes().values() if row.env_id in ids and _best(row)]
    if datasets:
        return _demonstrator(min(datasets, key=lambda row: ids.index(row.env_id)))
    return Player(ids[0], "a random policy", partial(make, "Random", ids[0], seed=SEED), deterministic=False)


def _trained(agent: str, env_id: str) -> Player:
    """Take a pretrained agent."""
    recipe = find_recipe(agent, env_id)
    score = scores()[recipe.file]
    words = (
        f"pretrained {agent}: mean return {score['return_mean']:.3g} in {score['episodes']} episodes (random policy "
        f"{score['random']:.3g})"
    )
    return Player(env_id, words, partial(pretrained, agent, env_id), recipe.deterministic)


def _best(recipe: Recipe) -> bool:
    """Tell whether a dataset shows a best policy that needs no training."""
    quality = recipe.id.rpartition("/")[2].rpartition("-")[0]
    return quality in BEST and isinstance(recipe.policy, ScriptedPolicy | Demonstrations)


def _demonstrator(recipe: Recipe, words: str = "") -> Player:
    """Take the policy of a dataset, without the flaws of some demonstrations."""
    if isinstance(recipe.policy, Demonstrations):
        recipe, words = replace(recipe, policy=replace(recipe.policy, noise=0.0)), "a demonstration of the puzzle"
    words = words or f"the policy of the dataset `{recipe.id}`"
    return Player(recipe.env_id, words, lambda: Single(train(recipe)), env_kwargs=recipe.env_kwargs)
