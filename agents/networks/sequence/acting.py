"""Steps without gradients on the CPU, in kernels: what they need of a layer's parameters, kept between steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

NO_STARTS = np.zeros(0, bool)


def suits_kernels(*tensors: Tensor) -> bool:
    """Tell whether a step may run in a kernel: no gradients are recorded, and all tensors are float32 on the CPU."""
    if torch.is_grad_enabled():
        return False
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)


def starts(start: Tensor | None) -> np.ndarray:
    """Return the starts of episodes as a bool array (B,), of length 0 without any."""
    return NO_STARTS if start is None else np.ascontiguousarray(start.numpy(), dtype=bool)


class ParameterArrays:
    """NumPy arrays that share the memory of parameters, made again only when the parameters have moved.

    The arrays keep the memory alive, so that an equal address means the same memory. Copies of a layer begin anew.
    """

    def __init__(self) -> None:
        self._addresses: tuple[int, ...] = ()
        self._arrays: list[np.ndarray] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> ParameterArrays:
        return type(self)()

    def of(self, parameters: Sequence[Tensor]) -> list[np.ndarray]:
        """Return the arrays of the parameters."""
        addresses = tuple(parameter.data_ptr() for parameter in parameters)
        if addresses != self._addresses:
            self._arrays = [parameter.detach().contiguous().numpy() for parameter in parameters]
            contiguous = all(parameter.is_contiguous() for parameter in parameters)
            self._addresses = addresses if contiguous else ()
        return self._arrays
