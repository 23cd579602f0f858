"""Target networks that track an online network by Polyak averaging."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from envzoo.errors import EnvzooError


class PolyakTarget:
    """A slowly following copy of a network: target <- (1 - tau) target + tau online.

    Args:
        network: The online network.
        flat: The vector that all its parameters, in order, are views of (`FlatOptimizer.flat`).
        tau: Share that moves over in one update, in (0, 1].

    Attributes:
        network: The copy; it needs no gradient.
    """

    def __init__(self, network: nn.Module, flat: Tensor, tau: float):
        self.online, self.tau = flat.detach(), tau
        self.network = copy.deepcopy(network).requires_grad_(False)
        # The copy's parameters become views of one vector too, so that an update is a single operation.
        self.flat = self.online.clone()
        position = 0
        for parameter in self.network.parameters():
            end = position + parameter.numel()
            parameter.data = self.flat[position:end].view_as(parameter)
            position = end
        if position != self.flat.numel():
            raise EnvzooError(f"a target network of {position} parameters cannot follow {self.flat.numel()}")

    def __call__(self, *inputs: Any) -> Any:
        """Evaluate the copy."""
        return self.network(*inputs)

    def update(self) -> None:
        """Move towards the online network."""
        self.flat.lerp_(self.online, self.tau)

    def state_dict(self) -> dict[str, Any]:
        """Parameters of the copy."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state made by `state_dict`."""
        self.network.load_state_dict(state)
