"""Scores of reasoning-gym's datasets without `eval`: no answer of a model is ever executed.

`table` lists every dataset and how its answers are read, `scoring` is the entry point, and the other files hold parsers
of bounded grammars.
"""

from envzoo.reasoning.safe_scoring.scoring import LONGEST, check_dataset, playable, score_answer
from envzoo.reasoning.safe_scoring.table import REVIEWED_VERSION, REVIEWS, Review

__all__ = ["LONGEST", "REVIEWED_VERSION", "REVIEWS", "Review", "check_dataset", "playable", "score_answer"]
