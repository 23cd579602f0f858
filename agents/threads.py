"""Number of PyTorch threads during training.

The order of summation across threads affects rounding, so the number of threads affects the numerical results of a run.
It is chosen from the sizes of networks and batches alone, never from the cores or the load of the machine, and is saved
with the agent: a machine with fewer cores computes identical results, only more slowly. Small networks are fastest on
one thread; two threads were measured to be up to 30 times slower on a busy machine.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from envzoo.errors import EnvzooError

F = TypeVar("F", bound=Callable[..., Any])

MAX_THREADS = 1024
# (floating-point operations of an update, threads): below the first row an update takes about a second or less on one
# core, and synchronisation costs more than further threads save.
STEPS = ((2**40, 8), (2**38, 4), (2**36, 2))


def threads_for(parameters: int, rows: int) -> int:
    """Choose a number of threads: 1, and 2, 4 or 8 from 2^36, 2^38 or 2^40 operations per update on.

    Args:
        parameters: Number of trained parameters P of all networks.
        rows: Number of rows B of a batch: transitions, or tokens of a language model. An update takes about 6 P B
            operations.
    """
    operations = 6 * parameters * rows
    return next((threads for least, threads in STEPS if operations >= least), 1)


def count_parameters(agent: Any) -> int:
    """Count the parameters that an agent trains."""
    found = {}
    for part in agent._parts.values():
        if isinstance(part, torch.nn.Module):
            found.update((id(p), p.numel()) for p in part.parameters() if p.requires_grad)
    return sum(found.values())


def rows_of(config: Any) -> int:
    """Compute the rows of a batch: `minibatch_size` or `batch_size`, at most `num_envs` times `num_steps`."""
    fields = {name: getattr(config, name, None) for name in ("minibatch_size", "batch_size", "num_envs", "num_steps")}
    batch = fields["minibatch_size"] or fields["batch_size"]
    gathered = (fields["num_envs"] or 1) * (fields["num_steps"] or 1)
    if batch and fields["num_steps"]:
        return min(batch, gathered)  # a minibatch is part of the rollout
    return batch or gathered


def check_threads(threads: Any) -> int | None:
    """Check a requested number of threads and return it, None for "auto"; raises EnvzooError otherwise."""
    if threads is None or threads == "auto":
        return None
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise EnvzooError(f"threads is 'auto' or an integer from 1 to {MAX_THREADS}, got {threads!r}")
    return threads


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Set the number of PyTorch threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_own_threads(function: F) -> F:
    """Decorate a function whose first argument is an agent, to run with the agent's number of threads."""

    @functools.wraps(function)
    def wrapper(agent: Any, *arguments: Any, **keywords: Any) -> Any:
        if not hasattr(agent, "choose_threads"):  # not an agent: the function reports the error
            return function(agent, *arguments, **keywords)
        with using_threads(agent.choose_threads()):
            return function(agent, *arguments, **keywords)

    return wrapper
