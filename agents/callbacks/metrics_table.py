"""The metrics of a run as a table: one JSON object a line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from envzoo.agents.callback import Callback
from envzoo.files import write_text

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent


def read_metrics(path: str | os.PathLike) -> list[dict[str, float]]:
    """The rows of a metrics table; a last line cut short by a kill, and what follows a damaged one, is left out."""
    path = Path(path)
    if not path.is_file():
        return []
    rows = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
            row["iteration"], row["timesteps"]
        except (ValueError, TypeError, KeyError):
            break
        rows.append(row)
    return rows


class MetricsTable(Callback):
    """Appends every iteration's metrics to a JSON-lines file (`pandas.read_json(path, lines=True)` reads it).

    When a run is resumed, rows later than its checkpoint are dropped before new ones are written.

    Args:
        path: The file.
    """

    name = "metrics_table"

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._file: IO[str] | None = None

    def on_start(self, agent: Agent) -> None:
        """Open the file, keeping the rows up to the agent's timesteps."""
        kept = [row for row in read_metrics(self.path) if row["iteration"] <= agent.iteration]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = self.path.open("a")

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Append a row."""
        row: dict[str, Any] = {"iteration": agent.iteration, "timesteps": agent.num_timesteps, **metrics}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def on_end(self, agent: Agent) -> None:
        """Close the file."""
        self._file.close()
