"""Checkpoints of a run, from which it goes on after a kill as if nothing had happened."""

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
    """The checkpoints of a folder, oldest first.

    Raises:
        EnvzooError: The folder is there and cannot be read.
    """
    folder = Path(folder)
    try:
        entries = list(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise EnvzooError(f"the folder of checkpoints {folder} cannot be read ({reason(error)})") from error
    found = [path for path in entries if PATTERN.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(PATTERN.fullmatch(path.name)[1]))


class Checkpoints(Callback):
    """Saves the agent, and the state of the other callbacks, every so often and when `learn` ends.

    It stands last in the list of callbacks, so that what it saves includes their work on the iteration. What is saved
    does not influence learning, so by default the time between checkpoints is measured in seconds.

    Args:
        folder: Where the files go.
        every: Timesteps between checkpoints; None goes by time.
        seconds: Seconds between checkpoints when `every` is None.
        keep: How many of the newest to keep.
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
        """Start the clock, and remove what a killed run left of a checkpoint that it was writing."""
        remove_leftovers(self.folder, ["checkpoint-*.zip"])
        self._saved_at = agent.num_timesteps
        self._clock = time.monotonic()

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Save when it is time."""
        if self.every is None:
            due = time.monotonic() - self._clock >= self.seconds
        else:
            due = agent.num_timesteps // self.every > self._saved_at // self.every
        if due or agent.num_timesteps >= agent.target_timesteps:
            self.save(agent)

    def on_end(self, agent: Agent) -> None:
        """Save where learning ended early between iterations; a broken iteration is not saved."""
        if agent.num_timesteps != self._saved_at and not agent.mid_iteration:
            self.save(agent)

    def save(self, agent: Agent) -> Path:
        """Write a checkpoint now and drop the oldest ones."""
        path = self.folder / f"checkpoint-{agent.num_timesteps}.zip"
        try:
            agent.save(path, extra={callback.name: callback.state_dict() for callback in self.others})
        except StorageError as error:
            before = list_checkpoints(self.folder)
            kept = f"; the checkpoint before it, {before[-1].name}, is kept" if before else ""
            raise StorageError(f"{error}{kept}") from error
        self._saved_at, self._clock = agent.num_timesteps, time.monotonic()
        for old in list_checkpoints(self.folder)[: -self.keep]:
            with suppress(OSError):  # a file too many does no harm
                old.unlink(missing_ok=True)
        return path

    def restore_others(self, extra: dict[str, Any]) -> None:
        """Give the other callbacks the state saved beside the agent's."""
        for callback in self.others:
            if callback.name in extra:
                callback.load_state_dict(extra[callback.name])
