"""The page of measured speed."""

from __future__ import annotations

import json
from pathlib import Path

from envzoo.scripts.bench.report import Row
from envzoo.scripts.docs.links import GENERATED
from envzoo.scripts.experiments.core.report import format_number
from envzoo.scripts.markdown import blocks, table


def speed_page(root: Path) -> str:
    """Write the page of the committed results of benchmarks."""
    parts = []
    for file in sorted((root / "docs" / "bench").glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        facts = ", ".join(f"{name} {value}" for name, value in data["conditions"].items())
        for name, rows in data["rows"].items():
            lines = []
            for row in (Row(**row) for row in rows):
                ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
                target = "" if row.target is None else f">= {row.target:g}, {'met' if row.passed else '**missed**'}"
                lines.append((row.name, format_number(row.value), row.unit, ratio, target, row.note))
            columns = ("subject", "measured", "unit", "ours / peer", "target", "note")
            parts += [f"## `envzoo bench {name}` ({file.stem})", f"{facts}.", table(columns, lines)]
    return blocks(
        "# Speed",
        GENERATED,
        "Measured by `envzoo bench NAME --json FILE`, ours and the peer in turns in one run. Times drift from machine "
        "to machine; the ratios are what to compare.",
        *parts,
    )
