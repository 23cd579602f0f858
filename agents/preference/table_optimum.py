"""Optima of preference losses on tables: full-batch minimisation over the softmax of n logits, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.preference.losses import LossSettings, Pairs, kto_loss, pair_loss
from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole, read_array
from envzoo.preference.did import read_policy


def population_loss(
    logits: Tensor, reference: Tensor | None, weights: Tensor, loss: str, settings: LossSettings
) -> Tensor:
    """Compute the mean loss over all pairs (i chosen, j rejected) of n responses with probabilities weights (n, n).

    Args:
        logits: (n,), of the policy.
        reference: (n,), log-probabilities of the reference policy, or None.
        weights: (n, n), sum 1.
        loss: Name of a loss, or "kto", whose baseline is the exact KL(pi || reference), without gradient.
        settings: Settings of the loss; every response has length 1.
    """
    log_pi, n = torch.log_softmax(logits, -1), len(logits)
    if loss == "kto":
        if reference is None:
            raise EnvzooError("the loss 'kto' compares with a reference policy, but there is none")
        ratio = log_pi - reference
        kl = (log_pi.detach().exp() * ratio.detach()).sum()
        each = [
            kto_loss(
                ratio,
                torch.full((n,), good, device=ratio.device),
                kl,
                settings.beta,
                settings.desirable_weight,
                settings.undesirable_weight,
            )
            for good in (True, False)
        ]
        return (weights.sum(1) @ each[0] + weights.sum(0) @ each[1]) / 2
    rows, columns = (index.reshape(-1) for index in torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij"))
    ones = torch.ones(n * n, dtype=logits.dtype)
    good, bad = (None, None) if reference is None else (reference[rows], reference[columns])
    pairs = Pairs(log_pi[rows], log_pi[columns], ones, ones, good, bad)
    return weights.reshape(-1) @ pair_loss(loss, pairs, settings)


def minimise_on_table(
    weights: Any,
    reference: Any = None,
    loss: str = "dpo",
    *,
    start: Any = None,
    steps: int = 2000,
    **settings: Any,
) -> np.ndarray:
    """Minimise the population loss of a softmax policy by L-BFGS, and return the policy (n,).

    Args:
        weights: P(i chosen, j rejected), (n, n); see `envzoo.preference.did.pair_weights`.
        reference: Reference policy (n,), or None for losses without one.
        loss: Name of a loss (see `envzoo.agents.preference.losses.LOSSES`), or "kto".
        start: Policy to start from; None for the reference, or else the uniform policy.
        steps: Maximum number of iterations.
        **settings: Fields of `LossSettings`.

    Raises:
        EnvzooError: The weights are no distribution over pairs, or the loss needs a reference.
    """
    weights, steps = read_array("the weights", weights), check_whole("steps", steps, 1)
    square = weights.ndim == 2 and weights.shape[0] == weights.shape[1] and weights.dtype.kind == "f"
    if not square or (weights < 0).any() or abs(weights.sum() - 1) > 1e-9:
        raise EnvzooError(f"the weights have the shape {weights.shape}; expected probabilities of pairs (n, n), sum 1")
    n = len(weights)
    found = None if reference is None else read_policy("the reference policy", reference)
    first = (
        np.full(n, 1 / n)
        if start is None and found is None
        else read_policy("start", found if start is None else start)
    )
    for policy in (found, first):
        if policy is not None and policy.shape != (n,):
            raise EnvzooError(f"a policy has the shape {policy.shape}, but there are {n} responses")
    log_reference = None if found is None else torch.log(torch.from_numpy(found))
    mass, options = torch.from_numpy(weights.astype(np.float64)), LossSettings(**settings)
    logits = torch.log(torch.from_numpy(first)).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [logits],
        max_iter=steps,
        tolerance_grad=1e-13,
        tolerance_change=1e-18,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = population_loss(logits, log_reference, mass, loss, options)
        value.backward()
        return value

    optimizer.step(closure)
    return torch.softmax(logits.detach(), -1).numpy()
