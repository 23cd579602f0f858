"""The check that answers are learned from as they were written: same prompt, same tokens, same probabilities.

The policy that wrote a token gives it the recorded log-probability once more, up to rounding, as long as its weights
stay as they are. Where it does not, an answer has been put under another prompt, or tokens, masks or temperatures have
been mixed up, and every ratio that follows is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from envzoo.agents.text.rollouts import Rollout
from envzoo.errors import EnvzooError

EXACT, REDUCED = 1e-3, 0.5  # largest difference that rounding explains, in float32 and in shorter numbers


class RolloutCheck:
    """Checks all answers of a rollout before the first update.

    The first minibatch has its forward pass anyway; only the other answers are scored here, and of these only those
    with tokens that the present policy wrote.

    Args:
        rollout: B answers.
        order: (B,) int64, in which they are learned from.
        size: Answers of a minibatch.
        most: Most answers of a forward pass; None for those of a minibatch.
        score: Gives the log-probabilities (b, T) of answers under the present policy.
        policy: How often its weights have changed.
        limit: Largest difference of a token that it wrote.
        shown: Gives a prompt (P,) as text.

    Raises:
        EnvzooError: Two answers of one group have different prompts; the sentence names them.
    """

    def __init__(
        self,
        rollout: Rollout,
        order: Tensor,
        size: int,
        most: int | None,
        score: Callable[[Rollout], Tensor],
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
            for rows in rest.split(min(size, most or size)):
                if len(rows):
                    self.logp[rows] = score(rollout.rows(rows)).to(self.logp.dtype)

    def __call__(self, logp: Tensor) -> dict[str, Tensor]:
        """Compare all log-probabilities with the recorded ones, given those (size, T) of the first minibatch.

        Returns:
            "logp_error": the largest difference of tokens that the present policy wrote, and "stale_logp_difference":
            that of the first minibatch's tokens that earlier ones wrote, which says how far the policy has gone since;
            each where there are such tokens.

        Raises:
            EnvzooError: An error above the limit; the sentence names the row with the largest one.
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
        """A forward pass reads one prompt for all answers of a group."""
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
