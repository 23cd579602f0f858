"""The table of environments: registration with Gymnasium, documentation and `envzoo list envs` read it.

Its rows stand in the `specs` of the families and of plug-ins; see `envzoo.specs` and `envzoo.discovery`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from envzoo.discovery import Registry
from envzoo.specs import EnvironmentSpec

__all__ = ["EnvironmentSpec", "register", "register_all", "spec", "specs"]

_ENVIRONMENTS: Registry[EnvironmentSpec] = Registry(
    "environment", EnvironmentSpec, "ENVIRONMENTS", "id", ["envzoo"], "list them with `envzoo list envs`"
)


def specs() -> tuple[EnvironmentSpec, ...]:
    """All environments of envzoo and its plug-ins, by family."""
    return tuple(_ENVIRONMENTS.rows().values())


def spec(environment_id: str) -> EnvironmentSpec:
    """The row of one id; raises UnknownNameError when there is no such environment."""
    return _ENVIRONMENTS.get(environment_id)


def register(row: EnvironmentSpec) -> None:
    """Add an environment to the table and to Gymnasium's registry.

    Raises:
        EnvzooError: The id is taken.
    """
    _ENVIRONMENTS.add(row)
    _register(row)


def register_all() -> None:
    """Register every environment with Gymnasium; those that are registered already are left as they are."""
    for row in specs():
        _register(row)


def _register(row: EnvironmentSpec) -> None:
    if row.id in gym.registry:
        return
    arguments: dict[str, Any] = {"kwargs": dict(row.kwargs), "max_episode_steps": row.max_episode_steps}
    gym.register(row.id, row.entry_point, vector_entry_point=row.vector_entry_point, **arguments)
