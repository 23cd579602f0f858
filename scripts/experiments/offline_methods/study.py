"""Runs of the comparison of offline agents: one agent on one dataset, evaluated at the final step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.datasets import load_minari, normalised_scores
from envzoo.scripts.experiments.offline_runs import EPISODES, provide


class Remembered:
    """A Minari dataset whose episodes are read from the disk once."""

    def __init__(self, dataset: Any):
        self.dataset, self.episodes = dataset, list(dataset.iterate_episodes())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def iterate_episodes(self, indices: Any = None) -> Iterator[Any]:
        """Iterate over all episodes."""
        return iter(self.episodes)


@lru_cache(maxsize=1)
def remember(dataset_id: str) -> Remembered:
    """Open a dataset, which is made if the Minari root does not have it."""
    provide(dataset_id)
    return Remembered(load_minari(dataset_id))


def run(seed: int, budget: int, quick: bool, agent: str, dataset: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train an agent on a dataset, and score the return and the normalised score of its final policy."""
    hyperparameters = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    made = agents.make(agent, remember(dataset), seed=seed, device="cpu", threads=1, **hyperparameters)
    made.learn(budget)
    returns = evaluate(made, episodes=EPISODES).returns
    return {
        "scores": {
            "return": float(returns.mean()),
            "score": float(normalised_scores(made.source.given, returns).mean()),
        }
    }
