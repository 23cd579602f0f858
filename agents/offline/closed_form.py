"""Networks of the offline agents with closed-form gradients, see `envzoo.agents.networks.closed_form`."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from envzoo.agents.actor_critic.closed_form import twins_fit
from envzoo.agents.actor_critic.soft_networks import TwinQ
from envzoo.agents.imitation.bc import DeterministicPolicy
from envzoo.agents.networks.closed_form import ClosedFormEnsemble, ClosedFormMLP


class ClosedFormTD3(NamedTuple):
    """Actor and critics of TD3, and their targets, without autograd; outputs of the actors are before squashing."""

    actor: ClosedFormMLP
    critics: ClosedFormEnsemble
    target_actor: ClosedFormMLP
    target: ClosedFormEnsemble

    @classmethod
    def make(
        cls, actor: DeterministicPolicy, critics: TwinQ, target_actor: DeterministicPolicy, target: TwinQ
    ) -> ClosedFormTD3 | None:
        """Return an instance, or None where actor and critics are no plain perceptrons on the CPU."""
        if not (twins_fit(critics) and ClosedFormMLP.fits(actor.encoder)):
            return None
        actors = (ClosedFormMLP(part.encoder, part.head) for part in (actor, target_actor))
        ensembles = (ClosedFormEnsemble(part.net) for part in (critics, target))
        first, second = zip(actors, ensembles, strict=True)
        return cls(*first, *second)


def fit_critics(critics: ClosedFormEnsemble, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Write the gradient of the critics' loss sum_i mean_n (Q_i(x_n) - y_n)^2.

    Args:
        critics: M critics.
        x: (N, inputs).
        y: (N,).

    Returns:
        The loss, and the values (M, N).
    """
    q = critics.forward(x)
    error = q - y
    loss = (error * error).sum() / len(y)
    critics.backward(error.mul_(2 / len(y)))
    return loss, q
