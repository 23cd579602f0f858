"""The selective scan of Mamba: a linear recurrence whose coefficients depend on the input, and a weighted sum of it.

Unlike `scan.segmented_scan` of the same numbers, it never holds the states of all steps, (T, B, E, N), nor their
coefficients: a Numba kernel on the CPU keeps a few states at a time, and computes them again for the gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from envzoo.agents.networks.sequence import selective_kernels as kernels
from envzoo.agents.networks.sequence.lanes import LANES, LOG2_E
from envzoo.agents.networks.sequence.scan import METHODS, segmented_scan
from envzoo.errors import EnvzooError, unknown


def selective_scan(
    delta: Tensor,
    u: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    start: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    method: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run h_t = exp(delta_t a) keep_t h_{t-1} + delta_t u_t b_t, and compute y_t = sum_n c_tn h_tn, per channel of E.

    Args:
        delta: (T, B, E), sizes of the steps.
        u: (T, B, E), inputs.
        a: (E, N), rates; negative ones forget.
        b: (T, B, N), how inputs enter the states.
        c: (T, B, N), weights of the states.
        start: bool (T, B), which steps open an episode, so that keep_t is 0 there and 1 elsewhere; None for none.
        h0: (B, E, N), the state before the first step; None for zeros.
        method: "kernel" (float32 or float64 on the CPU), "parallel" (any device), or "auto".

    Returns:
        y (T, B, E), and the state after the last step, (B, E, N). Both are differentiable by all arguments but start;
        with the kernel once. The kernel's exp(x) is never below 2^-120 (2^-1000 for float64), nor above 2^127 (2^1023).

    Raises:
        EnvzooError: Shapes that do not fit, or an unknown method.
    """
    if method not in METHODS:
        raise unknown("method of selective_scan", method, METHODS)
    if delta.dim() != 3 or a.dim() != 2:
        raise EnvzooError(
            f"delta has the shape {tuple(delta.shape)} and a {tuple(a.shape)}; expected (T, B, E) and (E, N)"
        )
    (steps, batch, channels), size = delta.shape, a.shape[1]
    chunk = steps, batch
    if start is None:
        start = torch.zeros(chunk, dtype=torch.bool, device=delta.device)
    if h0 is None:
        h0 = delta.new_zeros(batch, channels, size)
    expected = {
        "u": (u, (*chunk, channels)),
        "a": (a, (channels, size)),
        "b": (b, (*chunk, size)),
        "c": (c, (*chunk, size)),
        "start": (start, chunk),
        "h0": (h0, (batch, channels, size)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise EnvzooError(f"{name} has the shape {tuple(tensor.shape)}; expected {shape}")
    tensors = (delta, u, a, b, c, h0)
    plain = len({tensor.dtype for tensor in tensors}) == 1 and delta.dtype in (torch.float32, torch.float64)
    suits = plain and all(tensor.device.type == "cpu" for tensor in tensors)
    if method == "kernel" and not suits:
        raise EnvzooError(
            "method='kernel' takes CPU tensors that are all float32 or all float64, got "
            + ", ".join(f"{tensor.dtype} on {tensor.device}" for tensor in tensors)
        )
    if suits and method != "parallel":
        return _Selective.apply(torch.is_grad_enabled(), start, *tensors)
    if not steps:
        return torch.zeros_like(u), h0
    decay = torch.exp(delta[..., None] * a)
    states = segmented_scan(decay, (delta * u)[..., None] * b[..., None, :], start, h0, method=method)
    return (states @ c[..., None])[..., 0], states[-1]


def _padded(x: Tensor) -> Tensor:
    """Fill the channels of (..., E) up to whole blocks of 16 with zeros, contiguous."""
    x = x.detach().resolve_neg()
    return (F.pad(x, (0, -x.shape[-1] % LANES)) if x.shape[-1] % LANES else x).contiguous()


def _blocks(x: Tensor) -> Tensor:
    """Cut the channels of (..., E, N) into blocks of 16, the last filled up with zeros: (..., K, N, 16), a copy."""
    x = _padded(x.mT)
    x = x.unflatten(-1, (x.shape[-1] // LANES, LANES)).transpose(-3, -2)
    return x.clone(memory_format=torch.contiguous_format)


def _channels(x: Tensor, channels: int) -> Tensor:
    """Return what `_blocks` was given."""
    return x.mT.flatten(-3, -2)[..., :channels, :]


class _Selective(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keep: bool, start: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        delta, u, a, b, c, h0 = tensors
        ctx.channels = len(a)
        weights = (x.detach().resolve_neg().contiguous() for x in (b, c))
        arrays = _padded(delta), _padded(u), _blocks(a * LOG2_E), *weights, start.contiguous()
        before = _blocks(h0)
        kept = before.new_empty(-(-len(delta) // kernels.STRETCH) if keep else 0, *before.shape)
        y, last = torch.empty_like(arrays[0]), torch.empty_like(before)
        kernels.selective(*(array.numpy() for array in (*arrays, before, kept, y, last)))
        ctx.save_for_backward(*arrays, kept)
        return y[..., : ctx.channels], _channels(last, ctx.channels)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        delta, u, a, b, c, start, kept = ctx.saved_tensors
        decays, carries = a.new_empty(2, kernels.STRETCH + 1, *a.shape[1:])
        ddelta, du, dh = torch.empty_like(delta), torch.empty_like(u), _blocks(dlast)
        da, db, dc = (torch.zeros_like(x) for x in (a, b, c))
        arrays = delta, u, a, b, c, start, kept, _padded(dy), decays, carries, ddelta, du, da, db, dc, dh
        kernels.selective_gradient(*(array.numpy() for array in arrays))
        ddelta, du = (x[..., : ctx.channels] for x in (ddelta, du))
        da, dh = (_channels(x, ctx.channels) for x in (da, dh))
        return None, None, ddelta, du, da, db, dc, dh
