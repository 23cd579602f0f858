"""A user's own torch.nn.Module as an encoder."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from envzoo.agents.networks.basic_encoders import Encoder
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.errors import EnvzooError, shorten


class OwnEncoder(Encoder):
    """Wraps a module of the user's own.

    `make(inputs)` returns the module, where `inputs` is the number of features: discrete parts of the observation
    one-hot, everything else flat, images scaled to [0, 1]. The module has one of two forms:

    - without memory, `forward(x)` maps (..., inputs) to (..., outputs);
    - with memory, `initial_state(num_envs)` returns a tensor (num_envs, size), and `step(x, state, start)` maps x (B,
      inputs), the state and `start`, bool (B,) or None, to outputs (B, outputs) and the new state, where the state has
      to be reset first where `start` is true. If `forward(x, state, start)` takes chunks (T, B, inputs) with (T, B)
      starts, it is used in training; otherwise `step` is called once for each step. A subclass of
      `envzoo.agents.networks.sequence.SequenceLayer` has this form.

    The number of outputs is found by a trial. The module's initial weights descend from the agent's seed, although it
    draws from PyTorch's global generator, whose state is put back afterwards.

    Args:
        make: A class or function.
        codec: Describes the observations.
        generator: Source of the seed of the initial weights.

    Raises:
        EnvzooError: `make` fails, or returns something else than such a module.
    """

    def __init__(self, make: Callable[[int], nn.Module], codec: ObservationCodec, generator: torch.Generator):
        super().__init__()
        self.codec = codec
        name = getattr(make, "__qualname__", type(make).__name__)
        seed = int(torch.randint(2**62, (), generator=generator))
        inputs = codec.vector_dim + sum(part.stop - part.start for part in codec.images)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            try:
                self.module = make(inputs)
            except (TypeError, ValueError, RuntimeError) as error:
                raise EnvzooError(f"the encoder {name} cannot be made from {inputs} inputs ({error})") from error
            if not isinstance(self.module, nn.Module):
                raise EnvzooError(
                    f"the encoder {name} returned {shorten(repr(self.module))}; expected a torch.nn.Module"
                )
            self.recurrent = hasattr(self.module, "step")
            if self.recurrent and not hasattr(self.module, "initial_state"):
                raise EnvzooError(f"the encoder {name} has a method step, but no initial_state")
            self.chunked = self.recurrent and _takes_three(self.module.forward)
            try:
                with torch.no_grad():
                    self._try(inputs)
            except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError) as error:
                reason = shorten(str(error).splitlines()[0] if str(error) else type(error).__name__)
                raise EnvzooError(f"the encoder {name} cannot process {inputs} inputs ({reason})") from error

    def _try(self, inputs: int) -> None:
        x = torch.zeros(2, inputs)
        if not self.recurrent:
            y = self.module(x)
        else:
            state = self.module.initial_state(2)
            if not isinstance(state, Tensor) or state.dim() != 2:
                raise ValueError("initial_state returns a tensor (num_envs, size)")
            self.state_dim = state.shape[1]
            y, after = self.module.step(x, state, torch.ones(2, dtype=torch.bool))
            if after.shape != state.shape:
                raise ValueError(f"step returned a state of shape {tuple(after.shape)}")
        if not isinstance(y, Tensor) or y.dim() != 2 or len(y) != 2:
            raise ValueError("features of 2 observations have the shape (2, outputs)")
        self.out_dim = y.shape[1]

    def _inputs(self, x: Tensor) -> Tensor:
        pieces = [self.codec.vector(x)] if self.codec.vector_dim else []
        flat = x.reshape(-1, x.shape[-1])
        pieces += [self.codec.image(flat, part).reshape(*x.shape[:-1], -1) for part in self.codec.images]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=-1)

    def initial_state(self, num_envs: int) -> Tensor:
        """Return the memory of `num_envs` new episodes, (num_envs, state_dim)."""
        return self.module.initial_state(num_envs) if self.recurrent else super().initial_state(num_envs)

    def features(self, x: Tensor) -> Tensor:
        """Compute the features of packed observations, (..., packed_dim) -> (..., out_dim)."""
        return self.module(self._inputs(x))

    def step(self, x: Tensor, state: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """Advance one step: x (B, packed_dim), state (B, state_dim), start (B,) bool -> features and new state."""
        return self.module.step(self._inputs(x), state, start) if self.recurrent else super().step(x, state, start)

    def forward(
        self, x: Tensor, state: Tensor | None = None, start: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Process a sequence: x (T, B, packed_dim), state, start (T, B) bool -> features (T, B, out_dim), new state."""
        if not self.recurrent:
            return self.features(x), state
        inputs = self._inputs(x)
        state = self.initial_state(x.shape[1]) if state is None else state
        if self.chunked:
            return self.module(inputs, state, start)
        outputs = []
        for t in range(len(x)):
            y, state = self.module.step(inputs[t], state, None if start is None else start[t])
            outputs.append(y)
        return torch.stack(outputs), state


def _takes_three(method: Any) -> bool:
    try:
        inspect.signature(method).bind(None, None, None)
    except (TypeError, ValueError):
        return False
    return "forward" in vars(type(method.__self__)) or type(method.__self__).forward is not nn.Module.forward
