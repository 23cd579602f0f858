"""Partial rollouts: answers grow by a number of tokens per rollout, and the next policy continues them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from envzoo.agents.text.codec import Codec
from envzoo.agents.text.models.language import LanguageModel
from envzoo.agents.text.rollouts import TextRollout
from envzoo.agents.text.sampling import (
    COMPLETION_TENSORS,
    PartialCompletions,
    SamplingParams,
    as_rollout,
    blank,
    write,
)


class PartialRollouts:
    """Unfinished answers, G per prompt, in the order in which they were started; saved with the agent.

    A rollout starts answers to as many new prompts as finished ones are missing, lets every unfinished answer grow by
    at most C tokens, and takes the oldest prompts all of whose G answers are finished (BAPO, arXiv 2510.18927, trains
    on such data). The recorded log-probability of a token is that of the policy that wrote it.

    Args:
        codec: The mapping between the tokens of the model and those of the task.
        copies: Answers per prompt (G).
        chunk: Maximum number of tokens per rollout (C).
        device: Device of the model.
        records: Names of the extras that are recorded.
    """

    def __init__(self, codec: Codec, copies: int, chunk: int, device: torch.device, records: Sequence[str] = ()):
        self.codec, self.copies, self.chunk, self.device = codec, copies, chunk, device
        self.completions = blank(0, codec.answer_length, codec.pad, device, records)
        self.prompts = np.zeros((0, codec.task.prompt_length), np.int64)  # one per group
        self.written = np.zeros(0, np.int64)  # tokens of each answer
        self.born = np.zeros(0, np.int64)  # number of the policy that started each group

    def finished(self) -> np.ndarray:
        """Return which groups are finished, bool (groups,)."""
        return ~self.completions.alive.cpu().numpy().reshape(-1, self.copies).any(1)

    def collect(
        self,
        count: int,
        new_prompts: Callable[[int], np.ndarray],
        model: LanguageModel,
        params: SamplingParams,
        policy: int,
    ) -> tuple[TextRollout, int, float]:
        """Continue all answers until those to `count` prompts are finished, and remove these.

        Args:
            count: Number of prompts wanted (Q).
            new_prompts: Returns the given number of new prompts (n, P).
            model: The policy.
            params: How tokens are sampled, and what is recorded.
            policy: Number of the policy.

        Returns:
            The rollout (Q G answers), the number of tokens that were written, and the mean age of the answers in the
            rollout: how many policies ago they were started.
        """
        tokens = self._grow(self._start(count, new_prompts, policy), model, params)
        while self.finished().sum() < count:  # the policy is still the same
            tokens += self._grow(self._start(count, new_prompts, policy), model, params)
        taken = np.flatnonzero(self.finished())[:count]
        rows = (taken[:, None] * self.copies + np.arange(self.copies)).ravel()
        prompts, age = np.repeat(self.prompts[taken], self.copies, 0), float((policy - self.born[taken]).mean())
        completions = self._rows(rows)
        reward = self.codec.reward(prompts, completions.tokens.cpu().numpy())
        group = torch.arange(count, device=self.device).repeat_interleave(self.copies)
        rollout = as_rollout(completions, torch.as_tensor(prompts, device=self.device), group, reward)
        self._keep(np.setdiff1d(np.arange(len(self.prompts)), taken))
        return rollout, tokens, age

    def _start(self, count: int, new_prompts: Callable[[int], np.ndarray], policy: int) -> int:
        """Start answers to as many new prompts as finished ones are missing, and return the number of the first."""
        old = len(self.prompts)
        fresh = max(0, count - int(self.finished().sum()))
        if fresh:
            self._begin(new_prompts(fresh), policy)
        return old

    def _grow(self, old: int, model: LanguageModel, params: SamplingParams) -> int:
        """Let every unfinished answer grow by at most C tokens; returns the number of tokens written.

        The prompts from number `old` on are new.
        """
        before = self.completions.mask.sum()
        alive = self.completions.alive.cpu().numpy()
        # Unfinished answers have grown by C in each rollout so far, so those of one age are equally long.
        for length in np.unique(self.written[alive])[::-1].tolist():
            rows = np.flatnonzero(alive & (self.written == length))
            whole = length == 0  # complete groups, whose prompts are read once
            groups = np.arange(old, len(self.prompts)) if whole else rows // self.copies
            ids = torch.as_tensor(self.codec.encode(self.prompts[groups]), device=self.device)
            grown = self._rows(rows)
            if not whole:
                ids = torch.cat([ids, grown.tokens[:, :length]], 1)
            write(model, self.codec, ids, grown, params, length, length + self.chunk)
            self.completions.put(torch.as_tensor(rows, device=self.device), grown)
            self.written[rows] = np.minimum(length + self.chunk, self.codec.answer_length)
        room = torch.as_tensor(self.written < self.codec.answer_length, device=self.device)
        self.completions.alive.logical_and_(room)
        return int(self.completions.mask.sum() - before)

    def _begin(self, prompts: np.ndarray, policy: int) -> None:
        rows = len(prompts) * self.copies
        records = tuple(self.completions.extras)
        new = blank(rows, self.codec.answer_length, self.codec.pad, self.device, records)
        self.completions = self.completions.append(new)
        self.prompts = np.concatenate([self.prompts, prompts])
        self.written = np.concatenate([self.written, np.zeros(rows, np.int64)])
        self.born = np.concatenate([self.born, np.full(len(prompts), policy, np.int64)])

    def _rows(self, rows: np.ndarray) -> PartialCompletions:
        return self.completions.rows(torch.as_tensor(rows, device=self.device))

    def _keep(self, groups: np.ndarray) -> None:
        rows = (groups[:, None] * self.copies + np.arange(self.copies)).ravel()
        self.completions, self.written = self._rows(rows), self.written[rows]
        self.prompts, self.born = self.prompts[groups], self.born[groups]

    def state_dict(self) -> dict[str, Any]:
        """Return all unfinished answers."""
        return {
            "draft": {**self.completions.tensors(), "extras": self.completions.extras},
            "prompts": self.prompts,
            "written": self.written,
            "born": self.born,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the answers that `state_dict` returned."""
        parts: dict[str, Any] = dict(state["draft"])
        # Files of the first release call the one extra that there was "proxy", and do not always tell which policy
        # wrote a token.
        extras = parts["extras"] if "extras" in parts else {"proxy_logp": parts["proxy"]}
        if "written_by" not in parts:
            parts["written_by"] = torch.full_like(parts["tokens"], -1)
        self.completions = PartialCompletions(
            **{name: parts[name].to(self.device) for name in COMPLETION_TENSORS},
            extras={name: extras[name].to(self.device) for name in self.completions.extras},
        )
        self.prompts, self.written, self.born = (np.array(state[name]) for name in ("prompts", "written", "born"))
