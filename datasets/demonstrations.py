"""A policy that writes, token by token, the demonstrations that a text puzzle generates."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.reasoning.task import Task


class Demonstrator:
    """Policy for the token environment of a text puzzle, for use with `envzoo.datasets.collect`.

    Args:
        task: The puzzles.
        noise: Fraction of flawed demonstrations; see the documentation of the task.
        seed: Seed of the demonstrations; episode i shows demonstration i.
    """

    def __init__(self, task: Task, noise: float, seed: int) -> None:
        self.task, self.noise, self.seed = task, noise, seed
        self._played = 0

    def predict(
        self, observation: np.ndarray, state: Any, episode_start: np.ndarray, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Return the next tokens (n,) of n episodes that started together, and the state (tokens, number written)."""
        if state is None:
            prompts = np.asarray(observation)[:, : self.task.prompt_length]
            answers = self.task.demo(prompts, self.noise, self.seed, start=self._played)
            self._played += len(prompts)
            # The environment writes the replies of a tool, so only the policy's own tokens are kept.
            own = np.argsort(~self.task.model_mask(prompts, answers), axis=1, kind="stable")
            state = (np.take_along_axis(answers, own, axis=1), 0)
        tokens, written = state
        return tokens[:, min(written, tokens.shape[1] - 1)], (tokens, written + 1)
