"""Training runs of offline agents that several experiments share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.offline.odice import ODICE
from envzoo.agents.offline.prdc import PRDC
from envzoo.agents.offline.td3 import TD3
from envzoo.agents.offline.td3_bc import TD3BC
from envzoo.datasets import normalised_scores
from envzoo.datasets.store import is_local
from envzoo.errors import DatasetError
from envzoo.scripts.make_dataset import make_dataset

# The classes, and not only their names, so that stored results are of the present code of the agents.
AGENTS = {"TD3": TD3, "TD3BC": TD3BC, "PRDC": PRDC, "ODICE": ODICE}
EPISODES = 100  # of the evaluation, at the final step


def provide(dataset_id: str) -> None:
    """Make a dataset where the Minari root does not have it."""
    if not is_local(dataset_id):
        try:
            make_dataset(dataset_id, quiet=True)
        except DatasetError:  # another process was faster
            if not is_local(dataset_id):
                raise


def train(
    seed: int, steps: int, agent: str, dataset: str, hyperparameters: Mapping[str, Any]
) -> tuple[Any, dict[str, float]]:
    """Train an agent on a dataset and evaluate it at the final step.

    Returns:
        The agent, and its scores: the normalised return and its episodes' share of terminations.
    """
    provide(dataset)
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in hyperparameters.items()}
    made = agents.make(AGENTS[agent].spec.name, dataset, seed=seed, device="cpu", threads=1, **settings)
    made.learn(steps)
    result = evaluate(made, episodes=EPISODES)
    limit = made.source.given.env_spec.max_episode_steps
    return made, {
        "score": float(normalised_scores(made.source.given, result.returns).mean()),
        "success": float((result.lengths < limit).mean()),
    }
