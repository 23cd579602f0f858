"""Ctrl-C during training."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent


class Interrupt:
    """Context manager in which the first Ctrl-C stops after the current iteration, and the second immediately."""

    def __init__(self):
        from envzoo.agents.callback import Callback

        outer = self

        class StopWhenAsked(Callback):
            def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> bool:
                return not outer.asked

        self.asked = False
        self.callback = StopWhenAsked()

    def __enter__(self) -> Interrupt:
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _ask(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("stopping after this iteration; press Ctrl-C again to stop immediately", file=sys.stderr)
