"""The only way from a model's answer to a score of reasoning-gym."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError, unknown
from envzoo.reasoning.safe_scoring.table import REVIEWS

LONGEST = 2**17  # characters of an answer


def check_dataset(name: str, known: list[str]) -> None:
    """Refuse a dataset that cannot be played.

    Args:
        name: Name of a dataset.
        known: Names of the datasets of the installed package.

    Raises:
        UnknownNameError: When the package has no such dataset.
        EnvzooError: When the dataset is refused, or when nobody has reviewed its scorer.
    """
    if name not in known:
        raise unknown("dataset of reasoning-gym", name, playable(known))
    if name not in REVIEWS:
        raise EnvzooError(
            f"the dataset {name} of reasoning-gym cannot be played: envzoo has not reviewed how it reads answers"
        )
    if REVIEWS[name].refused:
        raise EnvzooError(f"the dataset {name} of reasoning-gym cannot be played: {REVIEWS[name].refused}")


def playable(known: list[str]) -> list[str]:
    """Those of the package's datasets that can be played, sorted."""
    return sorted(name for name in known if name in REVIEWS and not REVIEWS[name].refused)


def score_answer(name: str, dataset: Any, answer: str, entry: dict[str, Any]) -> float:
    """Score a model's answer, of which nothing is evaluated.

    Args:
        name: Name of a dataset that `check_dataset` lets pass.
        dataset: The package's dataset. Only the scorers that the review calls safe are called.
        answer: Any string.
        entry: The item, as the dataset made it; it is not changed.

    Returns:
        A number from 0 to 1. An answer of more than LONGEST characters is wrong, and so is one that the dataset's
        scorer fails at or gives no number from 0 to 1.
    """
    review = REVIEWS[name]
    if len(answer) > LONGEST:
        return 0.0
    entry = {**entry, "metadata": dict(entry["metadata"])}  # knight_swap writes into it
    try:
        if review.own is not None:
            score = float(review.own(answer, entry))
        elif review.screen is not None and not review.screen(answer):
            return 0.0
        else:
            with np.errstate(all="ignore"):  # a warning would open source files to show their lines
                score = float(dataset.score_answer(answer=answer, entry=entry))
    except Exception:  # whatever the package's scorer fails with, the answer was none that it can read
        return 0.0
    return score if math.isfinite(score) and 0.0 <= score <= 1.0 else 0.0
