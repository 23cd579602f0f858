"""Lagrange multipliers that are learned by gradient descent (dual variables)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from envzoo.agents.losses.soft import temperature_loss
from envzoo.agents.optim import make_optimizer
from envzoo.errors import EnvzooError


class DualVariable:
    """A positive Lagrange multiplier lambda, learned by gradient descent on its logarithm.

    It minimises lambda * (measured - target): it decreases while the measured quantity is above its target and
    increases while it is below. Examples are the temperature of Soft Actor-Critic (measured: the policy's entropy), and
    the multiplier of a constraint "at least `target`".

    Args:
        initial: Initial value, positive.
        target: Target of the measured quantity.
        lr: Adam's learning rate on the logarithm; None for a fixed value.
        low: Lower bound, 0 for none.
        high: Upper bound, infinite for none.
        device: Device of the parameter.

    Raises:
        EnvzooError: A value that is not positive or out of bounds.
    """

    def __init__(
        self,
        initial: float,
        target: float,
        *,
        lr: float | None,
        low: float = 0.0,
        high: float = math.inf,
        device: torch.device | str = "cpu",
    ):
        if not (initial > 0 and low <= initial <= high and math.isfinite(initial)):
            raise EnvzooError(
                f"the initial value of a dual variable must be positive and within [{low}, {high}], got {initial}"
            )
        self.target = float(target)
        self.log_value = nn.Parameter(torch.tensor([math.log(initial)], device=device))
        self.bounds = (math.log(low) if low > 0 else -math.inf, math.log(high))
        self.bounded = any(math.isfinite(bound) for bound in self.bounds)
        self.optimizer = make_optimizer([self.log_value], lr=lr) if lr is not None else None

    @property
    def value(self) -> Tensor:
        """Value of the multiplier, a 0-d tensor without gradient."""
        return self.log_value.detach()[0].exp()

    def update(self, measured: Tensor) -> Tensor:
        """Take one descent step given a 0-d measurement; returns the loss, a 0-d tensor without gradient."""
        with torch.no_grad():
            loss = temperature_loss(self.log_value[0], measured, self.target)
            if self.optimizer is not None:
                # The derivative of lambda (measured - target) by log lambda is the loss itself: no autograd needed.
                self.optimizer.flat.grad.fill_(loss)
                self.optimizer.apply()
                if self.bounded:
                    self.log_value.clamp_(*self.bounds)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the logarithm of the value, and the optimizer's state."""
        return {
            "log_value": self.log_value.detach(),
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        with torch.no_grad():
            self.log_value.copy_(state["log_value"])
        if self.optimizer is not None and state["optimizer"] is not None:
            self.optimizer.load_state_dict(state["optimizer"])
