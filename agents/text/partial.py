"""Partial rollouts: answers that grow by a number of tokens per rollout, and are gone on with by the next policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envzoo.agents.text.codec import Codec
from envzoo.agents.text.models.language import LanguageModel
from envzoo.agents.text.rollouts import Rollout
from envzoo.agents.text.sampling import Draft, Manner, as_rollout, blank, write


class PartialRollouts:
    """Answers in the making, G to each prompt, in the order in which they were begun; saved with the agent.

    A rollout begins answers to new prompts, as many as finished ones are missing, lets every unfinished answer grow by
    at most C tokens, and takes the oldest prompts of which all G answers are finished (BAPO, arXiv 2510.18927, trains
    on such data). The log-probabilities that are kept of a token are those of the policy that wrote it.

    Args:
        codec: What tokens mean.
        copies: Answers per prompt (G).
        chunk: Most tokens per rollout (C).
        device: Of the model.
    """

    def __init__(self, codec: Codec, copies: int, chunk: int, device: torch.device):
        self.codec, self.copies, self.chunk, self.device = codec, copies, chunk, device
        self.draft = blank(0, codec.answer_length, codec.pad, device)
        self.prompts = np.zeros((0, codec.task.prompt_length), np.int64)  # one of each group
        self.written = np.zeros(0, np.int64)  # tokens of each answer
        self.born = np.zeros(0, np.int64)  # number of the policy that began each group

    def finished(self) -> np.ndarray:
        """Which groups are finished, bool (groups,)."""
        return ~self.draft.alive.cpu().numpy().reshape(-1, self.copies).any(1)

    def collect(
        self, count: int, new_prompts: Callable[[int], np.ndarray], model: LanguageModel, manner: Manner, policy: int
    ) -> tuple[Rollout, int, float]:
        """Go on with all answers until those to `count` prompts are finished, and take them.

        Args:
            count: Prompts wanted (Q).
            new_prompts: Gives that many new prompts (n, P).
            model: The policy.
            manner: How it writes.
            policy: Its number.

        Returns:
            The rollout (Q G answers), the number of tokens that were written, and the mean age of what was taken: how
            many policies ago its answers were begun.
        """
        tokens = self._grow(count, new_prompts, model, manner, policy)
        while self.finished().sum() < count:  # the policy is still the same
            tokens += self._grow(count, new_prompts, model, manner, policy)
        taken = np.flatnonzero(self.finished())[:count]
        rows = (taken[:, None] * self.copies + np.arange(self.copies)).ravel()
        prompts, age = np.repeat(self.prompts[taken], self.copies, 0), float((policy - self.born[taken]).mean())
        draft = self._rows(rows)
        reward = self.codec.reward(prompts, draft.tokens.cpu().numpy())
        group = torch.arange(count, device=self.device).repeat_interleave(self.copies)
        rollout = as_rollout(draft, torch.as_tensor(prompts, device=self.device), group, reward)
        self._keep(np.setdiff1d(np.arange(len(self.prompts)), taken))
        return rollout, tokens, age

    def _grow(
        self, count: int, new_prompts: Callable[[int], np.ndarray], model: LanguageModel, manner: Manner, policy: int
    ) -> int:
        """Every unfinished answer, and new ones, by at most C tokens; returns how many were written."""
        old = len(self.prompts)
        fresh = max(0, count - int(self.finished().sum()))
        if fresh:
            self._begin(new_prompts(fresh), policy)
        before = self.draft.mask.sum()
        alive = self.draft.alive.cpu().numpy()
        # Unfinished answers have grown by C in each rollout so far, so those of one age are equally long.
        for length in np.unique(self.written[alive])[::-1].tolist():
            rows = np.flatnonzero(alive & (self.written == length))
            whole = length == 0  # whole groups, whose prompts are read once
            groups = np.arange(old, len(self.prompts)) if whole else rows // self.copies
            ids = torch.as_tensor(self.codec.encode(self.prompts[groups]), device=self.device)
            draft = self._rows(rows)
            if not whole:
                ids = torch.cat([ids, draft.tokens[:, :length]], 1)
            draft = write(model, self.codec, ids, draft, manner, length, length + self.chunk)
            index = torch.as_tensor(rows, device=self.device)
            for kept, grown in zip(self.draft, draft, strict=True):
                kept[index] = grown
            self.written[rows] = np.minimum(length + self.chunk, self.codec.answer_length)
        self.draft.alive.logical_and_(torch.as_tensor(self.written < self.codec.answer_length, device=self.device))
        return int(self.draft.mask.sum() - before)

    def _begin(self, prompts: np.ndarray, policy: int) -> None:
        rows = len(prompts) * self.copies
        new = blank(rows, self.codec.answer_length, self.codec.pad, self.device)
        self.draft = Draft(*(torch.cat(pair) for pair in zip(self.draft, new, strict=True)))
        self.prompts = np.concatenate([self.prompts, prompts])
        self.written = np.concatenate([self.written, np.zeros(rows, np.int64)])
        self.born = np.concatenate([self.born, np.full(len(prompts), policy, np.int64)])

    def _rows(self, rows: np.ndarray) -> Draft:
        index = torch.as_tensor(rows, device=self.device)
        return Draft(*(part[index] for part in self.draft))

    def _keep(self, groups: np.ndarray) -> None:
        rows = (groups[:, None] * self.copies + np.arange(self.copies)).ravel()
        self.draft, self.written = self._rows(rows), self.written[rows]
        self.prompts, self.born = self.prompts[groups], self.born[groups]

    def state_dict(self) -> dict[str, Any]:
        """All answers in the making."""
        return {
            "draft": dict(self.draft._asdict()),
            "prompts": self.prompts,
            "written": self.written,
            "born": self.born,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        parts: dict[str, Tensor] = dict(state["draft"])
        if "written_by" not in parts:  # files of the first release do not tell which policy wrote a token
            parts["written_by"] = torch.full_like(parts["tokens"], -1)
        self.draft = Draft(**{name: parts[name].to(self.device) for name in Draft._fields})
        self.prompts, self.written, self.born = (np.array(state[name]) for name in ("prompts", "written", "born"))
