"""Metrics for TensorBoard."""

from __future__ import annotations

import io
import itertools
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envzoo.agents.callback import Callback
from envzoo.files import AppendedFile

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent


class EventFile:
    """An event file of TensorBoard, written at once and in whole records.

    The writer of PyTorch hands its records to a thread, where a full disk ends in a traceback.

    Args:
        folder: Where the file goes.
        purge_step: Events of other files at or after this step are superseded; None supersedes nothing.

    Raises:
        StorageError: The operating system refuses; also raised by `write`.
    """

    _numbers = itertools.count()

    def __init__(self, folder: str | os.PathLike, purge_step: int | None = None):
        from tensorboard.compat.proto.event_pb2 import SessionLog

        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(self._numbers)}"
        self._file = AppendedFile(Path(folder) / name)
        self._records = io.BytesIO()
        self._add(file_version="brain.Event:2")
        if purge_step is not None:
            self._add(step=purge_step, session_log=SessionLog(status=SessionLog.START))
        self.write()

    def _add(self, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        event = Event(wall_time=time.time(), **content)
        RecordWriter(self._records).write(event.SerializeToString())

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Add a number to what `write` will write."""
        from torch.utils.tensorboard.summary import scalar

        self._add(summary=scalar(name, value), step=step)

    def add_text(self, name: str, passage: str, step: int) -> None:
        """Add a text to what `write` will write."""
        from torch.utils.tensorboard.summary import text

        self._add(summary=text(name, passage), step=step)

    def write(self) -> None:
        """Write what was added."""
        records = self._records.getvalue()
        self._records = io.BytesIO()
        self._file.append(records)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


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
        self._writer: EventFile | None = None
        self._last = self._last_texts = float("-inf")

    def on_start(self, agent: Agent) -> None:
        """Open the event file; events later than a resumed checkpoint are marked as superseded."""
        # TensorBoard hides events at the purge step too, and those of the checkpoint's own iteration stay valid.
        purge = agent.num_timesteps + 1 if agent.num_timesteps else None
        self._writer = EventFile(self.folder, purge)

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
        self._writer.write()

    def on_end(self, agent: Agent) -> None:
        """Close the file."""
        self._writer.close()
