"""The table of environments: registration with Gymnasium, documentation and `envzoo list envs` read it.

Its rows are collected from the `specs` modules of the families and from plug-ins; see `envzoo.specs` and
`envzoo.discovery`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from envzoo.discovery import Registry, warn_skipped
from envzoo.errors import EnvzooError
from envzoo.specs import EnvironmentSpec

__all__ = ["EnvironmentSpec", "own_specs", "register", "register_all", "spec", "specs"]

_ENVIRONMENTS: Registry[EnvironmentSpec] = Registry(
    "environment", EnvironmentSpec, "ENVIRONMENTS", "id", ["envzoo"], "list them with `envzoo list envs`"
)


def specs() -> tuple[EnvironmentSpec, ...]:
    """Return all environments of envzoo and its plug-ins, by family."""
    return tuple(_ENVIRONMENTS.rows().values())


def own_specs() -> tuple[EnvironmentSpec, ...]:
    """Return envzoo's own environments, without those of plug-ins."""
    return tuple(_ENVIRONMENTS.own().values())


def spec(environment_id: str) -> EnvironmentSpec:
    """Return the row of one id; raises UnknownNameError when there is no such environment."""
    return _ENVIRONMENTS.get(environment_id)


def register(row: EnvironmentSpec) -> None:
    """Add an environment to the table and to Gymnasium's registry.

    Raises:
        EnvzooError: The id is taken, or Gymnasium refuses it.
    """
    _ENVIRONMENTS.add(row)
    try:
        _register(row)
    except gym.error.Error as error:
        _ENVIRONMENTS.remove(row.id)
        raise EnvzooError(f"Gymnasium cannot register {row.id} ({error})") from error


def register_all() -> None:
    """Register every environment with Gymnasium; those already registered are kept."""
    own = own_specs()
    for row in specs():
        try:
            _register(row)
        except gym.error.Error as error:
            if row in own:
                raise
            _ENVIRONMENTS.remove(row.id)
            warn_skipped(f"the environment {row.id} of a plug-in", error)


def _register(row: EnvironmentSpec) -> None:
    if row.id in gym.registry:
        return
    arguments: dict[str, Any] = {"kwargs": dict(row.kwargs), "max_episode_steps": row.max_episode_steps}
    gym.register(row.id, row.entry_point, vector_entry_point=row.vector_entry_point, **arguments)
