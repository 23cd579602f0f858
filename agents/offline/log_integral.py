"""The integral over actions in the loss of CQL, estimated from many sampled actions for each observation.

For M critics, N observations and J sampled actions of each it is

    L = sum_i mean_n log sum_j exp(Q_i(s_n, a_nj) - c_nj).

There are many times more pairs than observations in a minibatch, and autograd would move the activations of all of them
to memory and back several times. `log_integral` takes a few observations at a time, whose activations stay in the
cache, and differentiates them at once, since the softmax weights of an observation depend on its own actions only. The
first layer's product with an observation is computed once for all of its actions: W [s; a] = W_s s + W_a a.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble

# x = f(u) in place, and (dL/dx, x) -> dL/du, in place of dL/dx.
ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "relu": (torch.relu_, lambda g, x: torch.ops.aten.threshold_backward.grad_input(g, x, 0, grad_input=g)),
    "tanh": (torch.tanh_, lambda g, x: torch.ops.aten.tanh_backward.grad_input(g, x, grad_input=g)),
}
NUMBERS = 2**17  # activations of one layer at a time


def plain_log_integral(q: Tensor, corrections: Tensor) -> Tensor:
    """Compute L from the values of all pairs.

    Args:
        q: (M, N, J), Q_i(s_n, a_nj).
        corrections: (N, J), what is subtracted from the values.
    """
    return (q - corrections).logsumexp(dim=-1).mean(dim=1).sum()


def log_integral(
    net: ScalarEnsemble, activation: str, features: Tensor, actions: Tensor, corrections: Tensor
) -> Tensor:
    """Compute L, a scalar that can be differentiated once by the features and by the network's parameters.

    Args:
        net: The critics: features and an action, side by side, to a value of each critic.
        activation: Name of their activation function.
        features: (N, F) features of the observations.
        actions: (N, J, D), without gradient.
        corrections: (N, J), what is subtracted from the values, without gradient.
    """
    if activation in ACTIVATIONS and len(net.weights) > 1 and not features.is_cuda:
        return _LogIntegral.apply(activation, features, actions, corrections, *net.weights, *net.biases)
    # One product of all pairs suits a GPU.
    n, j, _ = actions.shape
    pairs = torch.cat([features[:, None].expand(n, j, -1), actions], dim=-1)
    return plain_log_integral(net(pairs.view(n * j, -1)).view(-1, n, j), corrections)


class _LogIntegral(torch.autograd.Function):
    """`log_integral` on the CPU; the forward pass also computes the gradient, which the backward pass scales."""

    @staticmethod
    def forward(ctx: Any, activation: str, features: Tensor, actions: Tensor, corrections: Tensor, *parameters: Tensor):
        n, j, dim = actions.shape
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        by_features = torch.zeros_like(features) if ctx.needs_input_grad[1] else None
        total = features.new_zeros(())
        layers = len(parameters) // 2
        widest = max(weight.shape[-1] for weight in parameters[:layers])
        rows = max(1, NUMBERS // (j * widest))
        buffers = features.new_empty(layers, min(rows, n) * j * widest)
        for number in range(len(parameters[0])):
            values, slopes = ([tensor[number] for tensor in tensors] for tensors in (parameters, gradients))
            member = _Member(activation, values, slopes, dim, buffers)
            for start in range(0, n, rows):
                chosen = slice(start, start + rows)
                part = None if by_features is None else by_features[chosen]
                total += member.add(features[chosen], actions[chosen], corrections[chosen], part)
        ctx.gradients = [None if gradient is None else gradient.div_(n) for gradient in (by_features, *gradients)]
        return total / n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor):
        features, *parameters = (None if part is None else part * upstream for part in ctx.gradients)
        return None, features, None, None, *parameters


class _Member:
    """One critic: adds up log-sum-exp over observations, and its gradient.

    Args:
        activation: Key of `ACTIVATIONS`.
        parameters: Weights (inputs, outputs) of all layers, then biases (1, outputs).
        gradients: Where the gradient is added, of the same shapes.
        dim: D, the dimension of actions.
        buffers: Memory for the activations and the derivatives of every hidden layer.
    """

    def __init__(
        self, activation: str, parameters: Sequence[Tensor], gradients: Sequence[Tensor], dim: int, buffers: Tensor
    ):
        self.activate, self.slope = ACTIVATIONS[activation]
        count = len(parameters) // 2
        # The first layer reads features and actions apart, the last one has a single output.
        first, *hidden, head = parameters[:count]
        self.weights, self.head = [first[-dim:], *hidden], head[:, 0]
        self.features_weight, self.biases = first[:-dim], parameters[count:]
        first, *hidden, head = gradients[:count]
        self.by_weights, self.by_head = [first[-dim:], *hidden], head[:, 0]
        self.by_features_weight, self.by_biases = first[:-dim], gradients[count:]
        self.buffers = buffers

    def _empty(self, number: int, rows: int, columns: int) -> Tensor:
        return self.buffers[number, : rows * columns].view(rows, columns)

    def add(self, features: Tensor, actions: Tensor, corrections: Tensor, by_features: Tensor | None) -> Tensor:
        """Return the sum for features (n, F), actions (n, J, D) and corrections (n, J), and add its gradient."""
        n, j, dim = actions.shape
        rows, layers = n * j, len(self.weights)
        inputs = [actions.reshape(rows, dim)]
        for i, weight in enumerate(self.weights):
            u = self._empty(i, rows, weight.shape[1])
            if i:
                torch.addmm(self.biases[i], inputs[i], weight, out=u)
            else:
                torch.mm(inputs[0], weight, out=u)
                u.view(n, j, -1).add_(torch.addmm(self.biases[0], features, self.features_weight)[:, None])
            inputs.append(self.activate(u))
        values = torch.mv(inputs[-1], self.head).add_(self.biases[-1][0]).view(n, j).sub_(corrections)
        log_share = values.log_softmax(dim=1)
        share = log_share.exp()  # the derivative by the values
        total = (share * values.sub_(log_share)).sum()

        share, ones = share.view(rows), share.new_ones(rows)
        self.by_biases[-1].add_(n)
        self.by_head.addmv_(inputs[-1].t(), share)
        gradient = torch.outer(share, self.head, out=self._empty(layers, rows, len(self.head)))
        for i in range(layers - 1, 0, -1):
            self.slope(gradient, inputs[i + 1])
            self.by_weights[i].addmm_(inputs[i].t(), gradient)
            self.by_biases[i][0].addmv_(gradient.t(), ones)  # faster than a sum of rows
            # A buffer of activations is free once its layer has been differentiated.
            out = self._empty(i, rows, self.weights[i].shape[0])
            gradient = torch.mm(gradient, self.weights[i].t(), out=out)
        self.slope(gradient, inputs[1])
        self.by_weights[0].add_(inputs[0].t() @ gradient)
        by_first = gradient.view(n, j, -1).sum(dim=1)
        self.by_biases[0].add_(by_first.sum(dim=0))
        self.by_features_weight.addmm_(features.t(), by_first)
        if by_features is not None:
            by_features.addmm_(by_first, self.features_weight.t())
        return total
