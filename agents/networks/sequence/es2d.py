"""Selective scans over images: ES2D on skipped grids and SS2D on whole ones (Pei et al., 2025, arXiv 2403.09977)."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from envzoo.agents.networks.sequence.selective import selective_scan
from envzoo.errors import unknown

GROUPS = 4
MODES = ("skip", "full")


@functools.cache
def skip_order(height: int, width: int) -> Tensor:
    """Return where each token of the four skipped grids lies in an image padded to even sides, int64 (4, L).

    The grids are (rows, columns) even/even read by rows, odd/even read by columns, even/odd read by rows and odd/odd
    read by columns; a place is row * padded width + column. Each place is in one grid.
    """
    rows, columns = height + height % 2, width + width % 2
    place = torch.arange(rows * columns).reshape(rows, columns)
    grids = (place[0::2, 0::2], place[1::2, 0::2].t(), place[0::2, 1::2], place[1::2, 1::2].t())
    return torch.stack([grid.reshape(-1) for grid in grids])


def skip_scan(x: Tensor) -> Tensor:
    """Read the four skipped grids of images: (B, H, W, c) -> (B, 4, L, c) with L = ceil(H/2) ceil(W/2)."""
    height, width = x.shape[1:3]
    padded = nn.functional.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    return padded.flatten(1, 2)[:, skip_order(height, width).to(x.device)]


def skip_merge(y: Tensor, height: int, width: int) -> Tensor:
    """Write the outputs (B, 4, L, c) back to the places of their tokens: (B, H, W, c), the inverse of `skip_scan`."""
    order = skip_order(height, width).reshape(-1).to(y.device)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=y.device)
    image = y.flatten(1, 2)[:, places].unflatten(1, (height + height % 2, width + width % 2))
    return image[:, :height, :width]


def full_scan(x: Tensor) -> Tensor:
    """Read whole images by rows, by columns, and both backwards: (B, H, W, c) -> (B, 4, H W, c)."""
    rows, columns = x.flatten(1, 2), x.transpose(1, 2).flatten(1, 2)
    return torch.stack([rows, columns, rows.flip(1), columns.flip(1)], dim=1)


def full_merge(y: Tensor, height: int, width: int) -> Tensor:
    """Sum the outputs (B, 4, H W, c) of the four scans at the places of their tokens: (B, H, W, c)."""
    rows, columns = y[:, 0] + y[:, 2].flip(1), y[:, 1] + y[:, 3].flip(1)
    return rows.unflatten(1, (height, width)) + columns.unflatten(1, (width, height)).transpose(1, 2)


class SelectiveImageScan(nn.Module):
    """Four selective scans with weights of their own: (B, H, W, E) -> (B, H, W, E).

    The recurrence is that of `SelectiveScan`.

    Args:
        channels: E.
        state_size: N.
        rank: Size of the projection from which Delta is computed.
        mode: "skip" (ES2D) scans a quarter of the tokens in each direction, "full" (SS2D) all of them.
        generator: Source of the initial weights; None for PyTorch's global one.
    """

    def __init__(
        self, channels: int, state_size: int, rank: int, mode: str = "skip", generator: torch.Generator | None = None
    ):
        super().__init__()
        if mode not in MODES:
            raise unknown("mode of a scan over images", mode, MODES)
        self.mode, self.sizes = mode, [rank, state_size, state_size]

        def uniform(*shape: int, bound: float) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))

        self.project = uniform(GROUPS, channels, rank + 2 * state_size, bound=1 / math.sqrt(channels))
        self.dt_weight = uniform(GROUPS, rank, channels, bound=rank**-0.5)
        dt = torch.empty(GROUPS, channels).uniform_(math.log(0.001), math.log(0.1), generator=generator).exp()
        dt = dt.clamp(min=1e-4)
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.log_a = nn.Parameter(torch.arange(1.0, state_size + 1).log().repeat(GROUPS, channels, 1))
        self.d = nn.Parameter(torch.ones(GROUPS, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scan the images; see the class."""
        height, width = x.shape[1:3]
        tokens = (skip_scan if self.mode == "skip" else full_scan)(x).permute(2, 0, 1, 3)  # (L, B, 4, E)
        dt, b, c = torch.einsum("lbge,ger->lbgr", tokens, self.project).split(self.sizes, dim=-1)
        delta = nn.functional.softplus(torch.einsum("lbgr,gre->lbge", dt, self.dt_weight) + self.dt_bias)
        rates = -self.log_a.exp()
        scans = [
            selective_scan(delta[:, :, group], tokens[:, :, group], rates[group], b[:, :, group], c[:, :, group])
            for group in range(GROUPS)
        ]
        y = torch.stack([outputs for outputs, _ in scans], dim=2) + self.d * tokens
        return (skip_merge if self.mode == "skip" else full_merge)(y.permute(1, 2, 0, 3), height, width)


class ES2D(nn.Module):
    """The operator around the scan: project to x and z, 3x3 convolution per channel, SiLU, scan, norm, gate, project.

    Args:
        width: d; the scan works on E = 2 d channels.
        state_size: N.
        mode: "skip" for ES2D, "full" for SS2D.
        generator: Source of the initial weights; None for PyTorch's global one.
    """

    def __init__(self, width: int, state_size: int = 16, mode: str = "skip", generator: torch.Generator | None = None):
        super().__init__()
        channels = 2 * width
        self.enter = plain_linear(width, 2 * channels, generator)
        self.mix = depthwise(channels, generator)
        self.scan = SelectiveImageScan(channels, state_size, math.ceil(width / 16), mode, generator)
        self.norm = nn.LayerNorm(channels)
        self.leave = plain_linear(channels, width, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, d) -> (B, H, W, d)."""
        u, z = self.enter(x).chunk(2, dim=-1)
        u = nn.functional.silu(self.mix(u.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        return self.leave(self.norm(self.scan(u)) * nn.functional.silu(z))


SS2D = functools.partial(ES2D, mode="full")


def plain_linear(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """Create a linear layer without bias, weights uniform in +-1/sqrt(inputs)."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False)
    with torch.no_grad():
        layer.weight.uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
    return layer


def depthwise(channels: int, generator: torch.Generator | None) -> nn.Conv2d:
    """Create a 3x3 convolution that keeps channels apart, with weights uniform in +-1/3 and zero bias."""
    layer = nn.utils.skip_init(nn.Conv2d, channels, channels, 3, padding=1, groups=channels)
    with torch.no_grad():
        layer.weight.uniform_(-1 / 3, 1 / 3, generator=generator)
        layer.bias.zero_()
    return layer
