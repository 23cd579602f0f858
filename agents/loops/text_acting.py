"""How a language model acts in the environments of a task: token by token, or an answer per step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
import torch

from envzoo.agents.loops.rollouts import sample_answers
from envzoo.agents.source import Source
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.reasoning.episode import TextEpisode
from envzoo.reasoning.task import PAD, Task

if TYPE_CHECKING:
    from envzoo.agents.loops.text import TextAgent


def task_of(source: Source, agent: str) -> tuple[Task, str]:
    """The puzzles behind an environment, and the split it draws them from.

    Raises:
        UnsupportedSpaceError: The environment is none of the family of verifiable puzzles.
    """
    env = source.given
    if env is None:
        env = gym.make(source.id, disable_env_checker=True, **source.env_kwargs)
    definition = getattr(env.unwrapped, "definition", None)
    if env is not source.given:
        env.close()
    if not isinstance(definition, TextEpisode):
        raise UnsupportedSpaceError(
            f"{agent} learns verifiable puzzles, but {source.name} is none; expected an environment such as "
            "envzoo/TextSumTo-Tokens-v0"
        )
    return definition.task, definition.split


def choose_tokens(agent: TextAgent, windows: np.ndarray, generator: torch.Generator | None) -> np.ndarray:
    """The next tokens (B,) int64 of windows (B, P + L): prompt, then the answer so far, padded."""
    width = agent.task.prompt_length
    windows = windows.astype(np.int64)
    answers = windows[:, width:]
    written = answers.shape[1] - np.argmax(answers[:, ::-1] != PAD, axis=1)
    lengths = np.where((answers != PAD).any(1), written, 0)
    places = torch.as_tensor(np.minimum(width + lengths, windows.shape[1] - 1) - 1, device=agent.device)
    with torch.no_grad():
        logits = agent.policy(torch.as_tensor(windows, device=agent.device))
    logits = logits[torch.arange(len(windows), device=agent.device), places]
    if generator is None:
        return logits.argmax(-1).cpu().numpy()
    prob = torch.softmax(logits / agent.config.temperature, -1)
    race = torch.empty_like(prob).exponential_(generator=generator)
    return (prob / race).argmax(-1).cpu().numpy()


def answer_texts(agent: TextAgent, observations: list[str], generator: torch.Generator | None) -> list[str]:
    """Whole answers to prompts given as text.

    Raises:
        EnvzooError: In a task of several turns, which is acted in token by token.
    """
    task = agent.task
    if task.multi_turn:
        raise EnvzooError(
            f"{agent.spec.name} acts in {task.name} token by token; evaluate it in envzoo/{task.name}-Tokens-v0"
        )
    heat = agent.config.temperature
    rollout = sample_answers(agent.policy, task, task.prompt_ids(observations), 1, generator, heat, heat)
    return [task.text(row) for row in rollout.tokens.cpu().numpy()]
