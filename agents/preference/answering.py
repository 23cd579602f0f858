"""How learners from pairs act: implicit rewards, answers to prompts, and answers token by token."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from envzoo.agents.agent import Agent
from envzoo.agents.preference.pair_models import CharacterModel
from envzoo.errors import EnvzooError
from envzoo.reasoning.task import Task


class Answering(Agent):
    """Base class of agents that answer prompts with a table or a language model over characters.

    Attributes:
        policy: The model.
        reference: The reference policy.
        task: The task of an environment of texts, or None.
        texts_only: Whether prompts and answers are texts.
    """

    policy: Any
    reference: Any
    task: Task | None
    texts_only: bool

    @torch.no_grad()
    def implicit_reward(self, prompts: Any, responses: Any) -> np.ndarray:
        """Compute beta log(pi / ref) (n,) of responses to prompts: texts, or whole numbers for a table."""
        if self.texts_only:
            asked, told = self.policy.encode_prompts(prompts), self.policy.encode_answers(responses)[:, None]
        else:
            asked, told = np.asarray(prompts, np.int64), np.asarray(responses, np.int64)[:, None]
        asked, told = (torch.from_numpy(part).to(self.device) for part in (asked, told))
        ratio = self.policy.log_probs(asked, told) - self.reference.log_probs(asked, told)
        return self.config.beta * ratio[:, 0].cpu().numpy()

    @torch.no_grad()
    def predict(
        self, observation: Any, state: Any = None, episode_start: np.ndarray | None = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Answer prompts: one text or several, or whole numbers for a table; see `Agent.predict`."""
        generator = None if deterministic else self.streams.torch("acting")
        if not self.texts_only:
            return self._choose(observation, generator), None
        if not isinstance(observation, str) and np.asarray(observation).dtype.kind in "iu":
            return self._write(np.asarray(observation), generator), None
        single = isinstance(observation, str)
        asked = [observation] if single else [str(text) for text in np.asarray(observation, object)]
        prompts = torch.from_numpy(self.policy.encode_prompts(asked)).to(self.device)
        texts = [self.policy.text(row) for row in self.policy.answer(prompts, generator).cpu().numpy()]
        return (texts[0] if single else texts), None

    def _write(self, windows: np.ndarray, generator: torch.Generator | None) -> Any:
        """Choose the next tokens for windows (B, P + L) of the ids of a prompt and the answer so far."""
        task = self.task
        if not isinstance(self.policy, CharacterModel):
            raise EnvzooError(f"{self.spec.name} with a pretrained model answers texts, not windows of token ids")
        if task is None or windows.shape[-1] != task.prompt_length + task.answer_length:
            raise EnvzooError(f"the observation has the shape {windows.shape}; expected texts, or windows of its task")
        rows = np.atleast_2d(windows)
        asked, told = rows[:, : task.prompt_length], rows[:, task.prompt_length :]
        prompts = torch.from_numpy(self.policy.encode_prompts([task.text(row) for row in asked])).to(self.device)
        answers = [task.signs(row[: int((row != 0).sum())]).rstrip("$") for row in told]
        signs = self.policy.next_tokens(prompts, answers, generator)
        tokens = np.array([1 if sign is None else 2 + task.alphabet.index(sign) for sign in signs])
        return tokens if windows.ndim > 1 else tokens[0]

    def _choose(self, observation: Any, generator: torch.Generator | None) -> Any:
        asked = np.asarray(observation)
        if asked.dtype.kind not in "iu" or asked.ndim > 1:
            raise EnvzooError(f"the observation is {asked.dtype} of shape {asked.shape}; expected whole numbers")
        log_pi = torch.log_softmax(self.policy.logits, -1)
        rows = log_pi[torch.from_numpy(np.atleast_1d(asked).astype(np.int64)).to(self.device)]
        if generator is None:
            chosen = rows.argmax(-1)
        else:
            chosen = (rows.exp() / torch.empty_like(rows).exponential_(generator=generator)).argmax(-1)
        chosen = chosen.cpu().numpy()
        return chosen if asked.ndim else chosen[0]
