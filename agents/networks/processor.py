"""What is chosen by the processor alone, never by its load: which library computes wide products in single precision.

The libraries round differently, as processors do, so the last digits of a run depend on the kind of its processor. The
keys of stored results do not follow this module.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path

import torch


def _read_cpuinfo(field: str) -> str:
    """Return a field of the first processor, as Linux reports it, or ""."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition("\t")[0] == field), "")


@functools.cache
def processor_name() -> str:
    """Return the name of the processor, or of its architecture where the system reports no name."""
    return _read_cpuinfo("model name") or platform.processor() or platform.machine()


@functools.cache
def is_intel() -> bool:
    """Return whether the processor is one of Intel's."""
    return "Intel" in (_read_cpuinfo("vendor_id") or platform.processor())


def onednn_is_faster() -> bool:
    """Return whether oneDNN computes wide products faster than PyTorch's default, MKL.

    MKL uses the widest vectors of Intel's processors only. There it multiplies two matrices of 256 x 256 as fast as
    oneDNN does, and a transposed one nearly twice as fast. On AMD's processors oneDNN is ahead, or as fast where there
    is AVX2 only.
    """
    return torch.backends.mkldnn.is_available() and not (is_intel() and torch.backends.mkl.is_available())
