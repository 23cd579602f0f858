"""Normal noise from the generator of one run, or from those of several runs that are trained as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class MemberGenerators(tuple):
    """The torch generators of several runs, in their order; stands for one generator inside `torch.func.vmap`."""

    __slots__ = ()


def normal_like(x: Tensor, generator: torch.Generator | MemberGenerators | None) -> Tensor:
    """Draw standard normal numbers of the shape of x.

    Args:
        x: Tensor whose shape and device are used.
        generator: Where the numbers come from. Inside `torch.func.vmap` over runs `MemberGenerators`: every run then
            gets the numbers that it would draw alone.
    """
    if isinstance(generator, MemberGenerators):
        return _Draw.apply(x, generator)
    return torch.empty_like(x).normal_(generator=generator)


class _Draw(torch.autograd.Function):
    """Draws with one generator per run; only a function of autograd sees all runs at once inside `vmap`."""

    @staticmethod
    def forward(x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        raise RuntimeError("the generators of several runs draw inside torch.func.vmap only")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, generators: Sequence[torch.Generator]) -> tuple[Tensor, int]:
        shape = x.movedim(in_dims[0], 0).shape
        drawn = torch.empty(shape, dtype=x.dtype, device=x.device)
        for row, generator in zip(drawn, generators, strict=True):
            row.normal_(generator=generator)
        return drawn, 0
