"""The figure of paper 21: quality, awareness of degrees, and accuracy by margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.scripts.experiments.core.figures import BLUE, GREY, ORANGE, final_bars, level, title
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p21_preference_degree.names import COPIES, DEGREE, DPO, EQUAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {DPO: GREY, DEGREE: BLUE, EQUAL: BLUE, COPIES: ORANGE}


def draw(results: Results, figure: Figure) -> None:
    """Draw bars of quality, rank correlation and accuracy on small margins."""
    figure.set_size_inches(14.5, 3.8)
    title(figure, results, "An auxiliary task on degrees of preference makes DPO write better summaries")
    quality, awareness, margins = figure.subplots(1, 3)
    final_bars(quality, results, COLOURS, "quality", number="{:.2f}")
    before = float(results.scores(DPO, "start_quality").mean())
    level(quality, before, "imitation", vertical=True)
    quality.set_title("Exact quality of sampled summaries", pad=18)  # above the label of the level
    quality.set(xlabel="quality (at most 4.5)", xlim=(0, None))
    final_bars(awareness, results, COLOURS, "spearman", number="{:.2f}")
    awareness.set(title="Does the implicit reward order degraded copies?", xlabel="rank correlation", xlim=(0, None))
    final_bars(margins, results, COLOURS, "small_margin", number="{:.2f}")
    margins.set(title="Held-out pairs of small margin", xlabel="accuracy", xlim=(0, None))
