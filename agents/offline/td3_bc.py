"""TD3+BC (Fujimoto and Gu, 2021): TD3 whose actor stays close to the logged actions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.config import require_positive
from envzoo.agents.offline.td3 import TD3, ActorLoss, TD3Config

EPSILON = 1e-6  # for the first updates, when all values may be 0


@dataclass(frozen=True)
class TD3BCConfig(TD3Config):
    """Hyperparameters of TD3+BC."""

    alpha: float = 2.5
    """Weight of the values against the distance to the data; small values clone the data."""

    def __post_init__(self):
        super().__post_init__()
        require_positive(self, "alpha")


def value_weight(alpha: float, q: Tensor) -> Tensor:
    """Compute lambda = alpha / mean |Q|, without gradient: a number that makes alpha independent of the rewards."""
    return alpha / (q.detach().abs().mean() + EPSILON)


class TD3BC(TD3):
    """TD3 whose actor also imitates the logged actions.

    The actor minimises

        L_pi = -lambda E[Q_1(s, pi(s))] + E[|pi(s) - a|^2 / D],    lambda = alpha / E|Q_1(s, pi(s))|

    with lambda taken as a constant and D action dimensions; critics and targets are those of TD3. Source: Fujimoto and
    Gu (2021, arXiv 2106.06860).

    Metrics:
        loss/critic: sum over both critics of E[(Q_i(s, a) - y)^2].
        loss/actor: L_pi.
        loss/distance: the second term of L_pi.
        value/q: mean Q over the batch and both critics.
        value/q_policy: mean Q_1(s, pi(s)).
    """

    Config = TD3BCConfig
    config: TD3BCConfig

    def anchor(self, batch: Batch, action: Tensor) -> Tensor:
        """Return the actions (N, D) that the actor is pulled to: those of the data."""
        return batch.action

    def actor_loss(self, batch: Batch, action: Tensor, q: Tensor) -> ActorLoss:
        """Compute L_pi, its derivatives, and metrics."""
        apart, weight = action - self.anchor(batch, action), value_weight(self.config.alpha, q)
        distance = (apart * apart).mean()
        by_action, by_q = apart * (2 / apart.numel()), (weight / -len(q)).expand_as(q)
        return ActorLoss(distance - weight * q.mean(), by_action, by_q, {"loss/distance": distance})
