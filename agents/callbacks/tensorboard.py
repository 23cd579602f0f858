"""Metrics for TensorBoard."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from envzoo.agents.callback import Callback

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent


class TensorBoard(Callback):
    """Writes every metric as a TensorBoard scalar over timesteps, and the agent's texts every now and then.

    Args:
        folder: Folder of the event files.
        min_seconds: Rows closer together than this many seconds are skipped, unless they hold an evaluation, so that
            agents with thousands of short iterations are not slowed down; the metrics table has them all.
        text_seconds: Least time between two sets of texts; the first and the last are always written.
    """

    name = "tensorboard"

    def __init__(self, folder: str | os.PathLike, min_seconds: float = 0.25, text_seconds: float = 30.0):
        self.folder, self.min_seconds, self.text_seconds = os.fspath(folder), min_seconds, text_seconds
        self._writer = None
        self._last = self._last_texts = float("-inf")

    def on_start(self, agent: Agent) -> None:
        """Open the event file; events later than a resumed checkpoint are marked as superseded."""
        # TensorBoard hides events at the purge step too, and those of the checkpoint's own iteration stay valid.
        from torch.utils.tensorboard import SummaryWriter

        purge = agent.num_timesteps + 1 if agent.num_timesteps else None
        self._writer = SummaryWriter(self.folder, purge_step=purge)

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Write the metrics."""
        now = time.monotonic()
        last = agent.num_timesteps >= agent.target_timesteps
        if now - self._last < self.min_seconds and not last and not any(key.startswith("eval/") for key in metrics):
            return
        self._last = now
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, agent.num_timesteps)
        if now - self._last_texts >= self.text_seconds or last:
            self._last_texts = now
            for name, text in agent.texts().items():
                self._writer.add_text(name, text, agent.num_timesteps)

    def on_end(self, agent: Agent) -> None:
        """Flush and close."""
        self._writer.close()
