"""Write the results of an experiment: results.json, a Markdown report, and the figure."""

from __future__ import annotations

import io
import json
import math
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envzoo.errors import EnvzooError
from envzoo.files import write_bytes, write_text
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.formats import (
    format_bound,
    format_confidence,
    format_interval,
    format_number,
    format_verdict,
)
from envzoo.scripts.experiments.core.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_results(experiment: Experiment, results: Results, out: Path) -> dict[str, Path]:
    """Write results.json, table.md, figure.png and hero.png into a folder, each atomically."""
    names = {"results": "results.json", "table": "table.md", "figure": "figure.png", "hero": "hero.png"}
    paths = {kind: out / name for kind, name in names.items()}
    write_text(paths["results"], to_json(results.data) + "\n")
    write_text(paths["table"], to_markdown(experiment, results))
    write_bytes(paths["figure"], draw(experiment, results))
    write_bytes(paths["hero"], draw_hero(results))
    return paths


def read_results(folder: Path) -> Results:
    """Read the results that `write_results` wrote to a folder, for new tables or figures.

    Raises:
        EnvzooError: There are no results, or they are damaged.
    """
    try:
        return Results(json.loads((folder / "results.json").read_text()))
    except (OSError, ValueError) as error:
        raise EnvzooError(f"{folder} holds no readable results.json; `envzoo reproduce` writes it") from error


def draw(experiment: Experiment, results: Results) -> bytes:
    """Draw the figure as a PNG."""
    return _to_png(lambda figure: experiment.figure(results, figure))


def draw_hero(results: Results) -> bytes:
    """Draw the hero panel, the primary checks with their intervals and bounds, as a PNG."""
    from envzoo.scripts.experiments.core import hero

    return _to_png(lambda figure: hero.draw_hero(results, figure))


def _to_png(paint: Callable[[Figure], None]) -> bytes:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from envzoo.scripts.experiments.core.figures import STYLE

    # pyplot is not used, because it keeps global state and requires a display backend.
    with rc_context(STYLE):
        figure = Figure(layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        FigureCanvasAgg(figure)
        paint(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def to_json(value: Any, indent: int = 0) -> str:
    """Format JSON with one line per dict entry, and lists of plain values on one line; NaN becomes null."""
    pad = "  " * (indent + 1)
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        rows = [f"{pad}{json.dumps(str(key))}: {to_json(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + "  " * indent + "}"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            rows = [pad + to_json(item, indent + 1) for item in value]
            return "[\n" + ",\n".join(rows) + "\n" + "  " * indent + "]"
        return "[" + ", ".join(to_json(item) for item in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    return json.dumps(value)


def opening(experiment: Experiment, results: Results) -> list[str]:
    """Build the first lines of a page: the claim, the verdict, and the reason."""
    lines = [f"**Claimed.** {experiment.claim}", "", f"**Found.** {results.sentence}", ""]
    return [*lines, f"**Why.** {experiment.reason}", ""] if experiment.reason else lines


def check_rows(checks: list[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Build the rows of the table of checks: sentence, value, interval, seeds, bound, verdict."""
    rows = []
    for check in checks:
        mark = "**primary.** " if check.get("primary") else ""
        shown = (format_number(check["value"]), format_interval(check.get("interval")), str(check.get("n") or ""))
        rows.append((f"{mark}{check['sentence']}", *shown, format_bound(check), format_verdict(check)))
        for part in check.get("components", ()):
            shown = (format_number(part["value"]), format_interval(part.get("interval")), str(part.get("n") or ""))
            rows.append((f"- {part['sentence']}", *shown, format_bound(part), format_verdict(part)))
    return rows


CHECK_HEADS = ("check", "value", "95% interval", "seeds", "bound", "verdict")


def to_markdown(experiment: Experiment, results: Results) -> str:
    """Build the report: claim and verdict, then the checks, the figure and the tables."""
    data, paper = results.data, experiment.paper
    source = f", [{paper.arxiv}]({paper.url})" if paper.arxiv else ""
    heads = list(CHECK_HEADS)
    looks = data.get("looks", 1)
    heads[2] = f"{format_confidence(data['checks'])} interval"
    lines = [
        f"# {paper.title}",
        "",
        f"{paper.authors}, {paper.year}{source}. {experiment.question}",
        "",
        *opening(experiment, results),
        "| " + " | ".join(heads) + " |",
        "|---|---:|---:|---:|---:|:---:|",
        *("| " + " | ".join(row) + " |" for row in check_rows(data["checks"])),
        "",
    ]
    claims = [(check["sentence"], check["paper_claim"]) for check in data["checks"] if check.get("paper_claim")]
    if claims:
        lines += ["What the paper claims, where our bound differs:", ""]
        lines += [f"- {sentence}: {claim}" for sentence, claim in claims] + [""]
    lines += ["![Results](figure.png)", ""]
    for table in experiment.tables:
        lines += _markdown_table(table, results)
    lines += ["Interquartile means over the seeds of each arm, with 95% stratified bootstrap intervals."]
    if looks > 1:
        groups = data.get("looked_at", [])
        what = f" of the group{'s' * (len(groups) > 1)} {', '.join(groups)}" if groups else ""
        lines += [f"\nThe results{what} were looked at {looks} times, with 98.75% intervals for their verdicts."]
    lines += [f"\n{note}" for note in experiment.notes]
    if experiment.superseded:
        lines += ["", "## Superseded", "", "| check | last value | bound | why it is gone |", "|---|---:|---:|---|"]
        for old in experiment.superseded:
            lines.append(f"| {old.sentence} | {format_number(old.value)} | {old.bound} | {old.reason} |")
    commands = [f"envzoo reproduce {paper.label}{' --quick' if data['quick'] else ''}"]
    if looks > 1:
        groups = shlex.join(["--groups", *data["looked_at"]]) + " " if "looked_at" in data else ""
        commands.append(f"envzoo reproduce {paper.label} {groups}--until-decided")
    again = ", then ".join(f"`{command}`" for command in commands)
    lines += ["", f"To run it again: {again}. All numbers, hyperparameters and versions: `results.json`.", ""]
    return "\n".join(lines)


def _format_derived(value: float | str) -> str:
    return value if isinstance(value, str) else format_number(value)


def _markdown_table(table: Table, results: Results) -> list[str]:
    arms = [arm for arm in table.arms if arm in results.arms] if table.arms else results.group(table.group)
    if not arms:
        return []
    expected = [table.expected_heading] if table.expected else []
    heads = ["arm", *table.columns.values(), *table.derived, *expected, "steps", "seeds"]
    lines = [f"## {table.title}", "", "| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name in arms:
        cells = [name]
        for score in table.columns:
            if results.has(name, score):
                iqm, low, high = (format_number(value) for value in results.estimate(name, score))
                cells.append(f"{iqm} [{low}, {high}]")
            else:
                cells.append("-")
        cells += [_format_derived(compute(results, name)) for compute in table.derived.values()]
        if table.expected:
            cells.append(format_number(table.expected.get(name)))
        steps = results.data["arms"][name]["timesteps"]
        seeds = str(len(results.data["arms"][name]["runs"]))
        lines.append("| " + " | ".join([*cells, f"{steps:,}" if steps else "-", seeds]) + " |")
    return [*lines, ""]
