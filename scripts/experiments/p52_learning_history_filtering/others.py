"""Runs of paper 52 with DPT and DICP, which are judged by the sign of the filter's gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envzoo.agents.offline.dicp import DICP
from envzoo.agents.offline.dpt import DPT
from envzoo.scripts.experiments.p52_learning_history_filtering.study import learn_and_play, score

# The classes, and not only their names, so that stored results are of the present code of the agents.
AGENTS = {"DPT": DPT, "DICP": DICP}
COPIES = 4


def run_other(
    seed: int, budget: int, quick: bool, agent: str, dataset: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Train an agent on learning histories, and play it on the held-out goals."""
    return score(learn_and_play(AGENTS[agent].spec.name, dataset, seed, budget, settings, COPIES))
