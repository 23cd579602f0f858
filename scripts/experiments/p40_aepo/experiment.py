"""Paper 40, AEPO: entropy is held at a target with rewarded samples at another temperature."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from envzoo.papers import find
from envzoo.scripts.experiments.core.checks import point
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text import runs as runs
from envzoo.scripts.experiments.text.runs import ACCURACY, ENTROPY, text_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UPDATES = 200
TARGETS = (0.25, 0.5, 0.75)
PLAIN, DOUBLE = "GRPO", "GRPO, twice the answers"
INJECTED = "select/injected"


def arm_name(target: float) -> str:
    """Return the name of the arm with a target entropy."""
    return f"AEPO {target:g}"


def held(results: Results, arm: str) -> np.ndarray:
    """Compute the mean entropy over the last third of training, for each seed, (seeds,)."""
    return np.array([y[2 * len(y) // 3 :].mean() for _, y in results.lines(arm, ENTROPY)])


def _distance(results: Results, target: float) -> float:
    return float(abs(held(results, arm_name(target)).mean() - target))


def _ordered(results: Results) -> float:
    return float(np.diff([held(results, arm_name(target)).mean() for target in TARGETS]).min())


def _trend(results: Results, arm: str) -> float:
    """Average Spearman's rho between time and entropy over the seeds."""
    return float(np.mean([spearmanr(x, y).statistic for x, y in results.lines(arm, ENTROPY)]))


def _least_falling(results: Results) -> float:
    return _trend(results, arm_name(TARGETS[-1]))


def _best_is_not_the_least(results: Results) -> float:
    """Compute the final accuracy of the best larger target less that of the smallest target."""
    accuracies = [results.iqm(arm_name(target), ACCURACY) for target in TARGETS]
    return max(accuracies[1:]) - accuracies[0]


def temperature_moves_entropy(results: Results) -> float:
    """Compute the largest error of dH/dT = Var(z) / T^3 for softmax(z / T), against finite differences."""
    generator, worst, step = np.random.default_rng(0), 0.0, 1e-5
    for _ in range(200):
        z, heat = generator.normal(size=10), generator.uniform(0.5, 2.0)

        def entropy(temperature: float, z: np.ndarray = z) -> float:
            log_p = z / temperature - np.logaddexp.reduce(z / temperature)
            return float(-np.exp(log_p) @ log_p)

        p = np.exp(z / heat - np.logaddexp.reduce(z / heat))
        slope = (p @ z**2 - (p @ z) ** 2) / heat**3
        worst = max(worst, abs((entropy(heat + step) - entropy(heat - step)) / (2 * step) - slope))
    return worst


def draw_targets(axes: Axes, results: Results, arms: dict[str, str]) -> None:
    """Plot entropy over training, with the targets as dashed lines of the same colour."""
    from envzoo.scripts.experiments.core.figures import learning_curves
    from envzoo.scripts.experiments.text.figures import tokens_axis

    learning_curves(axes, results, arms, ENTROPY)
    for target in TARGETS:
        if arm_name(target) in arms:
            axes.axhline(target, color=arms[arm_name(target)], linestyle=(0, (4, 3)), linewidth=1.1)
    tokens_axis(axes, "Entropy, nats per token, and targets")


def draw(results: Results, figure: Figure) -> None:
    """Draw entropy curves with the targets, and entropy against accuracy."""
    from envzoo.scripts.experiments.text.figures import curve_panel, draw_rows, phase_panel

    panels = (draw_targets, curve_panel(ACCURACY, "Accuracy"), phase_panel())
    panels += (phase_panel(runs.DISTINCT, "Distinct right answers of 16 against accuracy"),)
    draw_rows(results, figure, "Rewarded hot and cool samples hold the entropy where it is wanted", {runs.SUM: panels})


EXPERIMENT = Experiment(
    paper=find("40-aepo"),
    question="Can the entropy of a policy be held at any level while it learns?",
    claim="AEPO holds the mean entropy within 0.15 nats of the targets 0.25, 0.5 and 0.75 over the last third of "
    "training, in their order, while GRPO's falls all the time to below 0.25. The best target for accuracy is not the "
    "smallest.",
    arms=(
        text_arm(PLAIN, "GRPO", UPDATES),
        text_arm(DOUBLE, "GRPO", UPDATES, {"num_prompts": 2 * runs.NUM_PROMPTS}, generations=2, full_only=True),
        *(
            text_arm(
                arm_name(target),
                "AEPOArbitrary",
                UPDATES,
                {"target_entropy": target},
                generations=2,
                curves=(INJECTED,),
                full_only=target != 0.5,
            )
            for target in TARGETS
        ),
    ),
    checks=(
        point("dH/dT = Var(z) / T^3: largest error", temperature_moves_entropy, "<", 1e-6),
        *(
            point(
                f"AEPO, target {target:g}: distance of the entropy, last third",
                partial(_distance, target=target),
                "<=",
                0.15,
                full_only=True,
            )
            for target in TARGETS
        ),
        point("Entropies in the order of their targets (least step)", _ordered, ">", 0.0, full_only=True),
        point("GRPO: entropy at the end", partial(Results.iqm, arm=PLAIN, score=ENTROPY), "<", 0.25, full_only=True),
        point("GRPO: Spearman's rho of time and entropy", partial(_trend, arm=PLAIN), "<", -0.9, full_only=True),
        point("AEPO, target 0.75: the same", _least_falling, ">", -0.9, full_only=True),
        point(
            "Accuracy at the end: best larger target less the smallest",
            _best_is_not_the_least,
            ">",
            0.0,
            full_only=True,
        ),
    ),
    figure=draw,
    tables=(runs.final_table(runs.SUM, "TextSumTo: four digits with a given sum", {INJECTED: "answers injected"}),),
    seeds=3,
    small_scale=True,
    quick_seeds=1,
    notes=(
        runs.SCALE_NOTE,
        "AEPO samples a second set of answers at a higher or lower temperature, so that it generates twice as many "
        "tokens as GRPO for the same number of updates. The arm with twice the answers uses 32 prompts per update, so "
        "that it generates as many tokens as AEPO, and trains on all of them. The temperatures (1.8 and 0.8) and the "
        "largest fraction of injected answers (half, or a quarter above the target) are larger than the published ones "
        "(1.2, 0.8, 2.3% of the batch), with which the entropy is known to fall at this scale; a pilot with seed 100 "
        "and target 0.5 was seen. The entropy converges below its target, and furthest below the highest one: rewarded "
        "answers at a high temperature flatten the policy but also sharpen it towards right answers.",
        "The runs were repeated after a bug was fixed: a quarter of the rows, the injected answers, had been scored "
        "with the prompts of the answers they replaced, and 7 of 9 checks held. No bound was changed. The two checks "
        "that failed then now hold by a small margin: the distance at target 0.75 and the difference in accuracy.",
    ),
)
