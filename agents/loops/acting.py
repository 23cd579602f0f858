"""Batching, packing and masking around the choice of actions in `predict`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def choose_actions(
    agent: Any, observation: Any, act: Callable[[Tensor], Tensor], action_mask: np.ndarray | None = None
) -> Any:
    """Choose actions for one observation or a batch of them.

    Args:
        agent: Has a `codec`, `actions` and a `device`.
        observation: One observation, or a batch.
        act: Packed observations (B, P), masks behind them if there are any, on the agent's device -> actions in the
            agent's form, (B,) or (B, D).
        action_mask: Which actions are allowed, or None.

    Returns:
        Actions as the environment takes them; for one observation, one.
    """
    batched = agent.codec.is_batched(observation)
    rows = agent.codec.pack(observation) if batched else agent.codec.pack_one(observation)[None]
    rows = agent.actions.append_mask(rows, action_mask, single=not batched)
    # A copy, because arrays that a file or an environment owns may be read-only.
    action = act(torch.tensor(np.ascontiguousarray(rows), device=agent.device))
    chosen = agent.actions.to_environment(action.cpu().numpy())
    return chosen if batched else chosen[0]
