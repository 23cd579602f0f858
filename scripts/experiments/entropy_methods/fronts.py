"""Small multiples of entropy against accuracy: a panel for each method, with all others in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, GREY, INK, MUTED, ORANGE, PURPLE, RED, SKY, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text.runs import ACCURACY, ENTROPY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6
MARKERS, PAINTS = "XosD^vP", (INK, BLUE, ORANGE, GREEN, RED, PURPLE, SKY)  # for methods without a strength, GRPO first
FAINT = "#c9ced4"


@dataclass(frozen=True)
class Front:
    """A method's arms from weak to strong.

    Attributes:
        title: Method and strength hyperparameter.
        arms: Arms from weak to strong.
        marked: The marked arm.
    """

    title: str
    arms: Sequence[str]
    marked: str


@dataclass(frozen=True)
class Block:
    """The panels of a task.

    Attributes:
        fronts: Fronts, one panel each.
        plain: Methods without a strength, in one panel: label -> arm; the first is the reference.
    """

    fronts: Sequence[Front]
    plain: Mapping[str, str]


def place(results: Results, arms: Sequence[str], score: str) -> np.ndarray:
    """Return final accuracy and another score of the arms that ran, each as IQM and interval: (arms, 2, 3)."""
    shown = [arm for arm in arms if results.has(arm, score)]
    found = [[results.estimate(arm, ACCURACY), results.estimate(arm, score)] for arm in shown]
    return np.array(found, float).reshape(len(shown), 2, 3)


def _whiskers(axes: Axes, points: np.ndarray, colour: str) -> None:
    for (x, left, right), (y, low, high) in points:
        axes.plot([left, right], [y, y], color=colour, linewidth=0.8, alpha=0.7)
        axes.plot([x, x], [low, high], color=colour, linewidth=0.8, alpha=0.7)


def _others(axes: Axes, results: Results, block: Block, score: str) -> None:
    """Draw all methods in grey, and the reference as a cross."""
    for front in block.fronts:
        points = place(results, front.arms, score)
        axes.plot(points[:, 0, 0], points[:, 1, 0], "o-", color=FAINT, linewidth=0.8, markersize=2.2, zorder=1)
    points = place(results, tuple(block.plain.values()), score)
    axes.plot(points[:, 0, 0], points[:, 1, 0], "o", color=FAINT, markersize=2.2, zorder=1)
    axes.plot(points[:1, 0, 0], points[:1, 1, 0], MARKERS[0], color=INK, markersize=5, markeredgewidth=0, zorder=2)


def draw_front(axes: Axes, results: Results, front: Front, score: str) -> None:
    """Draw a method in colour; marker size increases with the strength, and the marked strength is filled."""
    arms = [arm for arm in front.arms if results.has(arm, score)]
    points = place(results, arms, score)
    _whiskers(axes, points, BLUE)
    axes.plot(points[:, 0, 0], points[:, 1, 0], color=BLUE, linewidth=1.4, zorder=3)
    for arm, point in zip(arms, points, strict=True):
        size = 4 + 2.2 * list(front.arms).index(arm)
        face = BLUE if arm == front.marked else "white"
        axes.plot(*point[:, 0], "o", color=BLUE, markersize=size, markerfacecolor=face, markeredgewidth=1.3, zorder=4)
    axes.set_title(front.title, fontsize=8)


def draw_plain(axes: Axes, results: Results, plain: Mapping[str, str], score: str) -> None:
    """Draw the methods without a strength, distinguished by marker and colour."""
    for (label, arm), marker, colour in zip(plain.items(), MARKERS, PAINTS, strict=True):
        points = place(results, (arm,), score)
        _whiskers(axes, points, colour)
        axes.plot(
            points[:, 0, 0],
            points[:, 1, 0],
            marker,
            color=colour,
            markersize=5.5,
            markeredgewidth=0,
            label=label if len(points) else None,
            zorder=4,
        )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
    axes.set_title("no strength", fontsize=8)


def _limits(results: Results, block: Block, score: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Compute common limits of both axes for all panels of a task; the second axis is logarithmic."""
    arms = (*(arm for front in block.fronts for arm in front.arms), *block.plain.values())
    points = place(results, arms, score)
    low, high = points.min((0, 2)), points.max((0, 2))
    pad = 0.06 * max(high[0] - low[0], 1e-3)
    return (low[0] - pad, high[0] + pad), (max(low[1], 1e-3) / 1.15, high[1] * 1.15)


def draw_fronts(results: Results, figure: Figure, heading: str, blocks: Mapping[str, Block]) -> None:
    """Draw rows of panels for each task that ran.

    Args:
        results: Results of the experiment.
        figure: An empty figure.
        heading: Title of the figure.
        blocks: Task -> its panels.
    """
    lines = {}
    for task, block in blocks.items():
        fronts = [front for front in block.fronts if any(arm in results.arms for arm in front.arms)]
        if fronts or any(arm in results.arms for arm in block.plain.values()):
            panels = [*fronts, None]  # methods without a strength last, beside the legend
            lines[task] = [panels[k : k + COLUMNS] for k in range(0, len(panels), COLUMNS)]
    columns = max(len(line) for rows in lines.values() for line in rows)
    count = sum(map(len, lines.values()))
    figure.set_size_inches(2.5 * columns + 1.8, 2.35 * count + 1.1)
    from matplotlib.ticker import LogLocator, NullFormatter

    title(figure, results, heading)
    grid = iter(figure.subplots(count, columns, squeeze=False))
    for task, rows in lines.items():
        across, up = _limits(results, blocks[task], ENTROPY)
        for number, (row, axes_row) in enumerate(zip(rows, grid, strict=False)):  # the grid may be longer
            for axes, front in zip(axes_row, row, strict=False):
                _others(axes, results, blocks[task], ENTROPY)
                if front is None:
                    draw_plain(axes, results, blocks[task].plain, ENTROPY)
                else:
                    draw_front(axes, results, front, ENTROPY)
                axes.set_xlim(across)
                axes.set_yscale("log")
                axes.set_ylim(up)
                axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
                axes.yaxis.set_minor_formatter(NullFormatter())
                axes.tick_params(labelsize=7.5)
                if number == len(rows) - 1:
                    axes.set_xlabel("accuracy", fontsize=8)
            for axes in axes_row[len(row) :]:
                axes.set_axis_off()
            axes_row[0].set_ylabel(f"{task}\nentropy, nats", color=MUTED)
    _legend(figure)


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    def point(size: float, face: str, words: str) -> Line2D:
        return Line2D([], [], color=BLUE, marker="o", markersize=size, markerfacecolor=face, linestyle="", label=words)

    handles = [
        point(4, "white", "weaker"),
        point(8, "white", "stronger"),
        point(6, BLUE, "marked strength (in the tables)"),
        Line2D([], [], color=INK, marker=MARKERS[0], markersize=5, linestyle="", label="GRPO"),
        Line2D([], [], color=GREY, marker="o", markersize=2.2, linewidth=0.8, label="all other methods"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=8)
