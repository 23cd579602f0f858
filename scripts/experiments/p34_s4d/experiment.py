"""Paper 34, S4D: which eigenvalues a diagonal state space layer starts from decides whether it learns to remember."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Score, all_of, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.figures import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    learning_curves,
    level,
    title,
)
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p34_s4d import worlds
from envzoo.scripts.experiments.p34_s4d.arms import LAG, copy_suits, measure_identities

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UPDATES = 120
LIN, INV, LEGS, RANDOM, REAL = "S4D-Lin", "S4D-Inv", "S4D-LegS", "S4D-Random", "S4D-Real"
MODELS = {LIN: "lin", INV: "inv", LEGS: "legs", RANDOM: "random", REAL: "real"}
COLOURS = {LIN: BLUE, INV: GREEN, RANDOM: ORANGE, REAL: RED}
IDENTITIES = {
    "recurrence against convolution": 1e-4,
    "resets against episodes apart": 1e-5,
    "kernel against parallel scan": 1e-5,
    "asymmetry of the normal part": 1e-10,
    "largest frequency of Inv against LegS": 0.05,
}


def _above(arm: str, bound: float, null: str):
    return seeded(f"{arm}: accuracy of at least {bound}", Score(arm, "accuracy"), ">=", bound, null={arm: null})


def _below(arm: str, bound: float, null: str):
    return seeded(f"{arm}: accuracy of at most {bound}", Score(arm, "accuracy"), "<=", bound, null={arm: null})


def _reaches(arm: str, world: str, null: str):
    sentence = f"{world}: at least 90% of the way"
    return seeded(sentence, Score(arm, worlds.REACHED), ">=", 0.9, null={arm: null})


def _stays(arm: str, world: str, null: str):
    sentence = f"{world}, without a memory: at most 25% of the way"
    return seeded(sentence, Score(arm, worlds.REACHED), "<=", 0.25, null={arm: null})


def _largest(score: str, fault: float = 0.0) -> Callable[[Results], float]:
    def measure(results: Results) -> float:
        return fault + float(results.scores("identities", score).max())

    return measure


# Arms with S4D and without memory, title, chance and optimum of each world.
PANELS = (
    (
        {worlds.REPEAT_S4D: BLUE, worlds.REPEAT_BLIND: RED},
        f"PPO names the suit shown {worlds.LAG - 1} steps ago",
        worlds.repeat_chance(),
        1.0,
    ),
    (
        {worlds.TMAZE_S4D: BLUE, worlds.TMAZE_BLIND: RED},
        f"PPO keeps a cue for {worlds.CORRIDOR} steps",
        worlds.tmaze_chance(),
        worlds.RIGHT_ARM,
    ),
)


def draw(results: Results, figure: Figure) -> None:
    """Draw the share of right answers over the updates, and the returns of PPO on the worlds that have run."""
    title(figure, results, "S4D remembers if it starts from the right eigenvalues")
    panels = [panel for panel in PANELS if set(panel[0]) <= set(results.arms)]
    figure.set_size_inches(6 + 3 * len(panels), 4)
    left, *others = figure.subplots(1, 1 + len(panels), squeeze=False)[0]
    learning_curves(left, results, COLOURS, "accuracy")
    level(left, 0.25, "guessing", below=True)
    left.set(title=f"Naming the suit shown {LAG - 1} steps ago", xlabel="updates", ylabel="share of right answers")
    left.xaxis.set_major_formatter("{x:g}")
    left.legend(loc="center right", bbox_to_anchor=(1, 0.66))
    for axes, (arms, heading, chance, optimum) in zip(others, panels, strict=True):
        labels = dict(zip(arms, ("S4D", "no memory"), strict=True))
        learning_curves(axes, results, arms, "rollout/return_mean", labels=labels)
        level(axes, optimum, "optimum")
        level(axes, chance, "best without memory")
        axes.set(title=heading, ylabel="return")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.4))


EXPERIMENT = Experiment(
    paper=find("34-s4d"),
    question="Do diagonal state space layers learn to remember, and does it depend on their initial eigenvalues?",
    claim="Layers that start from S4D-Lin or S4D-Inv learn to copy over 15 steps; real or random eigenvalues do not.",
    arms=(
        *(
            FunctionArm(
                arm,
                copy_suits,
                budget=UPDATES,
                settings={"model": model},
                group="copying",
                quick_spend=6,
            )
            for arm, model in MODELS.items()
        ),
        FunctionArm("identities", measure_identities, group="identities"),
        *worlds.ARMS,
    ),
    checks=(
        all_of(
            "S4D-Lin and S4D-Inv name at least 95% of the suits after 120 updates",
            _above(LIN, 0.95, REAL),
            _above(INV, 0.95, REAL),
            primary=True,
            paper_claim="Lin, Inv and LegS are within about a point of each other on sequential CIFAR-10.",
        ),
        all_of(
            "Real and random eigenvalues stay at 60% or below after as many updates",
            _below(REAL, 0.6, LIN),
            _below(RANDOM, 0.6, LIN),
            primary=True,
            paper_claim="Real and random initialisations are several points worse on sequential CIFAR-10.",
        ),
        all_of(
            "PPO with S4D gets at least 90% of the way from the best policy without memory to the optimum",
            _reaches(worlds.REPEAT_S4D, "RepeatPrevious", worlds.REPEAT_BLIND),
            _reaches(worlds.TMAZE_S4D, "TMaze", worlds.TMAZE_BLIND),
            primary=True,
            paper_claim="None: the paper learns no policies.",
        ),
        all_of(
            "PPO without a memory stays near the best policy without memory",
            _stays(worlds.REPEAT_BLIND, "RepeatPrevious", worlds.REPEAT_S4D),
            _stays(worlds.TMAZE_BLIND, "TMaze", worlds.TMAZE_S4D),
        ),
        _reaches(worlds.SLOW_S4D, "TMaze with a rate of .002 and 40 updates in place of 24", worlds.SLOW_BLIND),
        _stays(worlds.SLOW_BLIND, "TMaze with a rate of .002 and 40 updates", worlds.SLOW_S4D),
        *(
            exact(
                f"{name[0].upper()}{name[1:]}: at most {bound:g}", _largest(name), "<=", bound, null=_largest(name, 1.0)
            )
            for name, bound in IDENTITIES.items()
        ),
    ),
    figure=draw,
    tables=(
        Table(
            "copying",
            f"Copying over {LAG - 1} steps, {UPDATES} updates",
            {"accuracy": "accuracy", "parameters": "parameters"},
        ),
        *(
            Table(group, heading, {"return": "return", worlds.REACHED: "share of the way from chance to the optimum"})
            for group, heading in worlds.GROUPS.items()
        ),
        Table("identities", "Identities in float32: largest errors", {name: name for name in IDENTITIES}),
    ),
    reason=(
        "Oscillating modes of many frequencies form a basis of the past, from which any lag can be read out; "
        "real modes only decay. PPO with S4D reaches the optimum of RepeatPrevious in all seeds. On TMaze, 14 of 24 "
        "runs end at the optimum, three at the level of a choice without the cue, and seven always walk forward, into "
        "the wall at the junction too (a return of -0.2), and try nothing else any more. So exploration fails, not the "
        "memory. With the slower rate ten of twelve runs end at the optimum, and two walk into the wall."
    ),
    seeds=5,
    first_seed=1000,
    notes=(
        "Copying: suits are drawn independently; sequences of 128; two layers of 64 channels with states of 32 "
        "numbers, batches of 32, AdamW with a learning rate of 4e-3 (1e-3 for eigenvalues and step sizes).",
        "All models get the same number of updates, not the same time.",
        "PPO: chance is the best expected return of a policy that sees only the present observation: 1.95 on TMaze "
        "(either arm, right half of the time) and -25/51 on RepeatPrevious (another suit than the one in view, right "
        "in 13 of 51 cases). The control has the same settings and no memory. Evaluations are 400 episodes with the "
        "mode of the policy; settings were chosen on seeds 1 and 2, those of the slower rate on seeds 1 to 8, all of "
        "which ended at the optimum.",
    ),
)
