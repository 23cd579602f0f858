"""Paper 09, Submodular Reinforcement Learning: marginal gains make a policy cover ground, additive rewards do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envzoo.papers import SUBMODULAR_RL
from envzoo.scripts.experiments.experiment import Arm, Check, Evaluation, Experiment, Results, Table
from envzoo.scripts.experiments.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    final_bars,
    learning_curves,
    level,
    title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENV = "envzoo/GridCoverage-v0"
HORIZON, BATCH, UPDATES = 20, 128, 200
COVERAGE = "coverage"  # F of the whole path, with the disc of the start
CURVE = "rollout/final_coverage_mean"
STARTS = ("corner", "centre")

# The objective is the expected value of the stochastic policy, so that is the score; the mode is played beside it.
EVALUATIONS = (Evaluation(episodes=500, deterministic=False), Evaluation(episodes=100, prefix="mode/"))

# Label -> (agent, hyperparameters, colour).
METHODS = {
    "random": ("Random", {}, GREY),
    "greedy planner": ("GreedyMarginal", {}, PURPLE),
    "ModPO": ("ModPO", {}, ORANGE),
    "SubPO": ("SubPO", {}, BLUE),
    "SubPO, cumulative credit": ("SubPO", {"credit": "cumulative"}, SKY),
    "SubPO, GRU": ("SubPO", {"policy": "gru"}, GREEN),
}
LEARNING = ("ModPO", "SubPO")

# From a tabular softmax policy written independently in NumPy, with the same batch, horizon and number of steps.
EXPECTED = {
    "corner": {"random": 18.8, "ModPO": 33.0, "SubPO": 57.9, "SubPO, cumulative credit": 59.5},
    "centre": {"random": 31.3, "ModPO": 26.5, "SubPO": 60.6, "SubPO, cumulative credit": 56.2},
}


def arm_name(method: str, start: str) -> str:
    """Name of the arm of a method with a start."""
    return f"{method} ({start})"


def _arms() -> tuple[Arm, ...]:
    arms = []
    for start in STARTS:
        for label, (agent, hyperparameters, _) in METHODS.items():
            learns = agent in LEARNING
            arms.append(
                Arm(
                    arm_name(label, start),
                    agent,
                    ENV,
                    BATCH * HORIZON * UPDATES if learns else 0,
                    hyperparameters=hyperparameters | ({"num_envs": BATCH} if learns else {}),
                    env_kwargs={"start": start},
                    evaluations=EVALUATIONS,
                    group=start,
                    curves=(CURVE, "policy/entropy"),
                    full_only=label == "SubPO, GRU",
                )
            )
    return tuple(arms)


def upper_bound(start: str) -> int:
    """The most that any path can cover: a move adds at most the cells of the new disc that the old one lacks."""
    from envzoo.coverage.grid_coverage import GridCoverage

    return GridCoverage(start=start).upper_bound


def _times_modpo(results: Results) -> float:
    return results.iqm("SubPO (corner)", COVERAGE) / results.iqm("ModPO (corner)", COVERAGE)


def _share_of_bound(results: Results) -> float:
    return results.iqm("SubPO (corner)", COVERAGE) / upper_bound("corner")


def _modpo_over_random(results: Results) -> float:
    return results.iqm("ModPO (centre)", COVERAGE) - results.iqm("random (centre)", COVERAGE)


def draw(results: Results, figure: Figure) -> None:
    """A row for each start: coverage while learning, and coverage of the final policies."""
    figure.set_size_inches(10.5, 6.6)
    title(figure, results, "Rewarding marginal gains makes a policy cover ground")
    rows = figure.subplots(len(STARTS), 2, gridspec_kw={"width_ratios": (1.25, 1)})
    for (left, right), start in zip(rows, STARTS, strict=True):
        colours = {arm_name(label, start): colour for label, (_, _, colour) in METHODS.items()}
        labels = {arm_name(label, start): label for label in METHODS}
        bound = upper_bound(start)
        learning_curves(left, results, colours, CURVE, labels=labels)
        for reference, high in (("random", False), ("greedy planner", True)):  # the words keep clear of the curves
            value = results.iqm(arm_name(reference, start), COVERAGE)
            level(left, value, reference, colour=METHODS[reference][2], below=high, left=high)
        level(left, bound, f"upper bound {bound}", left=True)
        left.set(title=f"Start in the {start}", ylabel="cells covered by a path", ylim=(0, 76))
        final_bars(right, results, colours, COVERAGE, labels=labels)
        level(right, bound, f"upper bound {bound}", vertical=True)
        right.set(xlim=(0, 76), xlabel="cells covered, policy sampled, after learning")
    rows[0][0].legend(loc="lower right", ncols=2)


EXPERIMENT = Experiment(
    paper=SUBMODULAR_RL,
    question="Does a policy gradient on marginal gains cover more of a grid than one on additive rewards?",
    claim="From a corner SubPO covers most of what any path could, well beyond ModPO; from the centre ModPO, paid for "
    "standing on the largest disc, ends below a random walk.",
    arms=_arms(),
    checks=(
        Check("From the corner SubPO covers at least 1.6 times what ModPO covers", _times_modpo, ">=", 1.6),
        Check("From the corner SubPO covers at least 85% of the upper bound", _share_of_bound, ">=", 0.85),
        Check("From the centre ModPO covers less than the random policy (difference)", _modpo_over_random, "<", 0.0),
    ),
    figure=draw,
    tables=tuple(
        Table(
            start,
            f"Cells covered from the {start} (at most {bound})",
            {COVERAGE: "sampled policy", f"mode/{COVERAGE}": "mode of the policy"},
            {arm_name(label, start): value for label, value in EXPECTED[start].items()},
            "independent run",
        )
        for start, bound in (("corner", 64), ("centre", 69))
    ),
    notes=(
        "The grid is 10x10 with a 3x3 disc and 20 moves, a small version of the paper's 30x30 grids; policies are "
        "tables of logits for each cell and step, or a GRU.",
        "The column of an independent run holds the means of 3 seeds of a plain NumPy program with the same batch, "
        "horizon and number of gradient steps.",
        "The greedy planner looks one step ahead in copies of the environment, which the learners never see.",
    ),
)
