"""Paper 40, AEPO: entropy is held at a target with rewarded samples at another temperature."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from envzoo.papers import find
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, Score, all_of, equivalence, exact, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Superseded, Table
from envzoo.scripts.experiments.core.figures import BLUE, GREEN, GREY, MUTED, ORANGE
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.p40_aepo.control import (
    ACCURACY,
    ENTROPY,
    FINAL,
    HELD,
    INJECTED,
    TREND,
    run_control,
    temperature_moves_entropy,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UPDATES, SEEDS = 200, 20
TARGETS = (0.25, 0.5, 0.75)
# Entropies at which the targets settled in the pilot, on seeds 0 to 9.
SETTLED = {0.25: 0.287, 0.5: 0.538, 0.75: 0.780}
PLAIN = "GRPO"
AEPO = {target: f"AEPO {target:g}" for target in TARGETS}
COLOURS = {PLAIN: GREY, AEPO[0.25]: BLUE, AEPO[0.5]: ORANGE, AEPO[0.75]: GREEN}


def _arm(name: str, method: str, **hyperparameters: float) -> FunctionArm:
    return FunctionArm(
        name,
        run_seeds=run_control,
        budget=UPDATES,
        settings={"method": method, "hyperparameters": hyperparameters},
        group="TextSumTo",
        quick_spend=15,
        batch=20,
    )


def _lost(results: Results) -> np.ndarray:
    """Return the margin of non-inferiority itself."""
    return np.full(len(results.seeds(PLAIN)), -0.02)


def draw(results: Results, figure: Figure) -> None:
    """Draw the entropy with its targets, the entropy held, and accuracy."""
    from envzoo.scripts.experiments.text.table_figures import effects, heading, over_updates

    heading(figure, results, "rewarded hot and cool samples hold the entropy near its target", (12.4, 3.9))
    left, middle, right = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1.2, 0.8, 1]})
    over_updates(left, results, COLOURS, ENTROPY, (None,) * 4)
    for target, arm in AEPO.items():
        left.axhline(target, color=COLOURS[arm], linestyle=(0, (4, 3)), linewidth=1)
    left.set_title("Entropy, nats per token, and targets (dashed)")
    effects(middle, results, {arm: (Score(arm, HELD), colour) for arm, colour in COLOURS.items()})
    for target in TARGETS:
        middle.axvline(target, color=MUTED, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    middle.set_title("Entropy over the last third")
    over_updates(right, results, {PLAIN: GREY, AEPO[0.75]: GREEN}, ACCURACY, (120.0, 35.0))
    right.set_title("Accuracy")


_TABLE = "replaced by the exact table, with an equivalence for each target"
EXPERIMENT = Experiment(
    paper=find("40-aepo"),
    question="Can the entropy of a policy be held at any level while it learns?",
    claim="AEPO holds the mean entropy within 0.1 nats of the targets 0.25, 0.5 and 0.75 over the last third of "
    "training, in their order, while GRPO's falls all the time.",
    reason="Right answers of a hot policy flatten the distribution, right answers of a cool one sharpen it, and the "
    "switch between the two at the target holds the entropy. It settles about .03 nats above each target, to within "
    ".01 from seed to seed.",
    arms=(
        _arm(PLAIN, "GRPO"),
        *(_arm(arm, "AEPOArbitrary", target_entropy=target) for target, arm in AEPO.items()),
    ),
    checks=(
        all_of(
            "Entropies are in the order of their targets, at least 0.1 nats apart",
            *(
                seeded(
                    f"Entropy held at target {high:g} less that at {low:g}", Difference(AEPO[high], AEPO[low], HELD),
                    ">", 0.1, null={AEPO[high]: AEPO[low]},
                )
                for low, high in itertools.pairwise(TARGETS)
            ),
            primary=True,
        ),
        all_of(
            "Each target is held within 0.1 nats",
            *(
                equivalence(
                    f"Entropy held at target {target:g}", Score(arm, HELD), target - 0.1, target + 0.1,
                    null={arm: PLAIN if target > 0.25 else AEPO[0.75]},
                )
                for target, arm in AEPO.items()
            ),
            primary=True,
            paper_claim="entropy is stabilized at arbitrary target levels, without a tolerance",
        ),
        seeded(
            "GRPO's entropy falls throughout: Spearman's rho of time and entropy", Score(PLAIN, TREND), "<", -0.95,
            null={PLAIN: AEPO[0.75]}, primary=True,
        ),
        all_of(
            "The entropies are those at which the targets settled on other seeds, within 0.02 nats",
            *(
                equivalence(
                    f"Entropy held at target {target:g}, calibrated", Score(arm, HELD), SETTLED[target] - 0.02,
                    SETTLED[target] + 0.02, null={arm: PLAIN},
                )
                for target, arm in AEPO.items()
            ),
        ),
        seeded(
            "AEPO (target 0.5) loses at most .02 of GRPO's accuracy", Difference(AEPO[0.5], PLAIN, FINAL), ">", -0.02,
            null=_lost, paper_claim="accuracy rises and then falls with the target; at this scale all are near 1",
        ),
        exact(
            "dH/dT = Var(z) / T^3: largest error", temperature_moves_entropy, "<", 1e-6,
            null=partial(temperature_moves_entropy, power=2),
        ),
    ),
    figure=draw,
    tables=(
        Table("TextSumTo", "A softmax table on TextSumTo", {name: name for name in (HELD, TREND, FINAL, INJECTED)}),
    ),
    seeds=SEEDS,
    first_seed=1000,
    small_scale=True,
    quick_seeds=2,
    notes=(
        "The policy is a softmax table instead of a network (`envzoo.agents.text.table.TokenTable`) on TextSumTo-v0, "
        "whose entropy GRPO spends within 200 updates; nothing is claimed about held-out prompts. Rollouts of 16 "
        "prompts with 16 answers, 4 minibatches, AdamW with a learning rate of 0.02. Entropy and accuracy are exact.",
        "The temperatures (1.8 and 0.8) and the largest fraction of injected answers (half, or a quarter above the "
        "target) are larger than the published ones (1.2, 0.8, 2.3% of the batch), with which the entropy is known to "
        "fall at this scale. AEPO generates twice as many answers per update.",
        "Bounds and numbers of seeds were written down after a pilot on seeds 0 to 9, and before any run on the seeds "
        "from 1000 that are judged; 40 were planned at first, and 20 for lack of time before any of them had run.",
    ),
    superseded=(
        Superseded("AEPO, target 0.25: distance of the entropy, last third (network)", 0.0340, "<= 0.15", _TABLE),
        Superseded("AEPO, target 0.5: distance of the entropy, last third (network)", 0.0334, "<= 0.15", _TABLE),
        Superseded("AEPO, target 0.75: distance of the entropy, last third (network)", 0.1445, "<= 0.15", _TABLE),
        Superseded("Entropies in the order of their targets, least step (network)", 0.1388, "> 0", _TABLE),
        Superseded("GRPO: entropy at the end (network)", 0.1354, "< 0.25", "depends on the length of the run alone"),
        Superseded("GRPO: Spearman's rho of time and entropy (network)", -0.9964, "< -0.9", "now for each of 20 seeds"),
        Superseded("AEPO, target 0.75: the same (network)", -0.8547, "> -0.9", "now the null of the check of GRPO"),
        Superseded(
            "Accuracy at the end: best larger target less the smallest (network)", 0.0129, "> 0",
            "the best of two is above a third by chance; replaced by a margin for one target",
        ),
    ),
)  # fmt: skip
