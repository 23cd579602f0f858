"""O-DICE (Mao et al., ICLR 2024, arXiv 2402.00348): a dual loss whose next-state gradient is made orthogonal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from envzoo.agents.loops.replay import Batch
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.offline.base import OfflineActorCritic
from envzoo.agents.offline.config import OfflineConfig, require_at_least_zero, require_positive
from envzoo.agents.offline.networks import StateValue, make_policy, shape_of
from envzoo.agents.optim import make_optimizer
from envzoo.agents.spec import require

SMALLEST_NORM = 1e-10  # of the squared forward gradient


class Divergence(NamedTuple):
    """An f-divergence, with f restricted to ratios of at least 0.

    Attributes:
        conjugate: f*(y).
        ratio: The derivative of f*, the ratio w*(y) of visitations.
        weight: The weight of the residual y in the cloning of the policy, as in the paper's code.
    """

    conjugate: Callable[[Tensor], Tensor]
    ratio: Callable[[Tensor], Tensor]
    weight: Callable[[Tensor], Tensor]


def pearson_ratio(y: Tensor) -> Tensor:
    """Compute w*(y) = max(y / 2 + 1, 0)."""
    return (y / 2 + 1).clamp(min=0)


def pearson_conjugate(y: Tensor) -> Tensor:
    """Compute f*(y) = y w* - (w* - 1)^2 for f(w) = (w - 1)^2."""
    w = pearson_ratio(y)
    return y * w - (w - 1).square()


def exponential(y: Tensor) -> Tensor:
    """Compute exp(y - 1), for f(w) = w log w both the conjugate and the ratio."""
    return (y - 1).exp()


DIVERGENCES = {
    "pearson": Divergence(pearson_conjugate, pearson_ratio, lambda y: y.clamp(min=0)),
    "reverse_kl": Divergence(exponential, exponential, exponential),
}


def project_orthogonal(forward: Tensor, backward: Tensor) -> Tensor:
    """Compute backward - c forward, the part of a flat gradient that is orthogonal to another one.

    Where the forward gradient is (almost) zero, the backward one stays as it is.
    """
    c = (forward @ backward) / (forward @ forward).clamp(min=SMALLEST_NORM)
    return backward - c * forward


@dataclass(frozen=True)
class ODICEConfig(OfflineConfig):
    """Hyperparameters of O-DICE; scale the rewards such that residuals are of order 1 (the paper: -3 a step)."""

    mode: Literal["orthogonal", "semi", "true"] = "orthogonal"
    """Gradient of V: forward and orthogonal backward part (O-DICE), forward part only (S-DICE), or the true one."""
    divergence: Literal["pearson", "reverse_kl"] = "pearson"
    """f-divergence between the visitations of the policy and of the data."""
    lam: float = 0.6
    """Weight lambda of the residual term against the mean value, in (0, 1); larger values are more optimistic."""
    eta: float = 1.0
    """Weight of the backward gradient."""
    tau: float = 0.005
    """Polyak coefficient of the target of V."""
    twin: bool = True
    """Train two value functions and take the smaller one in targets."""
    largest_weight: float = 100.0
    """Upper bound of the weights of cloning."""
    learning_rate: float = 2e-4
    """Adam's learning rate."""
    weight_decay: float = 1e-4
    """L2 penalty of the policy's parameters, in Adam's gradient."""
    normalize_observations: bool = False
    """Normalise each column of Box observations to mean 0 and standard deviation 1 over the dataset."""

    def __post_init__(self):
        super().__post_init__()
        require(0 < self.lam < 1, f"lam of ODICE lies in (0, 1), got {self.lam}")
        require(0 < self.tau <= 1, f"tau of ODICE lies in (0, 1], got {self.tau}")
        require_at_least_zero(self, "eta", "weight_decay")
        require_positive(self, "largest_weight")


class ValuePair(nn.Module):
    """One or two state values: packed observations (N, P) -> (members, N)."""

    def __init__(self, members: int, codec, **shape):
        super().__init__()
        self.members = nn.ModuleList(StateValue(codec, **shape) for _ in range(members))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the values of every member."""
        return torch.stack([member(x) for member in self.members])


class ODICE(OfflineActorCritic):
    """Distribution correction estimation with an orthogonal gradient.

    With V' the target of V (the smaller of two), and residuals

        y_f = r + gamma (1 - terminated) V'(s') - V(s)       y_b = r + gamma (1 - terminated) V(s') - V'(s)
        g_f = grad E[lambda f*(y_f)]                         g_b = grad E[lambda eta f*(y_b)]

    V takes a step along grad E[(1 - lambda) V(s)] + g_f + g_b - g_f <g_f, g_b> / <g_f, g_f>, all over the vector of all
    parameters, followed by V' <- (1 - tau) V' + tau V. Mode "semi" leaves g_b out; mode "true" is the gradient of
    E[(1 - lambda) V(s) + lambda f*(r + gamma (1 - terminated) V(s') - V(s))]. The policy minimises

        L_pi = -E[w log pi(a|s)],  w = min(max(y, 0), largest_weight)   (Pearson),  exp(y - 1)   (reverse KL)

    with w averaged over the two values of V, and y = y_f, or with V on both sides in mode "true". Source: Mao et al.
    (2024, arXiv 2402.00348) and its code.

    Metrics:
        loss/value: E[(1 - lambda) V(s) + lambda f*(y)], with y the residual of the mode (y_f except for "true").
        loss/policy: L_pi.
        value/v: mean V(s).
        value/residual: mean of that residual.
        policy/weight: mean weight of the logged actions.
        gradient/cosine: cosine of the angle between g_f and g_b (mode "orthogonal").
    """

    Config = ODICEConfig
    config: ODICEConfig

    def build(self) -> None:
        """Create the policy, V and its target."""
        c = self.config
        shape = shape_of(c, self.streams.torch("weights", "cpu"))
        policy = make_policy(self.codec, self.actions, squash=False, log_std_range=(-5.0, 2.0), **shape)
        self.policy = self.register("policy", policy.to(self.device))
        self.value = self.register("value", ValuePair(1 + c.twin, self.codec, **shape).to(self.device))
        self.policy_optimizer = self.register(
            "policy_optimizer",
            make_optimizer(self.policy, c.optimizer, lr=c.learning_rate, weight_decay=c.weight_decay),
        )
        self.value_optimizer = self.register(
            "value_optimizer", make_optimizer(self.value, c.optimizer, lr=c.learning_rate)
        )
        self.target = self.register("target", PolyakTarget(self.value, self.value_optimizer.flat, c.tau))
        self.divergence = DIVERGENCES[c.divergence]

    def residuals(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute y_f, y_b and the residual with V on both sides, and V(s), (members, N) each."""
        keep = self.config.gamma * (1 - batch.terminated)
        v, next_v = self.value(batch.observation), self.value(batch.next_observation)
        with torch.no_grad():
            fixed = self.target(batch.observation).amin(dim=0)
            next_fixed = self.target(batch.next_observation).amin(dim=0)
        forward = batch.reward + keep * next_fixed - v
        backward = batch.reward + keep * next_v - fixed
        return forward, backward, batch.reward + keep * next_v - v, v

    def value_gradient(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the flat gradients of V by name ("base", "forward", "backward", ...), and the mode's residual."""
        c, f = self.config, self.divergence.conjugate
        forward, backward, both, v = self.residuals(batch)

        def gradient(loss: Tensor, again: bool = True) -> Tensor:
            parts = torch.autograd.grad(loss, self.value_optimizer.parameters, retain_graph=again, allow_unused=True)
            known = zip(parts, self.value_optimizer.parameters, strict=True)
            return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in known])

        # The values are summed over the members, so that each has the gradient of its own loss.
        base = gradient((1 - c.lam) * v.mean(dim=1).sum())
        found = {"base": base}
        if c.mode == "true":
            found["total"] = base + gradient(c.lam * f(both).mean(dim=1).sum(), again=False)
        else:
            found["forward"] = found["total"] = gradient(c.lam * f(forward).mean(dim=1).sum())
            found["total"] = base + found["forward"]
        if c.mode == "orthogonal":
            found["backward"] = gradient(c.lam * c.eta * f(backward).mean(dim=1).sum(), again=False)
            found["orthogonal"] = project_orthogonal(found["forward"], found["backward"])
            found["total"] = found["total"] + found["orthogonal"]
        residual = both if c.mode == "true" else forward
        self.seen = {
            "loss/value": ((1 - c.lam) * v + c.lam * f(residual)).detach().mean(),
            "value/v": v.detach().mean(),
            "value/residual": residual.detach().mean(),
        }
        return found, residual.detach()

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Update V, its target and the policy once."""
        gradients, residual = self.value_gradient(batch)
        self.value_optimizer.flat.grad.copy_(gradients["total"])
        self.value_optimizer.apply()
        self.target.update()

        weight = self.divergence.weight(residual).clamp(max=self.config.largest_weight).mean(dim=0)
        policy_loss = -(weight * self.policy.log_prob(batch.observation, batch.action)).mean()
        self.policy_optimizer.step(policy_loss)
        metrics = self.seen | {"loss/policy": policy_loss.detach(), "policy/weight": weight.mean()}
        if "backward" in gradients:
            g_f, g_b = gradients["forward"], gradients["backward"]
            metrics["gradient/cosine"] = (g_f @ g_b) / (g_f.norm() * g_b.norm()).clamp(min=SMALLEST_NORM)
        return metrics
