"""A check that the answers of a rollout have the prompts, tokens and log-probabilities that they were sampled with.

As long as its weights do not change, the policy that sampled a token assigns it the recorded log-probability again, up
to rounding. If it does not, an answer has got another prompt, or tokens, masks or temperatures are wrong, and all
importance ratios that follow are wrong as well.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from envzoo.agents.text.rollouts import TextRollout
from envzoo.errors import EnvzooError

EXACT, REDUCED = 1e-3, 0.5  # largest differences by rounding, in float32 and in 16-bit dtypes


class RolloutCheck:
    """Check of all answers of a rollout before the first update.

    The first minibatch needs a forward pass anyway. Of the other answers only those with tokens of the current policy
    are scored here.

    Args:
        rollout: B answers.
        order: (B,) int64, order in which they are trained on.
        size: Answers per minibatch.
        most: Maximum number of answers per forward pass.
        score: Computes the log-probabilities (b, T) of answers under the current policy.
        policy: Number of weight updates of the current policy.
        limit: Maximum difference for tokens of the current policy.
        shown: Converts a prompt (P,) to text.

    Raises:
        EnvzooError: Two answers of one group have different prompts.
    """

    def __init__(
        self,
        rollout: TextRollout,
        order: Tensor,
        size: int,
        most: int,
        score: Callable[[TextRollout], Tensor],
        policy: int,
        limit: float,
        shown: Callable[[Tensor], str],
    ):
        self.rollout, self.limit, self.shown = rollout, limit, shown
        self._check_groups()
        written = rollout.mask > 0
        self.own = (rollout.written_by == policy) & written
        self.stale = (rollout.written_by != policy) & written
        self.first, rest = order[:size], order[size:]
        rest = rest[self.own[rest].any(1)].sort().values  # sorted, so that a pass reads few prompts
        with torch.no_grad():
            self.logp = rollout.old_logp.clone()
            for rows in rest.split(most):
                if len(rows):
                    self.logp[rows] = score(rollout.rows(rows)).to(self.logp.dtype)

    def __call__(self, logp: Tensor) -> dict[str, Tensor]:
        """Compare all log-probabilities with the recorded ones, given those (size, T) of the first minibatch.

        Returns:
            "logp_error" is the maximum difference over tokens of the current policy. "stale_logp_difference" is that
            over the tokens of earlier policies in the first minibatch, which measures how far the policy has moved.
            Each is present only if there are such tokens.

        Raises:
            EnvzooError: A difference is above the limit.
        """
        self.logp[self.first] = logp.detach().to(self.logp.dtype)
        difference = (self.logp - self.rollout.old_logp).abs().nan_to_num(nan=torch.inf)
        found = {}
        if bool(self.stale[self.first].any()):
            found["stale_logp_difference"] = torch.where(self.stale, difference, 0.0)[self.first].max()
        if not bool(self.own.any()):
            return found
        error, row = torch.where(self.own, difference, 0.0).amax(1).max(0)
        if not bool(error <= self.limit):
            raise EnvzooError(
                f"{self._name(row)} holds a token whose log-probability differs by {float(error):.3g} when the policy "
                f"that wrote it scores it again, expected at most {self.limit:g}; its prompt, tokens or temperature "
                "are not those it was written with, so the run stops before learning from it"
            )
        return found | {"logp_error": error}

    def _check_groups(self) -> None:
        """Check that all answers of a group have one prompt, because a forward pass reads it once."""
        asked, which = self.rollout.distinct_prompts()
        other = (asked[which] != self.rollout.prompts).any(1)
        if bool(other.any()):
            row = other.nonzero()[0, 0]
            first = (which == which[row]).nonzero()[-1, 0]
            raise EnvzooError(
                f"{self._name(row)} is in one group with {self._name(first)}, but answers of a group have the same "
                "prompt, so the run stops before learning from them"
            )

    def _name(self, row: Tensor) -> str:
        return f"answer {int(row)} of the rollout, to {self.shown(self.rollout.prompts[row])!r},"
