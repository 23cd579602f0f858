"""Implement `envzoo reproduce`: run a paper's experiment, write the results, and report whether the claim holds."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from envzoo.errors import EnvzooError
from envzoo.scripts.experiments import comparisons, find_experiment, numbers
from envzoo.scripts.experiments.core.execution import run_experiment
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.renewal import renew
from envzoo.scripts.experiments.core.report import (
    format_bound,
    format_interval,
    format_number,
    format_verdict,
    write_results,
)
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.store import Store
from envzoo.scripts.experiments.core.verdicts import EXIT_CODES, verdict_of
from envzoo.scripts.launch import Launcher
from envzoo.scripts.run_lock import RunLock

ALL = "all"


@dataclass(frozen=True)
class ReproduceOptions:
    """Reproduce the central claim of a paper: exit code 0 if it holds, 1 if it fails, 3 if it remains undecided.

    Every run is stored when it ends, so an interrupted experiment continues where it stopped, and a finished one
    reruns only the arms whose settings or code have changed. PAPER is a number, the name of a comparison, or `all`.
    """

    quick: bool = False
    """Use fewer seeds and smaller budgets, for under a minute; print values without a verdict and exit with 0."""
    out: str | None = None
    """Folder for results.json, table.md and figure.png; None uses runs/reproduce. With `all`, their parent: `--out
    docs/papers` then reruns what is missing or stale in the documentation."""
    groups: tuple[str, ...] = ()
    """Groups of arms to run now; checks of the others are marked as not run, until a later call runs them. Default: all
    groups."""
    seeds: int | None = None
    """Number of seeds (of `--groups`, if given); None uses the number of the experiment."""
    until_decided: bool = False
    """While a primary check is inconclusive, increase the seeds (of `--groups`, if given) 2, 4 and 8 times, and judge
    by 98.75% intervals."""
    fresh: bool = False
    """Ignore stored results and run everything."""
    renew: bool = False
    """Rerun one seed of each stale arm; if all numbers are identical, mark the stored runs as current."""
    renew_seeds: int = 1
    """Seeds of each stale arm that `--renew` compares, at most those that are stored."""
    before: str | None = None
    """Folder of a checkout, with its .venv, of the code that made the stored results: `--renew` then compares with what
    it computes on this machine, because other processors round the last digits otherwise."""
    launcher: Launcher = "processes"
    """How jobs are run: processes (on this machine), ray (on a cluster, extra `ray`) or inline (sequentially)."""
    processes: int | None = None
    """Number of concurrent runs; None uses one per core."""


def reproduce(paper: str, options: ReproduceOptions | None = None, console: Console | None = None) -> int:
    """Run the experiment of a paper, or of all papers.

    Args:
        paper: Number of the paper ("09" or "9"), name of a comparison, or "all".
        options: See `ReproduceOptions`.
        console: Console to print to; None uses standard output.

    Returns:
        Exit code: 0 if the claim holds (or the run is quick), 1 if it fails, 3 if it is undecided.

    Raises:
        UnknownNameError: There is no experiment for this paper.
        EnvzooError: The folder cannot be written, or an option is out of range.
    """
    options = options or ReproduceOptions()
    console = console or Console()
    if options.before is not None and not options.renew:
        raise EnvzooError("--before is the code with which --renew compares; without --renew nothing is compared")
    if paper == ALL:
        return _reproduce_all(options, console)
    return reproduce_experiment(find_experiment(paper), options, console=console)


def _reproduce_all(options: ReproduceOptions, console: Console) -> int:
    root = Path(options.out) if options.out is not None else Path("runs", "reproduce")
    codes, began = [], time.perf_counter()
    for name in (*numbers(), *comparisons()):
        experiment = find_experiment(name)
        folder, page = root / (f"{name}-quick" if options.quick else name), root / experiment.paper.slug
        if page.is_dir() and not options.quick:
            folder = page
        codes.append(reproduce_experiment(experiment, replace(options, out=str(folder)), console=console))
    console.print(f"{len(codes)} experiments in {time.perf_counter() - began:.0f} s.")
    return next((code for code in (1, 3) if code in codes), 0)


def reproduce_experiment(
    experiment: Experiment, options: ReproduceOptions | None = None, *, console: Console | None = None
) -> int:
    """Run `reproduce` for an experiment object, registered or not."""
    options = options or ReproduceOptions()
    console = console or Console()
    label = experiment.paper.label or "paper"
    name = f"{label}-quick" if options.quick else label
    folder = Path(options.out) if options.out is not None else Path("runs", "reproduce", name)
    _check_writable(folder)  # checked before minutes of work
    lock = RunLock(folder)
    lock.acquire()
    try:
        return _reproduce(experiment, options, folder, console)
    finally:
        lock.release()


def _reproduce(experiment: Experiment, options: ReproduceOptions, folder: Path, console: Console) -> int:
    console.print(f"[bold]{experiment.paper.title}[/] ({experiment.paper.authors}, {experiment.paper.year})")
    console.print(f"{experiment.question} [italic]{experiment.claim}[/]")
    columns = (TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def on_done(finished: int, total: int, name: str) -> None:
            progress.update(task, completed=finished, total=total, description=f"finished {name}")
            if not console.is_terminal:  # a progress bar does not work in a log file
                console.print(f"finished {finished} of {total}: {name}", soft_wrap=True, highlight=False)

        where = {"launcher": options.launcher, "processes": options.processes, "on_done": on_done}
        if options.renew:
            for sentence in renew(experiment, folder, options.renew_seeds, before=options.before, **where):
                console.print(sentence, soft_wrap=True, highlight=False)
        results = run_experiment(
            experiment,
            quick=options.quick,
            groups=options.groups,
            seeds=options.seeds,
            until_decided=options.until_decided,
            fresh=options.fresh,
            folder=folder,
            **where,
        )
    paths = write_results(experiment, results, folder)
    Store(folder).clear()
    _report(console, results, paths)
    return EXIT_CODES[results.verdict]


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvzooError(f"the output folder {folder} cannot be made ({error.strerror})") from error
    if not os.access(folder, os.W_OK):
        raise EnvzooError(f"the output folder {folder} cannot be written to")


COLOURS = {"holds": "green", "fails": "bold red", "inconclusive": "yellow", "not run": "yellow", "not judged": "dim"}


def _report(console: Console, results: Results, paths: dict[str, Path]) -> None:
    data = results.data
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("check")
    for heading in ("value", "interval", "bound"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for check in data["checks"]:
        colour, mark = COLOURS[verdict_of(check)], "* " if check["primary"] else ""
        verdict = f"[{colour}]{format_verdict(check).replace('*', '')}[/]"
        shown = (format_number(check["value"]), escape(format_interval(check["interval"])), escape(format_bound(check)))
        table.add_row(mark + check["sentence"], *shown, verdict)
    console.print(table)
    if any(check["primary"] for check in data["checks"]):
        console.print("[dim]* primary: decides the verdict[/]")
    runs = sum(len(arm["runs"]) for arm in data["arms"].values())
    console.print(f"[bold]{results.sentence}[/] {runs} runs, {data['seconds']:.0f} s of computing.")
    for kind, path in paths.items():
        console.print(f"[dim]{kind:>8}[/] {path}", soft_wrap=True, highlight=False)


def command(argv: list[str]) -> int:
    """Run `envzoo reproduce` with the given arguments; return the exit code."""
    from envzoo.scripts.cli import parse, split_positional

    positional, flags = split_positional(argv)
    options, _ = parse(ReproduceOptions, flags, prog="envzoo reproduce PAPER")
    if len(positional) != 1:
        raise EnvzooError("envzoo reproduce takes the number of one paper, or `all`; `envzoo list papers` shows them")
    return reproduce(positional[0], options)


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["reproduce", *sys.argv[1:]]))
