"""Layers whose initial weights are drawn from an explicit generator instead of torch's global one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.errors import unknown


def tanh(x: Tensor) -> Tensor:
    """Compute the hyperbolic tangent; on the CPU without gradients by NumPy, which is four times faster."""
    if x.requires_grad or x.device.type != "cpu":
        return torch.tanh(x)
    return torch.from_numpy(np.tanh(x.numpy()))


ACTIVATIONS = {"tanh": tanh, "relu": torch.relu, "gelu": nn.functional.gelu, "silu": nn.functional.silu}
GAINS = {"tanh": 5 / 3, "relu": math.sqrt(2), "gelu": math.sqrt(2), "silu": math.sqrt(2)}


def activation(name: str):
    """Return the activation function called `name`; raises UnknownNameError."""
    if name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def linear(inputs: int, outputs: int, generator: torch.Generator, gain: float | None = math.sqrt(2)) -> nn.Linear:
    """Create a linear layer: orthogonal weights of the given gain and zero bias, or torch's uniform default."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    with torch.no_grad():
        if gain is None:
            bound = 1 / math.sqrt(max(inputs, 1))
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
        else:
            nn.init.orthogonal_(layer.weight, gain, generator=generator)
            layer.bias.zero_()
    return layer


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, generator: torch.Generator
) -> nn.Conv2d:
    """Create a 2-D convolution with orthogonal weights (gain sqrt 2) and zero bias."""
    layer = nn.utils.skip_init(nn.Conv2d, inputs, outputs, kernel, stride, padding)
    with torch.no_grad():
        nn.init.orthogonal_(layer.weight, math.sqrt(2), generator=generator)
        layer.bias.zero_()
    return layer


def gru(inputs: int, hidden: int, generator: torch.Generator) -> nn.GRU:
    """Create a one-layer GRU over (T, B, inputs), with weights uniform in +-1/sqrt(hidden) as in torch."""
    # skip_init does not support GRU; on the meta device the constructor draws nothing from the global generator.
    layer = nn.GRU(inputs, hidden, device="meta").to_empty(device="cpu")
    bound = 1 / math.sqrt(hidden)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


class MLP(nn.Module):
    """Multi-layer perceptron with an activation after each linear layer: (..., inputs) -> (..., hidden[-1]).

    Args:
        inputs: Width of the input.
        hidden: Hidden layer sizes; may be empty (identity).
        activation_name: Key of `ACTIVATIONS`.
        generator: Generator of the initial weights.
        gain: Gain of the orthogonal initialisation; None for torch's uniform default.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        activation_name: str,
        generator: torch.Generator,
        gain: float | None = math.sqrt(2),
    ):
        super().__init__()
        self.activation_name, self.activation = activation_name, activation(activation_name)
        widths = [inputs, *hidden]
        self.layers = nn.ModuleList(linear(a, b, generator, gain) for a, b in pairwise(widths))
        self.out_dim = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Apply every layer."""
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


class EnsembleMLP(nn.Module):
    """Ensemble of `members` MLPs with linear outputs, as batched matrix products: (B, inputs) -> (members, B, outputs).

    Initial weights follow torch's uniform default, drawn member by member.
    """

    def __init__(
        self,
        members: int,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        activation_name: str,
        generator: torch.Generator,
    ):
        super().__init__()
        self.activation = activation(activation_name)
        widths = [inputs, *hidden, outputs]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for a, b in pairwise(widths):
            bound = 1 / math.sqrt(max(a, 1))
            self.weights.append(nn.Parameter(torch.empty(members, a, b).uniform_(-bound, bound, generator=generator)))
            self.biases.append(nn.Parameter(torch.empty(members, 1, b).uniform_(-bound, bound, generator=generator)))
        self.members = members

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate every member on the same (B, inputs), or member m on x[m] for (members, B, inputs)."""
        if x.dim() == 2:
            x = x.expand(self.members, *x.shape)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                x = self.activation(x)
        return x
