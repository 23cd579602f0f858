"""The player of demonstrations: it writes, token by token, what a text puzzle's own generator would answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from envzoo.reasoning.task import Task


class Demonstrator:
    """A policy for the token face of a text puzzle, with `predict` as `envzoo.datasets.collect` asks for it.

    Args:
        task: The puzzles.
        noise: Share of flawed demonstrations; see the task's manual.
        seed: Seed of the demonstrations; episode i of all that are played has the i-th of them.
    """

    def __init__(self, task: Task, noise: float, seed: int) -> None:
        self.task, self.noise, self.seed = task, noise, seed
        self._played = 0

    def predict(
        self, observation: np.ndarray, state: Any, episode_start: np.ndarray, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """The next tokens (n,) of n episodes that began together, and the memory: all tokens, and how many are out."""
        if state is None:
            prompts = np.asarray(observation)[:, : self.task.prompt_length]
            answers = self.task.demo(prompts, self.noise, self.seed, start=self._played)
            self._played += len(prompts)
            # The replies of a tool come from the environment, so the player's own tokens move up.
            own = np.argsort(~self.task.model_mask(prompts, answers), axis=1, kind="stable")
            state = (np.take_along_axis(answers, own, axis=1), 0)
        tokens, written = state
        return tokens[:, min(written, tokens.shape[1] - 1)], (tokens, written + 1)
