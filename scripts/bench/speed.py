"""Run every benchmark and write the files from which docs/speed.md is made (`make speed`).

    python -P -m envzoo.scripts.bench.speed                      # all, about half an hour on an idle machine
    python -P -m envzoo.scripts.bench.speed --quick --names env  # a short form of one

Each benchmark runs in a process of its own, so that none inherits the compiled code, threads or memory of another. A
benchmark that fails keeps its former file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from envzoo.errors import EnvzooError, unknown
from envzoo.scripts.bench import BENCHMARKS


@dataclass(frozen=True)
class SpeedOptions:
    """Measure everything, and make docs/speed.md and the numbers of the README anew."""

    names: tuple[str, ...] = tuple(BENCHMARKS)
    """Benchmarks to run."""
    quick: bool = False
    """Use the short forms, which the page marks as such."""
    machine: str = ""
    """Folder of docs/bench for the results of a second machine, which the page sets beside those of the first."""
    root: Path = Path()
    """Root of envzoo's repository."""


def measure_all(options: SpeedOptions) -> list[str]:
    """Run the benchmarks; returns the names of those that failed."""
    for name in options.names:
        if name not in BENCHMARKS:
            raise unknown("benchmark", name, BENCHMARKS)
    if options.machine and not re.fullmatch(r"[a-z0-9][a-z0-9-]*", options.machine):
        raise EnvzooError(f"--machine is a name of small letters, digits and hyphens, got {options.machine!r}")
    folder = options.root / "docs" / "bench" / options.machine
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.names:
        print(f"bench {name}", flush=True)
        command = [sys.executable, "-P", "-m", "envzoo.scripts.cli", "bench", name]
        command += ["--json", str(folder / f"{name}.json"), *(["--quick"] if options.quick else [])]
        # One thread each; the affinity of a process is left to the benchmarks that need it.
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        if subprocess.run(command, env=env).returncode:
            failed.append(name)
    return failed


def main() -> int:
    """Run the command; returns the exit status."""
    from envzoo.scripts.docs.builder import build_docs, check_root

    try:
        options = tyro.cli(SpeedOptions, prog="speed")
        check_root(options.root)
        failed = measure_all(options)
        build_docs(options.root)
    except (EnvzooError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if failed:
        print(f"failed, and left as before: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
