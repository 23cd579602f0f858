"""`envzoo reproduce`: run a paper's experiment, write its results, and say whether the claim holds."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from envzoo.errors import EnvzooError
from envzoo.scripts.experiments import find_experiment
from envzoo.scripts.experiments.execution import format_number, run_experiment, write_results
from envzoo.scripts.experiments.experiment import Experiment, Results
from envzoo.scripts.launch import Launcher

HOLDS, DOES_NOT_HOLD = 0, 1


def reproduce(
    paper: str,
    quick: bool = False,
    out: str | os.PathLike | None = None,
    launcher: Launcher = "processes",
    processes: int | None = None,
    seeds: int | None = None,
    console: Console | None = None,
) -> int:
    """Run the experiment of a paper.

    Args:
        paper: Number of the paper ("09" or "9").
        quick: Fewer seeds and shorter budgets, under a minute.
        out: Folder for results.json, table.md and figure.png; None takes runs/reproduce/PAPER, or PAPER-quick.
        launcher: "processes", "ray" or "inline".
        processes: How many runs at a time; None: one for each core.
        seeds: Number of seeds, in place of the experiment's.
        console: Where to print; None takes the standard output.

    Returns:
        Exit code: 0 when every check holds, 1 when one does not.

    Raises:
        UnknownNameError: No experiment for this paper.
        EnvzooError: A folder that cannot be written, or bad numbers.
    """
    found = find_experiment(paper)
    return reproduce_experiment(
        found,
        quick=quick,
        out=out,
        launcher=launcher,
        processes=processes,
        seeds=seeds,
        console=console,
    )


def reproduce_experiment(
    experiment: Experiment,
    *,
    quick: bool = False,
    out: str | os.PathLike | None = None,
    launcher: Launcher = "processes",
    processes: int | None = None,
    seeds: int | None = None,
    console: Console | None = None,
) -> int:
    """`reproduce` for an experiment object, registered or not."""
    console = console or Console()
    number = experiment.paper.number or experiment.paper.arxiv or "paper"
    folder = Path(out) if out is not None else Path("runs", "reproduce", f"{number}-quick" if quick else number)
    _check_writable(folder)  # before minutes of work, not after
    console.print(f"[bold]{experiment.paper.title}[/] ({experiment.paper.authors}, {experiment.paper.year})")
    console.print(f"{experiment.question} [italic]{experiment.claim}[/]")
    columns = (TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def on_done(finished: int, total: int, name: str) -> None:
            progress.update(task, completed=finished, total=total, description=f"finished {name}")
            if not console.is_terminal:  # a log file shows no bar
                console.print(f"finished {finished} of {total}: {name}", soft_wrap=True, highlight=False)

        results = run_experiment(
            experiment, quick=quick, seeds=seeds, launcher=launcher, processes=processes, on_done=on_done
        )
    paths = write_results(experiment, results, folder)
    _report(console, results, paths)
    return HOLDS if results.data["holds"] else DOES_NOT_HOLD


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvzooError(f"the output folder {folder} cannot be made ({error.strerror})") from error
    if not os.access(folder, os.W_OK):
        raise EnvzooError(f"the output folder {folder} cannot be written to")


def _report(console: Console, results: Results, paths: dict[str, Path]) -> None:
    data = results.data
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("check")
    table.add_column("measured", justify="right")
    table.add_column("bound", justify="right")
    table.add_column("")
    for check in data["checks"]:
        verdict = "[green]holds[/]" if check["holds"] else "[bold red]does not hold[/]"
        bound = f"{check['operator']} {format_number(check['threshold'])}"
        table.add_row(check["sentence"], format_number(check["value"]), bound, verdict)
    console.print(table)
    runs = len(data["arms"]) * len(data["seeds"])
    colour = "green" if data["holds"] else "red"
    console.print(f"[bold {colour}]{results.verdict}[/] {runs} runs in {data['seconds']:.0f} s.")
    for kind, path in paths.items():
        console.print(f"[dim]{kind:>8}[/] {path}", soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class ReproduceOptions:
    """Rerun the central claim of a paper; the exit code is 0 when every check holds and 1 when one does not."""

    quick: bool = False
    """Fewer seeds and shorter budgets: under a minute."""
    out: str | None = None
    """Folder for results.json, table.md and figure.png; None takes runs/reproduce/PAPER."""
    seeds: int | None = None
    """Number of seeds; None takes the experiment's."""
    launcher: Launcher = "processes"
    """Where the runs happen: processes (on this machine), ray (a cluster, extra `ray`) or inline."""
    processes: int | None = None
    """How many runs at a time; None takes one per core."""


def command(argv: list[str]) -> int:
    """Run `envzoo reproduce` with the given arguments; returns the exit code."""
    from envzoo.scripts.cli import parse, split_positional

    positional, flags = split_positional(argv)
    options, _ = parse(ReproduceOptions, flags, prog="envzoo reproduce PAPER")
    if len(positional) != 1:
        raise EnvzooError("envzoo reproduce takes the number of one paper; `envzoo list papers` shows them")
    return reproduce(positional[0], options.quick, options.out, options.launcher, options.processes, options.seeds)


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["reproduce", *sys.argv[1:]]))
