"""Metrics of a run as comma-separated values."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from envzoo.agents.callback import Callback
from envzoo.errors import EnvzooError
from envzoo.files import AppendedFile, reason, write_text

if TYPE_CHECKING:
    from envzoo.agents.agent import Agent

FIRST = ("iteration", "timesteps")


def _line(values: list) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


class MetricsCSV(Callback):
    """Append every iteration's metrics to a CSV file, one column per metric.

    A metric that first appears later, such as that of an evaluation, gets a new column; the file is then written
    anew. When a run is resumed, rows later than its checkpoint are removed.

    Args:
        path: Path of the file.
    """

    name = "metrics_csv"

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.columns: list[str] = list(FIRST)
        self._file: AppendedFile | None = None

    def _read(self) -> list[dict[str, str]]:
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, csv.Error) as error:
            raise EnvzooError(f"{self.path} cannot be read ({reason(error)})") from error

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        lines = [_line(self.columns), *(_line([row.get(name) or "" for name in self.columns]) for row in rows)]
        write_text(self.path, "".join(lines))
        self._file = AppendedFile(self.path)

    def on_start(self, agent: Agent) -> None:
        """Open the file, keeping the rows up to the agent's iteration."""
        rows = [row for row in self._read() if str(row.get("iteration") or "").isdecimal()]
        self.columns = [*FIRST, *(name for name in (rows[0] if rows else {}) if name and name not in FIRST)]
        self._rewrite([row for row in rows if int(row["iteration"]) <= agent.iteration])

    def on_iteration(self, agent: Agent, metrics: dict[str, float]) -> None:
        """Append a row."""
        new = [name for name in metrics if name not in self.columns]
        if new:
            self._file.close()
            rows = self._read()
            self.columns += new
            self._rewrite(rows)
        row = {"iteration": agent.iteration, "timesteps": agent.num_timesteps, **metrics}
        self._file.append(_line([row.get(name, "") for name in self.columns]).encode())

    def on_end(self, agent: Agent) -> None:
        """Close the file."""
        self._file.close()
