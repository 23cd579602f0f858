"""The folder of one training run: what was asked for, with which versions, and everything that came out.

```
run.json          agent, source, hyperparameters, seed, budget, evaluation, versions
metrics.jsonl     a row of metrics per iteration
tensorboard/      the same for TensorBoard
checkpoints/      the newest checkpoints, from which the run can go on
agent.zip         the trained agent
results.json      the final evaluation
```
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from envzoo.agents.callbacks.checkpoints import list_checkpoints
from envzoo.errors import RunDirectoryError, shorten
from envzoo.files import write_text

FACTS = (
    *("agent", "source", "env_kwargs", "hyperparameters", "given", "seed", "timesteps", "threads", "device"),
    *("eval_every", "eval_episodes", "eval_stochastic", "checkpoint_every", "stop_at"),
)
PACKAGES = ("envzoo", "gymnasium", "torch", "numpy", "numba", "minari")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers of a run."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


_WHOLE = {"seed": (0, None), "timesteps": (1, None), "threads": (1, 4096), "eval_every": (0, None),
          "eval_episodes": (1, None)}  # fmt: skip
_KINDS = {"agent": str, "source": str, "device": str, "env_kwargs": dict, "hyperparameters": dict, "given": dict}


def _check_facts(path: Path, facts: dict[str, Any]) -> None:
    """Refuse facts that `create` would not have written; raises RunDirectoryError."""
    for name, kind in _KINDS.items():
        if not isinstance(facts[name], kind):
            raise RunDirectoryError(f"{path} is damaged ({name} is a {type(facts[name]).__name__})")
    for name, (least, most) in _WHOLE.items():
        value = facts[name]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < least or (most is not None and value > most):
            raise RunDirectoryError(f"{path} is damaged ({name} is {shorten(repr(value), 40)})")
    for name in ("checkpoint_every", "stop_at"):
        if facts[name] is not None and (isinstance(facts[name], bool) or not isinstance(facts[name], int | float)):
            raise RunDirectoryError(f"{path} is damaged ({name} is a {type(facts[name]).__name__})")


class RunDirectory:
    """Paths and facts of a run folder; makes nothing until `create`."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.facts_file = self.path / "run.json"
        self.metrics = self.path / "metrics.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.agent = self.path / "agent.zip"
        self.results = self.path / "results.json"

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.facts_file.is_file()

    def create(self, facts: dict[str, Any]) -> None:
        """Start a run here.

        Raises:
            RunDirectoryError: The folder already holds a run, or other files.
        """
        if self.exists:
            raise RunDirectoryError(f"{self.path} already holds a run; go on with --resume, or give another --run-dir")
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise RunDirectoryError(f"{self.path} exists and is not an empty folder; give another --run-dir")
        write_text(self.facts_file, json.dumps({**facts, "versions": versions()}, indent=2) + "\n")

    def facts(self) -> dict[str, Any]:
        """What `create` wrote.

        Raises:
            RunDirectoryError: No run was started here, or its file is damaged.
        """
        if not self.exists:
            raise RunDirectoryError(f"{self.path} holds no run: there is no run.json in it")
        try:
            facts = json.loads(self.facts_file.read_text())
            missing = [name for name in FACTS if name not in facts]
        except (OSError, ValueError, TypeError) as error:
            raise RunDirectoryError(f"{self.facts_file} is damaged ({error})") from None
        if not isinstance(facts, dict) or missing:
            raise RunDirectoryError(f"{self.facts_file} is damaged (it lacks {', '.join(missing) or 'names'})")
        _check_facts(self.facts_file, facts)
        return facts

    def latest_checkpoint(self) -> Path | None:
        """The newest checkpoint, or None."""
        found = list_checkpoints(self.checkpoints)
        return found[-1] if found else None

    def trained_agent(self) -> Path:
        """The finished agent, or the newest checkpoint of an unfinished run.

        Raises:
            RunDirectoryError: Neither is there.
        """
        self.facts()
        path = self.agent if self.agent.is_file() else self.latest_checkpoint()
        if path is None:
            raise RunDirectoryError(f"{self.path} has no trained agent and no checkpoint yet")
        return path


def free_directory(root: str | os.PathLike, name: str) -> Path:
    """The first of `root/name`, `root/name-2`, ... that does not exist."""
    name = name.replace("/", "-").replace(":", "-")
    candidate = Path(root) / name
    number = 2
    while candidate.exists():
        candidate = Path(root) / f"{name}-{number}"
        number += 1
    return candidate
