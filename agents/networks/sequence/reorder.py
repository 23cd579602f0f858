"""Sorting tokens by a learned importance: SoftSort (Prillo and Eisenschlos, 2020), with a hard form for training."""

from __future__ import annotations

import torch
from torch import Tensor

from envzoo.errors import EnvzooError, unknown

REORDERINGS = ("none", "soft", "hard")


def soft_sort(score: Tensor, temperature: float = 1.0, power: float = 1.0) -> Tensor:
    """Compute a relaxed permutation that sorts scores (..., L) in increasing order: (..., L, L).

    P[i, j] = softmax_j(-|s_j - sorted(s)_i|^power / temperature): row i says which token comes i-th. Rows sum to 1; as
    the temperature goes to 0, P becomes the permutation itself, and equal scores give rows of 1/L.

    Raises:
        EnvzooError: A temperature or power that is not positive.
    """
    if not (temperature > 0 and power > 0):
        raise EnvzooError(f"temperature is {temperature!r} and power is {power!r}; expected positive numbers")
    ordered = score.sort(dim=-1).values
    distance = (score[..., None, :] - ordered[..., :, None]).abs()
    return torch.softmax(-(distance if power == 1 else distance**power) / temperature, dim=-1)


def hard_sort(score: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the permutation that sorts scores (..., L) in increasing order, with the gradient of `soft_sort`.

    Equal scores keep their order.
    """
    soft = soft_sort(score, temperature)
    order = score.argsort(dim=-1, stable=True)
    hard = torch.nn.functional.one_hot(order, score.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())


def reorder_tokens(tokens: Tensor, score: Tensor, how: str, temperature: float = 1.0) -> Tensor:
    """Sort tokens (L, B, E) by their scores (L, B) in increasing order; `how` is "none", "soft" or "hard".

    Raises:
        UnknownNameError: Another `how`.
    """
    if how not in REORDERINGS:
        raise unknown("reordering of tokens", how, REORDERINGS)
    if how == "none":
        return tokens
    permutation = (soft_sort if how == "soft" else hard_sort)(score.t(), temperature)
    return torch.einsum("bij,jbe->ibe", permutation, tokens)
