"""Implement `envzoo plot RUN_DIR...`: learning curves of runs, one line per agent and source over all seeds."""

from __future__ import annotations

import io
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envzoo.errors import EnvzooError, RunDirectoryError, shorten, unknown
from envzoo.files import write_bytes

PREFERRED = ("eval/return_mean", "rollout/return_mean")


@dataclass(frozen=True)
class PlotOptions:
    """Plot the learning curves of runs: the interquartile mean over seeds, and the range of all seeds as a band."""

    out: str = "learning_curves.png"
    """File to write; its extension determines the format (.png, .pdf, .svg)."""
    metric: str | None = None
    """Metric to plot; None uses the return of the evaluations, or else of the rollouts."""
    title: str | None = None
    """Title of the figure."""


def find_runs(paths: list[str]) -> list[Path]:
    """Find the run directories among the paths and directly below them, in order.

    Raises:
        RunDirectoryError: A path contains no run.
    """
    found = []
    for path in map(Path, paths):
        here = [path] if (path / "run.json").is_file() else sorted(p.parent for p in path.glob("*/run.json"))
        if not here:
            raise RunDirectoryError(f"{path} holds no run: there is no run.json in it or one level below")
        found += here
    return found


def _curve(rows: list[dict[str, float]], metric: str) -> np.ndarray:
    points = [(row["timesteps"], row[metric]) for row in rows if metric in row]
    return np.array(points, float).reshape(-1, 2)


def plot(
    paths: list[str], out: str = "learning_curves.png", metric: str | None = None, title: str | None = None
) -> Path:
    """Plot the runs below `paths` in one figure; see `PlotOptions`.

    Raises:
        RunDirectoryError: A path without a run.
        UnknownNameError: No run has this metric.
    """
    from envzoo.agents.callbacks.metrics_table import read_metrics
    from envzoo.scripts.run_directory import RunDirectory

    groups: dict[str, list[list[dict[str, float]]]] = defaultdict(list)
    for path in find_runs(paths):
        run = RunDirectory(path)
        facts = run.facts()
        # Matplotlib reads text between dollar signs as a formula, and a file can contain any text.
        label = shorten(f"{facts['agent']} on {facts['source']}").replace("$", r"\$")
        groups[label].append(read_metrics(run.metrics))
    names = {name for runs in groups.values() for rows in runs for row in rows for name in row}
    names -= {"iteration", "timesteps"}
    metric = metric or next((name for name in PREFERRED if name in names), None)
    if metric is None:
        raise EnvzooError("these runs have no return to draw yet; name a metric with --metric")
    if metric not in names:
        raise unknown("metric", metric, names)
    write_bytes(out, _draw(groups, metric, title, Path(out).suffix.lstrip(".") or "png"))
    return Path(out)


def _draw(groups: dict[str, list[list[dict[str, float]]]], metric: str, title: str | None, form: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scipy.stats import trim_mean

    figure = Figure(figsize=(7, 4.2), layout="constrained", dpi=150)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    if form not in canvas.get_supported_filetypes():
        raise unknown("figure format", form, canvas.get_supported_filetypes())
    for label, runs in groups.items():
        curves = [curve for rows in runs if len(curve := _curve(rows, metric))]
        if not curves:
            continue
        grid = np.unique(np.concatenate([curve[:, 0] for curve in curves]))
        grid = grid[(grid >= max(c[0, 0] for c in curves)) & (grid <= min(c[-1, 0] for c in curves))]
        values = np.stack([np.interp(grid, curve[:, 0], curve[:, 1]) for curve in curves])
        seeds = f" ({len(curves)} seeds)" if len(curves) > 1 else ""
        line = axes.plot(grid, trim_mean(values, 0.25, axis=0), label=label + seeds, linewidth=2)[0]
        if len(curves) > 1:
            axes.fill_between(grid, values.min(0), values.max(0), color=line.get_color(), alpha=0.18, linewidth=0)
    axes.set(xlabel="timesteps", ylabel=metric, title=title or "")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form)
    return buffer.getvalue()


def command(argv: list[str]) -> int:
    """Run `envzoo plot` with the given arguments; return the exit code."""
    from envzoo.scripts.cli import parse, split_positional

    positional, flags = split_positional(argv)
    options, _ = parse(PlotOptions, flags, prog="envzoo plot RUN_DIR...")
    if not positional:
        raise EnvzooError("envzoo plot takes one or more run directories")
    print(plot(positional, options.out, options.metric, options.title))
    return 0


if __name__ == "__main__":
    from envzoo.scripts.cli import main

    sys.exit(main(["plot", *sys.argv[1:]]))
