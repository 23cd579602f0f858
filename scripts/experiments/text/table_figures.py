"""Panels of the experiments on softmax tables: measures against accuracy, and effects with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.checks import Measure
from envzoo.scripts.experiments.core.figures import HEADS, INK, MUTED
from envzoo.scripts.experiments.core.intervals import Estimand, interval
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text.tables import ACCURACY, at_accuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def heading(figure: Figure, results: Results, text: str, size: tuple[float, float]) -> None:
    """Set the size of a figure, and write the verdict above its panels and the meaning of bands below them."""
    figure.set_size_inches(*size)
    figure.suptitle(f"{HEADS[results.verdict]}: {text}", x=0.01, ha="left", fontsize=12, fontweight="bold", wrap=True)
    figure.supxlabel(
        f"Lines are medians over seeds, bands hold the middle 80% of the seeds, whiskers are 95% intervals. Paper "
        f"{results.data['paper']['slug']}.",
        x=0.01,
        ha="left",
        fontsize=8,
        color=MUTED,
    )


def band(axes: Axes, x: np.ndarray, values: np.ndarray, colour: str, label: str, at: float | None = None) -> None:
    """Draw the median of curves (seeds, n) with a band from the 10th to the 90th percentile, and a label on the line.

    The label is at the point nearest to `at`; None puts it at the right end.
    """
    low, middle, high = np.nanpercentile(values, [10, 50, 90], axis=0)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, middle, color=colour)
    k = len(x) - 1 if at is None else int(np.argmin(np.abs(x - at)))
    axes.annotate(
        label, (x[k], middle[k]), xytext=(4, 3 if at is not None else 0), textcoords="offset points", color=colour,
        fontsize=8, va="bottom" if at is not None else "center", annotation_clip=False,
    )  # fmt: skip


def against_accuracy(
    axes: Axes,
    results: Results,
    arms: Mapping[str, str],
    metric: str,
    levels: np.ndarray,
    places: Sequence[float],
    labels: Mapping[str, str] | None = None,
) -> None:
    """Draw a metric against the accuracy at which a run first has it, a line per arm (arm -> colour) that ran.

    `labels` are the words beside the lines where they are not the names of the arms.
    """
    for (arm, colour), place in zip(arms.items(), places, strict=True):
        if arm in results.arms:
            pairs = zip(results.lines(arm, ACCURACY), results.lines(arm, metric), strict=True)
            values = np.stack([at_accuracy(x, y, levels) for (_, x), (_, y) in pairs])
            reached = np.isfinite(values).all(0)
            if reached.any():
                band(axes, levels[reached], values[:, reached], colour, (labels or {}).get(arm, arm), place)
    axes.set_xlabel("accuracy")


def over_updates(
    axes: Axes,
    results: Results,
    arms: Mapping[str, str],
    metric: str,
    places: Sequence[float | None],
    labels: Mapping[str, str] | None = None,
) -> None:
    """Draw a metric over the updates, a line per arm (arm -> colour) that ran; for `labels` see `against_accuracy`."""
    for (arm, colour), place in zip(arms.items(), places, strict=True):
        if arm in results.arms:
            lines = results.lines(arm, metric)
            band(axes, lines[0][0], np.stack([y for _, y in lines]), colour, (labels or {}).get(arm, arm), place)
    axes.set_xlabel("updates")


def effects(
    axes: Axes,
    results: Results,
    rows: Mapping[str, tuple[Measure, str]],
    *,
    estimand: Estimand = "mean",
    bound: float | None = None,
    number: str = "{:.2f}",
) -> None:
    """Draw effects with their 95% intervals, a row for each label -> (measure, colour) whose arms ran."""
    shown = []
    for label, (measure, colour) in rows.items():
        try:
            values = np.asarray(measure(results), float)
        except (KeyError, LookupError, ValueError):
            continue
        if values.size > 1 and np.isfinite(values).all():
            shown.append((label, interval(values, estimand), colour))
    for row, (_, found, colour) in enumerate(shown):
        axes.plot([found.low, found.high], [row, row], color=colour, linewidth=2)
        axes.plot([found.value], [row], "o", color=colour, markersize=5)
        axes.annotate(
            number.format(found.value), (1.0, row), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", va="center", color=INK, annotation_clip=False,
        )  # fmt: skip
    axes.set_yticks(range(len(shown)), [label for label, _, _ in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    if bound is not None:
        axes.axvline(bound, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
