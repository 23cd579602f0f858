"""Observations together with the memory of an encoder: input of networks whose encoder has a memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Seen:
    """N observations whose features have been computed already, as while acting.

    Attributes:
        packed: (N, P), the observations.
        known: (N, F), their features.
    """

    def __init__(self, packed: Tensor, known: Tensor):
        self.packed, self.known = packed, known

    def features(self, encoder: Any, columns: slice) -> Tensor:
        """Return the features."""
        return self.known


class Recalled:
    """N observations of stored sequences, together with what each episode showed before them.

    Their features are computed by running an encoder over the whole sequences, from the memories that it had at their
    starts. The first `burn_in` steps bring a memory up to date that an older version of the encoder has left, and are
    not differentiated.

    Args:
        rows: (T, B, P) packed observations of B sequences.
        start: (T, B) bool, which of them open an episode.
        state: (B, S), the memories before the first step, of several encoders side by side.
        burn_in: Number of steps that only update the memories.
        index: (N,) int64, positions among the (T - burn_in) * B later observations.
    """

    def __init__(self, rows: Tensor, start: Tensor, state: Tensor, burn_in: int, index: Tensor):
        self.rows, self.start, self.state, self.burn_in, self.index = rows, start, state, burn_in, index

    @property
    def packed(self) -> Tensor:
        """The observations, (N, P)."""
        return self.rows[self.burn_in :].flatten(0, 1).index_select(0, self.index)

    def features(self, encoder: Any, columns: slice) -> Tensor:
        """Compute the features (N, F) of an encoder; its memory is stored in these columns of the state."""
        state, n = self.state[:, columns].contiguous(), self.burn_in
        if n:
            with torch.no_grad():
                _, state = encoder(self.rows[:n], state, self.start[:n])
        features, _ = encoder(self.rows[n:], state, self.start[n:])
        return features.flatten(0, 1).index_select(0, self.index)


def features_of(encoder: Any, x: Tensor | Seen | Recalled, columns: slice = slice(None)) -> Tensor:
    """Compute the features (N, F) of packed observations (N, P), or of those with a past."""
    return encoder.features(x) if isinstance(x, Tensor) else x.features(encoder, columns)


def packed_of(x: Tensor | Seen | Recalled) -> Tensor:
    """Return the packed observations (N, P) themselves."""
    return x if isinstance(x, Tensor) else x.packed
