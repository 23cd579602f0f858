"""Ids and keywords, read from the specifications that environments and datasets carry."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from envzoo.agents import guard
from envzoo.errors import EnvzooError


def keywords_of(spec: gym.envs.registration.EnvSpec) -> dict[str, Any]:
    """Return the keywords with which `gym.make` gives an equal environment, without those of drawing."""
    kwargs = {key: value for key, value in spec.kwargs.items() if key != "render_mode"}
    registered = gym.registry.get(spec.id)
    if registered is None or spec.max_episode_steps not in (None, registered.max_episode_steps):
        kwargs["max_episode_steps"] = spec.max_episode_steps
    return kwargs


def recorded_in(dataset: Any) -> tuple[str, dict[str, Any]]:
    """Return id and keywords of the environment that a Minari dataset was recorded in.

    Raises:
        EnvzooError: The dataset names no environment, or one that is not registered here.
    """
    spec = dataset.env_spec
    if spec is None:
        raise EnvzooError(f"dataset {dataset.spec.dataset_id} names no environment; give an evaluation environment")
    if spec.id not in gym.registry:
        raise EnvzooError(
            f"dataset {dataset.spec.dataset_id} was recorded in {spec.id}, which is not registered here; install and "
            "import the package that has it, or give an evaluation environment"
        )
    keywords = keywords_of(spec)
    # The dataset's own file names them, whoever asked for the dataset. Wrappers and entry points that are stored beside
    # them are never looked at.
    with guard.reading(f"dataset {dataset.spec.dataset_id}"):
        guard.check_environment(spec.id)
        guard.check_keywords(spec.id, keywords)
    return spec.id, keywords
