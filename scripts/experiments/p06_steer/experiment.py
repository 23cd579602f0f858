"""Paper 06, STEER: token weights based on the estimated change of entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.checks import point
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p06_steer.study import COVARIANCE, ESTIMATE, network_study, table_study
from envzoo.scripts.experiments.text import runs as runs
from envzoo.scripts.experiments.text.figures import spread_of_changes, usual_panels
from envzoo.scripts.experiments.text.runs import ACCURACY, DISTINCT, ENTROPY, text_arm
from envzoo.scripts.experiments.text.strengths import SWEPT, strength

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UPDATES, STUDY_UPDATES = 150, 40
# lambda_min -> arm; at 1 all weights are 1, which is clip-higher.
SWEEP = {1.0: "clip-higher", 0.7: "STEER .7", 0.5: "STEER .5", 0.2: "STEER .2"}
# More points than updates, so that each holds one update; empty points are dropped.
POINTS = 2 * UPDATES
CHOSEN_WEIGHT = strength("STEER")["smallest_weight"]
PLAIN, STRONG = SWEEP[1.0], SWEEP[CHOSEN_WEIGHT]
FREE, FREE_STEER = "no clipping", f"{STRONG}, no clipping"
NO_CLIPPING = {"eps_low": 0.99, "eps_high": 5.0}
STUDY = "estimates"


def _table_lead(whole_gradient: bool) -> float:
    estimate, covariance = table_study(whole_gradient)
    return estimate - covariance


def _network_lead(results: Results) -> float:
    return float((results.scores(STUDY, ESTIMATE) - results.scores(STUDY, COVARIANCE)).mean())


def _spread_ratio(results: Results) -> float:
    return float(spread_of_changes(results, STRONG).mean() / spread_of_changes(results, PLAIN).mean())


def _rises(values: list[float]) -> float:
    """Compute the smallest step of a sequence; positive if the sequence is increasing."""
    return float(np.diff(values).min())


def _entropies_rise(results: Results) -> float:
    return _rises([results.iqm(arm, ENTROPY) for arm in SWEEP.values()])


def _spreads_fall(results: Results) -> float:
    return _rises([-spread_of_changes(results, arm).mean() for arm in SWEEP.values()])


def draw_spread(axes: Axes, results: Results, arms: dict[str, str]) -> None:
    """Draw the change of entropy per update, for each arm."""
    shown = [arm for arm in arms if arm in results.arms]
    for row, arm in enumerate(shown):
        values = spread_of_changes(results, arm)
        axes.barh(row, values.mean(), height=0.62, color=arms[arm])
        axes.scatter(
            values, np.full(len(values), row), s=9, color="white", edgecolors="black", linewidths=0.6, zorder=3
        )
    axes.set_yticks(range(len(shown)), shown)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_title("|change of entropy| in an update, 95th percentile")


def draw(results: Results, figure: Figure) -> None:
    """Draw training curves, entropy against accuracy, and the variation of the entropy."""
    from envzoo.scripts.experiments.text.figures import draw_rows

    heading = "Weights that shrink with the expected change of entropy hold more of it at the same accuracy"
    draw_rows(results, figure, heading, {runs.SUM: usual_panels(draw_spread)})


EXPERIMENT = Experiment(
    paper=find("06-steer"),
    question="Can the change of entropy that a token causes be foretold, and held small?",
    claim="STEER's estimate ranks true changes of entropy better than the covariance does. With it as a weight the "
    "entropy moves less from update to update and is higher at the same accuracy, the more so the smaller the least "
    "weight; accuracy stays within 0.05.",
    arms=(
        text_arm(PLAIN, "ClipHigher", UPDATES, points=POINTS),
        *(
            text_arm(
                arm, "STEER", UPDATES, {"smallest_weight": weight}, points=POINTS, full_only=weight != CHOSEN_WEIGHT
            )
            for weight, arm in SWEEP.items()
            if weight < 1
        ),
        text_arm(FREE, "ClipHigher", UPDATES, NO_CLIPPING, points=POINTS, full_only=True),
        text_arm(FREE_STEER, "STEER", UPDATES, NO_CLIPPING | strength("STEER"), points=POINTS, full_only=True),
        text_arm(STUDY, "ClipHigher", STUDY_UPDATES, group=STUDY, inspect=network_study),
    ),
    checks=(
        point(
            "Table, one logit moves: lead of the estimate over the covariance in Spearman's rho",
            lambda _: _table_lead(False),
            ">",
            0.0,
        ),
        point("Table, whole gradient: the same", lambda _: _table_lead(True), ">", 0.0),
        point("Network, gradient step: the same", _network_lead, ">", 0.0, full_only=True),
        point("Spread of the entropy's changes, STEER over clip-higher", _spread_ratio, "<", 1.0, full_only=True),
        runs.compare(
            "Entropy over clip-higher's at equal accuracy", runs.matched_ratio, STRONG, PLAIN, ENTROPY, ">=", 1.7
        ),
        runs.compare(
            "Distinct right answers over clip-higher's at equal accuracy",
            runs.matched_ratio,
            STRONG,
            PLAIN,
            DISTINCT,
            ">=",
            1.5,
        ),
        runs.compare(
            "Accuracy at the end less clip-higher's", runs.final_difference, STRONG, PLAIN, ACCURACY, ">=", -0.05
        ),
        point("Entropy at the end rises as the least weight falls (least step)", _entropies_rise, ">", 0, True),
        point("Spread of the changes falls as the least weight falls (least step)", _spreads_fall, ">", 0, True),
        runs.compare(
            "No clipping: entropy at the end over that without STEER",
            runs.final_ratio,
            FREE_STEER,
            FREE,
            ENTROPY,
            ">",
            1.0,
        ),
    ),
    figure=draw,
    tables=(
        runs.final_table(runs.SUM, "TextSumTo: four digits with a given sum"),
        runs.Table(
            STUDY, "Spearman's rho with the true change of entropy", {ESTIMATE: "estimate", COVARIANCE: "covariance"}
        ),
    ),
    seeds=runs.SEEDS,
    small_scale=True,
    quick_seeds=1,
    notes=(
        *runs.NOTES,
        "The spread of the entropy's changes is the 95th percentile of |change| from one update to the next.",
        "Minimum weights: the released scripts use 0.8, which changes weights by at most a fifth and has little effect "
        "here. The checks use the chosen one. " + SWEPT,
        "Estimates are compared for 2,000 random tables of 20 actions with 16 samples each, and for the network after "
        f"{STUDY_UPDATES} updates, on 100 minibatches of 64 answers with one step of gradient descent.",
    ),
)
