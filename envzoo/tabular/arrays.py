"""Checks of the arrays that finite worlds consist of: private copies, probabilities, and one sentence on bad input."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.errors import EnvzooError, shorten

TOLERANCE = 1e-9  # by which probabilities may miss their sum


def read_numbers(name: str, values: Any, *, finite: bool = False) -> np.ndarray:
    """Return `values` as a private float64 array.

    Raises:
        EnvzooError: It holds no numbers, or with `finite` NaN or infinite ones.
    """
    try:
        array = np.array(values, np.float64, order="C")
    except (TypeError, ValueError):
        raise EnvzooError(f"{name} is not usable; expected an array of numbers") from None
    if finite and not np.isfinite(array).all():
        raise EnvzooError(f"{name} holds NaN or infinite numbers; expected finite ones")
    return array


def check_laws(name: str, laws: np.ndarray) -> np.ndarray:
    """Return `laws` (..., n), each row of which must be probabilities that sum to 1.

    Raises:
        EnvzooError: Entries are negative or NaN, or a row has another sum; the sentence names the first such row.
    """
    if not np.isfinite(laws).all() or (laws < 0).any():
        raise EnvzooError(f"{name} has negative, infinite or NaN entries; expected probabilities")
    off = np.argwhere(np.abs(laws.sum(axis=-1) - 1) > TOLERANCE)
    if len(off):
        row = tuple(off[0].tolist())
        where = f"row {row[0] if len(row) == 1 else row} of {name}" if row else name
        raise EnvzooError(f"{where} sums to {laws[row].sum():.12g}; expected probabilities that sum to 1")
    return laws


def read_law(name: str, given: Any, states: int) -> np.ndarray:
    """Return a law over states as an array (S,), from the array or from one state.

    Raises:
        EnvzooError: It is neither a state nor S probabilities that sum to 1; a start that no episode could have is one
            of them.
    """
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):
        array = np.empty(0, object)
    if array.shape == () and array.dtype.kind in "iu":
        if not 0 <= array < states:
            raise EnvzooError(f"{name} is state {shorten(str(array))}; expected 0 to {states - 1}")
        return np.eye(states)[int(array)]
    law, expected = read_numbers(name, given), f"expected a state or {states} probabilities that sum to 1"
    if law.shape != (states,):
        raise EnvzooError(f"{name} has the shape {law.shape}; {expected}, one for each state")
    if not law.any():
        raise EnvzooError(f"{name} gives no state any probability, so that no episode could start; {expected}")
    if not (law >= 0).all():
        raise EnvzooError(f"{name} has negative or NaN entries; {expected}")
    if not abs(law.sum() - 1) <= TOLERANCE:
        raise EnvzooError(f"{name} sums to {law.sum():.12g}; {expected}")
    return law


def read_horizon(horizon: Any) -> int | None:
    """Return a number of steps of at least 1, or None for no end.

    Raises:
        EnvzooError: It is neither.
    """
    if horizon is None:
        return None
    whole = isinstance(horizon, int | np.integer) and not isinstance(horizon, bool)
    if not whole or not 1 <= horizon < 2**53:
        raise EnvzooError(f"horizon is {shorten(repr(horizon))}; expected a number of steps of at least 1, or None")
    return int(horizon)


def freeze(record: Any, **values: Any) -> None:
    """Set the fields of a frozen dataclass; its arrays cannot be written to afterwards."""
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        object.__setattr__(record, name, value)
