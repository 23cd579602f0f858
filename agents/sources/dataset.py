"""Minari datasets."""

from __future__ import annotations

from typing import Any

from envzoo.agents.sources.base import Source
from envzoo.datasets import load_minari


def is_dataset(source: Any) -> bool:
    """Return whether an object is a Minari dataset."""
    return hasattr(source, "iterate_episodes") and hasattr(source, "spec")


def from_dataset(source: Any) -> Source:
    """Resolve a dataset."""
    name = source.spec.dataset_id
    return Source("dataset", name, name, source.observation_space, source.action_space, {}, source)


def from_dataset_id(name: str, env_kwargs: dict[str, Any]) -> Source:
    """Resolve the id of a dataset of the Minari root, which takes no keywords."""
    return from_dataset(load_minari(name))
