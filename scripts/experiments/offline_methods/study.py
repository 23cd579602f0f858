"""Runs of the comparison of offline agents: one agent on one dataset, evaluated at the final step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.imitation.bc import BC
from envzoo.agents.offline.awac import AWAC
from envzoo.agents.offline.cql import CQL
from envzoo.agents.offline.decision_transformer import DecisionTransformer
from envzoo.agents.offline.doc import DoC
from envzoo.agents.offline.filtered_bc import FilteredBC
from envzoo.agents.offline.iql import IQL
from envzoo.agents.offline.mopo import MOPO
from envzoo.agents.offline.odice import ODICE
from envzoo.agents.offline.prdc import PRDC
from envzoo.agents.offline.rcsl import RCSL
from envzoo.agents.offline.td3 import TD3
from envzoo.agents.offline.td3_bc import TD3BC
from envzoo.datasets import load_minari, normalised_scores
from envzoo.scripts.experiments.offline_runs import EPISODES, provide

# The classes, and not only their names, so that stored results are of the present code of the agents.
AGENTS = {
    kind.__name__: kind
    for kind in (BC, FilteredBC, TD3, TD3BC, PRDC, IQL, CQL, AWAC, RCSL, ODICE, DecisionTransformer, DoC, MOPO)
}


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
    made = agents.make(
        AGENTS[agent].spec.name, remember(dataset), seed=seed, device="cpu", threads=1, **hyperparameters
    )
    made.learn(budget)
    returns = evaluate(made, episodes=EPISODES).returns
    return {
        "scores": {
            "return": float(returns.mean()),
            "score": float(normalised_scores(made.source.given, returns).mean()),
        }
    }
