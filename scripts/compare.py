"""Implement `envzoo compare RUN_DIR...`: final scores of several agents, with intervals over seeds."""

from __future__ import annotations

import io
import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envzoo.errors import EnvzooError, RunDirectoryError, shorten, unknown
from envzoo.files import write_bytes, write_text
from envzoo.scripts.experiments.core.intervals import Interval, interval
from envzoo.scripts.experiments.core.statistics import interquartile_mean, probability_of_improvement
from envzoo.scripts.plot import find_runs

LONGEST_LABEL = 40  # characters of a label in a printed table


@dataclass(frozen=True)
class CompareOptions:
    """Compare the final evaluations of finished runs: for each source a table of agents with 95% intervals over their
    seeds. Runs of an agent that differ in hyperparameters are separate rows."""

    metric: str | None = None
    """Score in results.json to compare; None uses normalised_score where all runs have it (those on datasets with
    reference scores), and return_mean otherwise."""
    baseline: str | None = None
    """Row that the others are compared with; None uses the first."""
    out: str | None = None
    """File of a figure to write; its extension determines the format (.png, .pdf, .svg)."""
    json: str | None = None
    """File to write the numbers to."""


class Row(NamedTuple):
    """Scores of one agent with one set of hyperparameters on one source.

    Attributes:
        label: The agent, and the hyperparameters by which it differs from others.
        scores: Score by seed.
        mean: Mean with its interval.
        iqm: Interquartile mean.
        difference: Mean difference from the baseline over the seeds that both have, or None.
        better: Probability that a run scores higher than one of the baseline, ties counted as half; None for itself.
    """

    label: str
    scores: dict[int, float]
    mean: Interval
    iqm: float
    difference: Interval | None
    better: float | None


def choose_metric(paths: list[str]) -> str:
    """Return the score to compare if none is named: the normalised one where all runs have it, or else the return."""
    return "return_mean" if _without_score(paths) else "normalised_score"


def _without_score(paths: list[str]) -> list[Path]:
    return [path for path in find_runs(paths) if "normalised_score" not in _results(path)]


def explain_returns(paths: list[str]) -> str | None:
    """Return a sentence on why runs on datasets are compared by their returns, or None if none of them are."""
    from envzoo.datasets import is_dataset_id
    from envzoo.scripts.run_directory import RunDirectory

    lacking = _without_score(paths)
    if not lacking:
        return None
    raw = [path for path in lacking if is_dataset_id(RunDirectory(path).facts()["source"])]
    if not raw and len(lacking) == len(find_runs(paths)):
        return None
    why = ", whose dataset has no usable reference scores" if raw else ""
    return f"the returns are compared as they are: there is no normalised score of {(raw or lacking)[0]}{why}"


def compare(paths: list[str], metric: str = "return_mean", baseline: str | None = None) -> dict[str, list[Row]]:
    """Compare finished runs.

    Args:
        paths: Run directories, or folders of them.
        metric: Score in results.json.
        baseline: Label of the row that the others are compared with; None uses the first of each source.

    Returns:
        Source -> rows in the order of the paths.

    Raises:
        RunDirectoryError: A path without a run, an unfinished run, or two runs with the same seed and settings.
        UnknownNameError: A run has no such score, or no row is named like the baseline.
    """
    from envzoo.scripts.run_directory import RunDirectory

    runs: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    facts_of = [(path, RunDirectory(path).facts()) for path in find_runs(paths)]
    for path, facts in facts_of:
        scores = _results(path)
        if metric not in scores:
            raise unknown(f"score of {path}", metric, scores)
        given = facts.get("env_kwargs") or {}
        source = shorten(facts["source"] + (f" {json.dumps(given)}" if given else ""))
        seeds = runs[source][_label(facts)]
        if facts["seed"] in seeds:
            raise RunDirectoryError(f"{path} repeats seed {facts['seed']} of {_label(facts)} on {source}")
        seeds[facts["seed"]] = float(scores[metric])
    return {source: _rows(groups, baseline) for source, groups in runs.items()}


def _results(path: Path) -> dict[str, Any]:
    try:
        scores = json.loads((path / "results.json").read_text())
    except FileNotFoundError:
        raise RunDirectoryError(f"{path} has no final evaluation yet; continue it with --resume") from None
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"results.json of {path} cannot be read ({shorten(str(error))})") from None
    if not isinstance(scores, dict):
        raise RunDirectoryError(f"results.json of {path} holds no scores")
    return {name: value for name, value in scores.items() if isinstance(value, int | float)}


def _label(facts: Mapping[str, Any]) -> str:
    given = facts.get("given") or {}
    settings = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(given.items()))
    return shorten(f"{facts['agent']}{f' ({settings})' if settings else ''}")


def _rows(groups: Mapping[str, dict[int, float]], baseline: str | None) -> list[Row]:
    first = next(iter(groups)) if baseline is None else baseline
    if first not in groups:
        raise unknown("row", first, groups)
    reference = groups[first]
    rows = []
    for label, scores in groups.items():
        values = np.array(list(scores.values()))
        shared = [seed for seed in scores if seed in reference]
        other = label != first
        difference = np.array([scores[seed] - reference[seed] for seed in shared])
        rows.append(
            Row(
                label,
                scores,
                interval(values),
                interquartile_mean(values),
                interval(difference) if other and shared else None,
                probability_of_improvement(values, np.array(list(reference.values()))) if other else None,
            )
        )
    return rows


# ---------------------------------------------------------------------------- output


def _text(found: Interval | None) -> str:
    if found is None:
        return "-"
    bounded = math.isfinite(found.low) and math.isfinite(found.high)
    return f"{found.value:.4g} " + (f"[{found.low:.4g}, {found.high:.4g}]" if bounded else "[one seed]")


def _short(labels: list[str]) -> dict[str, str]:
    """Return a name for each label: itself, or of a long one the agent with a number."""
    long = [label for label in labels if len(label) > LONGEST_LABEL]
    return {label: f"{label.split(' ')[0]} #{long.index(label) + 1}" if label in long else label for label in labels}


def show(table: Mapping[str, list[Row]], metric: str) -> None:
    """Print a table for each source; hyperparameters that would not fit into it stand below."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for source, rows in table.items():
        shown = Table(title=f"{source}: {metric}", title_justify="left", box=None, pad_edge=False, title_style="bold")
        for name in ("agent", "seeds", "mean [95%]", "IQM", "difference [95%]", "P(better)"):
            shown.add_column(name, overflow="fold")
        names = _short([row.label for row in rows])
        for row in rows:
            better = "-" if row.better is None else f"{row.better:.2f}"
            cells = (_text(row.mean), f"{row.iqm:.4g}", _text(row.difference), better)
            shown.add_row(names[row.label], str(len(row.scores)), *cells)
        console.print(shown, markup=False)
        for label, name in names.items():
            if name != label:
                console.print(f"{name}: {label.partition(' (')[2].removesuffix(')')}", markup=False, highlight=False)


def as_json(table: Mapping[str, list[Row]], metric: str) -> dict[str, Any]:
    """Return the numbers as JSON values; ends of intervals that do not exist are null."""

    def numbers(found: Interval | None) -> dict[str, Any] | None:
        if found is None:
            return None
        ends = [end if math.isfinite(end) else None for end in (found.low, found.high)]
        return {"value": found.value, "interval": ends, "method": found.method}

    rows = {
        source: [
            {
                "label": row.label,
                "scores": {str(seed): score for seed, score in sorted(row.scores.items())},
                "mean": numbers(row.mean),
                "iqm": row.iqm,
                "difference": numbers(row.difference),
                "probability_of_improvement": row.better,
            }
            for row in rows
        ]
        for source, rows in table.items()
    }
    return {"metric": metric, "sources": rows}


def draw(table: Mapping[str, list[Row]], metric: str, form: str) -> bytes:
    """Draw a panel for each source: means with their intervals, and a dot for each seed.

    Raises:
        UnknownNameError: Matplotlib does not write this format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = sum(0.9 + 0.35 * len(rows) for rows in table.values())
    figure = Figure(figsize=(7, height), layout="constrained", dpi=150)
    canvas = FigureCanvasAgg(figure)
    if form not in canvas.get_supported_filetypes():
        raise unknown("figure format", form, canvas.get_supported_filetypes())
    panels = figure.subplots(len(table), 1, squeeze=False, height_ratios=[1 + len(rows) for rows in table.values()])
    for axes, (source, rows) in zip(panels[:, 0], table.items(), strict=True):
        for place, row in enumerate(rows):
            values = list(row.scores.values())
            axes.scatter(values, [place] * len(values), s=9, color="0.35", zorder=4)
            if math.isfinite(row.mean.low) and math.isfinite(row.mean.high):
                axes.plot([row.mean.low, row.mean.high], [place, place], color="C0", linewidth=2, zorder=2)
            axes.scatter([row.mean.value], [place], s=64, color="C0", zorder=3)
        # Matplotlib reads text between dollar signs as a formula, and a file can contain any text.
        axes.set_yticks(range(len(rows)), [row.label.replace("$", r"\$") for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_title(source.replace("$", r"\$"), loc="left", fontsize=10)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", alpha=0.25)
    panels[-1, 0].set_xlabel(f"{metric}: mean with 95% interval, and every seed")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form)
    return buffer.getvalue()


def command(argv: list[str]) -> int:
    """Run `envzoo compare` with the given arguments; return the exit code."""
    from envzoo.scripts.cli import parse, split_positional

    positional, flags = split_positional(argv)
    options, _ = parse(CompareOptions, flags, prog="envzoo compare RUN_DIR...")
    if not positional:
        raise EnvzooError("envzoo compare takes one or more run directories")
    metric = choose_metric(positional) if options.metric is None else options.metric
    table = compare(positional, metric, options.baseline)
    if options.metric is None and (sentence := explain_returns(positional)):
        print(f"note: {sentence}", file=sys.stderr)
    show(table, metric)
    if options.json:
        write_text(options.json, json.dumps(as_json(table, metric), indent=1) + "\n")
    if options.out:
        write_bytes(options.out, draw(table, metric, Path(options.out).suffix.lstrip(".") or "png"))
        print(options.out)
    return 0


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["compare", *sys.argv[1:]]))
