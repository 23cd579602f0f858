"""A plain actor-critic with its gradient written out, because autograd's graph costs more than its small layers.

For a linear layer y = x W^T + b and the derivative D = dL/dy of a loss, D of shape (N, outputs),

    dL/dW = D^T x,    dL/db = sum of the rows of D,    dL/dx = D W,

and through an activation x = f(u) the last of them is multiplied by f'(u), which is 1 - x^2 for tanh and [x > 0] for
the rectifier. At the other end, with p = softmax(logits) and H its entropy,

    d log p_a / d logits = onehot(a) - p,    dH / d logits = -p (log p + H),

and for a normal of mean m and standard deviation s, with z = (a - m) / s,

    d log pi / d m = z / s,    d log pi / d log s = z^2 - 1,    dH / d log s = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from envzoo.agents.losses import distributions as dist
from envzoo.agents.networks.encoders import MLPEncoder
from envzoo.agents.networks.layers import ACTIVATIONS
from envzoo.agents.networks.policy import Evaluation, Policy

# (dL/dx, x) -> dL/du for x = f(u).
SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tanh": torch.ops.aten.tanh_backward.default,
    "relu": lambda gradient, x: torch.ops.aten.threshold_backward.default(gradient, x, 0),
}
NARROW = 16  # up to this many columns, matrix libraries are several times slower on D^T x than on x^T D


class _Tower:
    """Linear layers with an activation between them."""

    def __init__(self, layers: Sequence[nn.Linear], activation: str):
        self.weights = [layer.weight for layer in layers]
        self.biases = [layer.bias for layer in layers]
        self.activation, self.slope = ACTIVATIONS[activation], SLOPES[activation]
        self.inputs: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs); remembers the input of every layer for `backward`."""
        self.inputs = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            self.inputs.append(self.activation(x) if self.inputs else x)
            x = torch.addmm(bias, self.inputs[-1], weight.t())
        return x

    def backward(self, gradient: Tensor) -> None:
        """Write the derivative by each parameter into its `grad`, given that by the output, (N, outputs)."""
        for i in reversed(range(len(self.weights))):
            weight, bias, x = self.weights[i], self.biases[i], self.inputs[i]
            torch.sum(gradient, dim=0, out=bias.grad)
            if x.shape[1] <= NARROW:
                weight.grad.copy_((x.t() @ gradient).t())
            else:
                torch.mm(gradient.t(), x, out=weight.grad)
            if i > 0:
                gradient = self.slope(gradient @ weight, x)


class ClosedFormPolicy:
    """Evaluates a `Policy` without a graph, and differentiates what it gave.

    Args:
        policy: One that `fits`; its parameters have a `grad` to write into, as those of a `FlatOptimizer` do.
    """

    def __init__(self, policy: Policy):
        self.policy = policy
        actor, critic = policy.actor_encoder.net, policy.critic_encoder.net
        self.actor = _Tower([*actor.layers, policy.actor_head], actor.activation_name)
        self.critic = _Tower([*critic.layers, policy.critic_head], critic.activation_name)

    @staticmethod
    def fits(policy: nn.Module) -> bool:
        """Whether it is an actor and a critic apart, each a multi-layer perceptron with an activation of `SLOPES`."""
        if not isinstance(policy, Policy) or not policy.has_critic or policy.shared:
            return False
        encoders = (policy.actor_encoder, policy.critic_encoder)
        return all(type(e) is MLPEncoder and not e.lookup and e.net.activation_name in SLOPES for e in encoders)

    @torch.no_grad()
    def evaluate(self, x: Tensor, action: Tensor) -> Evaluation:
        """Like `Policy.evaluate`, of packed observations x (N, P) and actions (N,) or (N, D), without a graph."""
        x = self.policy.actor_encoder.codec.vector(x)
        self.action, self.parameters = action, self.actor.forward(x)
        value = self.critic.forward(x)[:, 0]
        if not self.policy.discrete:
            log_std = self.policy.log_std
            log_prob = dist.gaussian_log_prob(self.parameters, log_std, action)
            return Evaluation(log_prob, dist.gaussian_entropy(log_std).expand_as(log_prob), value)
        self.log_probs = self.parameters.log_softmax(dim=-1)
        self.probs = self.log_probs.exp()
        self.entropy = (self.probs * self.log_probs).sum(dim=-1).neg_()
        return Evaluation(self.log_probs.gather(-1, action[:, None])[:, 0], self.entropy, value)

    @torch.no_grad()
    def backward(self, log_prob: Tensor, value: Tensor, entropy: Tensor | None = None) -> None:
        """Write dL/d(parameter) into the `grad` of every parameter.

        Args:
            log_prob: (N,), dL/d(log_prob) of the last `evaluate`.
            value: (N,), dL/d(value).
            entropy: (N,), dL/d(entropy); None where it has no part in L.
        """
        by_actor = self._by_logits if self.policy.discrete else self._by_mean
        self.actor.backward(by_actor(log_prob[:, None], None if entropy is None else entropy[:, None]))
        self.critic.backward(value[:, None])

    def _by_logits(self, log_prob: Tensor, entropy: Tensor | None) -> Tensor:
        gradient = (self.probs * -log_prob).scatter_add_(1, self.action[:, None], log_prob)
        if entropy is not None:
            gradient -= entropy * self.probs * (self.log_probs + self.entropy[:, None])
        return gradient

    def _by_mean(self, log_prob: Tensor, entropy: Tensor | None) -> Tensor:
        log_std = self.policy.log_std
        precision = torch.exp(-log_std)
        z = (self.action - self.parameters) * precision
        torch.sum(log_prob * (z * z - 1), dim=0, out=log_std.grad)
        if entropy is not None:
            log_std.grad += entropy.sum()
        return log_prob * z * precision
