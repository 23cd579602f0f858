"""Logging to Weights & Biases (extra `wandb`)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from envzoo.agents.callback import Callback
from envzoo.errors import EnvzooError

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent


class WandB(Callback):
    """Log every iteration's metrics over timesteps to a run of Weights & Biases.

    Set the environment variable WANDB_MODE to "offline" to write to the folder only. A run that is resumed from a
    checkpoint continues the same run there.

    Args:
        project: Name of the project.
        run_name: Name of the run; None lets Weights & Biases choose one.
        folder: Folder in which it keeps its files; None takes the working folder.
        tags: Labels of the run.
        settings: Settings to show with the run.

    Raises:
        EnvzooError: The package wandb is not installed.
    """

    name = "wandb"

    def __init__(
        self,
        project: str,
        *,
        run_name: str | None = None,
        folder: str | os.PathLike | None = None,
        tags: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
    ):
        if importlib.util.find_spec("wandb") is None:
            raise EnvzooError("Weights & Biases is not installed; install it with `pip install -e '.[wandb]'`")
        self.project, self.run_name, self.tags = project, run_name, tuple(tags)
        self.folder = None if folder is None else os.fspath(folder)
        self.settings = dict(settings or {})
        self.run_id: str | None = None
        self._run: Any = None

    def on_start(self, agent: Agent) -> None:
        """Begin the run, or continue that of the checkpoint."""
        import wandb

        self._run = wandb.init(
            project=self.project,
            name=self.run_name,
            dir=self.folder,
            tags=self.tags,
            config=self.settings,
            id=self.run_id,
            resume=None if self.run_id is None else "allow",
        )
        self.run_id = self._run.id

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Log the metrics."""
        self._run.log(dict(metrics), step=agent.num_timesteps)

    def on_end(self, agent: Agent) -> None:
        """End the run, which uploads what is left."""
        if self._run is not None:
            self._run.finish()
            self._run = None

    def state_dict(self) -> dict[str, Any]:
        """Return the id of the run."""
        return {"run_id": self.run_id or ""}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the run of a checkpoint."""
        self.run_id = state["run_id"] or None
