"""Losses on pairs of a chosen and a rejected response, and on labelled responses, as pure functions of tensors.

Arguments are log-probabilities (B,) of whole responses, summed over their tokens, under the policy (`chosen`,
`rejected`) and under the reference policy. `target` (B,) or a number is the probability that the chosen response is the
better one: 1 for certain labels, 1 - epsilon with label smoothing. Every function returns a loss per pair, (B,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from envzoo.errors import EnvzooError, unknown

Target = Tensor | float


@dataclass(frozen=True)
class Pairs:
    """Log-probabilities of B pairs.

    Attributes:
        chosen, rejected: (B,), under the policy.
        chosen_length, rejected_length: (B,), numbers of tokens.
        reference_chosen, reference_rejected: (B,), under the reference policy; None without one.
        target: Probability that the chosen response is better.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_length: Tensor
    rejected_length: Tensor
    reference_chosen: Tensor | None = None
    reference_rejected: Tensor | None = None
    target: Target = 1.0


def smooth(label: Target, smoothing: float) -> Target:
    """Return the target for labels that are wrong with probability `smoothing`: label (1 - e) + (1 - label) e."""
    return label * (1 - smoothing) + (1 - label) * smoothing


def logistic_loss(logit: Tensor, target: Target = 1.0) -> Tensor:
    """Compute -t log sigmoid(x) - (1 - t) log sigmoid(-x)."""
    return -target * F.logsigmoid(logit) - (1 - target) * F.logsigmoid(-logit)


def log_ratio_margin(chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor) -> Tensor:
    """Compute log(pi / ref)(chosen) - log(pi / ref)(rejected)."""
    return (chosen - reference_chosen) - (rejected - reference_rejected)


def dpo_loss(margin: Tensor, beta: float, target: Target = 1.0) -> Tensor:
    """Compute the DPO loss -log sigmoid(beta margin) of log-ratio margins (Rafailov et al. 2023, equation 7)."""
    return logistic_loss(beta * margin, target)


def dpo_policy_gradient_loss(
    chosen: Tensor, rejected: Tensor, margin: Tensor, beta: float, target: Target = 1.0
) -> Tensor:
    """Compute a surrogate whose gradient is that of DPO, written as a policy gradient.

    The gradient of `dpo_loss` is -w (grad log pi(chosen) - grad log pi(rejected)) with the advantage
    w = beta (target - sigmoid(beta margin)), which is constant here.
    """
    weight = beta * (target - torch.sigmoid(beta * margin.detach()))
    return -weight * (chosen - rejected)


def ipo_loss(margin: Tensor, beta: float, target: Target = 1.0) -> Tensor:
    """Compute the IPO loss (margin - 1 / (2 beta))^2 (Azar et al. 2023, equation 17), averaged over the label.

    With sequences of different lengths, pass margins of log-ratios per token.
    """
    goal = 1 / (2 * beta)
    return target * (margin - goal) ** 2 + (1 - target) * (margin + goal) ** 2


def slic_loss(chosen: Tensor, rejected: Tensor, delta: float = 1.0, target: Target = 1.0) -> Tensor:
    """Compute the calibration loss of SLiC-HF, relu(delta - log pi(chosen) + log pi(rejected)) (Zhao et al. 2023)."""
    difference = chosen - rejected
    return target * torch.relu(delta - difference) + (1 - target) * torch.relu(delta + difference)


def log_odds(logp: Tensor) -> Tensor:
    """Compute log(p / (1 - p)) from log p < 0, accurately on both sides."""
    logp = logp.clamp_max(-torch.finfo(logp.dtype).eps)
    small = torch.log1p(-torch.exp(logp.clamp_max(-math.log(2))))
    large = torch.log(-torch.expm1(logp.clamp_min(-math.log(2))))
    return logp - torch.where(logp < -math.log(2), small, large)


def odds_ratio_loss(chosen: Tensor, rejected: Tensor, target: Target = 1.0) -> Tensor:
    """Compute ORPO's -log sigmoid(log odds(chosen) - log odds(rejected)) (Hong et al. 2024, equation 7).

    The log-probabilities are means over tokens. The full loss adds the negative log-likelihood of the chosen response.
    """
    return logistic_loss(log_odds(chosen) - log_odds(rejected), target)


def simpo_loss(chosen: Tensor, rejected: Tensor, beta: float, gamma: float, target: Target = 1.0) -> Tensor:
    """Compute SimPO's -log sigmoid(beta (chosen - rejected) - gamma) of means over tokens (Meng et al. 2024, eq. 6)."""
    return logistic_loss(beta * (chosen - rejected) - gamma, target)


def cpo_loss(chosen: Tensor, rejected: Tensor, beta: float, target: Target = 1.0) -> Tensor:
    """Compute CPO's preference loss -log sigmoid(beta (chosen - rejected)) (Xu et al. 2024, equation 5).

    The full loss adds the negative log-likelihood of the chosen response. Without it this is DPO with a uniform
    reference, or the reward beta log pi.
    """
    return logistic_loss(beta * (chosen - rejected), target)


def kto_loss(
    log_ratio: Tensor,
    desirable: Tensor,
    baseline: Tensor | float,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """Compute the KTO loss of single responses (Ethayarajh et al. 2024, equation 8).

    w (1 - sigmoid(beta (log_ratio - z))) for desirable responses, w (1 - sigmoid(beta (z - log_ratio))) for others.

    Args:
        log_ratio: (B,), log(pi / ref) of the responses.
        desirable: (B,) bool.
        baseline: z, an estimate of KL(pi || ref) without gradient; see `kto_baseline`.
        beta: Inverse temperature.
        desirable_weight, undesirable_weight: The weights w.
    """
    gain = beta * (log_ratio - baseline)
    good = desirable_weight * torch.sigmoid(-gain)
    return torch.where(desirable, good, undesirable_weight * torch.sigmoid(gain))


def kto_baseline(mismatched_log_ratio: Tensor) -> Tensor:
    """Estimate z = max(0, mean of log(pi / ref)) from responses (B,) to the prompts of others, without gradient."""
    return mismatched_log_ratio.detach().mean().clamp_min(0)


def remove_conflict(gradient: Tensor, other: Tensor) -> Tensor:
    """Project a descent gradient so that a step along it does not increase another loss to first order.

    If <g, h> < 0, return g - <g, h> / <h, h> h, otherwise g; g and h are flat, (D,).
    """
    inner, square = gradient @ other, other @ other
    if float(inner) >= 0 or float(square) == 0:
        return gradient
    return gradient - inner / square * other


# ---------------------------------------------------------------------------- by name


@dataclass(frozen=True)
class LossSettings:
    """Settings of the losses by name; see `OfflinePreferenceConfig`."""

    beta: float = 0.1
    delta: float = 1.0
    gamma: float = 0.5
    nll_coefficient: float = 1.0
    length_normalized: bool = False
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0


def _need(pairs: Pairs, name: str) -> tuple[Tensor, Tensor]:
    if pairs.reference_chosen is None or pairs.reference_rejected is None:
        raise EnvzooError(f"the loss {name!r} compares with a reference policy, but there is none")
    return pairs.reference_chosen, pairs.reference_rejected


def _margin(pairs: Pairs, name: str, per_token: bool) -> Tensor:
    good, bad = _need(pairs, name)
    first, second = pairs.chosen - good, pairs.rejected - bad
    return first / pairs.chosen_length - second / pairs.rejected_length if per_token else first - second


def _likelihoods(pairs: Pairs, per_token: bool) -> tuple[Tensor, Tensor]:
    if per_token:
        return pairs.chosen / pairs.chosen_length, pairs.rejected / pairs.rejected_length
    return pairs.chosen, pairs.rejected


def _nll(pairs: Pairs) -> Tensor:
    return -pairs.chosen / pairs.chosen_length


def _dpo(pairs: Pairs, s: LossSettings) -> Tensor:
    return dpo_loss(_margin(pairs, "dpo", s.length_normalized), s.beta, pairs.target)


def _ipo(pairs: Pairs, s: LossSettings) -> Tensor:
    return ipo_loss(_margin(pairs, "ipo", s.length_normalized), s.beta, pairs.target)


def _slic(pairs: Pairs, s: LossSettings) -> Tensor:
    first, second = _likelihoods(pairs, s.length_normalized)
    return slic_loss(first, second, s.delta, pairs.target) + s.nll_coefficient * _nll(pairs)


def _orpo(pairs: Pairs, s: LossSettings) -> Tensor:
    first, second = _likelihoods(pairs, True)
    return s.beta * odds_ratio_loss(first, second, pairs.target) + s.nll_coefficient * _nll(pairs)


def _simpo(pairs: Pairs, s: LossSettings) -> Tensor:
    first, second = _likelihoods(pairs, True)
    return simpo_loss(first, second, s.beta, s.gamma, pairs.target)


def _cpo(pairs: Pairs, s: LossSettings) -> Tensor:
    first, second = _likelihoods(pairs, s.length_normalized)
    return cpo_loss(first, second, s.beta, pairs.target) + s.nll_coefficient * _nll(pairs)


LOSSES: dict[str, Any] = {
    "dpo": _dpo,
    "dpo_pg": _dpo,  # the gradient is projected, see `remove_conflict`
    "ipo": _ipo,
    "slic": _slic,
    "orpo": _orpo,
    "simpo": _simpo,
    "cpo": _cpo,
}
REFERENCE_FREE = ("slic", "orpo", "simpo", "cpo")


def pair_loss(name: str, pairs: Pairs, settings: LossSettings) -> Tensor:
    """Compute a loss per pair (B,) by its name.

    Raises:
        UnknownNameError: There is no such loss.
        EnvzooError: It needs a reference policy, and there is none.
    """
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name](pairs, settings)
