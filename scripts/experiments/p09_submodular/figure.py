"""The figure of paper 09: coverage from two starts, ratios with their bounds, then items, rooms and tiny grids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE
from envzoo.scripts.experiments.core.panels import Row, dots, entry_of, heading, median_curves, verdicts
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p09_submodular.worlds import COVERAGE, CURVE, MOST_ITEMS, ROOMS, SHARE, TINY_WORLDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "random": GREY,
    "greedy planner": PURPLE,
    "ModPO": ORANGE,
    "SubPO": BLUE,
    "SubPO, GRU": GREEN,
    "ModPO, table": ORANGE,
    "SubPO, table": BLUE,
    "SubPO, network": BLUE,
}
CURVES = ("ModPO", "SubPO", "SubPO, GRU")
MARKS = ("random", "greedy planner")  # have no learning curve and are drawn as horizontal lines
# Label -> words of the check.
RATIOS = {
    "corner, over ModPO": "From the corner SubPO covers at least 1.6",
    "design, over ModPO": "at least twice ModPO's",
    "plane, over ModPO": "Plane:",
    "design, over planner": "at most 5% below",
}


def draw(results: Results, figure: Figure, bounds: dict[str, int]) -> None:
    """Draw the panels of the arms that ran.

    Args:
        results: Results of the experiment.
        figure: An empty figure.
        bounds: Start on the grid -> upper bound on the coverage of a path.
    """
    full = not results.data["quick"]
    heading(figure, results, "rewarding marginal gains makes a policy cover ground", 9.6 if full else 6.4)
    axes = figure.subplots(3 if full else 2, 2)
    for panel, (start, bound) in zip(axes[0], bounds.items(), strict=True):
        _grid(panel, results, start, bound)
    _items(axes[1, 0], results)
    _tiny(axes[1, 1], results)
    if full:
        _ratios(axes[2, 0], results)
        _rooms(axes[2, 1], results)


def _grid(axes: Axes, results: Results, start: str, bound: int) -> None:
    labels = {f"{label} ({start})": label for label in CURVES}
    references = {mark: (results.iqm(f"{mark} ({start})", COVERAGE), COLOURS[mark]) for mark in MARKS}
    references["upper bound"] = (float(bound), INK)
    colours = {arm: COLOURS[label] for arm, label in labels.items()}
    axes.set_ylim(0, 76)
    median_curves(axes, results, colours, CURVE, labels, references=references)
    axes.set(title=f"Grid, start in the {start}", ylabel="cells covered by a path")


def _rows(results: Results, group: str, labels: tuple[str, ...], score: str) -> list[Row]:
    shown = [label for label in labels if results.has(f"{label} ({group})", score)]
    return [Row(label, results.scores(f"{label} ({group})", score), COLOURS[label]) for label in shown]


def _items(axes: Axes, results: Results) -> None:
    labels = ("random", "greedy planner", "ModPO", "ModPO, table", "SubPO", "SubPO, table")
    dots(axes, _rows(results, "items", labels, COVERAGE))
    axes.axvline(MOST_ITEMS, color=INK, linestyle=(0, (4, 3)), linewidth=1.0)
    axes.set(title="Items", xlabel=f"items that count (of {MOST_ITEMS})", xlim=(0, MOST_ITEMS + 1))


def _tiny(axes: Axes, results: Results) -> None:
    rows = []
    for world in TINY_WORLDS:
        for agent, colour in (("SubPO", BLUE), ("random", GREY)):
            arm = f"{agent}, {world} (3x3)"
            if results.has(arm, SHARE):
                rows.append(Row(f"{world}, {agent}", results.scores(arm, SHARE), colour))
    dots(axes, rows)
    axes.axvline(0.95, color=INK, linestyle=(0, (4, 3)), linewidth=1.0)
    axes.set(title="3x3 grids, 4 moves", xlabel="share of the best plan (bound 0.95)", xlim=(0, 1.03))


def _ratios(axes: Axes, results: Results) -> None:
    verdicts(axes, [(label, entry_of(results, words)) for label, words in RATIOS.items()])
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 4], ["1", "2", "4"])
    axes.minorticks_off()
    axes.set(title="SubPO over another method", xlabel="ratio; a tick is the bound")


def _rooms(axes: Axes, results: Results) -> None:
    rows = []
    for label in ("SubPO, table", "SubPO, network", "SubPO, GRU"):
        for group, where in (("rooms", "corridor"), ("rooms, random start", "anywhere")):
            colour = COLOURS[label]
            rows.append(
                Row(f"{label.removeprefix('SubPO, ')}, {where}", results.scores(f"{label} ({group})", ROOMS), colour)
            )
    dots(axes, rows)
    axes.set(title="Two rooms, by policy and start", xlabel="share of episodes that cover both", xlim=(-0.02, 1.02))
