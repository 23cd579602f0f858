"""The page of measured speed, and the sentence about it in the README."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envzoo.scripts.bench import BENCHMARKS
from envzoo.scripts.bench.report import Row
from envzoo.scripts.docs.links import GENERATED
from envzoo.scripts.experiments.core.report import format_number
from envzoo.scripts.markdown import blocks, table

# What the README names, if it is measured: a benchmark, the beginning of a row's name, and words for the peer.
HEADLINES = (
    ("env", "gymnax", "gymnax"),
    ("env", "EnvPool", "EnvPool"),
    ("env", "SyncVectorEnv", "Gymnasium's `SyncVectorEnv`"),
    ("train", "PPO on CartPole-v1, 8 environments, 64-64, Stable-Baselines3", "Stable-Baselines3's PPO"),
)


def measurements(root: Path, machine: str = "") -> dict[str, dict[str, Any]]:
    """Read the committed results by file name, in the order of the benchmarks; other files come last.

    Args:
        root: Root of the repository.
        machine: Folder of docs/bench with the results of another machine; "" for those of the page's own.
    """
    files = {file.stem: file for file in sorted((root / "docs" / "bench" / machine).glob("*.json"))}
    order = [name for name in BENCHMARKS if name in files] + [name for name in files if name not in BENCHMARKS]
    return {name: json.loads(files[name].read_text(encoding="utf-8")) for name in order}


def _rows(data: Mapping[str, Any]) -> list[tuple[str, Row]]:
    return [(name, Row(**row)) for name, rows in data["rows"].items() for row in rows]


def _outcome(row: Row) -> str:
    if row.target is None:
        return "no target"
    return f">= {row.target:g}, {'met' if row.passed else '**missed**'}"


def comparison(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Make the table of all peers: those that won first."""
    rows = [(name, row) for data in found.values() for name, row in _rows(data) if row.ratio is not None]
    lines = []
    for name, row in sorted(rows, key=lambda pair: pair[1].ratio):
        faster = "the peer" if row.ratio < 1 else "envzoo"
        lines.append((f"`{name}`", row.name, f"{row.ratio:.2f}", faster, _outcome(row)))
    return table(("bench", "peer", "ours / peer", "faster", "target"), lines)


def _compared(found: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str, int], Row]:
    """Collect the rows with a ratio by benchmark, name, and number among the rows of this name."""
    rows: dict[tuple[str, str, int], Row] = {}
    for name, row in (pair for data in found.values() for pair in _rows(data)):
        number = next(k for k in itertools.count() if (name, row.name, k) not in rows)
        rows[name, row.name, number] = row
    return {key: row for key, row in rows.items() if row.ratio is not None}


def other_machine(found: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> str:
    """Make the table of the peers that two machines have measured, with both ratios."""
    here, lines = _compared(found), []
    for key, row in _compared(other).items():
        if key in here:
            lines.append((f"`{key[0]}`", row.name, f"{here[key].ratio:.2f}", f"{row.ratio:.2f}", _outcome(row)))
    return table(("bench", "peer", "ours / peer, above", "ours / peer, here", "target"), lines)


def _other_machines(root: Path, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write a section for every machine with a folder of its own."""
    parts = []
    for folder in sorted(path for path in (root / "docs" / "bench").glob("*") if path.is_dir()):
        other = measurements(root, folder.name)
        processors = sorted({data["conditions"]["processor"] for data in other.values()})
        facts = sorted({(d["conditions"]["date"], d["conditions"].get("load", "not known")) for d in other.values()})
        days, loads = sorted({day for day, _ in facts}), [load.split()[0] for _, load in facts]
        parts += [
            f"## On another machine: {'; '.join(processors)}",
            f"Measured on {' and '.join(days)}, with a load of {min(loads)} to {max(loads)} (means of 15 minutes, the "
            f'benchmark included), by `make speed SPEED_ARGS="--machine {folder.name}"`.',
            other_machine(found, other),
        ]
    return parts


def speed_page(root: Path) -> str:
    """Write the page of the committed results of benchmarks."""
    found, parts = measurements(root), []
    for stem, data in found.items():
        facts = ", ".join(f"{name} {value}" for name, value in data["conditions"].items())
        for name, rows in data["rows"].items():
            lines = []
            for row in (Row(**row) for row in rows):
                ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
                target = "" if row.target is None or row.ratio is None else _outcome(row)
                value = "" if math.isnan(row.value) else format_number(row.value)
                lines.append((row.name, value, row.unit, ratio, target, row.note))
            columns = ("subject", "measured", "unit", "ours / peer", "target", "note")
            source = f"`envzoo bench {name}`" + ("" if stem == name else f" ({stem})")
            parts += [f"## {source}", f"{facts}.", table(columns, lines)]
    return blocks(
        "# Speed",
        GENERATED,
        "Measured by `make speed`, which runs `envzoo bench NAME --json docs/bench/NAME.json` for every benchmark, ours"
        " and the peer in turns in one run. Times drift from machine to machine; the ratios are what to compare. Wide"
        " networks and language models gain more on those of AMD's processors on which MKL, PyTorch's library for"
        " matrix products, does not use the widest vectors.",
        "## All peers, the closest first",
        comparison(found),
        *_other_machines(root, found),
        *parts,
    )


def has_peers(root: Path) -> bool:
    """Tell whether anything was compared with a peer, also in a short run."""
    return any(row.ratio is not None for data in measurements(root).values() for _, row in _rows(data))


def headline(root: Path) -> str:
    """Format the speed ratios to well-known peers from full-length benchmarks; "" if there are none."""
    found = {stem: data for stem, data in measurements(root).items() if "form" not in data["conditions"]}
    parts = []
    for bench, beginning, words in HEADLINES:
        rows = [row for name, row in _rows(found.get(bench, {"rows": {}})) if name == bench and row.ratio is not None]
        ratio = next((row.ratio for row in rows if row.name.startswith(beginning)), None)
        if ratio is not None:
            parts.append(f"{ratio:.3g} times {words}")
    return ", ".join(parts)
