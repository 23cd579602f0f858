"""Stored results, by (arm, seed): an interrupted experiment continues, and a finished one reruns only what is stale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from envzoo.files import write_text

PARTS = ".parts"


class Store:
    """The results in an output folder: those of its results.json, and those of runs since, a file each.

    Args:
        folder: The output folder; need not exist.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._found: dict[tuple[str, int], dict[str, Any]] = {}
        if folder is None:
            return
        self._read_results(folder / "results.json")
        for path in sorted((folder / PARTS).glob("*.json")):
            self._read_part(path)

    def _read_results(self, path: Path) -> None:
        try:
            arms = json.loads(path.read_text(encoding="utf-8"))["arms"]
            for arm in arms.values():
                for run in arm["runs"] if "key" in arm else ():
                    self._found[arm["key"], run["seed"]] = {**run, "config": arm["config"]}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            self._found = {}  # no results, or none that can be used: everything runs

    def _read_part(self, path: Path) -> None:
        try:
            part = json.loads(path.read_text(encoding="utf-8"))
            self._found[part["key"], part["run"]["seed"]] = part["run"]
        except (OSError, ValueError, LookupError, TypeError):
            path.unlink(missing_ok=True)  # torn by a crash: the run is repeated

    def get(self, key: str, seed: int) -> dict[str, Any] | None:
        """Return the stored run of a key and seed, or None."""
        return self._found.get((key, seed))

    def put(self, key: str, run: dict[str, Any]) -> None:
        """Store a run."""
        self._found[key, run["seed"]] = run
        if self.folder is not None:
            path = self.folder / PARTS / f"{key}-{run['seed']}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps({"key": key, "run": run}))

    def clear(self) -> None:
        """Remove the parts, once results.json holds them."""
        if self.folder is not None:
            shutil.rmtree(self.folder / PARTS, ignore_errors=True)
