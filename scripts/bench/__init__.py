"""Implement `envzoo bench`: benchmark envzoo against other packages; each module of this package is one benchmark."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from envzoo.errors import unknown

if TYPE_CHECKING:
    from rich.table import Table

    from envzoo.scripts.bench.report import Row

BENCHMARKS = {
    "env": ("envzoo.scripts.bench.environment", "Steps per second of the vector environment."),
    "coverage": ("envzoo.scripts.bench.coverage", "Speed of the coverage environments and of an epoch of SubPO."),
    "coupling": ("envzoo.scripts.bench.coupling", "Speed of minimum entropy couplings and of a coding game."),
    "surprise": ("envzoo.scripts.bench.surprise", "Steps per second of the surprise environments."),
    "bandits": ("envzoo.scripts.bench.bandits", "Planning and simulation of history-dependent bandits."),
    "tabular": ("envzoo.scripts.bench.tabular", "Sweeps, optima and steps of finite worlds, against other packages."),
    "memory": ("envzoo.scripts.bench.memory", "Memory worlds, sequence layers, 8-bit optimizers and diagnostics."),
    "offline": ("envzoo.scripts.bench.offline", "Updates of offline agents, neighbours, and loading of datasets."),
    "preference": ("envzoo.scripts.bench.preference", "Losses on pairs against TRL, self-play, and best-of-N."),
    "text": ("envzoo.scripts.bench.text", "Text: puzzles, GRPO against TRL, other methods against GRPO."),
    "scaling": ("envzoo.scripts.bench.scaling", "Overheads of runs on several machines, and a projection for 100."),
    "train": ("envzoo.scripts.bench.train", "Training speed of PPO and SAC."),
}

SHORT = "short (--quick), with few repetitions"


@dataclass(frozen=True)
class BenchOptions:
    """Measure speed against other packages in the same run; packages that are not installed are skipped."""

    json: str | None = None
    """Also write the results to this file, with the date, the machine and versions."""
    quick: bool = False
    """Use fewer repetitions."""


def run(name: str, quick: bool = False) -> list[Row]:
    """Run one benchmark; raise UnknownNameError if there is none of this name."""
    if name not in BENCHMARKS:
        raise unknown("benchmark", name, BENCHMARKS)
    return importlib.import_module(BENCHMARKS[name][0]).run(quick=quick)


def _table(name: str, rows: list[Row]) -> Table:
    from rich.table import Table

    description = importlib.import_module(BENCHMARKS[name][0]).DESCRIPTION
    table = Table(title=description, title_justify="left", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("subject", "value", "unit", "ours / peer", "target", "note"):
        table.add_column(column, justify="right" if column in ("value", "ours / peer", "target") else "left")
    for row in rows:
        value = "" if math.isnan(row.value) else f"{row.value:,.4g}" if abs(row.value) < 1000 else f"{row.value:,.0f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        target = "" if row.target is None else f">= {row.target:g}x " + ("met" if row.passed else "[red]missed[/]")
        table.add_row(row.name, value, row.unit, ratio, target, row.note)
    return table


def command(argv: list[str]) -> int:
    """Run `envzoo bench [NAME]`, or all benchmarks without a name; return the exit code."""
    import sys

    from rich.console import Console

    from envzoo.files import write_text
    from envzoo.scripts.bench.conditions import conditions
    from envzoo.scripts.cli import parse, parse_help, split_positional

    names, flags = split_positional(argv)
    if not names and {"-h", "--help"} & set(flags):
        summaries = {name: summary for name, (_, summary) in BENCHMARKS.items()}
        return parse_help("envzoo bench [NAME] [--quick] [--json FILE]", BenchOptions.__doc__, summaries, flags)
    options, _ = parse(BenchOptions, flags, prog="envzoo bench [NAME]")
    for name in names:
        if name not in BENCHMARKS:
            raise unknown("benchmark", name, BENCHMARKS)
    console = Console(width=None if sys.stdout.isatty() else 160)
    results = {}
    for name in names or BENCHMARKS:
        rows = run(name, options.quick)
        results[name] = [asdict(row) for row in rows]
        console.print(_table(name, rows))
    if options.json is not None:
        facts = conditions() | ({"form": SHORT} if options.quick else {})
        write_text(options.json, json.dumps({"conditions": facts, "rows": results}, indent=2) + "\n")
    return 0
