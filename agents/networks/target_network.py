"""Target networks that track an online network by Polyak averaging."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from envzoo.errors import EnvzooError


class PolyakTarget:
    """Target network updated by Polyak averaging: target <- (1 - tau) target + tau online.

    Args:
        network: The online network.
        flat: The vector of which all its parameters, in order, are views (`FlatOptimizer.flat`).
        tau: Polyak coefficient, in (0, 1].

    Attributes:
        network: The target network, without gradients.
    """

    def __init__(self, network: nn.Module, flat: Tensor, tau: float):
        self.online, self.tau = flat.detach(), tau
        self.network = copy.deepcopy(network).requires_grad_(False)
        # The copy's parameters are views of one vector as well, so that an update is a single operation.
        self.flat = self.online.clone()
        position = 0
        for parameter in self.network.parameters():
            end = position + parameter.numel()
            parameter.data = self.flat[position:end].view_as(parameter)
            position = end
        if position != self.flat.numel():
            raise EnvzooError(f"a target network of {position} parameters cannot track {self.flat.numel()} parameters")

    def __call__(self, *inputs: Any) -> Any:
        """Evaluate the target network."""
        return self.network(*inputs)

    def update(self) -> None:
        """Update the parameters by Polyak averaging."""
        self.flat.lerp_(self.online, self.tau)

    def state_dict(self) -> dict[str, Any]:
        """Return the parameters of the target network."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.network.load_state_dict(state)
