"""An ensemble of probabilistic models of the world, evaluated as batched matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import EnsembleMLP
from envzoo.sizes import check_bytes

# L2 penalties of the first and second layer, of further hidden ones, and of the outputs (Yu et al., 2020).
DECAYS = (2.5e-5, 5e-5, 7.5e-5, 1e-4)
BOUND_WEIGHT = 0.01


def layer_decays(layers: int) -> list[float]:
    """Return the L2 penalty of each of the layers."""
    return [DECAYS[min(number, 2)] for number in range(layers - 1)] + [DECAYS[-1]]


def soft_clamp(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Bring values between bounds smoothly, so that gradients reach both the values and the bounds."""
    x = high - nn.functional.softplus(high - x)
    return low + nn.functional.softplus(x - low)


class ProbEnsemble(nn.Module):
    """N networks that each predict a Gaussian with diagonal covariance: (B, inputs) -> mean and log-variance (N, B, D).

    Log-variances are clamped softly between learned bounds, which start at -10 and 0.5. With `terminations` there is a
    further output, the log-odds that the step terminates the episode.

    Args:
        members: N.
        inputs: Width of the input.
        outputs: D, width of the predicted vector.
        hidden: Hidden layer sizes.
        generator: Generator of the initial weights.
        terminations: Also predict terminations.
        activation: Name of the activation function.
    """

    def __init__(
        self,
        members: int,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        generator: torch.Generator,
        terminations: bool = False,
        activation: str = "silu",
    ):
        super().__init__()
        widths = [inputs, *hidden, 2 * outputs + terminations]
        count = members * sum((a + 1) * b for a, b in pairwise(widths))
        check_bytes(16 * count, f"an ensemble of {members} models with the hidden layers {tuple(hidden)[:8]}")
        self.members, self.outputs, self.terminations = members, outputs, terminations
        self.net = EnsembleMLP(members, inputs, hidden, widths[-1], activation, generator)
        self.low, self.high = nn.Parameter(torch.full((outputs,), -10.0)), nn.Parameter(torch.full((outputs,), 0.5))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Compute means and log-variances (N, B, D), and log-odds of a termination (N, B) or None.

        Args:
            x: (B, inputs) for all members, or (N, B, inputs).
        """
        out = self.net(x)
        mean, log_variance = out[..., : self.outputs], out[..., self.outputs : 2 * self.outputs]
        return mean, soft_clamp(log_variance, self.low, self.high), out[..., -1] if self.terminations else None

    def loss(self, x: Tensor, y: Tensor, terminated: Tensor | None = None) -> Tensor:
        """Compute the training loss, summed over the members.

        For each member the mean over rows and columns of (mean - y)^2 / variance + log variance, plus the mean
        cross-entropy of terminations; then L2 penalties of the weights by layer, and 0.01 times the sum over columns
        of the upper less the lower bound of log-variances.

        Args:
            x: (N, B, inputs), rows of each member.
            y: (N, B, D).
            terminated: (N, B) zeros and ones, where terminations are predicted.
        """
        mean, log_variance, logit = self(x)
        total = ((mean - y).square() * (-log_variance).exp() + log_variance).mean(dim=(1, 2)).sum()
        if logit is not None:
            entropy = nn.functional.binary_cross_entropy_with_logits(logit, terminated, reduction="none")
            total = total + entropy.mean(dim=1).sum()
        for weight, decay in zip(self.net.weights, layer_decays(len(self.net.weights)), strict=True):
            total = total + decay / 2 * weight.square().sum()
        return total + BOUND_WEIGHT * (self.high - self.low).sum()

    def member_state(self, chosen: Tensor) -> list[Tensor]:
        """Return copies of the weights and biases of the members in a mask (N,)."""
        return [p.detach()[chosen].clone() for p in (*self.net.weights, *self.net.biases)]

    def set_members(self, chosen: Tensor, values: list[Tensor]) -> None:
        """Replace the weights and biases of the members in a mask (N,)."""
        with torch.no_grad():
            for parameter, value in zip((*self.net.weights, *self.net.biases), values, strict=True):
                parameter[chosen] = value
