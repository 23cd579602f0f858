"""The figure of paper 30: shares of the relaxation, checks with their bounds, and the regret of learners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.scripts.experiments.core.figures import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY
from envzoo.scripts.experiments.core.intervals import interval
from envzoo.scripts.experiments.core.panels import entry_of, heading, label_ends, verdicts
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p30_lsd_bandits import learning as learning
from envzoo.scripts.experiments.p30_lsd_bandits.checks import LOWEST
from envzoo.scripts.experiments.p30_lsd_bandits.names import FAMILIES, GUARANTEE, METHODS, arm_name, ratios

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(METHODS, (ORANGE, BLUE, SKY, PURPLE), strict=True))
LEARNERS = {"explore then commit": BLUE, "optimism": GREEN}


def draw(results: Results, figure: Figure) -> None:
    """Draw the panels of the arms that ran."""
    full = not results.data["quick"]
    claim = "mirrored rounding keeps 1 - 1/e of the relaxation, beats greed where arms lure it, and can be learned"
    heading(figure, results, claim, 10.0 if full else 6.8)
    grid = figure.add_gridspec(3 if full else 2, 2)
    draw_families(figure.add_subplot(grid[0, :]), results)
    draw_ratios(figure.add_subplot(grid[1, 0]), results)
    draw_differences(figure.add_subplot(grid[1, 1]), results)
    if full:
        draw_lowest(figure.add_subplot(grid[2, 0]), results)
        draw_regret(figure.add_subplot(grid[2, 1]), results)


def draw_families(axes: Axes, results: Results) -> None:
    """Draw the mean share of every method on each family."""
    families = [family for family in FAMILIES if arm_name("mirrored LP", family) in results.arms]
    for method, colour in COLOURS.items():
        values = [ratios(results, method, family).mean() for family in families]
        axes.plot(values, range(len(families)), "o", color=colour, markersize=7, label=method)
    axes.axvline(GUARANTEE, color=INK, linestyle=(0, (4, 3)), linewidth=1.0)
    axes.annotate("1 - 1/e", (GUARANTEE, -0.45), xytext=(4, 0), textcoords="offset points", fontsize=8, va="top")
    axes.set_yticks(range(len(families)), families)
    axes.set_ylim(len(families) - 0.5, -0.5)
    axes.set(title="Share of the relaxation: mean over eight instances", xlabel="reward / relaxation", xlim=(0.6, 1.01))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def draw_ratios(axes: Axes, results: Results) -> None:
    """Draw ratios of rewards and regrets with their bounds."""
    entries = {
        "mirrored LP / greedy": "the mirrored LP earns at least 1.15",
        "resync fill / greedy": "resync fill earns",
        "regret, optimism / commit": "Regret of the optimistic",
    }
    shown = [label for label in entries if not (results.data["quick"] and label.startswith("regret"))]
    verdicts(axes, [(label, entry_of(results, entries[label])) for label in shown])
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set(title="Bait, 2 + 1 arms", xlabel="ratio; a tick is the bound", xlim=(0.7, 1.4))


def draw_differences(axes: Axes, results: Results) -> None:
    """Draw differences of shares with their bounds."""
    shown = [("mirrored LP less\nrecharging LP", entry_of(results, "Recharging:"))]
    if not results.data["quick"]:
        parts = entry_of(results, "Random monotone")["components"]
        shown += [(f"greedy less mirrored,\n{part['sentence']}", part) for part in parts]
    verdicts(axes, shown, number="{:.3f}".format)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set(title="Differences of shares", xlabel="share of the relaxation; ticks are bounds")


def draw_lowest(axes: Axes, results: Results) -> None:
    """Draw the mirrored LP on the lowest instance of each family against the guarantee."""
    parts = entry_of(results, "on the lowest instance")["components"]
    verdicts(axes, list(zip(LOWEST, parts, strict=True)))
    axes.set(title="Mirrored LP, lowest instances", xlabel="reward / relaxation; a tick is 1 - 1/e", xlim=(0.6, 0.85))


def draw_regret(axes: Axes, results: Results) -> None:
    """Plot the regret over the horizon on logarithmic axes, and a line of slope 2/3."""
    ends = []
    axes.set_xscale("log")
    axes.set_yscale("log")
    for learner, colour in LEARNERS.items():
        found = learning.regrets(results, learner)
        x = np.array(list(found), float)
        estimates = [interval(values) for values in found.values()]
        middle = np.array([each.value for each in estimates])
        low = np.maximum([each.low for each in estimates], 0.5 * middle)
        axes.fill_between(x, low, [each.high for each in estimates], color=colour, alpha=0.2, linewidth=0)
        axes.plot(x, middle, color=colour, marker="o", markersize=4)
        ends.append((float(middle[-1]), learner, colour))
    x = np.array(learning.HORIZONS, float)
    axes.plot(x, 100 * (x / x[0]) ** (2 / 3), color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    ends.append((100 * (x[-1] / x[0]) ** (2 / 3), "slope 2/3", MUTED))
    axes.set(title="Regret of learners", xlabel="horizon T (rounds)", ylabel="regret")
    label_ends(axes, ends)
