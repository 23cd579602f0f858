"""What a callback can do: hooks around the iterations of `Agent.learn`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from envzoo.errors import EnvzooError


class Callback:
    """Base of callbacks. They run in the order given, so one that adds metrics stands before one that logs them.

    `agent` is what learns, with all of its attributes; naming its class here would import in a circle.
    """

    name: str = ""

    def on_start(self, agent: Any) -> None:
        """Before the first iteration of a `learn` call."""

    def on_batch(self, agent: Any, batch: Any, metrics: dict[str, float]) -> None:
        """On the batch of an update, before the networks change; may add metrics (diagnostics do)."""

    def on_iteration(self, agent: Any, metrics: dict[str, float]) -> bool | None:
        """After each iteration; may add to `metrics`; returning False stops learning after this iteration."""

    def on_end(self, agent: Any) -> None:
        """When `learn` ends, also by an error or Ctrl-C."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state that survives a restart."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state made by `state_dict`."""


class FunctionCallback(Callback):
    """A plain function as a callback.

    Args:
        function: Called as `function(agent, metrics)` after each iteration; returning False stops learning.
    """

    def __init__(self, function: Callable[[Any, dict[str, float]], bool | None]):
        self.function = function

    def on_iteration(self, agent: Any, metrics: dict[str, float]) -> bool | None:
        """Call the function."""
        return self.function(agent, metrics)


_METHODS = ("on_start", "on_iteration", "on_batch", "on_end")  # whoever has them all is a callback


def as_callback(given: Any) -> Callback:
    """Convert a function of (agent, metrics) to a callback; callbacks are returned as they are.

    Raises:
        EnvzooError: Anything else, also a class of callbacks in place of an instance.
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
    """Several callbacks as one.

    Raises:
        EnvzooError: Something among them is no callback.
    """

    def __init__(self, callbacks: Callback | Callable | Iterable[Callback | Callable] | None):
        if callbacks is None:
            callbacks = []
        if not isinstance(callbacks, list | tuple | set | frozenset | Iterator | Generator):
            callbacks = [callbacks]
        self.callbacks = [as_callback(callback) for callback in callbacks]

    def on_start(self, agent: Any) -> None:
        """Before the first iteration of a `learn` call."""
        for callback in self.callbacks:
            callback.on_start(agent)

    def on_batch(self, agent: Any, batch: Any, metrics: dict[str, float]) -> None:
        """On the batch of an update, before the networks change."""
        for callback in self.callbacks:
            callback.on_batch(agent, batch, metrics)

    def on_iteration(self, agent: Any, metrics: dict[str, float]) -> bool:
        """After each iteration; False when any callback wants to stop. All of them run in any case."""
        answers = [callback.on_iteration(agent, metrics) for callback in self.callbacks]
        return all(answer is not False for answer in answers)

    def on_end(self, agent: Any) -> None:
        """When `learn` ends. All of them run in any case; the first error is raised after that."""
        errors = []
        for callback in self.callbacks:
            try:
                callback.on_end(agent)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
