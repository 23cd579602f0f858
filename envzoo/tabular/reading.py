"""Finite models of environments: those that give one, and Gymnasium's worlds with a table of transitions."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.tabular.finite_mdp import FiniteMDP
from envzoo.tabular.model import HasModel, find_model
from envzoo.tabular.outcomes import list_outcomes


def read_mdp(env: gym.Env | str, *, gamma: float | None = None, **kwargs: Any) -> FiniteMDP:
    """Read the finite process of an environment, with the joint law of next state, reward and end where it is known.

    Args:
        env: An environment or its id: one with a method `model()` that gives a `FiniteMDP`, or one of Gymnasium's with
            a table `P` (FrozenLake, Taxi, CliffWalking). Time limits are not part of the process.
        gamma: Discount; None takes the model's own, and 1 for Gymnasium's worlds, which have none.
        **kwargs: Keywords for `gymnasium.make`, when `env` is an id.

    Raises:
        UnsupportedSpaceError: The environment has neither.
    """
    made = gym.make(env, **kwargs) if isinstance(env, str) else env
    try:
        base = made.unwrapped
        table, start = getattr(base, "P", None), getattr(base, "initial_state_distrib", None)
        if isinstance(table, dict) and start is not None:
            outcomes = list_outcomes(table, len(table), len(table[0]))
            return FiniteMDP.from_outcomes(outcomes, gamma=1.0 if gamma is None else gamma, initial=np.asarray(start))
        model = find_model(made) if isinstance(base, HasModel) else None
        if not isinstance(model, FiniteMDP):
            raise UnsupportedSpaceError(
                f"{base} is no finite process; expected an environment whose model() is a FiniteMDP, or one with the "
                "attributes P and initial_state_distrib, such as FrozenLake, Taxi or CliffWalking"
            )
        return model if gamma is None else replace_gamma(model, gamma)
    finally:
        if isinstance(env, str):
            made.close()


def replace_gamma(model: FiniteMDP, gamma: float) -> FiniteMDP:
    """Return the process with another discount."""
    if not isinstance(model, FiniteMDP):
        raise EnvzooError(f"expected a FiniteMDP, got a {type(model).__name__}")
    parts = ("initial", "horizon", "features", "outcomes")
    return FiniteMDP(model.p, model.r, gamma, **{name: getattr(model, name) for name in parts})
