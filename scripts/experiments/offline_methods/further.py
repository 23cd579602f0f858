"""Runs of the comparison on further seeds, for a check that was added when the first ones were known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envzoo.scripts.experiments.offline_methods.study import run


def run_further(
    seed: int, budget: int, quick: bool, after: int, agent: str, dataset: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Run the seed `seed + after`; see `study.run`."""
    return run(seed + after, budget, quick, agent=agent, dataset=dataset, settings=settings)
