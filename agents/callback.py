"""Callback interface: hooks around the iterations of `Agent.learn`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from envzoo.errors import EnvzooError


class Callback:
    """Base class of callbacks.

    They run in the given order, so callbacks that add metrics come before those that log them. `agent` is the
    agent in training; its class is not named here, because that would be a circular import.
    """

    name: str = ""

    def on_start(self, agent: Any) -> None:
        """Run before the first iteration of a `learn` call."""

    def on_batch(self, agent: Any, batch: Any, metrics: dict[str, float]) -> None:
        """Run on the batch of an update, before the networks change; may add metrics (as diagnostics do)."""

    def on_iteration(self, agent: Any, metrics: dict[str, float]) -> bool | None:
        """Run after each iteration; may add to `metrics`. Return False to stop training after this iteration."""

    def on_end(self, agent: Any) -> None:
        """Run when `learn` ends, also after an error or Ctrl-C."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""


class FunctionCallback(Callback):
    """Callback made from a function.

    Args:
        function: Called as `function(agent, metrics)` after each iteration; returns False to stop training.
    """

    def __init__(self, function: Callable[[Any, dict[str, float]], bool | None]):
        self.function = function

    def on_iteration(self, agent: Any, metrics: dict[str, float]) -> bool | None:
        """Call the function."""
        return self.function(agent, metrics)


_METHODS = ("on_start", "on_iteration", "on_batch", "on_end")  # an object with all of these is a callback


def as_callback(given: Any) -> Callback:
    """Return a callback, or convert a function of (agent, metrics) to one.

    Raises:
        EnvzooError: Anything else, including a callback class instead of an instance.
    """
    if isinstance(given, Callback) or (all(hasattr(given, name) for name in _METHODS) and not isinstance(given, type)):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionCallback(given)
    what = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
    raise EnvzooError(
        f"a callback is {what}; expected an instance of envzoo.agents.callback.Callback, or a function of (agent, "
        "metrics)"
    )


class CallbackList(Callback):
    """Several callbacks combined into one.

    Raises:
        EnvzooError: An element is not a callback.
    """

    def __init__(self, callbacks: Callback | Callable | Iterable[Callback | Callable] | None):
        if callbacks is None:
            callbacks = []
        if not isinstance(callbacks, list | tuple | set | frozenset | Iterator | Generator):
            callbacks = [callbacks]
        self.callbacks = [as_callback(callback) for callback in callbacks]

    def on_start(self, agent: Any) -> None:
        """Run before the first iteration of a `learn` call."""
        for callback in self.callbacks:
            callback.on_start(agent)

    def on_batch(self, agent: Any, batch: Any, metrics: dict[str, float]) -> None:
        """Run on the batch of an update, before the networks change."""
        for callback in self.callbacks:
            callback.on_batch(agent, batch, metrics)

    def on_iteration(self, agent: Any, metrics: dict[str, float]) -> bool:
        """Run all callbacks after each iteration; return False if any of them requests to stop."""
        answers = [callback.on_iteration(agent, metrics) for callback in self.callbacks]
        return all(answer is not False for answer in answers)

    def on_end(self, agent: Any) -> None:
        """Run all callbacks when `learn` ends; the first error is raised after that."""
        errors = []
        for callback in self.callbacks:
            try:
                callback.on_end(agent)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
