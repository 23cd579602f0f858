"""Names of the arms of the experiment on paper 20."""

from __future__ import annotations

GAMES = "matrix games"
SPO, MODEL = "SPO", "reward model"
LEARNERS = {SPO: ("self_play", "SPO"), MODEL: ("reward_model", "IterativeRewardModel")}
ENTROPIES = {"no entropy": 0.0, "entropy 0.02": 0.02}
KINDS = ("cyclic", "nonmarkov")


def bandit(learner: str, entropy: str) -> str:
    """Return the name of an arm on three logits."""
    return f"{learner}, {entropy}"


def point(learner: str, kind: str) -> str:
    """Return the name of an arm on PrefPoint."""
    return f"{learner}, {kind}"
