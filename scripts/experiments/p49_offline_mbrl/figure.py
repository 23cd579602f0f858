"""The figure of paper 49: penalties by calibration, sizes of the ensemble, and the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.agents.offline.penalties import PENALTIES
from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE, title
from envzoo.scripts.experiments.core.panels import label_ends
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p49_offline_mbrl.runs import SIZES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORDS = {
    "max_aleatoric": "max aleatoric",
    "max_pairwise_difference": "max pairwise difference",
    "log_likelihood_variance": "log-likelihood variance",
    "leave_one_out_divergence": "leave-one-out KL",
    "ensemble_std": "ensemble std of means",
    "ensemble_variance": "total variance",
    "mixture_std": "total std",
}


def draw(results: Results, figure: Figure) -> None:
    """Draw the three panels that have results."""
    figure.set_size_inches(11, 3.9)
    title(figure, results, "disagreement ranks the model's errors, noise does not")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.25, 0.9, 1))
    if "calibration" in results.arms:
        draw_penalties(left, results)
        draw_sizes(middle, results)
    if "search" in results.arms:
        draw_search(right, results)


def draw_penalties(axes: Axes, results: Results) -> None:
    """Draw the rank correlation of every penalty with the error of the model."""
    points = {name: results.estimate("calibration", f"rank {name}") for name in PENALTIES if name in WORDS}
    order = sorted(points, key=lambda name: points[name][0])
    for row, name in enumerate(order):
        value, low, high = points[name]
        colour = BLUE if name == "ensemble_std" else ORANGE if name == "max_aleatoric" else GREY
        axes.plot([low, high], [row, row], color=colour, linewidth=2)
        axes.plot(value, row, "o", color=colour)
    axes.axvline(0.5, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    axes.set_yticks(range(len(order)), [WORDS[name] for name in order])
    axes.set(title="Rank correlation of penalty and error", xlim=(-0.2, 1))


def draw_sizes(axes: Axes, results: Results) -> None:
    """Draw the rank correlation of the disagreement over the number of models."""
    points = [results.estimate("calibration", f"members {size}") for size in SIZES]
    value, low, high = (np.array(column) for column in zip(*points, strict=True))
    axes.fill_between(SIZES, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(SIZES, value, "o-", color=BLUE)
    axes.set_xticks(SIZES)
    axes.set(title="By number of models", xlabel="models", ylim=(0, 1))


def draw_search(axes: Axes, results: Results) -> None:
    """Draw the best score so far over the trials, and the scores on fresh seeds."""
    x, middle, low, high = results.curve("search", "best so far")
    axes.fill_between(x, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(x, middle, color=BLUE)
    ends = [(float(middle[-1]), "in the search", BLUE)]
    for name, words, colour in (("best", "fresh seeds", BLUE), ("default", "default", ORANGE)):
        value, lower, upper = results.estimate("search", name)
        axes.axhspan(lower, upper, color=colour, alpha=0.1, linewidth=0)
        axes.axhline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.2)
        ends.append((value, words, colour))
    axes.set(title="Search over designs", xlabel="trial", ylabel="normalised score")
    label_ends(axes, ends)
