"""Memory limits: the size of a request is estimated, and refused if too large, before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from envzoo.errors import EnvzooError

VARIABLE = "ENVZOO_MAX_BYTES"
DEFAULT = 4 * 2**30
_LOWER: ContextVar[int | None] = ContextVar("lower", default=None)


def max_bytes() -> int:
    """Return the largest size in bytes of one environment, batch or buffer: ENVZOO_MAX_BYTES, or 4 GiB.

    Raises:
        EnvzooError: The variable is not a positive whole number.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return DEFAULT
    if not (given.isascii() and given.isdigit() and 0 < len(given) < 20 and int(given)):
        raise EnvzooError(f"{VARIABLE} is {given[:40]!r}; expected a number of bytes such as {DEFAULT}")
    return int(given)


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Lower the limit to `count` bytes within the context, unless ENVZOO_MAX_BYTES is set."""
    token = _LOWER.set(count)
    try:
        yield
    finally:
        _LOWER.reset(token)


def check_bytes(count: float, what: str, *, later: bool = False) -> None:
    """Reject a request that would take too much memory.

    Args:
        count: Estimated size in bytes.
        what: The request, as the subject of the message ("10 episodes of GridCoverage").
        later: The memory is allocated gradually rather than now, so that only a limit set by the user applies.

    Raises:
        EnvzooError: The size exceeds the limit.
    """
    limit, lower = max_bytes(), _LOWER.get()
    if lower is not None and not later and not os.environ.get(VARIABLE):
        limit = min(limit, lower)
    if count > limit:
        raise EnvzooError(
            f"{what} would take {readable(count)}, over the limit of {readable(limit)}; ask for less, or set "
            f"{VARIABLE} to a larger number"
        )


def readable(count: float) -> str:
    """Format a number of bytes, such as "3.7 GiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{int(count)} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        if unit != "TiB":
            count /= 1024
    return f"{count:.1f} TiB" if count < 1e6 else f"{count:.1e} TiB"
