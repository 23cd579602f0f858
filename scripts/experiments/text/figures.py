"""Panels of the experiments with language models: learning curves, and entropy against accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import (
    MUTED,
    SERIES,
    learning_curves,
    level,
    title,
)
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text.runs import ACCURACY, ENTROPY, smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panel = Callable[["Axes", Results, Mapping[str, str]], None]


def colours(arms: Sequence[str]) -> dict[str, str]:
    """Assign a colour to each arm; the first, the reference, is grey."""
    return dict(zip(arms, SERIES, strict=False))


def against_accuracy(axes: Axes, results: Results, arms: Mapping[str, str], metric: str = ENTROPY) -> None:
    """Plot a training metric against the accuracy at the same time, with a thin smoothed line for each seed."""
    for arm, colour in arms.items():
        for number, ((_, x), (_, y)) in enumerate(
            zip(results.lines(arm, ACCURACY), results.lines(arm, metric), strict=True)
        ):
            axes.plot(smooth(x), smooth(y), color=colour, linewidth=1.0, alpha=0.7, label=None if number else arm)
    axes.set_xlabel("accuracy in training")


def tokens_axis(axes: Axes, label: str) -> None:
    """Label the axes of a learning curve."""
    axes.set_xlabel("tokens generated")
    axes.set_title(label)


def curve_panel(metric: str, heading: str, bound: tuple[float, str] | None = None) -> Panel:
    """Create a panel with a metric over the generated tokens."""

    def draw(axes: Axes, results: Results, arms: Mapping[str, str]) -> None:
        learning_curves(axes, results, arms, metric)
        tokens_axis(axes, heading)
        if bound is not None:
            level(axes, bound[0], bound[1])

    return draw


def phase_panel(metric: str = ENTROPY, heading: str = "Entropy (nats) against accuracy, every seed") -> Panel:
    """Create a panel with a metric against the accuracy."""

    def draw(axes: Axes, results: Results, arms: Mapping[str, str]) -> None:
        against_accuracy(axes, results, arms, metric)
        axes.set_title(heading)

    return draw


def draw_rows(
    results: Results,
    figure: Figure,
    heading: str,
    rows: Mapping[str, tuple[Panel, ...]],
    arms: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Draw a row of panels for each group that ran, with the legend beside it.

    Args:
        results: Results of the experiment.
        figure: An empty figure.
        heading: Title of the figure.
        rows: Group, or title of a selection of arms -> its panels.
        arms: Row -> its arms; rows that are not listed show the arms of the group.
    """
    chosen = arms or {}
    shown = {row: [arm for arm in chosen.get(row, results.group(row)) if arm in results.arms] for row in rows}
    lines = []
    for group, panels in rows.items():
        if shown[group]:
            # A long row is wrapped, which fits only if there is a single group.
            width = len(panels) if len(rows) > 1 or len(panels) < 4 else (len(panels) + 1) // 2
            lines += [(group, panels[k : k + width]) for k in range(0, len(panels), width)]
    columns = max(len(panels) for _, panels in lines)
    figure.set_size_inches(4.3 * columns + 1.6, 3.5 * len(lines) + 0.9)
    title(figure, results, heading)
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for line, (group, panels) in zip(grid, lines, strict=True):
        for axes, panel in zip(line, panels, strict=False):
            panel(axes, results, colours(shown[group]))
        for axes in line[len(panels) :]:
            axes.set_axis_off()
        line[0].set_ylabel(group, color=MUTED)
        handles, labels = line[0].get_legend_handles_labels()
        if handles:
            line[-1].legend(handles, labels, loc="center left", bbox_to_anchor=(1.02, 0.5))


def usual_panels(*more: Panel) -> tuple[Panel, ...]:
    """Return panels of accuracy and entropy over tokens, entropy against accuracy, and any further panels."""
    return (curve_panel(ACCURACY, "Accuracy"), curve_panel(ENTROPY, "Entropy, nats per token"), phase_panel(), *more)


def spread_of_changes(results: Results, arm: str) -> np.ndarray:
    """Compute the 95th percentile of |entropy change| between points of the curve, for each seed, (seeds,).

    If the curve has more points than updates, this is the change per update.
    """
    return np.array([np.percentile(np.abs(np.diff(y)), 95) for _, y in results.lines(arm, ENTROPY)])
