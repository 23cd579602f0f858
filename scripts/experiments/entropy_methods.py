"""All methods for language models on two puzzles, at equal numbers of generated tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envzoo.papers import Paper
from envzoo.scripts.experiments import text_runs as runs
from envzoo.scripts.experiments.experiment import SECONDS, Arm, Check, Experiment, Results, Table
from envzoo.scripts.experiments.text_runs import ACCURACY, ENTROPY, FINAL, text_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UPDATES = {runs.SUM: 60, runs.COUNTDOWN: 40}
TRAINED = "policy/trained_tokens"
# Label -> (agent, hyperparameters); what is not named is the default of the trainer.
METHODS = {
    "GRPO": ("GRPO", {}),
    "Dr. GRPO": ("DrGRPO", {}),
    "DAPO": ("DAPO", {}),
    "RLOO": ("RLOO", {}),
    "REINFORCE++": ("ReinforcePlusPlus", {}),
    "GSPO": ("GSPO", {}),
    "CISPO": ("CISPO", {}),
    "clip-higher": ("ClipHigher", {}),
    "entropy bonus": ("EntropyBonus", {}),
    "80/20": ("ForkTokens", {}),
    "Clip-Cov": ("ClipCov", {"eps_low": 0.2, "eps_high": 0.2}),
    "KL-Cov": ("KLCov", {"fraction": 0.1, "beta": 1.0}),
    "STEER": ("STEER", {}),
    "HAPO": ("HAPO", {}),
    "D3S": ("D3S", {}),
    "BAPO": ("BAPO", {"num_epochs": 1}),
    "Lp-Reg": ("LpReg", {}),
    "AEPO": ("AEPOArbitrary", {}),
}
QUICK = ("GRPO", "STEER")
KEYWORDS = {runs.SUM: {}, runs.COUNTDOWN: {"numbers": 2}}
FAMILIES = {
    "entropy methods": ("Clip-Cov", "KL-Cov", "STEER", "HAPO", "D3S", "BAPO", "Lp-Reg", "AEPO"),
    "their baselines": ("DAPO", "clip-higher", "entropy bonus", "80/20"),
    "plain": ("GRPO", "Dr. GRPO", "RLOO", "REINFORCE++", "GSPO", "CISPO"),
}


def arm_name(method: str, task: str) -> str:
    """Name of the arm of a method on a task."""
    return method if task == runs.SUM else f"{method}, countdown"


def _arm(method: str, task: str) -> Arm:
    agent, hyperparameters = METHODS[method]
    return text_arm(
        arm_name(method, task),
        agent,
        UPDATES[task],
        hyperparameters,
        task=task,
        env_kwargs=KEYWORDS[task],
        curves=(TRAINED,),
        points=50,
        full_only=method not in QUICK or task != runs.SUM,
    )


def _complete(results: Results) -> float:
    """Share of the runs whose final measures are finite."""
    return float(np.mean([np.isfinite(results.scores(arm, f"{FINAL}accuracy")).mean() for arm in results.arms]))


def scatter(axes: Axes, results: Results, task: str, score: str) -> None:
    """Every method as a point: a score over the accuracy, both at the end of training; entropy methods in colour."""
    from envzoo.scripts.experiments.figures import BLUE, GREY, ORANGE

    for (family, methods), colour in zip(FAMILIES.items(), (BLUE, ORANGE, GREY), strict=True):
        first = True
        for method in methods:
            arm = arm_name(method, task)
            if not results.has(arm, score):
                continue
            x, y = results.estimate(arm, ACCURACY), results.estimate(arm, score)
            errors = {"xerr": [[x.iqm - x.low], [x.high - x.iqm]], "yerr": [[y.iqm - y.low], [y.high - y.iqm]]}
            label = family if first else None
            axes.errorbar(x.iqm, y.iqm, **errors, marker="o", markersize=5, color=colour, elinewidth=0.6, label=label)
            axes.annotate(method, (x.iqm, y.iqm), xytext=(4, 3), textcoords="offset points", fontsize=7)
            first = False
    axes.set_xlabel("accuracy in training, last tenth")


def draw(results: Results, figure: Figure) -> None:
    """Entropy and diversity against accuracy, for both puzzles."""
    from envzoo.scripts.experiments.figures import title

    tasks = [task for task in UPDATES if results.group(task)]
    scores = {ENTROPY: "entropy, nats", runs.DISTINCT: "distinct right answers of 16", runs.PASS: "pass@16"}
    figure.set_size_inches(16, 4.8 * len(tasks) + 0.8)
    title(figure, results, "All methods on two puzzles, at equal numbers of generated tokens")
    grid = figure.subplots(len(tasks), len(scores), squeeze=False)
    for line, task in zip(grid, tasks, strict=True):
        for axes, (score, words) in zip(line, scores.items(), strict=True):
            scatter(axes, results, task, score)
            axes.set_title(f"{task}: {words}")
        line[0].legend(loc="best")


COLUMNS = {**runs.COLUMNS, TRAINED: "tokens trained, per update", SECONDS: "seconds"}

EXPERIMENT = Experiment(
    paper=Paper(
        "Entropy methods compared", "Methods of seven papers and their baselines", 2025, None, "entropy-methods"
    ),
    question="What does each method for language models buy, and at what price, on the same model and puzzles?",
    claim="None: every method runs from the same warmed-up model on the same number of generated tokens, and the "
    "tables say what came of it.",
    arms=tuple(_arm(method, task) for task in UPDATES for method in METHODS),
    checks=(Check("Share of runs that ended with finite measures", _complete, ">=", 1.0),),
    figure=draw,
    tables=(
        Table(runs.SUM, "TextSumTo: four digits with a given sum; many answers are right", COLUMNS),
        Table(runs.COUNTDOWN, "TextCountdown: reach a number with two others; few answers are right", COLUMNS),
    ),
    seeds=runs.SEEDS,
    quick_seeds=1,
    notes=(
        runs.SCALE_NOTE,
        "The budget is the number of tokens generated. AEPO generates twice as many for an update and DAPO up to ten "
        "times, so that they take fewer updates. The methods have the trainer's defaults but for Clip-Cov, KL-Cov and "
        "BAPO, which have the settings of their papers' experiments; none was tuned on TextCountdown. "
        "It has two numbers here: of problems with three the warmed-up model solves 3%, and GRPO did not get away from "
        "that in pilots with seed 100.",
        "RLOO unlearns on TextSumTo (0.02 from 0.10): it sums over an answer's tokens and clips nothing, and the rate "
        "of the others is too large for it.",
        "Seconds are the wall time of a run, evaluation included, on one thread of a shared machine with two cores; "
        "read differences below a fifth as noise. `envzoo bench text` measures the cost of each method properly.",
    ),
)
