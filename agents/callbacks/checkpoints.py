"""Checkpoints, from which an interrupted run resumes with identical results."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envzoo.agents.callback import Callback
from envzoo.errors import EnvzooError, StorageError
from envzoo.files import reason, remove_leftovers

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

PATTERN = re.compile(r"checkpoint-(\d+)\.zip")


def list_checkpoints(folder: str | os.PathLike) -> list[Path]:
    """List the checkpoints of a folder, oldest first.

    Raises:
        EnvzooError: The folder exists and cannot be read.
    """
    folder = Path(folder)
    try:
        entries = list(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise EnvzooError(f"the folder of checkpoints {folder} cannot be read ({reason(error)})") from error
    found = [path for path in entries if PATTERN.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(PATTERN.fullmatch(path.name)[1]))


class Checkpoints(Callback):
    """Save the agent and the state of the other callbacks at intervals and at the end of training.

    It must be last in the list of callbacks, so that the saved state includes their work on the iteration. Saving does
    not affect training, so by default the interval is measured in seconds.

    Args:
        folder: Folder of the checkpoints.
        every: Timesteps between checkpoints; None to use `seconds`.
        seconds: Seconds between checkpoints if `every` is None.
        keep: Number of newest checkpoints to keep.
        others: Callbacks whose state is saved too.
    """

    name = "checkpoints"

    def __init__(
        self,
        folder: str | os.PathLike,
        every: int | None = None,
        seconds: float = 60.0,
        keep: int = 2,
        others: Iterable[Callback] = (),
    ):
        if (every is not None and every < 1) or keep < 1:
            raise EnvzooError(f"checkpoints need every >= 1 and keep >= 1, got every={every}, keep={keep}")
        self.folder, self.every, self.seconds, self.keep = Path(folder), every, seconds, keep
        self.others = [callback for callback in others if callback.name]
        self._saved_at = -1

    def on_start(self, agent: Agent) -> None:
        """Start the clock, and remove unfinished files of an interrupted run."""
        remove_leftovers(self.folder, ["checkpoint-*.zip"])
        self._saved_at = agent.num_timesteps
        self._clock = time.monotonic()

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Save when due."""
        if self.every is None:
            due = time.monotonic() - self._clock >= self.seconds
        else:
            due = agent.num_timesteps // self.every > self._saved_at // self.every
        if due or agent.num_timesteps >= agent.target_timesteps:
            self.save(agent)

    def on_end(self, agent: Agent) -> None:
        """Save if training ended early between iterations; an interrupted iteration is not saved."""
        if agent.num_timesteps != self._saved_at and not agent.mid_iteration:
            self.save(agent)

    def save(self, agent: Agent) -> Path:
        """Write a checkpoint now and remove the oldest ones."""
        path = self.folder / f"checkpoint-{agent.num_timesteps}.zip"
        try:
            agent.save(path, extra={callback.name: callback.state_dict() for callback in self.others})
        except StorageError as error:
            before = list_checkpoints(self.folder)
            kept = f"; the checkpoint before it, {before[-1].name}, is kept" if before else ""
            raise StorageError(f"{error}{kept}") from error
        self._saved_at, self._clock = agent.num_timesteps, time.monotonic()
        for old in list_checkpoints(self.folder)[: -self.keep]:
            with suppress(OSError):  # a file that cannot be removed does no harm
                old.unlink(missing_ok=True)
        return path

    def restore_others(self, extra: dict[str, Any]) -> None:
        """Restore the other callbacks from the state saved with the agent's."""
        for callback in self.others:
            if callback.name in extra:
                callback.load_state_dict(extra[callback.name])
