"""Names of the arms of the experiment on paper 20."""

from __future__ import annotations

GAMES = "matrix games"
SPO, MODEL = "SPO", "reward model"
LEARNERS = {SPO: ("self_play", "SPO"), MODEL: ("reward_model", "IterativeRewardModel")}
ENTROPIES = {"no entropy": 0.0, "entropy 0.02": 0.02}
KINDS = ("cyclic", "nonmarkov", "max")
TRACE, DUEL = "SPO, cyclic, followed", "SPO against reward model, nonmarkov"
TEMPERATURE = 0.1  # of the soft actor-critic, constant


def bandit(learner: str, entropy: str) -> str:
    """Return the name of an arm on three logits."""
    return f"{learner}, {entropy}"


def point(learner: str, kind: str) -> str:
    """Return the name of an arm on PrefPoint."""
    return f"{learner}, {kind}"


def soft(kind: str, learned: bool = False) -> str:
    """Return the name of an arm of SPO on soft actor-critic."""
    return f"SPO on SAC, {kind}, {'learned temperature' if learned else f'temperature {TEMPERATURE}'}"
