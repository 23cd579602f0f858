"""TensorBoard logging."""

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
    """TensorBoard event file, written synchronously and in whole records.

    PyTorch's writer passes its records to a thread, in which a full disk causes an unhandled exception.

    Args:
        folder: Folder of the file.
        purge_step: Events of other files at or after this step are superseded; None supersedes nothing.

    Raises:
        StorageError: The operating system reports an error; also raised by `write`.
    """

    _numbers = itertools.count()

    def __init__(self, folder: str | os.PathLike, purge_step: int | None = None):
        from tensorboard.compat.proto.event_pb2 import SessionLog

        # TensorBoard reads files in the order of their names: padded, file 10 of a second comes after its file 9.
        number = f"{next(self._numbers):06d}"
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{number}"
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
        """Add a number to the records that `write` writes."""
        from torch.utils.tensorboard.summary import scalar

        self._add(summary=scalar(name, value), step=step)

    def add_text(self, name: str, passage: str, step: int) -> None:
        """Add a text to the records that `write` writes."""
        from torch.utils.tensorboard.summary import text

        self._add(summary=text(name, passage), step=step)

    def write(self) -> None:
        """Write the added records."""
        records = self._records.getvalue()
        self._records = io.BytesIO()
        self._file.append(records)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard(Callback):
    """Write every metric as a TensorBoard scalar over timesteps, and the agent's texts at intervals.

    Args:
        folder: Folder of the event files.
        min_seconds: Minimum time between rows, unless a row has an evaluation, so that agents with thousands of short
            iterations are not slowed down; the metrics table has all rows.
        text_seconds: Minimum time between two sets of texts; the first and the last are always written.
    """

    name = "tensorboard"

    def __init__(self, folder: str | os.PathLike, min_seconds: float = 0.25, text_seconds: float = 30.0):
        self.folder, self.min_seconds, self.text_seconds = os.fspath(folder), min_seconds, text_seconds
        self._writer: EventFile | None = None
        self._last = self._last_texts = float("-inf")

    def on_start(self, agent: Agent) -> None:
        """Open the event file; events later than a resumed checkpoint are marked as superseded."""
        # TensorBoard also hides events at the purge step, but those of the checkpoint's own iteration are still valid.
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
