"""Optimizers that keep their statistics in 8 bits (Dettmers et al., 2022, arXiv 2110.02861).

They are `torch.optim.Optimizer` classes for any PyTorch program, and the optimizers "adam8bit", "adamw8bit",
"momentum8bit" and "lion8bit" of every agent. Each tensor is quantised by itself, in blocks of neighbouring numbers in
its memory, so that a block never mixes the statistics of two layers; that holds too where `FlatOptimizer` keeps all
parameters in one vector, because the tensors remain views of it with statistics of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from envzoo.agents.optim import eight_bit_kernels as kernels
from envzoo.agents.optim.quantization import check_blocksize, code_table, dequantize_blockwise, quantize_blockwise
from envzoo.errors import EnvzooError

KEEP_32_BIT = "keep_32_bit"  # attribute of a parameter whose statistics are not quantised


class EightBitOptimizer(torch.optim.Optimizer):
    """Base of the optimizers; a subclass names its statistics and computes a step.

    The state of a parameter is `step`, and for each statistic `state1` (and `state2`): uint8 codes of its shape with
    `absmax1` (`absmax2`), float32, one number per block; or float32 of its shape where it stays in 32 bits. Checkpoints
    hold the same, so that they are small too.

    Args:
        params: Parameters, or groups of them; float32.
        lr: Learning rate.
        betas: Coefficients of the moving averages.
        eps: Constant in the denominator (Adam).
        weight_decay: Weight decay.
        blocksize: Numbers per block, a power of two; the paper has 2048, today's bitsandbytes 256.
        min_8bit_size: Tensors with fewer elements keep 32 bits, as do those with an attribute `keep_32_bit`.
        code: "dynamic", or "linear" for comparison.
        blockwise: Use blocks; otherwise one block per tensor, for comparison.

    Raises:
        EnvzooError: A block size that is no power of two, or numbers out of range.
    """

    signed: tuple[bool, ...] = (True,)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        blocksize: int = 256,
        min_8bit_size: int = 4096,
        code: str = "dynamic",
        blockwise: bool = True,
    ):
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise EnvzooError(f"{name} is {value!r}; expected a finite number of at least 0")
        if not all(0 <= beta < 1 for beta in betas):
            raise EnvzooError(f"betas are {betas!r}; expected numbers of at least 0 and below 1")
        self.blocksize, self.min_8bit_size = check_blocksize(blocksize), min_8bit_size
        self.code, self.blockwise = code, blockwise
        code_table(code, True)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _size(self, parameter: Tensor) -> int:
        return self.blocksize if self.blockwise else 1 << max(0, parameter.numel() - 1).bit_length()

    def _begin(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = {"step": 0}
        small = parameter.numel() < self.min_8bit_size or getattr(parameter, KEEP_32_BIT, False)
        for number, signed in enumerate(self.signed, start=1):
            if small:
                state[f"state{number}"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
                continue
            blocks = -(-parameter.numel() // self._size(parameter))
            zero = code_table(self.code, signed).zero
            state[f"state{number}"] = torch.full(parameter.shape, zero, dtype=torch.uint8, device=parameter.device)
            state[f"absmax{number}"] = torch.zeros(blocks, device=parameter.device)
        return state

    def share_of_8_bit(self) -> float:
        """Return the share of the parameters whose statistics are, or will be, in 8 bits."""
        sizes = {True: 0, False: 0}
        for group in self.param_groups:
            for parameter in group["params"]:
                small = parameter.numel() < self.min_8bit_size or getattr(parameter, KEEP_32_BIT, False)
                sizes[not small] += parameter.numel()
        return sizes[True] / max(1, sizes[True] + sizes[False])

    def state_bytes(self) -> int:
        """Return the bytes of all statistics."""
        tensors = [value for state in self.state.values() for value in state.values() if isinstance(value, Tensor)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step on all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.dtype != torch.float32:
                    raise EnvzooError(f"8-bit optimizers take float32 parameters, got {parameter.dtype}")
                state = self.state[parameter]
                if not state:
                    state.update(self._begin(parameter))
                state["step"] += 1
                suits = parameter.device.type == "cpu" and parameter.is_contiguous()
                if suits and state["state1"].dtype == torch.uint8:
                    self._step_in_kernel(parameter, group, state)
                else:
                    self._step_in_torch(parameter, group, state)
        return loss

    def _arrays(self, parameter: Tensor, state: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """Return [p, g, block size] and, for each statistic, its table, codes and magnitudes, as flat arrays."""
        flat = [tensor.detach().contiguous().reshape(-1).numpy() for tensor in (parameter, parameter.grad)]
        statistics: list[Any] = []
        for number, signed in enumerate(self.signed, start=1):
            codes, absmax = state[f"state{number}"].reshape(-1).numpy(), state[f"absmax{number}"].numpy()
            statistics += [code_table(self.code, signed), codes, absmax]
        return [*flat, self._size(parameter)], statistics

    def _read(self, parameter: Tensor, state: dict[str, Any]) -> list[Tensor]:
        """Return the statistics as float32 tensors; those in 32 bits are not copied."""
        found = []
        for number, signed in enumerate(self.signed, start=1):
            stored = state[f"state{number}"]
            if stored.dtype == torch.uint8:
                absmax, size = state[f"absmax{number}"], self._size(parameter)
                stored = dequantize_blockwise(stored, absmax, size, signed=signed, code=self.code)
            found.append(stored)
        return found

    def _write(self, parameter: Tensor, state: dict[str, Any], statistics: list[Tensor], finite: Tensor) -> None:
        for number, (signed, values) in enumerate(zip(self.signed, statistics, strict=True), start=1):
            values.masked_fill_(~finite, 0)
            if state[f"state{number}"].dtype != torch.uint8:
                continue
            codes, absmax = quantize_blockwise(values, self._size(parameter), signed=signed, code=self.code)
            if signed:
                codes -= ((codes == code_table(self.code, True).zero) & (values < 0)).to(torch.uint8)
            state[f"state{number}"], state[f"absmax{number}"] = codes, absmax

    def _step_in_kernel(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        raise NotImplementedError

    def _step_in_torch(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        raise NotImplementedError

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state; unlike PyTorch's own method, this keeps 8-bit codes in 8 bits.

        Raises:
            ValueError: Statistics of another shape or kind.
        """
        stored = state_dict["state"]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for number, parameter in enumerate(parameters):
            if number in stored:
                self._check(number, parameter, stored[number])
        super().load_state_dict({"state": {}, "param_groups": state_dict["param_groups"]})
        for number, parameter in enumerate(parameters):
            if number in stored:
                copied = {
                    k: v.clone().to(parameter.device) if isinstance(v, Tensor) else v for k, v in stored[number].items()
                }
                self.state[parameter] = copied

    def _check(self, number: int, parameter: Tensor, stored: dict[str, Any]) -> None:
        expected = self._begin(parameter)
        for name, value in expected.items():
            found = stored[name]
            if name == "step":
                if isinstance(found, bool) or not isinstance(found, int) or found < 0:
                    raise ValueError(f"step of tensor {number} is {found!r}")
            elif not isinstance(found, Tensor) or (found.shape, found.dtype) != (value.shape, value.dtype):
                raise ValueError(f"{name} of tensor {number} is not {value.dtype} of the shape {tuple(value.shape)}")
            elif name.startswith("absmax") and not (torch.isfinite(found) & (found >= 0)).all():
                raise ValueError(f"{name} of tensor {number} has numbers that are no magnitudes")


class Adam8bit(EightBitOptimizer):
    """Adam with both statistics in 8 bits; weight decay multiplies the weights after the step, as in bitsandbytes.

    m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p <- p - lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps sqrt(1 -
    b2^t)), with m and v as they are before they are quantised again. Where the gradient is not finite, the parameter
    stays and its statistics are set to 0.
    """

    signed = (True, False)

    @staticmethod
    def _rates(group: dict[str, Any], step: int) -> tuple[float, float, float]:
        """Return the step size, eps and the factor of weight decay."""
        beta1, beta2 = group["betas"]
        root = math.sqrt(1 - beta2**step)
        return group["lr"] * root / (1 - beta1**step), group["eps"] * root, 1 - group["lr"] * group["weight_decay"]

    def _step_in_kernel(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        arrays, statistics = self._arrays(parameter, state)
        kernels.adam(*arrays, *statistics, *group["betas"], *self._rates(group, state["step"]))

    def _step_in_torch(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        (m, v), gradient, (beta1, beta2) = self._read(parameter, state), parameter.grad, group["betas"]
        rate, eps, decay = self._rates(group, state["step"])
        finite = torch.isfinite(gradient)
        m.mul_(beta1).add_(gradient, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        after = (parameter - rate * m / (v.sqrt() + eps)) * decay
        parameter.copy_(torch.where(finite, after, parameter))
        self._write(parameter, state, [m, v], finite)


class AdamW8bit(Adam8bit):
    """`Adam8bit` with a weight decay of .01 by default."""

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, weight_decay: float = 1e-2, **settings: Any):
        super().__init__(params, lr, weight_decay=weight_decay, **settings)


class Momentum8bit(EightBitOptimizer):
    """Momentum with its statistic in 8 bits: m = b1 m + g (g in the first step), p <- p - lr m.

    Weight decay is added to the gradient.
    """

    def _step_in_kernel(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if group["weight_decay"]:
            parameter.grad.add_(parameter, alpha=group["weight_decay"])
        arrays, statistics = self._arrays(parameter, state)
        kernels.sign_or_momentum(
            *arrays, *statistics, group["betas"][0], 0.0, group["lr"], 1.0, False, state["step"] == 1
        )

    def _step_in_torch(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        (m,), gradient = self._read(parameter, state), parameter.grad
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        finite = torch.isfinite(gradient)
        m.mul_(0 if state["step"] == 1 else group["betas"][0]).add_(gradient)
        parameter.copy_(torch.where(finite, parameter - group["lr"] * m, parameter))
        self._write(parameter, state, [m], finite)


class Lion8bit(EightBitOptimizer):
    """Lion with its statistic in 8 bits: p <- (p - lr sign(b1 m + (1 - b1) g)) (1 - lr wd), m = b2 m + (1 - b2) g.

    The default betas are (.9, .99).
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99), **settings: Any
    ):
        super().__init__(params, lr, betas, **settings)

    def _step_in_kernel(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        arrays, statistics = self._arrays(parameter, state)
        decay = 1 - group["lr"] * group["weight_decay"]
        kernels.sign_or_momentum(*arrays, *statistics, *group["betas"], group["lr"], decay, True, False)

    def _step_in_torch(self, parameter: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        (m,), gradient, (beta1, beta2) = self._read(parameter, state), parameter.grad, group["betas"]
        finite = torch.isfinite(gradient)
        direction = torch.sign(beta1 * m + (1 - beta1) * gradient)
        after = (parameter - group["lr"] * direction) * (1 - group["lr"] * group["weight_decay"])
        parameter.copy_(torch.where(finite, after, parameter))
        m.mul_(beta2).add_(gradient, alpha=1 - beta2)
        self._write(parameter, state, [m], finite)


EIGHT_BIT: dict[str, type[EightBitOptimizer]] = {
    "adam8bit": Adam8bit,
    "adamw8bit": AdamW8bit,
    "momentum8bit": Momentum8bit,
    "lion8bit": Lion8bit,
}
