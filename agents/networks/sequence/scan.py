"""Linear recurrences over time with resets: x_t = a_t x_{t-1} + b_t, where an episode's start forgets x_{t-1}.

State space layers, linear recurrent units and discounted sums are recurrences of this kind. `segmented_scan` runs them
in a Numba kernel with a hand-written gradient on the CPU, and as log2(T) parallel passes of PyTorch elsewhere.
`diagonal_scan` runs the special case of a constant complex coefficient, and keeps only a weighted sum of the states,
which is all that S4D needs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from envzoo.agents.networks.sequence import scan_kernels as kernels
from envzoo.errors import EnvzooError, unknown

METHODS = ("auto", "kernel", "parallel")
KERNEL_TYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def segmented_scan(
    a: Tensor, b: Tensor, start: Tensor | None = None, x0: Tensor | None = None, *, method: str = "auto"
) -> Tensor:
    """Compute x_t = a_t keep_t x_{t-1} + b_t for t = 0, ..., T - 1, with x_{-1} = x0 and keep_t = 0 where start_t.

    Args:
        a: (T, B, ...) as b, or (...) for a coefficient that is constant in time; real or complex.
        b: (T, B, ...).
        start: bool (T, B), which steps open an episode; None for none.
        x0: (B, ...), the state before the first step; None for zeros.
        method: "kernel" (CPU), "parallel" (any device), or "auto".

    Returns:
        x, (T, B, ...). It is differentiable by a, b and x0; with the kernel once.

    Raises:
        EnvzooError: Shapes that do not fit, or an unknown method.
    """
    if method not in METHODS:
        raise unknown("method of segmented_scan", method, METHODS)
    if b.dim() < 2 or a.shape not in (b.shape, b.shape[2:]):
        raise EnvzooError(
            f"a has the shape {tuple(a.shape)} and b {tuple(b.shape)}; expected equal shapes (T, B, ...), or a (...)"
        )
    if start is not None and start.shape != b.shape[:2]:
        raise EnvzooError(f"start has the shape {tuple(start.shape)}; expected {tuple(b.shape[:2])}")
    if x0 is not None and x0.shape != b.shape[1:]:
        raise EnvzooError(f"x0 has the shape {tuple(x0.shape)}; expected {tuple(b.shape[1:])}")
    dtype = torch.promote_types(a.dtype, b.dtype)
    a, b = a.to(dtype), b.to(dtype)
    x0 = torch.zeros_like(b[0]) if x0 is None else x0.to(dtype)
    if start is None:
        start = torch.zeros(b.shape[:2], dtype=torch.bool, device=b.device)
    suits = b.device.type == "cpu" and dtype in KERNEL_TYPES
    if method == "kernel" and not suits:
        raise EnvzooError(f"method='kernel' takes CPU tensors of float or complex numbers, got {dtype} on {b.device}")
    if suits and method != "parallel":
        return _Scan.apply(a, b, start, x0)
    return _parallel_scan(a, b, start, x0)


def _parallel_scan(a: Tensor, b: Tensor, start: Tensor, x0: Tensor) -> Tensor:
    """Combine pairs (a, b) of neighbouring stretches, which double in length with each pass."""
    keep = (~start).reshape(*start.shape, *[1] * (b.dim() - 2))
    a = (a if a.dim() == b.dim() else a.expand(b.shape)) * keep
    b = torch.cat([(b[0] + a[0] * x0)[None], b[1:]])
    shift = 1
    while shift < len(b):
        # The stretch that ends at t follows the one that ends at t - shift.
        b = torch.cat([b[:shift], b[shift:] + a[shift:] * b[:-shift]])
        a = torch.cat([a[:shift], a[shift:] * a[:-shift]])
        shift *= 2
    return b


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, start: Tensor, x0: Tensor) -> Tensor:
        steps, batch = b.shape[:2]
        varies = a.dim() == b.dim()
        flat_a = (a.reshape(steps, batch, -1) if varies else a.reshape(1, 1, -1)).contiguous()
        flat_x0, x = x0.reshape(batch, -1).contiguous(), torch.empty_like(b, memory_format=torch.contiguous_format)
        arrays = _numpy(flat_a, b.reshape(steps, batch, -1).contiguous(), start.contiguous(), flat_x0)
        kernels.scan(*arrays, x.detach().view(steps, batch, -1).numpy())
        ctx.save_for_backward(flat_a, start, flat_x0, x)
        ctx.shape = a.shape
        return x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        a, start, x0, x = ctx.saved_tensors
        steps, batch = x.shape[:2]
        da, dx0 = torch.zeros_like(a), torch.empty_like(x0)
        db = torch.empty(steps, batch, x0.shape[1], dtype=x.dtype)
        flat = gradient.resolve_conj().reshape(steps, batch, -1).contiguous()
        arrays = _numpy(a, start.contiguous(), x0, x.reshape(steps, batch, -1), flat, da, db, dx0)
        kernels.scan_gradient(*arrays)
        return da.reshape(ctx.shape), db.reshape(x.shape), None, dx0.reshape(x.shape[1:])


def _numpy(*tensors: Tensor) -> list[Any]:
    return [tensor.detach().resolve_conj().resolve_neg().numpy() for tensor in tensors]


def diagonal_scan(
    u: Tensor, a: Tensor, w: Tensor, start: Tensor | None, x0: Tensor, *, method: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Run diagonal systems x_t = a keep_t x_{t-1} + u_t, and compute y_t = Re(sum_m w_m x_tm).

    Complex numbers are pairs of real ones along an axis of length 2, so that optimizers see real numbers only.

    Args:
        u: (T, B, H), an input of each of H systems.
        a: (2, M, H), the M coefficients of each system.
        w: (2, M, H), the weights of its states.
        start: bool (T, B), which steps open an episode; None for none.
        x0: (B, 2, M, H), the state before the first step.
        method: As in `segmented_scan`.

    Returns:
        y (T, B, H), and the state after the last step, (B, 2, M, H).
    """
    if start is None:
        start = torch.zeros(u.shape[:2], dtype=torch.bool, device=u.device)
    same = {u.dtype, a.dtype, w.dtype, x0.dtype}
    plain = len(same) == 1 and u.dtype in (torch.float32, torch.float64)
    if method != "parallel" and u.device.type == "cpu" and plain:
        return _Diagonal.apply(u.contiguous(), a.contiguous(), w.contiguous(), start.contiguous(), x0.contiguous())
    steps, batch, width = u.shape
    complex_a, complex_w = torch.complex(a[0], a[1]), torch.complex(w[0], w[1])
    b = u[:, :, None].expand(steps, batch, a.shape[1], width)
    x = segmented_scan(complex_a, b.to(complex_a.dtype), start, torch.complex(x0[:, 0], x0[:, 1]), method=method)
    last = x[-1]
    return (x * complex_w).sum(dim=2).real, torch.stack([last.real, last.imag], dim=1)


class _Diagonal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, a: Tensor, w: Tensor, start: Tensor, x0: Tensor) -> tuple[Tensor, Tensor]:
        y, last = torch.empty_like(u), torch.empty_like(x0)
        kernels.diagonal(*_numpy(u, a, w, start, x0, y, last))
        ctx.save_for_backward(u, a, w, start, x0)
        return y, last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        u, a, w, start, x0 = ctx.saved_tensors
        states = u.new_empty(len(u) + 1, 2, u.shape[2])
        du, da, dw, dx0 = (torch.zeros_like(tensor) for tensor in (u, a, w, x0))
        arrays = _numpy(u, a, w, start, x0, dy.contiguous(), dlast.contiguous(), states, du, da, dw, dx0)
        kernels.diagonal_gradient(*arrays)
        return du, da, dw, None, dx0
