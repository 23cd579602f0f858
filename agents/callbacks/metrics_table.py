"""Metrics table of a run: one JSON object per line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envzoo.agents.callback import Callback
from envzoo.errors import EnvzooError
from envzoo.files import AppendedFile, reason, write_text

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent


def read_metrics(path: str | os.PathLike) -> list[dict[str, float]]:
    """Read the rows of a metrics table, without an incomplete last line and without rows after a damaged one."""
    path = Path(path)
    if not path.is_file():
        return []
    rows = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise EnvzooError(f"{path} cannot be read ({reason(error)})") from error
    for line in lines:
        try:
            row = json.loads(line)
            row["iteration"], row["timesteps"]
        except (ValueError, TypeError, KeyError):
            break
        rows.append(row)
    return rows


def missing_rows(path: str | os.PathLike, iteration: int) -> str | None:
    """Return a sentence that names the iterations up to `iteration` missing from a table, or None if it is complete."""
    path = Path(path)
    if iteration == 0 or path.is_dir():  # a folder raises an error when it is written
        return None
    if not path.exists():
        return f"{path} is missing, so the run continues without the metrics of its first {iteration} iterations"
    found = {row["iteration"] for row in read_metrics(path)}
    lacking = sum(number not in found for number in range(1, iteration + 1))
    if not lacking:
        return None
    return f"{path} lacks the metrics of {lacking} of the {iteration} iterations before the checkpoint; the run resumes"


class MetricsTable(Callback):
    """Append every iteration's metrics to a JSON-lines file (`pandas.read_json(path, lines=True)` reads it).

    When a run is resumed, rows later than its checkpoint are removed before new ones are written.

    Args:
        path: Path of the file.
    """

    name = "metrics_table"

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._file: AppendedFile | None = None

    def on_start(self, agent: Agent) -> None:
        """Open the file, keeping the rows up to the agent's timesteps."""
        kept = [row for row in read_metrics(self.path) if row["iteration"] <= agent.iteration]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = AppendedFile(self.path)

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Append a row."""
        row: dict[str, Any] = {"iteration": agent.iteration, "timesteps": agent.num_timesteps, **metrics}
        self._file.append((json.dumps(row) + "\n").encode())

    def on_end(self, agent: Agent) -> None:
        """Close the file."""
        self._file.close()
