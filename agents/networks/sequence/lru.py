"""Linear recurrent units (Orvieto et al., 2023, arXiv 2303.06349)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from envzoo.agents.networks.sequence.layer import SequenceLayer, check_sizes
from envzoo.agents.networks.sequence.scan import segmented_scan
from envzoo.errors import EnvzooError


class LRU(SequenceLayer):
    """x_t = lambda x_{t-1} + gamma B u_t, y_t = Re(C x_t) + D u_t, with N complex states shared by all channels.

    lambda = exp(-exp(nu) + i exp(theta)) lies inside the unit circle for all parameters; gamma = sqrt(1 - |lambda|^2)
    keeps the states near the size of the inputs.

    Args:
        width: H.
        state_size: N.
        r_min: Smallest initial |lambda|.
        r_max: Largest initial |lambda|; |lambda|^2 is uniform in between, and the phase uniform in [0, max_phase].
        max_phase: Largest initial phase.
        generator: Source of the initial weights; None for PyTorch's global one.

    Raises:
        EnvzooError: A state size below 1, or radii outside 0 <= r_min < r_max < 1.
    """

    def __init__(
        self,
        width: int,
        state_size: int = 64,
        r_min: float = 0.9,
        r_max: float = 0.999,
        max_phase: float = math.pi / 10,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_sizes("LRU", width=width, state_size=state_size)
        if not 0 <= r_min < r_max < 1:
            raise EnvzooError(f"r_min is {r_min!r} and r_max is {r_max!r}; expected 0 <= r_min < r_max < 1")
        self.width, self.size, self.state_dim = width, state_size, 2 * state_size
        uniform = torch.rand(2, state_size, generator=generator)
        radius = torch.sqrt(uniform[0] * (r_max**2 - r_min**2) + r_min**2)
        self.nu = nn.Parameter(torch.log(-torch.log(radius)))
        self.theta = nn.Parameter(torch.log(max_phase * uniform[1].clamp(min=1e-6)))
        b = torch.randn(2, state_size, width, generator=generator) / math.sqrt(2 * width)
        c = torch.randn(2, width, state_size, generator=generator) / math.sqrt(state_size)
        self.b, self.c = nn.Parameter(b), nn.Parameter(c)
        self.d = nn.Parameter(torch.randn(width, generator=generator))

    def step(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance one step; see `SequenceLayer.step`."""
        y, state = self(x[None], state, None if start is None else start[None])
        return y[0], state

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk; see `SequenceLayer.forward`."""
        state = self.initial_state(x.shape[1]) if state is None else state
        radius = torch.exp(-self.nu.exp())
        a = torch.polar(radius, self.theta.exp())
        inputs = torch.sqrt(1 - radius.square()) * torch.complex(x @ self.b[0].t(), x @ self.b[1].t())
        before = torch.complex(state[:, : self.size], state[:, self.size :])
        states = segmented_scan(a, inputs, start, before)
        y = states.real @ self.c[0].t() - states.imag @ self.c[1].t() + self.d * x
        return y, torch.cat([states[-1].real, states[-1].imag], dim=1)
