"""Minibatches and losses with a dimension of seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.method import Method
from envzoo.agents.text.rollouts import TENSORS, TextRollout


def losses_in_turn(
    methods: Sequence[Method], logp: Tensor, entropy: Tensor, batch: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the losses (S,) and metrics (S,) of a minibatch, one seed after another.

    Args:
        methods: A method per seed.
        logp: (S, n, T), see `Method.objective`.
        entropy: (S, n, T).
        batch: Fields and extras of the minibatch by name, with a first dimension of seeds.
    """
    found = [
        method.objective(logp[s], entropy[s], rollout({name: value[s] for name, value in batch.items()}))
        for s, method in enumerate(methods)
    ]
    metrics = {name: torch.stack([torch.as_tensor(part[name]) for _, part in found]) for name in found[0][1]}
    return torch.stack([total for total, _ in found]), metrics


def losses_at_once(
    methods: Sequence[Method], logp: Tensor, entropy: Tensor, batch: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute what `losses_in_turn` does, by one call of the method's functions under `torch.vmap`."""
    if _overrides(methods[0], "observe") or _overrides(methods[0], "draw"):
        drawn = []
        for s, method in enumerate(methods):
            one = rollout({name: value[s] for name, value in batch.items()})
            method.observe(entropy[s].detach(), one)
            drawn.append(method.draw(one))
        batch = batch | {name: torch.stack([part[name] for part in drawn]) for name in drawn[0]}

    def loss(logp: Tensor, entropy: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return methods[0].total_loss(logp, entropy, rollout(batch))

    return torch.vmap(loss)(logp, entropy, batch)


def take(table: np.ndarray, index: Tensor, mask: Tensor) -> Tensor:
    """Read entries (S, n, T) of the table (S, ...) of each seed by their numbers; 0 off the mask."""
    seeds = len(table)
    flat = torch.from_numpy(table.reshape(seeds, -1)).gather(1, index.reshape(seeds, -1))
    return torch.where(mask > 0, flat.view(index.shape), 0.0)


def stack(rollouts: list[TextRollout]) -> dict[str, Tensor]:
    """Stack the tensors of rollouts along a first dimension, extras among them."""
    found = {name: torch.stack([getattr(rollout, name) for rollout in rollouts]) for name in TENSORS}
    return found | {name: torch.stack([rollout.extras[name] for rollout in rollouts]) for name in rollouts[0].extras}


def rollout(fields: dict[str, Tensor]) -> TextRollout:
    """Make a rollout of fields and extras by name."""
    extras = {name: value for name, value in fields.items() if name not in TENSORS}
    return TextRollout(**{name: fields[name] for name in TENSORS}, extras=extras)


def _overrides(method: Method, name: str) -> bool:
    return getattr(type(method), name) is not getattr(Method, name)


def vectorizes(cls: type[Method]) -> bool:
    """Whether the class that defines `token_loss`, or a subclass of it, says that its losses run under `vmap`."""
    for base in cls.__mro__:
        if "vectorizes" in vars(base):
            return base.vectorizes
        if "token_loss" in vars(base):
            return False
    return False
