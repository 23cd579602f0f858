"""Stored results by (arm, seed), with which experiments continue after an interruption and rerun only stale arms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from envzoo.files import write_text

PARTS = ".parts"
RENEWED = "renewed_by_seed"  # the seed whose rerun showed that an arm's stored runs are those of the present code


class Store:
    """The results in an output folder: its results.json, and one file for each later run.

    Args:
        folder: The output folder; it may not exist yet.

    Attributes:
        renewals: For each key that was renewed, the entry that says by which seed.
        looks: How many times the results were looked at.
        looked_at: Groups of arms whose seeds were increased between the looks; empty for all of them.
        counts: Number of seeds of each arm of these groups, if there was more than one look.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._found: dict[tuple[str, int], dict[str, Any]] = {}
        self.renewals: dict[str, dict[str, int]] = {}
        self.looks, self.looked_at = 1, frozenset[str]()
        self.counts: dict[str, int] = {}
        if folder is None:
            return
        self._read_results(folder / "results.json")
        for path in sorted((folder / PARTS).glob("*.json")):
            self._read_part(path)

    def _read_results(self, path: Path) -> None:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            self.looks, self.looked_at = int(data.get("looks", 1)), frozenset(data.get("looked_at", ()))
            for name, arm in data["arms"].items():
                if self.looks > 1 and (not self.looked_at or arm["group"] in self.looked_at):
                    self.counts[name] = len(arm["runs"])
                if "key" in arm and RENEWED in arm:
                    self.renewals[arm["key"]] = {RENEWED: arm[RENEWED]}
                for run in arm["runs"] if "key" in arm else ():
                    self._found[arm["key"], run["seed"]] = {**run, "config": arm["config"]}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            self._found, self.renewals, self.counts = {}, {}, {}  # there are no usable results, so everything is run

    def _read_part(self, path: Path) -> None:
        try:
            part = json.loads(path.read_text(encoding="utf-8"))
            self._found[part["key"], part["run"]["seed"]] = part["run"]
        except (OSError, ValueError, LookupError, TypeError):
            path.unlink(missing_ok=True)  # truncated by a crash, so the run is repeated

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
        """Remove the files of single runs, once results.json contains them."""
        if self.folder is not None:
            shutil.rmtree(self.folder / PARTS, ignore_errors=True)
