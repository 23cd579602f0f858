"""The figure of paper 24: errors against incompleteness, and errors against the size of the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p24_realizability.study import LADDER, incompleteness

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(results: Results, figure: Figure) -> None:
    """Draw the amplification on the left, and floors of the error on the right."""
    figure.set_size_inches(11, 4.6)
    title(figure, results, "the error of off-policy evaluation grows like 1 / sqrt(1 - beta²), without a floor")
    left, right = figure.subplots(1, 2)
    draw_amplification(left, results)
    draw_sizes(right, results)


def draw_amplification(axes: Axes, results: Results) -> None:
    """Draw the median error for every k against beta, and the law through the mean of the products."""
    points = sorted((incompleteness(k), k) for k in LADDER)
    betas = [beta for beta, _ in points]
    errors = [results.estimate("amplification", f"error {k:g}") for _, k in points]
    products = [results.iqm("amplification", f"product {k:g}") for _, k in points]
    factors = [(1 - beta**2) ** -0.5 for beta in betas]
    law = sum(products) / len(products)
    axes.plot([1, 14], [law, 14 * law], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate("proportional", (7, 7 * law), xytext=(6, -10), textcoords="offset points", color=GREY)
    values, low, high = zip(*errors, strict=True)
    spread = [
        [value - below for value, below in zip(values, low, strict=True)],
        [above - value for value, above in zip(values, high, strict=True)],
    ]
    axes.errorbar(factors, values, spread, color=BLUE, marker="o", linestyle="none", markersize=5, elinewidth=1.2)
    for (beta, k), factor, value in zip(points, factors, values, strict=True):
        if beta > 0.5:
            axes.annotate(
                f"k = {k:g}", (factor, value), xytext=(-5, 4), textcoords="offset points", ha="right", fontsize=8
            )
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    axes.set(
        yscale="log",
        title="Error of LSTD, 500 transitions",
        xlabel="1 / sqrt(1 - beta²)",
        ylabel="median Bellman error",
    )
    axes.set_yticks([0.02, 0.05, 0.1, 0.2], ["0.02", "0.05", "0.1", "0.2"])
    axes.minorticks_off()


def draw_sizes(axes: Axes, results: Results) -> None:
    """Draw errors against the number of transitions."""
    sizes = (500, 2000, 8000)
    lines = {
        "LSTD, k = 1.2": ("samples", "lstd", BLUE),
        "LSTD, random transitions": ("random transitions", "lstd", GREY),
        "naive residual, random transitions": ("random transitions", "naive", ORANGE),
    }
    for label, (arm, name, colour) in lines.items():
        values = [results.iqm(arm, f"{name} {n}") for n in sizes]
        axes.plot(sizes, values, color=colour, marker="o", markersize=5)
        above = name == "naive"
        axes.annotate(
            label,
            (sizes[1], values[1]),
            xytext=(0 if above or colour == BLUE else -40, 8 if above or colour == BLUE else -14),
            textcoords="offset points",
            ha="center",
            va="bottom" if above or colour == BLUE else "top",
            color=colour,
        )
    axes.set(
        xscale="log", yscale="log", title="Error and sample size", xlabel="transitions", ylabel="median Bellman error"
    )
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.set_yticks([0.01, 0.03, 0.1, 0.3], ["0.01", "0.03", "0.1", "0.3"])
    axes.minorticks_off()
    axes.margins(x=0.1, y=0.18)
