"""A loss of one's own for language models, compared with GRPO on an exact softmax table.

The loss is a policy gradient that leaves alone all tokens whose distribution has an entropy below half a nat, so that
what the policy is sure of is not reinforced further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from envzoo.agents.text.losses.tokens import masked_mean
from envzoo.agents.text.method import Method
from envzoo.agents.text.table import TokenTable, sum_to
from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Ratio, seeded
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.figures import BLUE, ORANGE, final_bars, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from envzoo.agents.text.rollouts import TextRollout
    from envzoo.scripts.experiments.core.results import Results


LEAST = 0.5  # nats


class Unsure(Method):
    """REINFORCE on the tokens of uncertain distributions."""

    vectorizes = True  # no decision depends on the value of a tensor, so all seeds are computed at once

    def token_loss(self, logp: Tensor, entropy: Tensor, batch: TextRollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute -A log pi where the entropy is at least half a nat."""
        unsure = (entropy >= LEAST).to(logp.dtype)
        return -batch.advantage * unsure * logp, {"unsure_fraction": masked_mean(unsure, batch.mask)}


def learn(seeds: Sequence[int], budget: int, quick: bool, own: bool) -> list[dict[str, Any]]:
    """Train on a small table with many seeds; entropy and accuracy are exact."""
    table = TokenTable(sum_to(terms=3), Unsure if own else "GRPO", seeds=seeds)
    table.learn(budget, exact=None)
    found = table.measure("train")
    return [
        {"scores": {"entropy": float(h), "accuracy": float(a)}}
        for h, a in zip(found.entropy, found.accuracy, strict=True)
    ]


def draw(results: Results, figure: Figure) -> None:
    """Draw entropy and accuracy at the end."""
    figure.set_size_inches(8, 2.6)
    title(figure, results, "What a policy is sure of needs no reinforcement")
    for axes, score in zip(figure.subplots(1, 2), ("entropy", "accuracy"), strict=True):
        final_bars(axes, results, {"GRPO": BLUE, "unsure": ORANGE}, score, number="{:.2f}")
        axes.set_title(f"{score.capitalize()} at the end")


EXPERIMENT = Experiment(
    paper=Paper("A loss of one's own", "envzoo", 2026, slug="own-loss"),
    question="Does a policy keep more entropy if sure tokens are not reinforced?",
    claim="If only uncertain tokens are trained, the entropy is higher after equally many updates.",
    arms=(
        FunctionArm("GRPO", run_seeds=learn, budget=60, settings={"own": False}, group="table", quick_spend=5),
        FunctionArm("unsure", run_seeds=learn, budget=60, settings={"own": True}, group="table", quick_spend=5),
    ),
    checks=(
        seeded(
            "The entropy is higher than with GRPO",
            Ratio("unsure", "GRPO", "entropy"),
            ">",
            1.0,
            null={"unsure": "GRPO"},
            estimand="ratio",
            primary=True,
        ),
    ),
    figure=draw,
    tables=(Table("table", "At the end", {"entropy": "entropy, nats", "accuracy": "accuracy"}),),
    seeds=10,
)
