"""The critics' loss of CQL for Box actions, whose integral over actions takes many sampled ones per observation.

For M critics, N observations s_n with logged actions a_n and targets y_n, and J sampled actions a_nj of each it is

    L = error + alpha gap,    error = sum_i mean_n (Q_i(s_n, a_n) - y_n)^2,
    gap = sum_i mean_n [log sum_j exp(Q_i(s_n, a_nj) - c_nj) - Q_i(s_n, a_n)].

There are many times more pairs than observations in a minibatch, and autograd would move the activations of all of them
to memory and back several times. `conservative_loss` takes a few observations at a time, whose activations stay in the
cache, and differentiates them at once, since the softmax weights of an observation depend on its own actions only. The
first layer's product with an observation is computed once for all of its actions: W [s; a] = W_s s + W_a a. Critics
with ReLU, unless they are very wide, are differentiated by a kernel, see `envzoo.agents.offline.conservative_kernel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from envzoo.agents.networks.perceptron_gradients import IN_PLACE, product, suits_onednn
from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble
from envzoo.agents.offline.conservative_kernel import conservative_gradient, make_layers

NUMBERS = 2**17  # activations of one layer at a time
NUMBERS_IN_KERNEL = 2**14  # its calls cost less
WIDEST_IN_KERNEL = 256  # hidden layer whose weights a core's cache holds


class ConservativeLoss(NamedTuple):
    """L, which can be differentiated once, and what it consists of, without gradient.

    Attributes:
        loss: L, a scalar.
        error: The first term.
        gap: The second term without its weight.
        values: (M, N), the values of the logged actions.
    """

    loss: Tensor
    error: Tensor
    gap: Tensor
    values: Tensor


def combine(logged: Tensor, sampled: Tensor, corrections: Tensor, target: Tensor, alpha: float) -> ConservativeLoss:
    """Compute L from the values of all pairs.

    Args:
        logged: (M, N), Q_i(s_n, a_n).
        sampled: (M, N, J), Q_i(s_n, a_nj).
        corrections: (N, J), what is subtracted from the values of sampled actions.
        target: (N,), y_n.
        alpha: Weight of the gap.
    """
    error = (logged - target).square().mean(dim=1).sum()
    gap = ((sampled - corrections).logsumexp(dim=-1) - logged).mean(dim=1).sum()
    return ConservativeLoss(error + alpha * gap, error.detach(), gap.detach(), logged.detach())


def conservative_loss(
    net: ScalarEnsemble,
    activation: str,
    features: Tensor,
    actions: Tensor,
    corrections: Tensor,
    target: Tensor,
    alpha: float,
) -> ConservativeLoss:
    """Compute L, which can be differentiated by the features and by the network's parameters.

    Args:
        net: The critics: features and an action, side by side, to a value of each critic.
        activation: Name of their activation function.
        features: (N, F) features of the observations.
        actions: (N, J + 1, D), sampled actions and after them the logged one, without gradient.
        corrections: (N, J), what is subtracted from the values of sampled actions, without gradient.
        target: (N,), y_n, without gradient.
        alpha: Weight of the gap.
    """
    if activation in IN_PLACE and len(net.weights) > 1 and not features.is_cuda:
        given = (features, actions, corrections, target, *net.weights, *net.biases)
        return ConservativeLoss(*_Fused.apply(activation, alpha, *given))
    # One product of all pairs suits a GPU.
    n, j, _ = actions.shape
    pairs = torch.cat([features[:, None].expand(n, j, -1), actions], dim=-1)
    values = net(pairs.view(n * j, -1)).view(-1, n, j)
    return combine(values[..., -1], values[..., :-1], corrections, target, alpha)


class _Given(NamedTuple):
    """Inputs of a gradient, and the arrays to which values and derivatives are written.

    Attributes:
        activation: Key of `IN_PLACE`.
        alpha: Weight of the gap.
        features: (N, F).
        actions: (N, J + 1, D).
        corrections: (N, J).
        target: (N,).
        parameters: Weights of all layers, then biases, with a leading dimension of the members.
        hidden: Hidden layer sizes.
        by_features: (N, F), where N times the gradient by the features is added; None leaves it out.
        values: (M, N), where the values of the logged actions are written.
    """

    activation: str
    alpha: float
    features: Tensor
    actions: Tensor
    corrections: Tensor
    target: Tensor
    parameters: Sequence[Tensor]
    hidden: Sequence[int]
    by_features: Tensor | None
    values: Tensor


class _Fused(torch.autograd.Function):
    """`conservative_loss` on the CPU; the forward pass also computes the gradient, which the backward pass scales."""

    @staticmethod
    def forward(ctx: Any, activation: str, alpha: float, features: Tensor, *others: Tensor):
        actions, corrections, target, *parameters = others
        hidden = [bias.shape[-1] for bias in parameters[len(parameters) // 2 : -1]]
        by_features = features.new_zeros(features.shape) if ctx.needs_input_grad[2] else None
        values = features.new_empty(len(parameters[0]), len(features))
        compiled = activation == "relu" and features.dtype == torch.float32 and max(hidden) <= WIDEST_IN_KERNEL
        differentiate = _differentiate_compiled if compiled else _differentiate_plain
        given = _Given(
            activation, alpha, features, actions, corrections, target, parameters, hidden, by_features, values
        )
        gradients, integral = differentiate(given)
        n = len(features)
        ctx.gradients = [None if gradient is None else gradient.div_(n) for gradient in (by_features, *gradients)]
        error = (values - target).square_().sum() / n
        gap = (integral - values.sum()) / n
        ctx.mark_non_differentiable(error, gap, values)
        return error + alpha * gap, error, gap, values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Tensor):
        features, *parameters = (None if part is None else part * upstream for part in ctx.gradients)
        return None, None, features, None, None, None, *parameters


def _differentiate_compiled(given: _Given) -> tuple[list[Tensor], Tensor]:
    """Compute what `_differentiate_plain` does, in a kernel."""
    features, parameters, hidden = given.features, given.parameters, given.hidden
    flat = torch.cat([parameter.detach().flatten(1) for parameter in parameters], dim=1)
    gradients, widths = torch.zeros_like(flat), [parameters[0].shape[1], *hidden, 1]
    tensors = (features, given.actions, given.corrections, given.target)
    arrays = [tensor.detach().contiguous().numpy() for tensor in tensors]
    block = max(1, NUMBERS_IN_KERNEL // (given.actions.shape[1] * max(hidden)))
    back = features.new_empty(0, features.shape[1]) if given.by_features is None else given.by_features
    integral = 0.0
    for member, gradient, values in zip(flat.numpy(), gradients.numpy(), given.values.numpy(), strict=True):
        nets = make_layers(member, widths), make_layers(gradient, widths)
        numbers = np.float32(given.alpha), min(block, len(features))
        integral += conservative_gradient(*nets, *arrays, *numbers, back.numpy(), values)
    parts = gradients.split([parameter[0].numel() for parameter in parameters], dim=1)
    shaped = [part.reshape(parameter.shape) for part, parameter in zip(parts, parameters, strict=True)]
    return shaped, features.new_tensor(integral)


def _differentiate_plain(given: _Given) -> tuple[list[Tensor], Tensor]:
    """Compute N times the gradient of L by the parameters, and the sum of the integrals over actions."""
    activation, alpha, features, actions, corrections, target, parameters, hidden, by_features, values = given
    n, j, dim = actions.shape
    gradients = [torch.zeros_like(parameter) for parameter in parameters]
    rows = max(1, NUMBERS // (j * max(hidden)))
    buffers = features.new_empty(len(hidden) + 1, min(rows, n) * j * max(hidden))
    integral = features.new_zeros(())
    for number in range(len(values)):
        own, slopes = ([tensor[number] for tensor in tensors] for tensors in (parameters, gradients))
        member = _Member(activation, own, slopes, dim, buffers)
        base = member.read(features)
        by_base = torch.empty_like(base)
        for start in range(0, n, rows):
            part = slice(start, start + rows)
            q, inputs = member.evaluate(base[part], actions[part])
            logged, sampled = q[:, -1], q[:, :-1] - corrections[part]
            log_share = sampled.log_softmax(dim=1)
            share = log_share.exp()
            integral += (share * sampled.sub_(log_share)).sum()
            values[number, part] = logged
            # From here on q is the derivative by itself.
            torch.mul(share, alpha, out=q[:, :-1])
            logged.sub_(target[part]).mul_(2.0).sub_(alpha)
            member.differentiate(q, inputs, by_base[part])
        member.differentiate_first(by_base, features, by_features)
    return gradients, integral


class _Member:
    """One critic, and where its gradient is added.

    Args:
        activation: Key of `IN_PLACE`.
        parameters: Weights (inputs, outputs) of all layers, then biases (1, outputs).
        gradients: Where the gradient is added, of the same shapes.
        dim: D, the dimension of actions.
        buffers: Memory for the activations and the derivatives of every hidden layer.
    """

    def __init__(
        self, activation: str, parameters: Sequence[Tensor], gradients: Sequence[Tensor], dim: int, buffers: Tensor
    ):
        self.activate, self.slope = IN_PLACE[activation]
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

    def read(self, features: Tensor) -> Tensor:
        """Compute what features (N, F) contribute to the first layer, (N, width)."""
        return torch.addmm(self.biases[0], features, self.features_weight)

    def evaluate(self, base: Tensor, actions: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the values (n, J) of actions (n, J, D), and the inputs of all layers, given `read` (n, width)."""
        n, j, dim = actions.shape
        inputs = [actions.reshape(n * j, dim)]
        for i, weight in enumerate(self.weights):
            u = self._empty(i, n * j, weight.shape[1])
            if i and suits_onednn(weight):
                u = product(inputs[i], weight, self.biases[i][0])
            elif i:
                torch.addmm(self.biases[i], inputs[i], weight, out=u)
            else:
                torch.mm(inputs[0], weight, out=u).view(n, j, -1).add_(base[:, None])
            inputs.append(self.activate(u))
        return torch.mv(inputs[-1], self.head).add_(self.biases[-1][0]).view(n, j), inputs

    def differentiate(self, by_values: Tensor, inputs: list[Tensor], by_base: Tensor) -> None:
        """Add the gradient, given the derivative by the values (n, J); that by `read` goes to (n, width)."""
        n, j = by_values.shape
        rows, layers = n * j, len(self.weights)
        by_values = by_values.view(rows)
        ones = torch.ones_like(by_values)
        self.by_biases[-1].add_(by_values.sum())
        self.by_head.addmv_(inputs[-1].t(), by_values)
        gradient = torch.outer(by_values, self.head, out=self._empty(layers, rows, len(self.head)))
        for i in range(layers - 1, 0, -1):
            self.slope(gradient, inputs[i + 1])
            weight, wide = self.weights[i], suits_onednn(self.weights[i])
            if wide:
                self.by_weights[i].add_(product(inputs[i].t(), gradient))
            else:
                self.by_weights[i].addmm_(inputs[i].t(), gradient)
            self.by_biases[i][0].addmv_(gradient.t(), ones)  # faster than a sum of rows
            # The activations of a layer that has been differentiated are not needed any more.
            out = self._empty(i, rows, weight.shape[0])
            gradient = product(gradient, weight.t()) if wide else torch.mm(gradient, weight.t(), out=out)
        self.slope(gradient, inputs[1])
        self.by_weights[0].add_(inputs[0].t() @ gradient)
        torch.sum(gradient.view(n, j, -1), dim=1, out=by_base)

    def differentiate_first(self, by_base: Tensor, features: Tensor, by_features: Tensor | None) -> None:
        """Add the gradient of `read`, and to `by_features` (N, F) that by the features."""
        self.by_biases[0].add_(by_base.sum(dim=0))
        self.by_features_weight.addmm_(features.t(), by_base)
        if by_features is not None:
            by_features.addmm_(by_base, self.features_weight.t())
