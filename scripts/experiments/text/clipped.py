"""Table arms in a regime in which clipping acts: large steps and many minibatches, so that ratios leave 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.text.tables import ACCURACY, AREA, AREA_PASS, ENTROPY, PASS, table_arm

RULES, COUNTDOWN, WALK = "rules", "countdown", "long walk"
GROUPS = {RULES: "TextSumTo-v1", COUNTDOWN: "TextCountdown", WALK: "Walk"}
REGIME = {"learning_rate": 0.05, "num_minibatches": 8}
UPDATES = 40
# Accuracies between which methods are compared; all methods of a page reach them.
LEVELS = {RULES: (0.3, 0.6), COUNTDOWN: (0.15, 0.35), WALK: (0.35, 0.6)}
FINAL, FINAL_ENTROPY, FINAL_PASS = f"final {ACCURACY}", f"final {ENTROPY}", f"final {PASS}"


def arm_name(method: str, puzzle: str) -> str:
    """Return the name of the arm of a method on a puzzle."""
    return method if puzzle == RULES else f"{method}, {GROUPS[puzzle].removeprefix('Text').lower()}"


def clipped_arm(
    method: str,
    agent: str,
    puzzle: str,
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    reach: float,
    updates: int = UPDATES,
    levels: Sequence[float] | None = None,
    **more: Any,
) -> FunctionArm:
    """Create an arm of a method on a puzzle; `more` are settings of `run_table` and fields of the arm."""
    return table_arm(
        arm_name(method, puzzle), agent, REGIME | dict(hyperparameters or {}), updates=updates, puzzle=puzzle,
        group=GROUPS[puzzle], levels=list(LEVELS[puzzle] if levels is None else levels), reach=reach, every=1,
        **more,
    )  # fmt: skip


COLUMNS = {
    FINAL: "accuracy at the end",
    FINAL_ENTROPY: "entropy at the end, nats",
    AREA: "entropy at equal accuracy",
    AREA_PASS: "pass@16 at equal accuracy",
}
NOTE = (
    "The policy is a softmax table instead of a network (`envzoo.agents.text.table.TokenTable`), with the losses of "
    "the agents themselves. Rollouts of 16 prompts with 16 answers, 8 minibatches, AdamW with a learning rate of 0.05: "
    "with smaller steps no ratio leaves the clipping range, and with these 1% of the tokens do. Accuracy and entropy "
    "are computed exactly: on TextSumTo-v1 on the 277 held-out prompts, on TextCountdown (two numbers) on the 108 "
    "training prompts, because its table has rows of its own for each prompt. A table cannot show what depends on how "
    "a network generalizes."
)
LEVELS_NOTE = (
    "At equal accuracy: the mean over accuracies from {:g} to {:g} (TextSumTo-v1) and {:g} to {:g} (TextCountdown) of "
    "the value at the update at which a run first reaches each of them. All methods of a seed start from the same "
    "logits."
).format(*LEVELS[RULES], *LEVELS[COUNTDOWN])
PILOT_NOTE = (
    "Bounds and numbers of seeds were written down after pilots on seeds 0 to 5, and before any run on the seeds from "
    "1000 that are judged."
)
