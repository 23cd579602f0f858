"""Ensemble of MLPs with one output each (critics), optimised for the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from envzoo.agents.networks.layers import EnsembleMLP


class ScalarEnsemble(EnsembleMLP):
    """Ensemble of `members` MLPs with one linear output each: (N, inputs) -> (members, N).

    On the CPU wide members are evaluated one after the other, because the cache holds the activations of one but not of
    all; elsewhere one batched product is faster. The last layer has one column and is never computed as a batched
    matrix product, which costs the CPU about as much as a whole hidden layer.

    Args:
        members: Number of members.
        inputs: Width of the input.
        hidden: Hidden layer sizes.
        activation_name: Activation function of the hidden layers.
        generator: Generator of the initial weights.
    """

    WIDE = 128

    def __init__(
        self, members: int, inputs: int, hidden: Sequence[int], activation_name: str, generator: torch.Generator
    ):
        super().__init__(members, inputs, hidden, 1, activation_name, generator)
        if self.activation is torch.relu:
            self.activation = torch.relu_  # in place: the input is a new product that no gradient needs

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate every member on x (N, inputs): (members, N)."""
        if x.is_cuda or max(weight.shape[-1] for weight in self.weights) < self.WIDE:
            return self._together(x)
        layers = [zip(w.unbind(0), b.unbind(0), strict=True) for w, b in zip(self.weights, self.biases, strict=True)]
        return torch.stack([self._one(x, parameters) for parameters in zip(*layers, strict=True)])

    def member(self, x: Tensor, number: int) -> Tensor:
        """Evaluate one member on x (N, inputs): (N,)."""
        return self._one(x, [(w[number], b[number]) for w, b in zip(self.weights, self.biases, strict=True)])

    def _together(self, x: Tensor) -> Tensor:
        x = x.expand(self.members, *x.shape)
        *hidden, head = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            x = self.activation(torch.baddbmm(bias, x, weight))
        weight, bias = head
        return (x * weight.mT).sum(dim=-1) + bias[..., 0]

    def _one(self, x: Tensor, parameters: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        *hidden, head = parameters
        for weight, bias in hidden:
            x = self.activation(torch.addmm(bias, x, weight))
        weight, bias = head
        return torch.addmm(bias, x, weight)[:, 0]
