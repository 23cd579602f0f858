"""Optimizers by name, and 8-bit quantisation."""

from envzoo.agents.optim.eight_bit import Adam8bit, AdamW8bit, Lion8bit, Momentum8bit
from envzoo.agents.optim.flat import FlatOptimizer, make_optimizer
from envzoo.agents.optim.quantization import dequantize_blockwise, dynamic_map, quantize_blockwise

__all__ = [
    "Adam8bit",
    "AdamW8bit",
    "FlatOptimizer",
    "Lion8bit",
    "Momentum8bit",
    "dequantize_blockwise",
    "dynamic_map",
    "make_optimizer",
    "quantize_blockwise",
]
