"""Modern Hopfield layers: associative memories with continuous states (Ramsauer et al., 2021, arXiv 2008.02217)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from envzoo.agents.networks.sequence.layer import check_sizes
from envzoo.agents.networks.sequence.window import Reach, WindowLayer
from envzoo.errors import EnvzooError


def hopfield_retrieve(query: Tensor, patterns: Tensor, beta: float | Tensor, steps: int = 1) -> Tensor:
    """Apply the update xi <- softmax(beta xi K^T) K a number of times.

    Args:
        query: States xi, (..., L, d).
        patterns: Stored patterns K, (..., S, d).
        beta: Inverse temperature.
        steps: Number of updates.

    Returns:
        States of the same shape as `query`.
    """
    for _ in range(steps):
        query = (beta * query @ patterns.transpose(-1, -2)).softmax(dim=-1) @ patterns
    return query


def hopfield_energy(state: Tensor, patterns: Tensor, beta: float) -> Tensor:
    """Compute the energy, which no update increases: (..., L, d), (..., S, d) -> (..., L).

    E(xi) = -lse(beta, K xi) + |xi|^2 / 2 + log(S) / beta + M^2 / 2, with lse(beta, z) = log(sum exp(beta z)) / beta and
    M the largest norm of a pattern.
    """
    lse = torch.logsumexp(beta * state @ patterns.transpose(-1, -2), dim=-1) / beta
    largest = patterns.square().sum(dim=-1).amax(dim=-1, keepdim=True)
    return -lse + state.square().sum(dim=-1) / 2 + math.log(patterns.shape[-2]) / beta + largest / 2


def _normal(*shape: int, generator: torch.Generator | None) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, generator=generator) * 0.02)


class Hopfield(nn.Module):
    """Association of states with stored patterns, and of these with values: softmax(beta Q K^T) V.

    Inputs are normalised (LayerNorm) and projected. With further update steps the states move on in the space of the
    stored patterns, q <- softmax(beta q K^T) K, before the values are read. With `update_steps` 0 and no normalisation
    this is one step of transformer attention. The number of steps is fixed, so that one sample never depends on others
    of its batch.

    Args:
        width: Features of states and stored patterns.
        hidden: Size of a head's space; None for width / heads.
        heads: Number of heads.
        beta: Initial inverse temperature; None for 1/sqrt(hidden).
        learn_beta: Learn a beta for each head.
        update_steps: Further updates before the values are read.
        output: Features of the output; None for the width.
        normalize: Normalise the inputs.
        generator: Source of the initial weights N(0, 0.02); None for PyTorch's global one.

    Raises:
        EnvzooError: Heads that do not divide the width, or a beta that is not positive.
    """

    def __init__(
        self,
        width: int,
        hidden: int | None = None,
        heads: int = 1,
        beta: float | None = None,
        learn_beta: bool = False,
        update_steps: int = 0,
        output: int | None = None,
        normalize: bool = True,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_sizes("a Hopfield layer", width=width, heads=heads, hidden=1 if hidden is None else hidden)
        if hidden is None and width % heads:
            raise EnvzooError(f"a Hopfield layer of width {width} has {heads!r} heads; expected a divisor of the width")
        if beta is not None and not beta > 0:
            raise EnvzooError(f"beta of a Hopfield layer is {beta!r}; expected a positive number, or None")
        hidden = width // heads if hidden is None else hidden
        self.heads, self.steps = heads, update_steps
        first = math.log(1 / math.sqrt(hidden) if beta is None else beta)
        log_beta = torch.full((heads, 1, 1), first)
        self.log_beta = nn.Parameter(log_beta) if learn_beta else None
        self.register_buffer("fixed_log_beta", None if learn_beta else log_beta)
        self.norms = nn.ModuleList(nn.LayerNorm(width) if normalize else nn.Identity() for _ in range(3))
        self.q, self.k, self.v = (_normal(heads * hidden, width, generator=generator) for _ in range(3))
        self.biases = nn.ParameterList(torch.zeros(heads * hidden) for _ in range(3))
        self.leave = nn.utils.skip_init(nn.Linear, heads * hidden, width if output is None else output)
        with torch.no_grad():
            self.leave.weight.normal_(0, 0.02, generator=generator)
            self.leave.bias.zero_()

    @property
    def beta(self) -> Tensor:
        """Inverse temperature of each head, (heads, 1, 1)."""
        return (self.fixed_log_beta if self.log_beta is None else self.log_beta).exp()

    def _project(self, which: int, x: Tensor) -> Tensor:
        weight = (self.q, self.k, self.v)[which]
        y = nn.functional.linear(self.norms[which](x), weight, self.biases[which])
        return y.unflatten(-1, (self.heads, -1)).transpose(-2, -3)  # (B, heads, L, hidden)

    def forward(
        self,
        state: Tensor,
        stored: Tensor | None = None,
        values: Tensor | None = None,
        ignore: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Associate states (B, L, width) with stored patterns (B, S, width) and return the values, (B, L, output).

        Args:
            state: The queries.
            stored: The keys; None for the states themselves.
            values: (B, S, width) what is read; None for the stored patterns.
            ignore: bool, True where a pattern must not be used: (B, S), or (B, L, S). A row without any pattern gives
                what zeros give.
            bias: Added to the similarities, broadcastable to (B, heads, L, S).
        """
        stored = state if stored is None else stored
        q, k = self._project(0, state), self._project(1, stored)
        v = self._project(2, stored if values is None else values)
        if ignore is not None:
            ignore = ignore[:, None, None] if ignore.dim() == 2 else ignore[:, None]
        for step in range(self.steps + 1):
            similarity = self.beta * (q @ k.transpose(-1, -2))
            similarity = similarity if bias is None else similarity + bias
            if ignore is not None:
                similarity = similarity.masked_fill(ignore, torch.finfo(similarity.dtype).min)
            association = similarity.softmax(dim=-1)
            if ignore is not None:
                association = association.masked_fill(ignore, 0)
            if step < self.steps:
                q = association @ k
        return self.leave((association @ v).transpose(1, 2).flatten(2))


class HopfieldPooling(nn.Module):
    """Pools a set by learned states: (B, S, width) -> (B, quantity * output).

    Args:
        width: Features of the elements.
        quantity: Number of learned states.
        generator: Source of the initial weights; None for PyTorch's global one.
        **settings: Those of `Hopfield`.
    """

    def __init__(self, width: int, quantity: int = 1, generator: torch.Generator | None = None, **settings):
        super().__init__()
        check_sizes("HopfieldPooling", width=width, quantity=quantity)
        self.states = _normal(quantity, width, generator=generator)
        self.hopfield = Hopfield(width, generator=generator, **settings)

    def forward(self, stored: Tensor, ignore: Tensor | None = None) -> Tensor:
        """Pool the elements; see the class."""
        return self.hopfield(self.states.expand(len(stored), -1, -1), stored, ignore=ignore).flatten(1)


class HopfieldLayer(nn.Module):
    """Looks states up in a learned table of patterns: (B, L, width) -> (B, L, output).

    Args:
        width: Features of the states.
        quantity: Number of patterns.
        separate_values: Read from a second table instead of the patterns.
        generator: Source of the initial weights; None for PyTorch's global one.
        **settings: Those of `Hopfield`.
    """

    def __init__(
        self,
        width: int,
        quantity: int,
        separate_values: bool = False,
        generator: torch.Generator | None = None,
        **settings,
    ):
        super().__init__()
        check_sizes("HopfieldLayer", width=width, quantity=quantity)
        self.patterns = _normal(quantity, width, generator=generator)
        self.values = _normal(quantity, width, generator=generator) if separate_values else None
        self.hopfield = Hopfield(width, generator=generator, **settings)

    def forward(self, state: Tensor) -> Tensor:
        """Look up the states; see the class."""
        stored = self.patterns.expand(len(state), -1, -1)
        values = None if self.values is None else self.values.expand(len(state), -1, -1)
        return self.hopfield(state, stored, values)


class HopfieldMemory(WindowLayer):
    """Episodic memory: each step stores its input, and reads what it associates with it, itself included.

    A learned weight of each age tells when a pattern was stored, without which time order could not be used.

    Args:
        width: d.
        heads: Number of heads.
        window: Number of stored inputs; older ones are forgotten.
        update_steps: See `Hopfield`.
        generator: Source of the initial weights; None for PyTorch's global one.
    """

    def __init__(
        self,
        width: int,
        heads: int = 1,
        window: int = 64,
        update_steps: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(width, window)
        self.hopfield = Hopfield(
            width, heads=heads, learn_beta=True, update_steps=update_steps, normalize=False, generator=generator
        )
        self.ages = _normal(heads, window, generator=generator)

    def attend(self, x: Tensor, reach: Reach) -> Tensor:
        """Compute the outputs; see `WindowLayer.attend`."""
        stored = reach.rows.transpose(0, 1)
        y = self.hopfield(x.transpose(0, 1), stored, ignore=~reach.allowed, bias=self.ages[:, reach.age])
        return y.transpose(0, 1)
