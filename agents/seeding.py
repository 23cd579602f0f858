"""Named random streams derived from one seed, so that a run can be saved and resumed bit for bit."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch


class Streams:
    """Family of random generators, one per purpose, all derived from one seed.

    Each name ("actions", "minibatches", ...) has its own child of `numpy.random.SeedSequence(seed)`, so adding a stream
    never changes the numbers of another one. Global generators are never used.

    Args:
        seed: Non-negative seed of the run.
        device: Device of the torch generators.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu"):
        self.seed = int(seed)
        self.device = torch.device(device)
        self._numpy: dict[str, np.random.Generator] = {}
        self._torch: dict[str, torch.Generator] = {}

    def sequence(self, name: str) -> np.random.SeedSequence:
        """Return the seed sequence of `name` (a new object; the same numbers at every call)."""
        return np.random.SeedSequence(self.seed, spawn_key=(zlib.crc32(name.encode()),))

    def integer(self, name: str) -> int:
        """Return a fixed 31-bit integer for `name`, suitable for `env.reset(seed=...)`."""
        return int(self.sequence(name).generate_state(1)[0] >> 1)

    def numpy(self, name: str) -> np.random.Generator:
        """Return the NumPy generator of `name`; the same object at every call."""
        if name not in self._numpy:
            self._numpy[name] = np.random.Generator(np.random.PCG64(self.sequence(name)))
        return self._numpy[name]

    def torch(self, name: str, device: torch.device | str | None = None) -> torch.Generator:
        """Return the torch generator of `name`, on `device` (default: the family's); the same object at every call."""
        if name not in self._torch:
            generator = torch.Generator(device or self.device)
            generator.manual_seed(int(self.sequence(name).generate_state(1, np.uint64)[0] >> 1))
            self._torch[name] = generator
        return self._torch[name]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every stream that has been used."""
        return {
            "numpy": {name: generator.bit_generator.state for name, generator in self._numpy.items()},
            "torch": {name: generator.get_state() for name, generator in self._torch.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore every stream to a state that `state_dict` returned."""
        for name, position in state["numpy"].items():
            self.numpy(name).bit_generator.state = position
        for name, position in state["torch"].items():
            self.torch(name).set_state(position)
