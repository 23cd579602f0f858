"""Optimizers by name, which step one flat vector of which all parameters of a network are views.

Small networks spend most of an update on per-tensor overhead. Storing all parameters, and all gradients, contiguously
in memory reduces clipping and the fused Adam step to a few operations, with the same results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from envzoo.agents.optim.eight_bit import EIGHT_BIT
from envzoo.errors import unknown

# The kernels of the fused optimizers; calling `Optimizer.step` takes several times as long as the step itself. They are
# private names of torch: where a release lacks them, the optimizers are not fused and `Optimizer.step` is called.
FUSED = {"adam": getattr(torch, "_fused_adam_", None), "adamw": getattr(torch, "_fused_adamw_", None)}


def _adam(parameter: nn.Parameter, lr: float, eps: float, weight_decay: float) -> torch.optim.Optimizer:
    fused = FUSED["adam"] is not None
    return torch.optim.Adam([parameter], lr=lr, eps=eps, weight_decay=weight_decay, fused=fused)


def _adamw(parameter: nn.Parameter, lr: float, eps: float, weight_decay: float) -> torch.optim.Optimizer:
    fused = FUSED["adamw"] is not None
    return torch.optim.AdamW([parameter], lr=lr, eps=eps, weight_decay=weight_decay, fused=fused)


def _sgd(parameter: nn.Parameter, lr: float, eps: float, weight_decay: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([parameter], lr=lr, weight_decay=weight_decay)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": _adam, "adamw": _adamw, "sgd": _sgd}


class FlatOptimizer:
    """Optimizer that steps all given parameters at once.

    The parameters become views of `self.flat`, and their gradients views of `self.flat.grad`, so move a network to its
    device before creating its optimizer.

    Args:
        parameters: Parameters of one device and dtype.
        name: Key of `OPTIMIZERS`, or of `EIGHT_BIT`, which keep statistics of each tensor by itself.
        lr: Learning rate.
        eps: Adam's denominator constant.
        weight_decay: Weight decay.
        max_grad_norm: Maximum Euclidean norm of the gradient; None for no clipping.

    Raises:
        UnknownNameError: No such optimizer.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        name: str = "adam",
        *,
        lr: float,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
    ):
        if name not in OPTIMIZERS and name not in EIGHT_BIT:
            raise unknown("optimizer", name, [*OPTIMIZERS, *EIGHT_BIT])
        self.parameters = list(dict.fromkeys(parameters))
        first = self.parameters[0]
        size = sum(p.numel() for p in self.parameters)
        flat = torch.empty(size, dtype=first.dtype, device=first.device)
        grad = torch.zeros_like(flat)
        position = 0
        for parameter in self.parameters:
            end = position + parameter.numel()
            flat[position:end] = parameter.detach().reshape(-1)
            parameter.data = flat[position:end].view_as(parameter)
            parameter.grad = grad[position:end].view_as(parameter)
            position = end
        self.flat = nn.Parameter(flat)
        self.flat.grad = grad
        self.max_grad_norm = max_grad_norm
        self.by_tensor = name in EIGHT_BIT
        if self.by_tensor:
            self.optimizer = EIGHT_BIT[name](self.parameters, lr, eps=eps, weight_decay=weight_decay)
        else:
            self.optimizer = OPTIMIZERS[name](self.flat, lr, eps, weight_decay)
        self._vector, self._fused = self.flat.detach(), FUSED.get(name)

    @property
    def lr(self) -> float:
        """The learning rate; assign to change it."""
        return self.optimizer.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = value

    def step(self, *outputs: Tensor, gradients: Sequence[Tensor] | None = None) -> None:
        """Compute the gradient, clip it, and take one step. Other parameters in the graph are not changed.

        Args:
            *outputs: The loss, a scalar; or several tensors from which the loss is computed.
            gradients: Derivatives of the loss with respect to each of several outputs, of their shapes.
        """
        self.flat.grad.zero_()
        torch.autograd.backward(outputs, gradients, inputs=self.parameters)
        self.apply()

    def apply(self) -> None:
        """Clip and take one step with the gradient already stored in `flat.grad`."""
        grad = self.flat.grad
        if self.max_grad_norm is not None:
            norm = torch.linalg.vector_norm(grad)
            grad.mul_((self.max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
        if self.by_tensor:
            self.optimizer.step()
            return
        state = self.optimizer.state[self.flat]
        if self._fused is None or not state:  # the first step creates the moments
            self.optimizer.step()
            return
        group = self.optimizer.param_groups[0]
        state["step"].add_(1)
        self._fused(
            [self._vector],
            [grad],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    @property
    def grad_norm(self) -> float:
        """Euclidean norm of the gradient of the last step, after clipping."""
        return float(torch.linalg.vector_norm(self.flat.grad))

    def state_dict(self) -> dict[str, Any]:
        """Return moments and step counts; the parameters belong to the network."""
        return {"state": self.optimizer.state_dict()["state"], "lr": self.lr}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned.

        Raises:
            ValueError: Moments of another shape or dtype (which the fused step would not detect), or a learning rate
                that is negative or not finite.
        """
        for moments in () if self.by_tensor else state["state"].values():  # the 8-bit optimizers check theirs
            for name, tensor in moments.items():
                shape = torch.Size([]) if name == "step" else self.flat.shape
                fits = tensor.shape == shape and (name == "step" or tensor.dtype == self.flat.dtype)
                if not fits:
                    raise ValueError(f"{name} of the optimizer has the shape {tuple(tensor.shape)} and {tensor.dtype}")
        lr = state["lr"]
        if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 <= lr < math.inf:
            raise ValueError(f"the learning rate is {lr!r}")
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
        self.lr = lr


def make_optimizer(network: nn.Module | Iterable[nn.Parameter], name: str = "adam", **settings: Any) -> FlatOptimizer:
    """Create an optimizer for a network, or for its method `trainable_parameters` if it has one."""
    if isinstance(network, nn.Module):
        choose = getattr(network, "trainable_parameters", network.parameters)
        return FlatOptimizer(choose(), name, **settings)
    return FlatOptimizer(network, name, **settings)
