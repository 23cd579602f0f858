"""Paper 23, BAPO: clipping bounds that balance rewarded and punished tokens when data are stale."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import Arm
from envzoo.scripts.experiments.core.checks import Check, point
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.text import runs as runs
from envzoo.scripts.experiments.text.runs import ACCURACY, ENTROPY, text_arm
from envzoo.scripts.experiments.text.strengths import SWEPT, strength

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UPDATES = 100
TASK = "TextChainArith"
KEYWORDS = {"scratchpad": "free", "steps": 2}  # wrong answers may continue, and so are longer than right ones
MOVED, GRADIENT, CLIPPED = "policy/moved", "policy/grad_norm", "policy/clip_fraction"
LENGTH = "rollout/length"
# Minimum number of optimizer steps between sampling and training -> number of waiting rollouts.
STALE = {"4 steps": 1, "8 steps": 2}
PASSES, PARTS = "4 passes", "parts"  # several epochs over a rollout; answers written by several policies
CHUNK = 3  # tokens added to an answer per rollout, of at most 8
# Source of the data -> (group of its arms, hyperparameters).
SOURCES = {
    **{name: (f"data {name} old", {"staleness": waiting}) for name, waiting in STALE.items()},
    PASSES: ("4 passes over a rollout", {"num_epochs": 4}),
    PARTS: ("answers written in parts", {"partial_rollout": CHUNK}),
}
JUDGED = (*STALE, PASSES)
# Label -> (agent, hyperparameters).
METHODS = {
    "GRPO": ("GRPO", {}),
    "clip-higher": ("ClipHigher", {}),
    "BAPO": ("BAPO", strength("BAPO")),
}
VARIANTS = {
    "BAPO, the paper's strength": ("BAPO", {}),
    "BAPO, by gradients": ("BAPO", {"mode": "grad"}),
    "GRPO, bounds .8 and 2": ("GRPO", {"eps_high": 1.0}),
    "GRPO, bounds .4 and 1.2": ("GRPO", {"eps_low": 0.6}),
}
QUICK = ("4 steps", ("GRPO", "BAPO"))


def arm_name(method: str, source: str) -> str:
    """Return the name of the arm of a method on data of a source."""
    return f"{method}, {source}"


def _arm(method: str, source: str) -> Arm:
    agent, hyperparameters = (METHODS | VARIANTS)[method]
    group, data = SOURCES[source]
    return text_arm(
        arm_name(method, source),
        agent,
        UPDATES,
        {"num_epochs": 1, **data, **hyperparameters},
        task=TASK,
        group=group,
        env_kwargs=KEYWORDS,
        curves=(GRADIENT, CLIPPED, LENGTH, *((MOVED,) if agent == "BAPO" else ())),
        full_only=source != QUICK[0] or method not in QUICK[1],
    )


def _moved(results: Results, source: str) -> float:
    return float(runs.whole(results, arm_name("BAPO", source), MOVED).mean())


def _large_gradients(results: Results, arm: str) -> float:
    return float(np.mean([np.percentile(y, 99) for _, y in results.lines(arm, GRADIENT)]))


def _gradient_ratio(results: Results, source: str) -> float:
    mine, plain = (_large_gradients(results, arm_name(method, source)) for method in ("BAPO", "GRPO"))
    return mine / plain


def _ratio(source: str, method: str, score: str) -> partial:
    return partial(runs.final_ratio, arm=arm_name(method, source), reference=arm_name("GRPO", source), score=score)


def _checks(source: str) -> tuple[Check, ...]:
    mine, plain = arm_name("BAPO", source), arm_name("GRPO", source)
    head = f"{source} old: " if source in STALE else f"{source}: "
    return (
        point(f"{head}share of minibatches in which the bounds move", partial(_moved, source=source), ">", 0.1, True),
        point(f"{head}BAPO's entropy at the end over GRPO's", _ratio(source, "BAPO", ENTROPY), ">", 1.0, True),
        point(
            f"{head}99th percentile of the gradient's norm over GRPO's",
            partial(_gradient_ratio, source=source),
            "<",
            1.0,
            True,
        ),
        runs.compare(
            f"{head}BAPO's accuracy at the end less GRPO's", runs.final_difference, mine, plain, ACCURACY, ">=", -0.03
        ),
    )


def start_of_the_search(results: Results) -> float:
    """Compute how far BAPO's bounds move from their initial values without negative advantages, on random batches."""
    import torch

    from envzoo.agents.reasoning.bapo import adaptive_bounds

    generator, worst = torch.Generator().manual_seed(0), 0.0
    for _ in range(50):
        old = -torch.rand(16, 8, generator=generator)
        new = old + 0.3 * torch.randn(16, 8, generator=generator)
        bounds = adaptive_bounds(new, old, torch.rand(16, 8, generator=generator), torch.ones(16, 8))
        worst = max(worst, abs(bounds.low - 0.6), abs(bounds.high - 1.2))
    return worst


def draw(results: Results, figure: Figure) -> None:
    """Draw training curves for every source of data, and the gradient norms."""
    from envzoo.scripts.experiments.text.figures import curve_panel, draw_rows, usual_panels

    panels = usual_panels(curve_panel(GRADIENT, "Norm of the gradient"))
    heading = "Adaptive clipping bounds on stale data"
    draw_rows(results, figure, heading, {group: panels for group, _ in SOURCES.values()})


EXPERIMENT = Experiment(
    paper=find("23-bapo"),
    question="Does balancing rewarded and punished tokens keep learning from stale data stable?",
    claim="On data that are 4 and 8 optimizer steps old, and in 4 passes over a rollout, BAPO moves its bounds in more "
    "than a tenth of the minibatches, ends with a higher entropy than GRPO, takes smaller extreme gradients, and loses "
    "no more than 0.03 of accuracy. "
    "A higher upper bound alone raises the entropy, a lower lower bound alone lowers it.",
    arms=(
        *(_arm(method, source) for source in SOURCES for method in METHODS),
        *(_arm(method, "8 steps") for method in VARIANTS),
    ),
    checks=(
        point("Bounds without punished tokens: largest distance from their start", start_of_the_search, "<", 1e-9),
        *(check for source in JUDGED for check in _checks(source)),
        point(
            "8 steps old: entropy with the upper bound alone at 2, over GRPO's",
            _ratio("8 steps", "GRPO, bounds .8 and 2", ENTROPY),
            ">",
            1.0,
            True,
        ),
        point(
            "8 steps old: entropy with the lower bound alone at 0.4, over GRPO's",
            _ratio("8 steps", "GRPO, bounds .4 and 1.2", ENTROPY),
            "<",
            1.0,
            True,
        ),
    ),
    figure=draw,
    tables=tuple(
        runs.final_table(
            group,
            f"TextChainArith with a free scratchpad, {group}",
            {MOVED: "bounds moved", CLIPPED: "clipped", GRADIENT: "norm of gradient", LENGTH: "tokens"},
        )
        for group, _ in SOURCES.values()
    ),
    seeds=runs.SEEDS,
    small_scale=True,
    quick_seeds=1,
    notes=(
        runs.SCALE_NOTE,
        runs.SEEDS_NOTE,
        "Age of the data: a rollout is split into 4 minibatches and waits while one or two others are trained on, so "
        "that the policy has taken at least 4 or 8 steps since sampling. With 4 passes, a rollout is trained on at "
        f"once, in 16 steps. In parts, an answer grows by {CHUNK} tokens per rollout and is continued by the next "
        "policy, so that only its first tokens are old; those arms are not judged, because the answers here are short.",
        "The paper's strength is a fraction of 0.4 with bounds from 0.6 to 0.9 and from 1.2 to 3; it is shown beside "
        "the chosen one for data that are 8 steps old, and is not judged. The number of passes over a rollout is the "
        "same in all arms with the same data. " + SWEPT,
        "The paper's strength starts its search at a lower bound of 0.6, where GRPO has 0.8. In seven of eight "
        "minibatches the target fraction of rewarded tokens is reached immediately, and the smaller lower bound alone "
        "reduces the entropy, as the last check shows.",
    ),
)
