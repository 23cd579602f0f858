"""Forward and backward passes of perceptrons without autograd, whose graph costs more than their small layers.

For a layer u = x W + b and the derivative D = dL/du of a loss, with one row for each observation,

    dL/dW = x^T D,    dL/db = sum of the rows of D,    dL/dx = D W^T,

and an activation x = f(u) multiplies the last by f'(u), which is [x > 0] for ReLU and 1 - x^2 for tanh. The derivatives
by the parameters are written to their `grad`, as those of a `FlatOptimizer` have one, for `FlatOptimizer.apply`. All
functions are called under `torch.no_grad`.

Wide products in single precision are computed by the library that is faster on the processor, see
`envzoo.agents.networks.processor`. `manual_gradients` does the same for the policies of PPO; its products stay with
MKL, and with them the last digits of stored results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from envzoo.agents.networks.basic_encoders import Encoder, MLPEncoder
from envzoo.agents.networks.layers import tanh
from envzoo.agents.networks.processor import onednn_is_faster
from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble

# x = f(u) in place, and (dL/dx, x) -> dL/du, in place of dL/dx.
IN_PLACE: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "relu": (torch.relu_, lambda g, x: torch.ops.aten.threshold_backward.grad_input(g, x, 0, grad_input=g)),
    "tanh": (torch.tanh_, lambda g, x: torch.ops.aten.tanh_backward.grad_input(g, x, grad_input=g)),
}
WIDE = ScalarEnsemble.WIDE  # products of fewer columns or inner terms gain nothing from oneDNN
# A private name of torch: where a release or a processor lacks it, torch's own product is used.
_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if onednn_is_faster() else None


def suits_onednn(weight: Tensor) -> bool:
    """Return whether `product` with this weight (K, O) is computed by oneDNN."""
    wide = weight.dim() == 2 and min(weight.shape) >= WIDE
    return wide and _ONEDNN is not None and weight.dtype == torch.float32 and weight.device.type == "cpu"


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute x W + b without gradients: (N, K), (K, O), (O,) -> (N, O), or with a leading dimension of all of them."""
    if suits_onednn(weight):
        return _ONEDNN(x, weight.t(), bias, "none", [], "")
    if weight.dim() == 3:
        return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias, x, weight)
    return torch.mm(x, weight) if bias is None else torch.addmm(bias, x, weight)


def write_product(x: Tensor, gradient: Tensor, out: Tensor) -> None:
    """Write x^T D to `out`: (N, K), (N, O) -> (K, O), or with a leading dimension of all of them."""
    if suits_onednn(out):
        if not out.is_contiguous():  # the gradient of a `torch.nn.Linear` is stored as (O, K)
            x, gradient, out = gradient, x, out.t()
        out.copy_(_ONEDNN(x.t(), gradient.t(), None, "none", [], ""))
    elif out.is_contiguous():
        torch.matmul(x.mT, gradient, out=out)
    else:
        out.copy_(x.mT @ gradient)


class Layer(NamedTuple):
    """A linear layer, or the same layer of M perceptrons: weight ([M,] inputs, outputs), bias ([M, 1,] outputs)."""

    weight: Tensor
    bias: Tensor


class _Pass:
    """One evaluation of a perceptron, or of M perceptrons of equal shape; they are differentiated one like the other.

    Args:
        layers: The layers.
        x: ([M,] N, inputs).
        activation: Key of `IN_PLACE`.

    Attributes:
        output: ([M,] N, outputs).
    """

    def __init__(self, layers: Sequence[Layer], x: Tensor, activation: str):
        activate, self.slope = IN_PLACE[activation]
        self.layers, self.inputs = layers, [x]
        *hidden, last = layers
        for layer in hidden:
            self.inputs.append(activate(product(self.inputs[-1], *layer)))
        self.output = self._read(last)

    def _read(self, head: Layer) -> Tensor:
        x = self.inputs[-1]
        if x.dim() == 3 and head.weight.shape[-1] == 1:  # a batched product costs as much as a whole hidden layer
            return (x * head.weight.mT).sum(dim=-1, keepdim=True) + head.bias
        return product(x, *head)

    def backward(self, gradient: Tensor, gradients: Sequence[Layer] | None, columns: int = 0) -> Tensor | None:
        """Differentiate.

        Args:
            gradient: dL/d(output), of its shape.
            gradients: Where the derivatives by weights and biases are written; None leaves them out.
            columns: The last inputs by which the derivative is returned, ([M,] N, columns); None is returned for 0.
        """
        for i in reversed(range(len(self.layers))):
            if gradients is not None:
                by_weight, by_bias = gradients[i]
                write_product(self.inputs[i], gradient, by_weight)
                torch.sum(gradient, dim=-2, keepdim=gradient.dim() == 3, out=by_bias)
            if i:
                weight = self.layers[i].weight
                single = weight.shape[-1] == 1
                gradient = gradient * weight.mT if single else product(gradient, weight.mT)
                self.slope(gradient, self.inputs[i])
        return product(gradient, self.layers[0].weight[..., -columns:, :].mT) if columns else None


class ClosedFormMLP:
    """An `MLPEncoder` and its linear head.

    Args:
        encoder: An encoder for which `fits` is true.
        head: The head.
    """

    def __init__(self, encoder: Encoder, head: nn.Linear):
        self.linears, self.activation = [*encoder.net.layers, head], encoder.net.activation_name

    @staticmethod
    def fits(encoder: Encoder) -> bool:
        """Return whether an encoder is a perceptron with an activation of `IN_PLACE`, on the CPU."""
        if type(encoder) is not MLPEncoder or encoder.lookup or encoder.net.activation_name not in IN_PLACE:
            return False
        return all(parameter.device.type == "cpu" for parameter in encoder.parameters())

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, inputs) -> (N, outputs), and keep what `backward` needs."""
        self.last = _Pass([Layer(linear.weight.t(), linear.bias) for linear in self.linears], x, self.activation)
        return self.last.output

    def backward(self, gradient: Tensor) -> None:
        """Write the derivatives by the parameters, given that by the output, (N, outputs).

        A gradient of fewer rows is that of the first rows of the input; the others have no part in the loss.
        """
        last = self.last
        if len(gradient) < len(last.output):
            last.inputs = [x[: len(gradient)] for x in last.inputs]
        last.backward(gradient, [Layer(linear.weight.grad.t(), linear.bias.grad) for linear in self.linears])


def _activation_name(net: ScalarEnsemble) -> str | None:
    """Return the key of `IN_PLACE` of an ensemble's activation function."""
    return {torch.relu_: "relu", tanh: "tanh"}.get(net.activation)


class ClosedFormEnsemble:
    """A `ScalarEnsemble`: (N, inputs) -> (members, N).

    Wide members are evaluated one after the other, narrow ones as batched products, for the reason given there.

    Args:
        net: An ensemble for which `fits` is true.
    """

    def __init__(self, net: ScalarEnsemble):
        self.members, self.activation = net.members, _activation_name(net)
        self.parameters = list(zip(net.weights, net.biases, strict=True))
        self.together = max(weight.shape[-1] for weight in net.weights) < WIDE

    @staticmethod
    def fits(net: nn.Module) -> bool:
        """Return whether a network is a `ScalarEnsemble` with an activation of `IN_PLACE`, on the CPU."""
        return type(net) is ScalarEnsemble and _activation_name(net) is not None and net.weights[0].device.type == "cpu"

    def _members(self, count: int, gradients: bool = False) -> list[list[Layer]]:
        """Return the layers of the first members, or their gradients; those of all at once where `together`."""
        pairs = [(weight.grad, bias.grad) for weight, bias in self.parameters] if gradients else self.parameters
        if self.together and count == self.members:
            return [[Layer(*pair) for pair in pairs]]
        return [[Layer(weight[m], bias[m, 0]) for weight, bias in pairs] for m in range(count)]

    def forward(self, x: Tensor, count: int | None = None) -> Tensor:
        """Compute the values of the first `count` members, or of all, (count, N), and keep what is needed later."""
        self.count = self.members if count is None else count
        groups = self._members(self.count)
        self.batched = groups[0][0].weight.dim() == 3
        if self.batched:
            x = x.expand(self.count, *x.shape)
        self.last = [_Pass(layers, x, self.activation) for layers in groups]
        if self.batched:
            return self.last[0].output[..., 0]
        return torch.stack([part.output[:, 0] for part in self.last])

    def _backward(self, gradient: Tensor, gradients: bool, columns: int) -> list[Tensor | None]:
        parts = [gradient[..., None]] if self.batched else gradient[..., None]
        where = self._members(self.count, gradients=True) if gradients else [None] * len(self.last)
        return [part.backward(*own, columns) for part, *own in zip(self.last, parts, where, strict=True)]

    def backward(self, gradient: Tensor) -> None:
        """Write the derivatives by the parameters, given that by the values of all members, (members, N)."""
        self._backward(gradient, True, 0)

    def by_input(self, gradient: Tensor, columns: int) -> Tensor:
        """Compute the derivative by the last columns of the input, (N, columns), given that by the values."""
        found = self._backward(gradient, False, columns)
        return found[0].sum(dim=0) if self.batched else sum(found[1:], found[0])
