"""Block-wise quantisation to 8 bits with non-linear codes (Dettmers et al., 2022, arXiv 2110.02861).

A code is a table of 256 numbers in [-1, 1]. The numbers of a block are divided by its largest magnitude and replaced by
the index of the nearest number of the table, so that a block takes one byte per number and one float32.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.optim import eight_bit_kernels as kernels
from envzoo.errors import EnvzooError, unknown

CODES = ("dynamic", "linear")
DECADES = 7


def dynamic_map(signed: bool = True) -> np.ndarray:
    """Return the table of the dynamic code: 256 ascending numbers, float32.

    In the decade 10^(i - 6), i = 0, ..., 6, the interval from .1 to 1 is divided into 2^i equal parts (2^(i+1) without
    signs), whose midpoints are in the table, with both signs if it is signed; 0 and 1 are in it besides.
    """
    values = [0.0, 1.0]
    for i in range(DECADES):
        edges = np.linspace(0.1, 1, 2 ** (i + (not signed)) + 1)
        middles = (edges[1:] + edges[:-1]) / 2 * 10.0 ** (i - DECADES + 1)
        values += [*middles, *(-middles if signed else [])]
    return np.sort(np.array(values)).astype(np.float32)


def linear_map(signed: bool = True) -> np.ndarray:
    """Return the table of equal steps: k/127 for k = -128, ..., 127 cut off at -1, or k/255; 256 numbers, float32."""
    if signed:
        return np.maximum(np.arange(-128, 128) / 127, -1).astype(np.float32)
    return (np.arange(256) / 255).astype(np.float32)


@functools.cache
def code_table(code: str, signed: bool) -> kernels.Code:
    """Return a code with what makes it fast to search.

    Raises:
        UnknownNameError: No such code.
    """
    if code not in CODES:
        raise unknown("code of the quantisation", code, CODES)
    table = dynamic_map(signed) if code == "dynamic" else linear_map(signed)
    return kernels.prepare(table)


def check_blocksize(blocksize: int) -> int:
    """Return a block size; raises EnvzooError unless it is a power of two."""
    whole = isinstance(blocksize, int | np.integer) and not isinstance(blocksize, bool)
    if not whole or blocksize < 1 or blocksize & (blocksize - 1):
        raise EnvzooError(f"blocksize is {blocksize!r}; expected a power of two such as 256 or 2048")
    return int(blocksize)


def quantize_blockwise(
    x: Tensor, blocksize: int = 256, *, signed: bool = True, code: str = "dynamic"
) -> tuple[Tensor, Tensor]:
    """Quantise numbers block by block.

    Args:
        x: Finite numbers of any shape, quantised in the order of their memory; the last block may be shorter.
        blocksize: Numbers per block, a power of two.
        signed: Use a code with negative numbers.
        code: "dynamic" or "linear".

    Returns:
        Codes, uint8 of the shape of x, and the largest magnitude of each block, float32 (ceil(N / blocksize),).

    Raises:
        EnvzooError: An unknown code, a block size that is no power of two, or numbers that are not finite.
    """
    table, size = code_table(code, signed), check_blocksize(blocksize)
    if not torch.isfinite(x).all():
        raise EnvzooError("x holds NaN or infinite numbers; expected finite ones")
    flat = x.detach().float().reshape(-1)
    codes = torch.empty(flat.shape, dtype=torch.uint8, device=x.device)
    absmax = torch.empty(-(-flat.numel() // size), device=x.device)
    if x.device.type == "cpu":
        kernels.quantize(flat.contiguous().numpy(), table, size, codes.numpy(), absmax.numpy())
        return codes.reshape(x.shape), absmax
    return _quantize_in_torch(flat, torch.from_numpy(table.values).to(x.device), size, codes, absmax, x.shape)


def _quantize_in_torch(flat, values, size, codes, absmax, shape) -> tuple[Tensor, Tensor]:
    padded = torch.nn.functional.pad(flat, (0, len(absmax) * size - len(flat))).reshape(-1, size)
    absmax.copy_(padded.abs().amax(dim=1))
    scaled = padded / torch.where(absmax > 0, absmax, 1.0)[:, None]
    codes.copy_(torch.bucketize(scaled, (values[1:] + values[:-1]) / 2).reshape(-1)[: len(flat)])
    return codes.reshape(shape), absmax


def dequantize_blockwise(
    codes: Tensor, absmax: Tensor, blocksize: int = 256, *, signed: bool = True, code: str = "dynamic"
) -> Tensor:
    """Return the numbers, float32 of the shape of `codes`, that codes with the magnitudes of their blocks stand for."""
    values = torch.from_numpy(code_table(code, signed).values).to(codes.device)
    scale = absmax.repeat_interleave(check_blocksize(blocksize))[: codes.numel()]
    return values[codes.reshape(-1).int()].mul_(scale).reshape(codes.shape)
