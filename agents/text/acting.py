"""Acting with a language model in the environments of a task: one token per step, or one answer per step."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch

from envzoo.agents.source import Source
from envzoo.agents.text.codec import Codec
from envzoo.agents.text.models.language import LanguageModel
from envzoo.agents.text.sampling import SamplingParams, blank, write
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.reasoning.episode import TextEpisode
from envzoo.reasoning.reasoning_gym import ReasoningGym
from envzoo.reasoning.task import PAD, Task


def task_of(source: Source, agent: str, pretrained: bool = False) -> tuple[Task, str]:
    """Return the task of an environment, and the split that its problems come from.

    Raises:
        UnsupportedSpaceError: The environment is not one of the verifiable puzzles, or its actions are tokens, which a
            pretrained model cannot use.
    """
    env = source.given
    if env is None:
        env = gym.make(source.id, disable_env_checker=True, **source.env_kwargs)
    definition = getattr(env.unwrapped, "definition", None)
    free = isinstance(env.unwrapped, ReasoningGym)
    if env is not source.given:
        env.close()
    if free:
        raise UnsupportedSpaceError(
            f"{agent} learns puzzles that are verified in batches, and {source.name} verifies one text at a time; "
            "train on it in TRL, by envzoo.agents.reasoning.trl"
        )
    if not isinstance(definition, TextEpisode):
        raise UnsupportedSpaceError(
            f"{agent} learns verifiable puzzles, but {source.name} is none; expected an environment such as "
            "envzoo/TextSumTo-Tokens-v0"
        )
    if pretrained and isinstance(source.action_space, gym.spaces.Discrete):
        raise UnsupportedSpaceError(
            f"{agent} with a pretrained model acts in texts, but {source.name} takes tokens; expected "
            f"{definition.task.env_id()}"
        )
    return definition.task, definition.split


def choose_tokens(
    model: LanguageModel, task: Task, windows: np.ndarray, temperature: float, generator: torch.Generator | None
) -> np.ndarray:
    """Choose the next tokens (B,) int64 for windows (B, P + L) of a prompt and the answer so far, padded.

    Args:
        model: The model, whose tokens are those of the task.
        task: The task.
        windows: Observations.
        temperature: Sampling temperature.
        generator: Random generator on the device of the model; None chooses greedily.

    Raises:
        EnvzooError: The windows have another shape, or hold ids that the task does not have.
    """
    width = task.prompt_length
    if windows.dtype.kind not in "iu" or windows.ndim != 2 or windows.shape[1] <= width:
        raise EnvzooError(
            f"the observation is {windows.dtype} of shape {windows.shape}; expected windows of ids, integers of shape "
            f"(batch, {width + task.answer_length})"
        )
    if windows.min() < 0 or windows.max() >= task.vocab_size:
        raise EnvzooError(
            f"the observation holds ids that {task.name} does not have; expected 0 to {task.vocab_size - 1}"
        )
    windows = windows.astype(np.int64)
    answers = windows[:, width:]
    written = answers.shape[1] - np.argmax(answers[:, ::-1] != PAD, axis=1)
    lengths = np.where((answers != PAD).any(1), written, 0)
    places = torch.as_tensor(np.minimum(width + lengths, windows.shape[1] - 1) - 1, device=model.device)
    with torch.no_grad():
        logits = model(torch.as_tensor(windows, device=model.device))
    logits = logits[torch.arange(len(windows), device=model.device), places]
    if generator is None:
        return logits.argmax(-1).cpu().numpy()
    prob = torch.softmax(logits / temperature, -1)
    race = torch.empty_like(prob).exponential_(generator=generator)
    return (prob / race).argmax(-1).cpu().numpy()


def answer_texts(
    model: LanguageModel, codec: Codec, observations: list[str], temperature: float, generator: torch.Generator | None
) -> list[str]:
    """Answer text observations with complete answers, or with the next turn of a dialogue.

    Args:
        model: The model.
        codec: The mapping between texts and the tokens of the model.
        observations: Texts.
        temperature: Sampling temperature.
        generator: Random generator on the device of the model; None answers greedily.

    Raises:
        EnvzooError: The tiny model in a task of several turns, in which it acts token by token.
    """
    ids, places = codec.histories(observations)
    ids = torch.as_tensor(ids, device=model.device)
    completions = blank(len(ids), places, codec.pad, model.device)
    write(model, codec, ids, completions, SamplingParams(generator, temperature, temperature))
    return [codec.text(row) for row in completions.tokens.cpu().numpy()]
