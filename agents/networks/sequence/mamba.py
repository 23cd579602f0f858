"""Mamba blocks: selective state spaces (Gu and Dao, 2023), with eigenvalue control and token reordering (paper 17)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.layers import linear
from envzoo.agents.networks.sequence import acting_kernels as kernels
from envzoo.agents.networks.sequence.acting import ParameterArrays, starts, suits_kernels
from envzoo.agents.networks.sequence.layer import SequenceLayer, check_sizes, reset_where, segments
from envzoo.agents.networks.sequence.reorder import REORDERINGS, reorder_tokens
from envzoo.agents.networks.sequence.selective import selective_scan
from envzoo.errors import EnvzooError, unknown

EIGENVALUES = ("free", "positive", "mixed", "negative")
PIECE = 2**16  # steps x episodes x channels that the CPU processes at a time when no gradients are recorded
OFFSET = 0.7  # added to the size of eigenvalues that all have one sign


def _weight(rows: int, columns: int, bound: float, generator: torch.Generator | None) -> nn.Parameter:
    return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound, generator=generator))


class SelectiveScan(nn.Module):
    """The S6 core: h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t u_t, y_t = C_t h_t + D u_t, per channel of E.

    (dt, B, C) = W u_t, Delta = softplus(W_dt dt + b_dt), A = -exp(log_a) of shape (E, N).

    With `eig` other than "free" the input-output matrix S_C^T S_B, formed of the rows of W that give B and C, is P^T
    diag(s) P with a unit upper triangular P: it has N eigenvalues other than 0, whose signs are those of s (Vo et al.,
    2025, arXiv 2410.03292). s = softplus(delta) + 0.7 is "positive", its negative is "negative", and for "mixed" the
    first half is softplus(delta), the second half its negative; delta is the first column of the raw rows of C.

    Args:
        channels: E, at least `state_size`.
        state_size: N.
        rank: Size R of dt.
        eig: "free", "positive", "mixed" or "negative".
        generator: Source of the initial weights; None for PyTorch's global one.
        reorder: "soft" or "hard" sorts the tokens by k^T (W_dt dt + b_dt), with a learned k, before everything else;
            "none" keeps their order. The bias b_dt enters the score and Delta once each; the official code adds it to
            Delta twice.

    Raises:
        UnknownNameError: Unknown `eig` or `reorder`.
        EnvzooError: Sizes below 1, or fewer channels than states for a constrained `eig`.
    """

    def __init__(
        self,
        channels: int,
        state_size: int,
        rank: int,
        eig: str = "free",
        generator: torch.Generator | None = None,
        reorder: str = "none",
    ):
        super().__init__()
        if eig not in EIGENVALUES:
            raise unknown("eigenvalue constraint", eig, EIGENVALUES)
        if reorder not in REORDERINGS:
            raise unknown("reordering of tokens", reorder, REORDERINGS)
        check_sizes("a Mamba block", state_size=state_size)
        if eig != "free" and state_size > channels:
            raise EnvzooError(
                f"the state size of a Mamba block is {state_size!r}; expected 1 to its number of channels, {channels}"
            )
        self.channels, self.size, self.rank, self.eig = channels, state_size, rank, eig
        self.project = _weight(rank + 2 * state_size, channels, 1 / math.sqrt(channels), generator)
        self.dt_weight = _weight(channels, rank, rank**-0.5, generator)
        dt = torch.empty(channels).uniform_(math.log(0.001), math.log(0.1), generator=generator).exp().clamp(min=1e-4)
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus of it is dt
        self.log_a = nn.Parameter(torch.arange(1.0, state_size + 1).log().repeat(channels, 1))
        self.d = nn.Parameter(torch.ones(channels))
        self.reorder = reorder
        if reorder != "none":
            bound = channels**-0.5
            self.importance = nn.Parameter(torch.empty(channels).uniform_(-bound, bound, generator=generator))

    def sort(self, u: Tensor) -> Tensor:
        """Sort tokens (L, B, E) by their importance, the least important first."""
        if self.reorder == "none":
            return u
        dt = u @ self.rows()[0].t()
        return reorder_tokens(u, (dt @ self.dt_weight.t() + self.dt_bias) @ self.importance, self.reorder)

    def rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the rows of W that give dt (R, E), B (N, E) and C (N, E)."""
        dt, b, c = self.project.split([self.rank, self.size, self.size])
        if self.eig == "free":
            return dt, b, c
        p = torch.triu(b, diagonal=1) + torch.eye(self.size, self.channels, dtype=b.dtype, device=b.device)
        s = nn.functional.softplus(c[:, 0])
        if self.eig == "mixed":
            s = torch.where(torch.arange(self.size, device=s.device) < (self.size + 1) // 2, s, -s)
        else:
            s = (s + OFFSET) * (1 if self.eig == "positive" else -1)
        return dt, s[:, None] * p, p

    def forward(self, u: Tensor, h: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """Process u (T, B, E) from the state h (B, E, N): outputs (T, B, E), and the state after them."""
        u = self.sort(u)
        dt, b, c = (u @ torch.cat(self.rows()).t()).split([self.rank, self.size, self.size], dim=-1)
        delta = nn.functional.softplus(nn.functional.linear(dt, self.dt_weight, self.dt_bias))
        y, last = selective_scan(delta, u, -self.log_a.exp(), b, c, start, h)
        return torch.addcmul(y, self.d, u), last


@torch.no_grad()
def positive_share(core: SelectiveScan) -> float:
    """Return the share of positive eigenvalues among the N of the symmetric part of S_C^T S_B (of its rank, up to 2 N).

    If all are negative, tokens shrink with depth; if any is positive, they diverge (see `token_dynamics`).
    """
    _, b, c = (rows.double() for rows in core.rows())
    values = torch.linalg.eigvalsh((c.t() @ b + b.t() @ c) / 2)
    relevant = values[values.abs() > 1e-10 * values.abs().max()]
    return float((relevant > 0).double().mean())


class MambaBlock(SequenceLayer):
    """Residual Mamba block: norm, projection to x and z, causal convolution, selective scan, gate, projection.

    The memory is the last d_conv - 1 inputs of the convolution, and the states of the scan. At an episode's start both
    are forgotten: taps of the convolution that reach back across it count as zeros.

    With `reorder`, the block reads the tokens of one observation, (L, B, d), rather than steps in time: the scan sees
    them sorted by importance, while the gate and the residual keep their places (Vo et al., 2025, arXiv 2410.03292).
    Such a block has no memory: over time, sorting would show a step what comes after it.

    Args:
        width: d; the block works on E = 2 d channels.
        state_size: N.
        d_conv: Taps of the convolution.
        eig: Constraint on the eigenvalues of the input-output matrix; see `SelectiveScan`.
        depth: Number of blocks in the stack, by whose root the last projection is divided.
        generator: Source of the initial weights; None for PyTorch's global one.
        reorder: "none", "soft" or "hard"; see `SelectiveScan`.

    Raises:
        UnknownNameError: Unknown `eig` or `reorder`.
        EnvzooError: A size that does not fit.
    """

    def __init__(
        self,
        width: int,
        state_size: int = 16,
        d_conv: int = 4,
        eig: str = "free",
        depth: int = 1,
        generator: torch.Generator | None = None,
        reorder: str = "none",
    ):
        super().__init__()
        check_sizes("a Mamba block", width=width, d_conv=d_conv, depth=depth)
        self.width, self.channels, self.taps = width, 2 * width, d_conv
        self.norm = nn.LayerNorm(width)
        self.enter = _weight(2 * self.channels, width, 1 / math.sqrt(width), generator)
        self.conv = _weight(d_conv, self.channels, 1 / math.sqrt(d_conv), generator)  # row j weighs the input j ago
        bias = torch.empty(self.channels).uniform_(-(d_conv**-0.5), d_conv**-0.5, generator=generator)
        self.conv_bias = nn.Parameter(bias)
        self.core = SelectiveScan(self.channels, state_size, math.ceil(width / 16), eig, generator, reorder)
        self.leave = linear(self.channels, width, generator, gain=None)
        with torch.no_grad():
            self.leave.weight /= math.sqrt(depth)
            self.leave.bias.zero_()
        self.sizes = [(d_conv - 1) * self.channels, self.channels * state_size]
        self.state_dim, self.reorder = sum(self.sizes), reorder
        self._arrays, self._negative = ParameterArrays(), None

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the memory of `num_envs` new episodes; see `SequenceLayer`. Raises EnvzooError with a reordering."""
        self.check_causal()
        return super().initial_state(num_envs)

    def check_causal(self) -> None:
        """Raise EnvzooError with a reordering; see `SequenceLayer`."""
        if self.reorder != "none":
            raise EnvzooError(
                f"a Mamba block with reorder={self.reorder!r} sorts the tokens of one observation; over time it would "
                "show a step what comes after it, so use reorder='none' in encoders with a memory"
            )

    def step(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance one step; see `SequenceLayer.step`."""
        self.check_causal()
        if not suits_kernels(self.conv, x, state):
            y, state = self(x[None], reset_where(state, start))
            return y[0], state
        core, shape, fresh, before = self.core, (len(x), self.channels), starts(start), state.contiguous().numpy()
        mixed, gate, y = (np.empty(shape, np.float32) for _ in range(3))
        after = np.empty(state.shape, np.float32)
        conv, bias, log_a, d = self._arrays.of((self.conv, self.conv_bias, core.log_a, core.d))
        entered = nn.functional.linear(self.norm(x), self.enter)
        kernels.mamba_inputs(entered.numpy(), before, fresh, conv, bias, after, mixed, gate)
        bc = nn.functional.linear(
            torch.from_numpy(mixed), core.project if core.eig == "free" else torch.cat(core.rows())
        )
        delta = nn.functional.linear(bc[:, : core.rank], core.dt_weight, core.dt_bias)
        if self._negative is None or (self._negative[0] != log_a).any():
            self._negative = log_a.copy(), (-np.exp(log_a) / math.log(2)).ravel()
        kernels.mamba_states(mixed, delta.numpy(), bc.numpy(), before, fresh, self._negative[1], d, gate, after, y)
        return x + self.leave(torch.from_numpy(y)), torch.from_numpy(after)

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk; see `SequenceLayer.forward`."""
        steps, batch = x.shape[:2]
        if state is not None or start is not None:
            self.check_causal()
        state = super().initial_state(batch) if state is None else state
        piece = max(1, PIECE // max(1, batch * self.channels))
        divisible = self.reorder == "none" and x.device.type == "cpu" and not torch.is_grad_enabled()
        if divisible and steps > piece:
            return self._forward_in_pieces(x, state, start, piece)
        window, h = state.split(self.sizes, dim=1)
        u, z = (self.norm(x) @ self.enter.t()).chunk(2, dim=-1)
        window = window.reshape(batch, self.taps - 1, self.channels).transpose(0, 1)
        inputs = torch.cat([window, u])  # the input of step t is in row t + taps - 1
        mixed = torch.addcmul(self.conv_bias, self.conv[0], u)
        number = segments(start, steps, batch, x.device)
        before = torch.cat([number.new_zeros(self.taps - 1, batch), number])
        for j in range(1, self.taps):
            rows = slice(self.taps - 1 - j, self.taps - 1 - j + steps)
            tap = inputs[rows] if start is None else inputs[rows] * (before[rows] == number)[..., None]
            mixed = torch.addcmul(mixed, self.conv[j], tap)
        y, h = self.core(nn.functional.silu(mixed), h.reshape(batch, self.channels, -1), start)
        y = x + self.leave(y * nn.functional.silu(z))
        kept = inputs[steps:]
        if start is not None:
            kept = kept * (before[steps:] == number[-1])[..., None]
        kept = kept.transpose(0, 1).reshape(batch, self.sizes[0])
        return y, torch.cat([kept, h.reshape(batch, -1)], dim=1)

    def _forward_in_pieces(self, x: Tensor, state: Tensor, start: Tensor | None, piece: int) -> tuple[Tensor, Tensor]:
        """Process pieces of a chunk, whose arrays are small enough to be reused rather than requested anew."""
        outputs = []
        for begin in range(0, len(x), piece):
            part = slice(begin, begin + piece)
            y, state = self.forward(x[part], state, None if start is None else start[part])
            outputs.append(y)
        return torch.cat(outputs), state
