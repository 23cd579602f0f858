"""Runs of paper 52 with DPT and DICP, which are judged by the sign of the filter's gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envzoo import agents
from envzoo.agents.offline.dicp import DICP
from envzoo.agents.offline.dpt import DPT
from envzoo.scripts.experiments.offline_runs import provide
from envzoo.scripts.experiments.p52_learning_history_filtering.study import play_held_out, score

# The classes, and not only their names, so that stored results are of the present code of the agents.
AGENTS = {"DPT": DPT, "DICP": DICP}
COPIES = 4


def run_other(
    seed: int, budget: int, quick: bool, agent: str, dataset: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Train an agent on learning histories, and play it on the held-out goals."""
    provide(dataset)
    made = agents.make(AGENTS[agent].spec.name, dataset, seed=seed, device="cpu", threads=1, **settings)
    made.learn(budget)
    return score(play_held_out(made, COPIES))
