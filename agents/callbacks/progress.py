"""Progress bar in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from envzoo.agents.callback import Callback

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

SHOWN = ("eval/return_mean", "rollout/return_mean", "loss/policy", "loss/critic")


class ProgressBar(Callback):
    """Show timesteps, remaining time and the latest return in the terminal.

    Args:
        title: Text before the bar; None for agent and source.
        console: Console to draw on; None for standard error.
    """

    name = "progress"

    def __init__(self, title: str | None = None, console: Console | None = None):
        self.title, self.console = title, console or Console(stderr=True)
        self._progress: Progress | None = None

    def on_start(self, agent: Agent) -> None:
        """Show the bar."""
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[latest]}"),
            console=self.console,
        )
        title = self.title or f"{agent.spec.name} on {agent.source.name}"
        self._task = self._progress.add_task(title, total=agent.target_timesteps, latest="")
        self._progress.start()

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Update the bar."""
        latest = next((f"{name} {metrics[name]:.4g}" for name in SHOWN if name in metrics), None)
        fields = {} if latest is None else {"latest": latest}
        done = min(agent.num_timesteps, agent.target_timesteps)
        self._progress.update(self._task, completed=done, **fields)

    def on_end(self, agent: Agent) -> None:
        """Stop the bar, leaving it on the screen."""
        self._progress.stop()
