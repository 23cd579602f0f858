"""Closed-form gradients of a plain actor-critic, since autograd's graph costs more than its small layers.

For a linear layer y = x W^T + b and the derivative D = dL/dy of a loss, D of shape (N, outputs),

    dL/dW = D^T x,    dL/db = sum of the rows of D,    dL/dx = D W,

and for an activation x = f(u) the last is multiplied by f'(u), which is 1 - x^2 for tanh and [x > 0] for ReLU. At the
output, with p = softmax(logits) and H its entropy,

    d log p_a / d logits = onehot(a) - p,    dH / d logits = -p (log p + H).

A first layer that reads symbols adds one row of a table per symbol, and each of these rows receives D. Finally, for a
normal distribution with mean m and standard deviation s, with z = (a - m) / s,

    d log pi / d m = z / s,    d log pi / d log s = z^2 - 1,    dH / d log s = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from numba import njit
from torch import Tensor, nn

from envzoo.agents.losses import distributions as dist
from envzoo.agents.networks.encoders import Encoder, MLPEncoder, SymbolEncoder, SymbolInput
from envzoo.agents.networks.layers import ACTIVATIONS
from envzoo.agents.networks.policy import Evaluation, Policy

# (dL/dx, x) -> dL/du for x = f(u).
SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tanh": torch.ops.aten.tanh_backward.default,
    "relu": lambda gradient, x: torch.ops.aten.threshold_backward.default(gradient, x, 0),
}
NARROW = 16  # up to this many columns, matrix libraries are several times slower on D^T x than on x^T D


@njit(cache=True)
def _add_rows(table, rows, gradient):
    """Add gradient[n] to table[rows[n, k]] for all n and k; `rows` int64 (N, K), `gradient` (N, W), `table` (R, W)."""
    for n in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            row = rows[n, k]
            for j in range(gradient.shape[1]):
                table[row, j] += gradient[n, j]


class _Tower:
    """Linear layers with activations between them."""

    def __init__(self, layers: Sequence[nn.Linear], activation: str):
        self.weights = [layer.weight for layer in layers]
        self.biases = [layer.bias for layer in layers]
        self.activation, self.slope = ACTIVATIONS[activation], SLOPES[activation]
        self.inputs: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, inputs) -> (N, outputs), and store the input of every layer for `backward`."""
        self.inputs = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            self.inputs.append(self.activation(x) if self.inputs else x)
            x = torch.addmm(bias, self.inputs[-1], weight.t())
        return x

    def backward(self, gradient: Tensor, to_input: bool = False) -> Tensor | None:
        """Write the derivative by each parameter to its `grad`, given the derivative by the output, (N, outputs).

        With `to_input` the derivative by the input, (N, inputs), is returned.
        """
        for i in reversed(range(len(self.weights))):
            weight, bias, x = self.weights[i], self.biases[i], self.inputs[i]
            torch.sum(gradient, dim=0, out=bias.grad)
            if x.shape[1] <= NARROW:
                weight.grad.copy_((x.t() @ gradient).t())
            else:
                torch.mm(gradient.t(), x, out=weight.grad)
            if i > 0:
                gradient = self.slope(gradient @ weight, x)
        return gradient @ self.weights[0] if to_input else None


class _SymbolTower:
    """A `SymbolEncoder` and a head: a first layer that adds up table rows, then a `_Tower`."""

    def __init__(self, encoder: SymbolEncoder, head: nn.Linear):
        self.encoder, name = encoder, encoder.net.activation_name
        self.rest = _Tower([*encoder.net.layers, head], name)
        self.activation, self.slope = ACTIVATIONS[name], SLOPES[name]

    def forward(self, read: SymbolInput) -> Tensor:
        """Compute (N, outputs) from the result of `SymbolEncoder.read`, and store what `backward` needs."""
        self.read = read
        self.features = self.activation(self.encoder.first(read))
        return self.rest.forward(self.features)

    def backward(self, gradient: Tensor) -> None:
        """Write the derivatives as `_Tower.backward` does."""
        encoder = self.encoder
        gradient = self.slope(self.rest.backward(gradient, to_input=True), self.features)
        table = encoder.symbols.weight.grad.zero_()
        _add_rows(table.numpy(), self.read.rows.numpy(), gradient.numpy())
        torch.sum(gradient, dim=0, out=encoder.bias.grad)
        if encoder.numbers is None:
            return
        encoder.numbers.bias.grad.copy_(encoder.bias.grad)
        for position, part, numbering in self.read.numbers:
            if numbering is None:
                summed = gradient
            else:
                summed = gradient.new_zeros(len(part), gradient.shape[1]).index_add_(0, numbering, gradient)
            encoder.numbers.weight.grad[:, position : position + part.shape[1]] = summed.t() @ part


class ClosedFormPolicy:
    """Evaluation of a `Policy` without autograd, with closed-form gradients.

    Args:
        policy: A policy for which `fits` is true; its parameters must have a `grad`, as those of a `FlatOptimizer` do.
    """

    def __init__(self, policy: Policy):
        self.policy = policy
        self.actor = self._tower(policy.actor_encoder, policy.actor_head)
        self.critic = self._tower(policy.critic_encoder, policy.critic_head)

    @staticmethod
    def _tower(encoder: Encoder, head: nn.Linear) -> _Tower | _SymbolTower:
        if isinstance(encoder, SymbolEncoder):
            return _SymbolTower(encoder, head)
        return _Tower([*encoder.net.layers, head], encoder.net.activation_name)

    @staticmethod
    def fits(policy: nn.Module) -> bool:
        """Return whether actor and critic are separate multi-layer perceptrons with an activation of `SLOPES`.

        The perceptrons may read symbols, on the CPU.
        """
        if not isinstance(policy, Policy) or not policy.has_critic or policy.shared:
            return False
        encoders = (policy.actor_encoder, policy.critic_encoder)
        return all(_differentiable(encoder) and encoder.net.activation_name in SLOPES for encoder in encoders)

    @torch.no_grad()
    def evaluate(self, x: Tensor, action: Tensor) -> Evaluation:
        """Evaluate observations x (N, P) and actions (N,) or (N, D) as `Policy.evaluate` does, without autograd."""
        encoder, mask = self.policy.actor_encoder, self.policy.masks(x) if self.policy.discrete else None
        x = encoder.read(x) if isinstance(encoder, SymbolEncoder) else encoder.codec.vector(x)
        self.action, self.parameters = action, self.actor.forward(x)
        value = self.critic.forward(x)[:, 0]
        if not self.policy.discrete:
            log_std = self.policy.log_std
            log_prob = dist.gaussian_log_prob(self.parameters, log_std, action)
            return Evaluation(log_prob, dist.gaussian_entropy(log_std).expand_as(log_prob), value)
        if mask is not None:
            self.parameters = self.parameters.masked_fill(~mask, -torch.inf)
        self.log_probs = self.parameters.log_softmax(dim=-1)
        chosen = self.log_probs.gather(-1, action[:, None])[:, 0]
        if mask is not None:
            self.log_probs = dist.finite(self.log_probs)
        self.probs = self.log_probs.exp()
        self.entropy = (self.probs * self.log_probs).sum(dim=-1).neg_()
        return Evaluation(chosen, self.entropy, value)

    @torch.no_grad()
    def backward(self, log_prob: Tensor, value: Tensor, entropy: Tensor | None = None) -> None:
        """Write dL/d(parameter) to the `grad` of every parameter.

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


def _differentiable(encoder: Encoder) -> bool:
    """Return whether the first layer of an encoder is supported by one of the towers."""
    if isinstance(encoder, SymbolEncoder):
        return encoder.bias.device.type == "cpu"
    return type(encoder) is MLPEncoder and not encoder.lookup
