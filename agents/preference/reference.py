"""The reference policy of an environment: what divergences are measured from."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.agents.source import Source
from envzoo.errors import EnvzooError


def reference_policy(source: Source, actions: int) -> np.ndarray | None:
    """Return the reference policy that an environment has as its attribute `reference_policy`, or None.

    Returns:
        Probabilities (A,), the same in all states, or (S, A).

    Raises:
        EnvzooError: The attribute holds no positive probabilities of this many actions.
    """
    env = source.given if source.given is not None else source.single_env()
    found: Any = getattr(env.unwrapped, "reference_policy", None)
    if env is not source.given:
        env.close()
    if found is None:
        return None
    table = np.asarray(found, np.float64)
    if table.ndim not in (1, 2) or table.shape[-1] != actions or not (table > 0).all():
        raise EnvzooError(
            f"reference_policy of {source.name} has the shape {table.shape}; expected positive probabilities of "
            f"{actions} actions"
        )
    return table / table.sum(-1, keepdims=True)
