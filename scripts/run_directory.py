"""The folder of one training run: its settings, versions and results.

```
run.json          agent, source, hyperparameters, seed, budget, evaluation, threads, versions
config.toml       the settings, for `envzoo train --config`
metrics.jsonl     metrics, one row per iteration
metrics.csv       the same as a table, with --csv
tensorboard/      the same metrics for TensorBoard
checkpoints/      the latest checkpoints, from which the run can be resumed
agent.zip         the trained agent
results.json      the final evaluation, written last; it marks the run as finished
.lock             exists while a process writes to the run
```
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from envzoo.agents import checkpoint
from envzoo.agents.agent import is_json
from envzoo.agents.callbacks.checkpoints import list_checkpoints
from envzoo.agents.threads import MAX_THREADS
from envzoo.errors import CheckpointError, EnvzooError, RunDirectoryError, StorageError
from envzoo.files import reason, remove_leftovers, write_text
from envzoo.scripts.run_lock import RunLock

PACKAGES = ("envzoo", "gymnasium", "torch", "numpy", "numba", "minari")


def _is_int(value: Any, least: int, most: int | None = None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _is_int(value, 1)


# Requirements on each entry of run.json, as text and as a predicate.
FACTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "agent": ("a string", lambda value: isinstance(value, str)),
    "source": ("a string", lambda value: isinstance(value, str)),
    "env_kwargs": ("an object", lambda value: isinstance(value, dict)),
    "hyperparameters": ("an object", lambda value: isinstance(value, dict)),
    "given": ("an object", lambda value: isinstance(value, dict)),
    "seed": ("a non-negative integer", lambda value: _is_int(value, 0)),
    "timesteps": ("a positive integer", _positive),
    "threads": (f"an integer from 1 to {MAX_THREADS}", lambda value: _is_int(value, 1, MAX_THREADS)),
    "device": ("a string", lambda value: isinstance(value, str)),
    "eval_every": ("a non-negative integer", lambda value: _is_int(value, 0)),
    "eval_episodes": ("a positive integer", _positive),
    "eval_stochastic": ("true or false", lambda value: isinstance(value, bool)),
    "checkpoint_every": ("a positive integer or null", lambda value: value is None or _positive(value)),
    "stop_at": ("a number or null", lambda value: value is None or _is_number(value)),
}

# Entries that runs of earlier versions lack, with their requirements and the values that those runs had.
OPTIONAL_FACTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "wrapper": (
        "a list of strings",
        lambda value: isinstance(value, list) and all(isinstance(text, str) for text in value),
    ),
    "tag": ("a list of strings", lambda value: isinstance(value, list) and all(isinstance(tag, str) for tag in value)),
    "csv": ("true or false", lambda value: isinstance(value, bool)),
    "wandb": ("a string or null", lambda value: value is None or isinstance(value, str)),
}
FORMER_FACTS = {"wrapper": [], "tag": [], "csv": False, "wandb": None}


def check_facts(facts: dict[str, Any]) -> None:
    """Raise EnvzooError for facts of the wrong type, and for facts that JSON cannot represent."""
    for name, (expected, is_valid) in (FACTS | OPTIONAL_FACTS).items():
        if not is_valid(facts[name]):
            raise EnvzooError(f"{name} is {expected.replace('null', 'None')}, got {facts[name]!r}")
        if not is_json(facts[name]):
            raise EnvzooError(f"{name} of a run in a folder may only contain numbers, strings, lists and dicts")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect the results of a run."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def make_folder(path: Path) -> None:
    """Create a folder for runs and its parents; raise StorageError on failure."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise StorageError(f"the run directory {path} cannot be created ({reason(error)})") from error


class RunDirectory:
    """Paths and facts of a run folder; nothing is created before `writing`."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.facts_file = self.path / "run.json"
        self.config = self.path / "config.toml"
        self.metrics = self.path / "metrics.jsonl"
        self.csv = self.path / "metrics.csv"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.agent = self.path / "agent.zip"
        self.results = self.path / "results.json"

    @property
    def exists(self) -> bool:
        """Check whether a run was started in this folder."""
        try:
            return self.facts_file.is_file()
        except OSError as error:
            raise RunDirectoryError(f"{self.path} cannot be read ({reason(error)})") from error

    def check_free(self) -> None:
        """Raise RunDirectoryError if no run can be started in this folder.

        Raises:
            RunDirectoryError: The folder already holds a run, or other files.
        """
        if self.exists:
            raise RunDirectoryError(
                f"{self.path} already holds a run; use --resume to continue it or another --run-dir"
            )
        try:
            occupied = self.path.exists() and (not self.path.is_dir() or any(map(_matters, self.path.iterdir())))
        except OSError as error:
            raise RunDirectoryError(f"{self.path} cannot be read ({reason(error)})") from error
        if occupied:
            raise RunDirectoryError(f"{self.path} exists and is not an empty folder; choose another --run-dir")

    @contextmanager
    def writing(self, patience: float = 0.0) -> Iterator[None]:
        """Create the folder if necessary, and prevent other processes from writing to it inside the block.

        Args:
            patience: Seconds to wait for another process that writes to it.

        Raises:
            RunDirectoryError: Another process writes to it.
            StorageError: The folder cannot be created or written.
        """
        is_new = not self.path.exists()
        make_folder(self.path)
        lock = RunLock(self.path)
        lock.acquire(patience)
        try:
            written = (self.facts_file, self.config, self.metrics, self.csv, self.agent, self.results)
            remove_leftovers(self.path, tuple(path.name for path in written))
            remove_leftovers(self.checkpoints, ["checkpoint-*.zip"])
            yield
        finally:
            lock.release()
            if is_new:
                with suppress(OSError):  # removes only an empty folder
                    self.path.rmdir()

    def create(self, facts: dict[str, Any]) -> None:
        """Start a run in this folder; must be called inside `writing`.

        Raises:
            RunDirectoryError: The folder already holds a run, or other files.
            StorageError: The operating system refuses.
        """
        self.check_free()
        self._write_facts({**facts, "versions": versions()})

    def update(self, facts: dict[str, Any]) -> None:
        """Update facts that a resumed run has changed; must be called inside `writing`."""
        with suppress(FileNotFoundError):
            if facts["timesteps"] > self.facts()["timesteps"]:
                self.results.unlink()  # results of the smaller budget; without them the run is not finished
        self._write_facts(facts)

    def _write_facts(self, facts: dict[str, Any]) -> None:
        write_text(self.facts_file, json.dumps(facts, indent=2) + "\n")

    def facts(self) -> dict[str, Any]:
        """Read the facts written by `create`.

        Raises:
            RunDirectoryError: There is no run in this folder, or its file is damaged.
        """
        if not self.exists:
            raise RunDirectoryError(f"{self.path} holds no run: there is no run.json in it")
        try:
            facts = json.loads(self.facts_file.read_text())
            missing = [name for name in FACTS if name not in facts]
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise RunDirectoryError(f"{self.facts_file} is damaged ({error})") from None
        if not isinstance(facts, dict) or missing:
            raise RunDirectoryError(f"{self.facts_file} is damaged (it lacks {', '.join(missing) or 'names'})")
        facts = {**FORMER_FACTS, **facts}
        for name, (expected, is_valid) in (FACTS | OPTIONAL_FACTS).items():
            if not is_valid(facts[name]):
                found = json.dumps(facts[name])
                raise RunDirectoryError(f"{self.facts_file} is damaged ({name} is {found[:40]}, expected {expected})")
        return facts

    def finished(self) -> tuple[dict[str, Any], int] | None:
        """Return the metrics and timesteps of a finished run, or None if the run is unfinished."""
        try:
            metrics = json.loads(self.results.read_text())
            timesteps = checkpoint.read_header(self.agent)["num_timesteps"]
        except (OSError, ValueError, KeyError):  # CheckpointError is a ValueError: damaged files are written again
            return None
        return (metrics, timesteps) if isinstance(metrics, dict) and _is_int(timesteps, 0) else None

    def latest_checkpoint(self) -> Path | None:
        """Return the newest checkpoint, or None."""
        found = list_checkpoints(self.checkpoints)
        return found[-1] if found else None

    def load_newest(self, load: Callable[[Path], Any]) -> tuple[Any, list[str]]:
        """Load the newest undamaged checkpoint with `load`; None if there is no checkpoint.

        Damaged checkpoints are skipped and renamed, so that they are not tried again.

        Returns:
            The loaded object, and a sentence for each skipped checkpoint.

        Raises:
            CheckpointError: All checkpoints are damaged, or the newest undamaged one is rejected for another reason.
        """
        damaged: list[tuple[Path, CheckpointError]] = []
        for path in reversed(list_checkpoints(self.checkpoints)):
            try:
                loaded = load(path)
            except CheckpointError:
                try:
                    checkpoint.read(path)
                except CheckpointError as error:
                    damaged.append((path, error))
                    continue
                raise  # it is undamaged, but belongs to another run
            sentences = []
            for torn, error in damaged:
                with suppress(OSError):
                    torn.replace(torn.with_name(f"{torn.name}.damaged"))
                sentences.append(f"{error}; the run continues from {path.name}, the checkpoint before it")
            return loaded, sentences
        if damaged:
            raise damaged[0][1]
        return None, []

    def trained_agent(self) -> Path:
        """Return the path of the finished agent, or of the newest checkpoint of an unfinished run.

        Raises:
            RunDirectoryError: Neither exists.
        """
        self.facts()
        path = self.agent if self.agent.is_file() else self.latest_checkpoint()
        if path is None:
            raise RunDirectoryError(f"{self.path} has no trained agent and no checkpoint yet")
        return path


def _matters(path: Path) -> bool:
    """Check whether a file is more than a leftover of a run that was killed before it began."""
    return path.name != ".lock" and not (path.name.startswith(".run.json.") and path.name.endswith(".tmp"))


def free_directory(root: str | os.PathLike, name: str) -> Path:
    """Return the first of `root/name`, `root/name-2`, ... that does not exist."""
    name = name.replace("/", "-").replace(":", "-")
    candidate = Path(root) / name
    number = 2
    while candidate.exists():
        candidate = Path(root) / f"{name}-{number}"
        number += 1
    return candidate
