"""Finite worlds as arrays, soft Bellman backups, and the protocol by which planners read a model.

`TabularEnv` and `TabularVectorEnv` make a Gymnasium environment of any of them. The names are imported when they are
first used, because the table of environments lies in this package and must not load Numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "soft_backup": "backups",
    "soft_iteration": "backups",
    "soft_maximum": "backups",
    "soft_policy": "backups",
    "FiniteMDP": "finite_mdp",
    "FinitePOMDP": "finite_pomdp",
    "LatentMDP": "latent_mdp",
    "HasModel": "model",
    "find_model": "model",
    "Outcomes": "outcomes",
    "PolicyClass": "policy_class",
    "PolicyProblem": "policy_class",
    "TablePolicies": "policy_class",
    "find_problem": "policy_class",
    "random_lmdp": "random_worlds",
    "random_mdp": "random_worlds",
    "random_outcomes": "random_worlds",
    "random_pomdp": "random_worlds",
    "read_mdp": "reading",
    "TabularEnv": "tabular_env",
    "TabularVectorEnv": "tabular_env",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
