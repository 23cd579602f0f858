"""S4D: diagonal state space layers (Gu et al., 2022, arXiv 2206.11893)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from envzoo.agents.networks.sequence import acting_kernels as kernels
from envzoo.agents.networks.sequence.acting import ParameterArrays, starts, suits_kernels
from envzoo.agents.networks.sequence.layer import SequenceLayer, check_sizes
from envzoo.agents.networks.sequence.scan import diagonal_scan
from envzoo.errors import EnvzooError, unknown

INITIALISATIONS = ("lin", "inv", "legs", "real", "random")
DISCRETISATIONS = ("zoh", "bilinear")
LARGEST_B = 2.0  # the official code clips the imaginary parts of LegS' input weights to +-2


def hippo_legs(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the HiPPO-LegS matrix A (N, N) and the vector P (N,) for which A + P P^T is normal, float64.

    A[n, k] = -sqrt((2n + 1) (2k + 1)) below the diagonal, -(n + 1) on it, 0 above; P[n] = sqrt(n + 1/2).
    """
    n = np.arange(size)
    root = np.sqrt(2.0 * n + 1)
    return -np.tril(np.outer(root, root), -1) - np.diag(n + 1.0), np.sqrt(n + 0.5)


def initial_eigenvalues(init: str, size: int, generator: torch.Generator | None = None) -> np.ndarray:
    """Return the eigenvalues from which a layer starts, complex128 (N/2,), or (N,) real ones for "real".

    Args:
        init: "lin": -1/2 + i pi n; "inv": -1/2 + i (N/pi) (N/(2n + 1) - 1); "legs": those of the normal part of
            HiPPO-LegS with a positive imaginary part, in ascending order; "real": -(n + 1); "random": -1/2 + i e^z with
            z standard normal.
        size: N, the real size of the state; even, except for "real".
        generator: Source of the random ones.

    Raises:
        UnknownNameError: No such initialisation.
        EnvzooError: A size that is odd or below 2.
    """
    if init not in INITIALISATIONS:
        raise unknown("initialisation of S4D", init, INITIALISATIONS)
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 2 or size % 2:
        raise EnvzooError(f"the state size of S4D is {size!r}; expected an even whole number of at least 2")
    n = np.arange(size // 2)
    if init == "lin":
        return -0.5 + 1j * math.pi * n
    if init == "inv":
        return -0.5 + 1j * size / math.pi * (size / (2 * n + 1) - 1)
    if init == "real":
        return -(np.arange(size) + 1.0) + 0j
    if init == "random":
        return -0.5 + 1j * torch.randn(size // 2, generator=generator, dtype=torch.float64).exp().numpy()
    return _legs(size)[0]


def _legs(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues (N/2,) of the normal part of HiPPO-LegS, and its input weights in their basis, (N/2,)."""
    a, p = hippo_legs(size)
    normal = a + np.outer(p, p)  # -1/2 plus a skew-symmetric matrix
    # i times a skew-symmetric matrix is Hermitian, so that its eigenvalues are found stably.
    skew = (normal - normal.T) / 2
    values, vectors = np.linalg.eigh(-1j * skew)
    order = np.argsort(values)[size // 2 :]
    weights = vectors.conj().T @ np.sqrt(2.0 * np.arange(size) + 1)
    clipped = weights.real + 1j * np.clip(weights.imag, -LARGEST_B, LARGEST_B)
    return -0.5 + 1j * values[order], clipped[order]


class S4D(SequenceLayer):
    """H independent linear systems x' = A x + u, y = 2 Re(C x) + D u with a diagonal complex A, discretised.

    Each of the H channels has a state of N real numbers, kept as N/2 complex ones; the other half would be their
    conjugates. Discretised with a step Delta per channel and z = Delta A,

        zoh:       Abar = exp(z),               Bbar = (exp(z) - 1) / A
        bilinear:  Abar = (1 + z/2)/(1 - z/2),  Bbar = Delta / (1 - z/2)
        x_t = Abar x_{t-1} + u_t,   y_t = 2 Re(sum_n C_n Bbar_n x_tn) + D u_t

    with the input weights B = 1 absorbed into C (for "legs", C starts as B times a complex normal). A = -exp(log_A) + i
    A_imag, so |Abar| < 1 for all parameters. With "real" eigenvalues there are N real states, and neither the factor 2
    nor the imaginary part. Parameters are real: complex ones are pairs along an axis of length 2.

    Args:
        width: H.
        state_size: N, even.
        init: Initial eigenvalues: "lin", "inv", "legs", "real" or "random"; see `initial_eigenvalues`.
        discretisation: "zoh" or "bilinear".
        dt_min: Smallest initial Delta; a layer remembers up to about 1/Delta steps.
        dt_max: Largest initial Delta; log Delta is uniform in between.
        generator: Source of the initial weights; None for PyTorch's global one.

    Raises:
        UnknownNameError: Unknown initialisation or discretisation.
        EnvzooError: An odd state size, or a range of Delta that is none.
    """

    def __init__(
        self,
        width: int,
        state_size: int = 32,
        init: str = "lin",
        discretisation: str = "zoh",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_sizes("S4D", width=width)
        if discretisation not in DISCRETISATIONS:
            raise unknown("discretisation of S4D", discretisation, DISCRETISATIONS)
        if not 0 < dt_min <= dt_max:
            raise EnvzooError(f"dt_min is {dt_min!r} and dt_max is {dt_max!r}; expected 0 < dt_min <= dt_max")
        draws = [initial_eigenvalues(init, state_size, generator) for _ in range(width if init == "random" else 1)]
        eigenvalues = np.broadcast_to(np.stack(draws), (width, len(draws[0]))).T  # (M, H)
        self.width, self.init, self.discretisation = width, init, discretisation
        self.modes, self.is_real = len(draws[0]), init == "real"
        self.state_dim = self.modes * width * (1 if self.is_real else 2)
        log_dt = torch.empty(width).uniform_(math.log(dt_min), math.log(dt_max), generator=generator)
        self.log_dt = nn.Parameter(log_dt)
        self.log_a_real = nn.Parameter(torch.tensor(np.log(-eigenvalues.real), dtype=torch.float32))
        c = torch.randn(2, self.modes, width, generator=generator) * math.sqrt(0.5)
        if init == "legs":
            b = torch.tensor(_legs(state_size)[1])[:, None]
            product = torch.complex(c[0], c[1]) * b.to(torch.complex64)
            c = torch.stack([product.real, product.imag])
        if self.is_real:
            self.c = nn.Parameter(torch.randn(1, self.modes, width, generator=generator))
        else:
            self.a_imag = nn.Parameter(torch.tensor(eigenvalues.imag.copy(), dtype=torch.float32))
            self.c = nn.Parameter(c)
        self.d = nn.Parameter(torch.randn(width, generator=generator))
        self._arrays, self._kept = ParameterArrays(), None

    def discretise(self) -> tuple[Tensor, Tensor]:
        """Return Abar, and the weights of the states 2 C Bbar (C Bbar for real ones), both (2, M, H)."""
        dt, real = self.log_dt.exp(), -self.log_a_real.exp()
        a = torch.complex(real, torch.zeros_like(real) if self.is_real else self.a_imag)
        z = dt * a
        if self.discretisation == "zoh":
            abar, bbar = z.exp(), torch.expm1(z) / a
        else:
            abar, bbar = (1 + z / 2) / (1 - z / 2), dt / (1 - z / 2)
        c = torch.complex(self.c[0], torch.zeros_like(self.c[0]) if self.is_real else self.c[1])
        weights = c * bbar * (1 if self.is_real else 2)
        return torch.stack([abar.real, abar.imag]), torch.stack([weights.real, weights.imag])

    def kernel(self, length: int) -> Tensor:
        """Return the impulse response K, (length, H): y is the causal convolution of u with K, plus D u."""
        abar, weights = self.discretise()
        powers = torch.complex(abar[0], abar[1]).log() * torch.arange(length)[:, None, None]
        return (torch.complex(weights[0], weights[1]) * powers.exp()).sum(dim=1).real

    def convolve(self, u: Tensor) -> Tensor:
        """Compute the outputs (T, B, H) of a whole episode from u (T, B, H) by a convolution, from a zero state."""
        steps = len(u)
        spectrum = torch.fft.rfft(self.kernel(steps), n=2 * steps, dim=0)[:, None]
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * steps, dim=0) * spectrum, n=2 * steps, dim=0)[:steps]
        return y + self.d * u

    def _unpack(self, state: Tensor) -> Tensor:
        parts = state.reshape(len(state), 1 if self.is_real else 2, self.modes, self.width)
        return torch.cat([parts, torch.zeros_like(parts)], dim=1) if self.is_real else parts

    def _pack(self, x: Tensor) -> Tensor:
        return (x[:, :1] if self.is_real else x).reshape(len(x), -1)

    def step(self, x: Tensor, state: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advance one step; see `SequenceLayer.step`."""
        if not suits_kernels(self.d, x, state):
            y, state = self(x[None], state, None if start is None else start[None])
            return y[0], state
        shape = len(x), 1 if self.is_real else 2, self.modes, self.width
        coefficients, d = self._discretised()
        before, after = state.contiguous().numpy().reshape(shape), np.empty(shape, np.float32)
        y = np.empty(x.shape, np.float32)
        kernels.s4d(x.contiguous().numpy(), before, starts(start), coefficients, d, after, y)
        return torch.from_numpy(y), torch.from_numpy(after.reshape(len(x), -1))

    def _discretised(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what `discretise` does, as (M, 4, H), and D; computed again only when a parameter has changed."""
        imaginary = self.log_a_real if self.is_real else self.a_imag
        *parts, d = self._arrays.of((self.log_dt, self.log_a_real, imaginary, self.c, self.d))
        flat = [part.ravel() for part in parts]
        if self._kept is None or not kernels.unchanged(*flat, self._kept[0]):
            self._kept = np.concatenate(flat), torch.cat(self.discretise()).transpose(0, 1).contiguous().numpy()
        return self._kept[1], d

    def forward(self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Process a chunk; see `SequenceLayer.forward`."""
        state = self.initial_state(x.shape[1]) if state is None else state
        abar, weights = self.discretise()
        y, last = diagonal_scan(x, abar, weights, start, self._unpack(state))
        return y + self.d * x, self._pack(last)
