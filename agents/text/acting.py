"""How a language model acts in the environments of a task: token by token, or an answer per step."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch

from envzoo.agents.source import Source
from envzoo.agents.spec import AgentSpec
from envzoo.agents.text.sampling import Manner, blank, write
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.reasoning.episode import TextEpisode
from envzoo.reasoning.reasoning_gym import ReasoningGym
from envzoo.reasoning.task import PAD, Task


class Writer(Protocol):
    """What is used of a `TextAgent` when it acts."""

    config: Any
    spec: AgentSpec
    task: Task
    policy: Any
    codec: Any
    device: torch.device


def task_of(source: Source, agent: str, pretrained: bool = False) -> tuple[Task, str]:
    """The puzzles behind an environment, and the split it draws them from.

    Raises:
        UnsupportedSpaceError: The environment is none of the family of verifiable puzzles, or has the token face, in
            which a pretrained model cannot act.
    """
    env = source.given
    if env is None:
        env = source.single_env()
    definition = getattr(env.unwrapped, "definition", None)
    free = isinstance(env.unwrapped, ReasoningGym)
    if env is not source.given:
        env.close()
    if free:
        raise UnsupportedSpaceError(
            f"{agent} learns puzzles that are verified in batches, and {source.name} judges one text at a time; train "
            "on it in TRL, by envzoo.agents.reasoning.trl"
        )
    if not isinstance(definition, TextEpisode):
        raise UnsupportedSpaceError(
            f"{agent} learns verifiable puzzles, but {source.name} is none; expected an environment such as "
            "envzoo/TextSumTo-Tokens-v0"
        )
    if pretrained and isinstance(source.action_space, gym.spaces.Discrete):
        raise UnsupportedSpaceError(
            f"{agent} with a pretrained model acts in texts, but {source.name} takes tokens; expected "
            f"envzoo/{definition.task.name}-v0"
        )
    return definition.task, definition.split


def choose_tokens(agent: Writer, windows: np.ndarray, generator: torch.Generator | None) -> np.ndarray:
    """The next tokens (B,) int64 of windows (B, P + L): prompt, then the answer so far, padded.

    Raises:
        EnvzooError: For a pretrained model, whose tokens are not the environment's.
    """
    if agent.config.pretrained:
        raise EnvzooError(
            f"{agent.spec.name} with a pretrained model acts in texts, not in windows of ids; evaluate it in "
            f"envzoo/{agent.task.name}-v0"
        )
    width = agent.task.prompt_length
    if windows.dtype.kind not in "iu" or windows.ndim != 2 or windows.shape[1] <= width:
        raise EnvzooError(
            f"the observation is {windows.dtype} of shape {windows.shape}; expected windows of ids, integers of shape "
            f"(batch, {width + agent.task.answer_length})"
        )
    if windows.min() < 0 or windows.max() >= agent.task.vocab_size:
        most = agent.task.vocab_size - 1
        raise EnvzooError(f"the observation holds ids that {agent.task.name} lacks; expected 0 to {most}")
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


def answer_texts(agent: Writer, observations: list[str], generator: torch.Generator | None) -> list[str]:
    """What the model answers to observations of the text face: whole answers, or the next turn.

    Raises:
        EnvzooError: For the tiny model in a task of several turns, which it acts in token by token.
    """
    heat, codec = agent.config.temperature, agent.codec
    ids, places = codec.histories(observations)
    ids = torch.as_tensor(ids, device=agent.device)
    draft = blank(len(ids), places, codec.pad, agent.device)
    draft = write(agent.policy, codec, ids, draft, Manner(generator, heat, heat))
    return [codec.text(row) for row in draft.tokens.cpu().numpy()]
