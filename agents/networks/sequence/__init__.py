"""Layers with a memory over time, each usable outside the zoo; see `layer.SequenceLayer` for their contract.

`LAYERS` names those that are encoders by themselves: (width, generator) -> a stack of layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from envzoo.agents.networks.sequence.hopfield import (
    Hopfield,
    HopfieldLayer,
    HopfieldMemory,
    HopfieldPooling,
    hopfield_energy,
    hopfield_retrieve,
)
from envzoo.agents.networks.sequence.layer import GatedBlock, SequenceLayer, Stack
from envzoo.agents.networks.sequence.lru import LRU
from envzoo.agents.networks.sequence.lstm import LSTM
from envzoo.agents.networks.sequence.mamba import MambaBlock
from envzoo.agents.networks.sequence.reorder import hard_sort, reorder_tokens, soft_sort
from envzoo.agents.networks.sequence.s4d import S4D
from envzoo.agents.networks.sequence.scan import segmented_scan
from envzoo.agents.networks.sequence.transformer import TransformerBlock

__all__ = [
    "LAYERS",
    "LRU",
    "LSTM",
    "S4D",
    "GatedBlock",
    "Hopfield",
    "HopfieldLayer",
    "HopfieldMemory",
    "HopfieldPooling",
    "MambaBlock",
    "SequenceLayer",
    "Stack",
    "TransformerBlock",
    "hard_sort",
    "hopfield_energy",
    "hopfield_retrieve",
    "reorder_tokens",
    "segmented_scan",
    "soft_sort",
]


def _lstm(width: int, generator: Any) -> Stack:
    return Stack([LSTM(width, generator)])


def _lru(width: int, generator: Any) -> Stack:
    return Stack([GatedBlock(LRU(width, generator=generator), generator) for _ in range(2)])


def _s4d(width: int, generator: Any) -> Stack:
    return Stack([GatedBlock(S4D(width, generator=generator), generator) for _ in range(2)])


def _mamba(width: int, generator: Any) -> Stack:
    return Stack([MambaBlock(width, depth=2, generator=generator) for _ in range(2)])


def _transformer(width: int, generator: Any) -> Stack:
    heads = next(heads for heads in (4, 2, 1) if width % heads == 0)
    return Stack([TransformerBlock(width, heads, generator=generator) for _ in range(2)])


def _hopfield(width: int, generator: Any) -> Stack:
    return Stack([HopfieldMemory(width, generator=generator)])


LAYERS: dict[str, Callable[[int, Any], SequenceLayer]] = {
    "lstm": _lstm,
    "lru": _lru,
    "s4d": _s4d,
    "mamba": _mamba,
    "transformer": _transformer,
    "hopfield": _hopfield,
}
