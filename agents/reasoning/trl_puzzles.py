"""Reasoning environments in the forms that TRL takes: datasets, reward functions, and environments with a tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import gymnasium as gym

from envzoo.errors import EnvzooError, missing_extra
from envzoo.reasoning.reasoning_gym import ReasoningGym
from envzoo.reasoning.transcript import REPLY

OVER = "The puzzle is over."


def hugging_face_dataset(rows: list[dict[str, Any]]) -> Any:
    """Convert rows to a `Dataset` of the package `datasets`.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        package = import_module("datasets")  # not the folder of this repository that is called so
    except ImportError as error:
        raise missing_extra("a dataset for TRL", "datasets", "text") from error
    return package.Dataset.from_list(rows)


class Puzzles:
    """The problems of a reasoning environment.

    Args:
        env_id: An environment of texts, such as "envzoo/TextSumTo-v0" or "envzoo/ReasoningGym-v0".
        **env_kwargs: Its difficulty and split.

    Raises:
        EnvzooError: The environment is of another kind.
    """

    def __init__(self, env_id: str, **env_kwargs: Any):
        self.env_id, self.env_kwargs = env_id, env_kwargs
        self._env = gym.make(env_id, **env_kwargs).unwrapped
        self.is_gym = isinstance(self._env, ReasoningGym)
        self.task = None if self.is_gym else getattr(getattr(self._env, "definition", None), "task", None)
        if (not self.is_gym and self.task is None) or not isinstance(self._env.action_space, gym.spaces.Text):
            raise EnvzooError(
                f"{env_id} is no reasoning environment of texts; expected one such as envzoo/TextSumTo-v0"
            )
        self.multi_turn = self.task is not None and self.task.multi_turn
        self.name = env_id.rpartition("/")[2].removesuffix("-v0")

    def _texts(self, first: int, size: int) -> list[tuple[int, str]]:
        """Return numbers and prompts of problems."""
        if self.task is not None:
            prompts = self.task.sample(size, self._env.definition.split, 0, first)
            return [(first + k, self.task.text(row)) for k, row in enumerate(prompts)]
        found, item = [], first
        while len(found) < size:
            question, info = self._env.reset(options={"item": item}) if item < self._env.size else ("", {"item": -1})
            if info["item"] < item:  # it began again
                raise EnvzooError(f"{self.env_id} has no {size} problems from number {first} on; raise its size")
            found.append((info["item"], question))
            item = info["item"] + 1
        return found

    def dataset(self, size: int, first: int = 0, conversational: bool = True, tool: bool | None = None) -> Any:
        """Make a `datasets.Dataset` of problems first, first + 1, ... with the columns `prompt` and `number`.

        `reset(options={"problem": number})` of the environment gives the same problem.

        Args:
            size: Number of problems.
            first: Number of the first problem.
            conversational: Whether prompts are messages of a user, for models with a chat template, or plain text.
            tool: Whether the model answers by the tool of `environment`; None for tasks of several turns only.

        Raises:
            MissingExtraError: The package `datasets` is not installed.
        """
        asks = " Take each turn by calling the tool `answer`." if (self.multi_turn if tool is None else tool) else ""
        rows = []
        for number, text in self._texts(first, size):
            asked = text + asks if self.task is None else f"{self.task.instruction}{asks}\n\n{text}"
            prompt = [{"role": "user", "content": asked}] if conversational else f"{asked}\n"
            rows.append({"prompt": prompt, "number": number})
        return hugging_face_dataset(rows)

    def reward(self, ends: Sequence[int] = ()) -> Callable[..., list[float]]:
        """Make a reward function for rows of `dataset`.

        Args:
            ends: Token ids that end an answer; if given, truncated answers, which have none of them, have reward 0.

        Raises:
            EnvzooError: The task has several turns; use `environment` instead.
        """
        if self.multi_turn:
            raise EnvzooError(f"{self.env_id} has several turns; take environment_factory=puzzles.environment()")

        def rewards(completions: list, completion_ids: list, number: list[int], **others: Any) -> list[float]:
            texts = [(c if isinstance(c, str) else c[-1]["content"] or "").strip() for c in completions]
            whole = [not ends or bool(set(ends) & set(ids)) for ids in completion_ids]
            return [float(r) if w else 0.0 for r, w in zip(self.judge(number, texts), whole, strict=True)]

        rewards.__name__ = self.name
        return rewards

    def judge(self, numbers: Sequence[int], texts: Sequence[str]) -> list[float]:
        """Compute the rewards of answers to problems by number."""
        if self.task is not None:
            known = {n: self._texts(n, 1)[0][1] for n in set(numbers)}
            return self.task.verify_text([known[n] for n in numbers], texts).tolist()
        rewards = []
        for number, text in zip(numbers, texts, strict=True):
            self._env.reset(options={"item": number})
            rewards.append(float(self._env.step(text)[1]))
        return rewards

    def environment(self) -> type:
        """Make a class for TRL's `environment_factory`, with the problem of a row and the tool `answer`."""
        return type(self.name, (PuzzleEnvironment,), {"_puzzles": self, "__doc__": PuzzleEnvironment.__doc__})


class PuzzleEnvironment:
    """An episode for TRL; `Puzzles.environment` makes subclasses of this class."""

    _puzzles: Puzzles

    def __init__(self):
        p = self._puzzles
        self._env = gym.make(p.env_id, **p.env_kwargs).unwrapped
        self._reward, self._over, self._shown = 0.0, True, 0

    def reset(self, number: int, **row: Any) -> None:
        """Start an episode with the problem of a row; the prompt is in the row."""
        self._env.reset(options={"item" if self._puzzles.is_gym else "problem": int(number)})
        self._reward, self._over = 0.0, False
        self._shown = len(self._transcript()[0])

    def answer(self, text: str) -> str:
        """Give an answer to the puzzle, or take the next turn of it.

        Args:
            text: The answer, or the turn, in the form that the puzzle asks for.

        Returns:
            The reply.
        """
        if self._over:
            return OVER
        _, reward, terminated, truncated, _ = self._env.step(str(text))
        self._reward += float(reward)
        self._over = bool(terminated or truncated)
        signs, writers = self._transcript()
        before, self._shown = self._shown, len(signs)
        reply = "".join(s for s, w in zip(signs[before:], writers[before:], strict=True) if w == REPLY)
        return OVER if self._over else reply

    def get_reward(self) -> float:
        """Return the reward of the episode."""
        return self._reward

    def _transcript(self) -> tuple[str, Any]:
        """Return the characters so far, and who wrote each; empty for tasks of another package."""
        if self._puzzles.task is None:
            return "", ()
        return self._env.definition.transcript(self._env._batch.episode(0))
