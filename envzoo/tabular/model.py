"""How a planner gets the exact model of an environment."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from envzoo.errors import UnsupportedSpaceError


@runtime_checkable
class HasModel(Protocol):
    """An environment whose exact model is available as `env.unwrapped.model()`.

    The single and the vector environment both have the method. A finite decision process gives an
    `envzoo.tabular.FiniteMDP`; a family whose worlds have more structure gives a class of its own (bandits give their
    `BanditModel`, coding games the `FiniteMDP` of `envzoo.coding_games.mdp`, whose method `tabular` converts it).
    """

    def model(self) -> Any:
        """Return the model, which the caller must not modify."""


def find_model(env: Any) -> Any:
    """Return the model of an environment, single or vector, wrapped or not.

    Raises:
        UnsupportedSpaceError: The environment has no model.
    """
    base = getattr(env, "unwrapped", env)
    if isinstance(base, HasModel) and callable(base.model):
        return base.model()
    copies = getattr(base, "envs", ())
    if copies:
        return find_model(copies[0])
    raise UnsupportedSpaceError(f"{base} has no model; expected an environment with a method model()")
