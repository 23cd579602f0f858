"""Gymnasium environments of a task: token by token on the kernel base, and with one text per step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, InvalidActionError, ResetNeededError
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel.manual import with_parts
from envzoo.kernel.stream import integer, keys
from envzoo.reasoning.task import DONE, EOS, PAD, PAD_SIGN, Task
from envzoo.reasoning.transcript import MODEL, PROMPT, REPLY, coloured, picture

RUNNING, WRONG, RIGHT = -1, 0, 1
NO_PROBLEM = -1
_POSITIONS = 2**53  # number of positions in a split's order from which problems are drawn
_LONGEST = 4096  # longest text, in characters, in the action space of text environments

_START_AND_END = """\
## Start of an episode
A problem drawn from the split; `reset(options={"problem": k})` selects problem k of `task.sample` with seed 0, and an
integer array selects one per episode.

## End of an episode
Terminates with the answer (text environment) or with the end-of-sequence token (token environment). An answer that
reaches its maximum length without that token also terminates the episode, and is wrong: the length is part of the
problem, and no further reward is possible.

## Arguments"""
# Parts of the manuals of the tasks; a line `$name` of a docstring stands for the part of that name.
PARTS = {
    "observation": """\
## Observation space
Text environment: `Text`, the prompt, and after the step the prompt and the answer. Token environment:
`MultiDiscrete`, the ids of the prompt, then of the answer so far, padded with 0.

## Reward""",
    "start_and_end": _START_AND_END,
    "info_start_and_end": f"""\
## Info
`length`, the number of tokens so far; in the text environment also `instruction`, the task in one sentence.

{_START_AND_END}""",
}
with_shared_manual = with_parts(PARTS)


class State(NamedTuple):
    """State of one episode."""

    prompt: Any  # int64 (P,)
    answer: Any  # int64 (L,), padded
    length: Any  # number of tokens of the answer
    outcome: Any  # -1 running, 0 wrong, 1 right


class Infos(NamedTuple):
    """Entries of `info`."""

    length: Any


class Options(NamedTuple):
    """Options of `reset`."""

    problem: Any  # int64 (num_envs,), -1 for any


@njit(cache=True)
def _draw_positions(streams, rows, asked):
    """Draw a position in the split's order for each of the episodes `rows`: the requested one, or a random one."""
    positions = np.empty(rows.size, np.int64)
    for k in range(rows.size):
        positions[k] = asked[rows[k]]
        if positions[k] < 0:
            positions[k] = integer(streams, rows[k], _POSITIONS)
    return positions


@njit(cache=True)
def _begin(state, rows, prompts):
    for k in range(rows.size):
        i = rows[k]
        state.prompt[i] = prompts[k]
        state.answer[i] = PAD
        state.length[i] = 0
        state.outcome[i] = RUNNING


@njit(cache=True)
def _append(state, where, actions):
    """Append a token to each episode; returns those that may thereby have ended an answer or turn (one-turn tasks)."""
    closing = np.zeros(where.size, np.bool_)
    for i in range(where.size):
        if where[i]:
            state.answer[i, state.length[i]] = actions[i]
            state.length[i] += 1
            closing[i] = actions[i] == EOS or state.length[i] == state.answer.shape[1]
    return closing


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel; see `envzoo.kernel.Kernels`."""
    width = state.prompt.shape[1]
    for i in range(state.length.size):
        for k in range(width):
            observation[i, k] = state.prompt[i, k]
        for k in range(state.answer.shape[1]):
            observation[i, width + k] = state.answer[i, k]


class TextEpisode(Definition):
    """Episodes of a task, with one token per step. Subclasses provide the manual and the arguments.

    The kernels that draw problems and verify answers belong to the task, so the batch kernels of this class are methods
    that call them with all episodes that begin or end.

    Args:
        task: The task.
        split: The split of its problems: "train", "evaluation" or "all".

    Attributes:
        task: The task.
        split: The split.
    """

    option_names = ("problem",)

    def __init__(self, task: Task, split: str) -> None:
        self.task, self.split = task, split
        task.num_distinct(split)  # raises an error for an unknown split
        most = task.vocab_size - 1
        self.parameters = ()
        self.state = State(
            prompt=(np.int64, (task.prompt_length,)),
            answer=(np.int64, (task.answer_length,)),
            length=np.int64,
            outcome=np.int64,
        )
        self.limits = {
            "prompt": (0, most),
            "answer": (0, most),
            "length": (0, task.answer_length),
            "outcome": (RUNNING, RIGHT),
        }
        self.running_limits = {"length": (0, task.answer_length - 1)}
        self.infos = Infos(length=np.int64)
        self.observation_space = spaces.MultiDiscrete([most + 1] * (task.prompt_length + task.answer_length))
        self.action_space = spaces.Discrete(most + 1)
        self.kernels = Kernels(self._reset, self._step, observe)
        self._key = keys(np.zeros(1, np.uint64))[0]

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the problems from the reset options."""
        problem = np.asarray(given.get("problem", NO_PROBLEM))
        if "problem" in given:
            whole = problem.dtype.kind in "iu" and problem.shape in ((), (num_envs,))
            if not whole or (problem < 0).any() or (problem >= _POSITIONS).any():
                raise EnvzooError(
                    f"reset option problem is {given['problem']!r}; expected a whole number from 0, or {num_envs} of "
                    "them"
                )
        return Options(problem=np.broadcast_to(problem, num_envs).astype(np.int64))

    def _reset(self, parameters, state, streams, where, options, infos) -> None:
        """Reset kernel; see `envzoo.kernel.Kernels`."""
        rows = np.flatnonzero(where)
        if rows.size:
            positions = _draw_positions(streams, rows, options.problem)
            _begin(state, rows, self.task.at(positions, self.split, self._key))
            infos.length[rows] = 0

    def _step(self, parameters, state, streams, where, actions, rewards, terminated, infos) -> None:
        """Step kernel; see `envzoo.kernel.Kernels`."""
        closing = _append(state, where, actions)
        rows = np.flatnonzero(where if self.task.multi_turn else closing)
        if self.task.multi_turn:
            rows = self._reply(state, rows)
        if rows.size:
            reward = self.task.verify(state.prompt[rows], state.answer[rows], state.length[rows])
            rewards[rows] = reward
            terminated[rows] = True
            state.outcome[rows] = reward > 0
        infos.length[where] = state.length[where]

    def _reply(self, state, rows: np.ndarray) -> np.ndarray:
        """Append the task's replies to the episodes `rows`; returns those that have ended."""
        ended = []
        while rows.size:
            following = self.task.advance(state.prompt[rows], state.answer[rows], state.length[rows])
            ended.append(rows[following == DONE])
            rows, following = rows[following >= 0], following[following >= 0]
            state.answer[rows, state.length[rows]] = following
            state.length[rows] += 1
        return np.sort(np.concatenate(ended)) if ended else rows

    # ---------------------------------------------------------------- drawing

    def transcript(self, state: State) -> tuple[str, np.ndarray]:
        """Return the characters of an episode and their writers (0 prompt, 1 player, 2 reply), int (n,)."""
        task, length = self.task, int(state.length)
        prompt = task.text(state.prompt)
        mask = task.model_mask(state.prompt[None], state.answer[None, :length])[0] if length else np.ones(0, bool)
        writers = np.concatenate([np.full(len(prompt), PROMPT), np.where(mask, MODEL, REPLY)])
        return prompt + task.signs(state.answer[:length]), writers

    def draw(self, state: State) -> np.ndarray:
        """Draw the transcript: prompt grey, replies orange, the answer blue, then green or red."""
        places = self.task.prompt_length + self.task.answer_length
        return picture(*self.transcript(state), int(state.outcome), places, self.task.columns)

    def describe(self, state: State) -> str:
        """Return the instruction of the task and the coloured transcript."""
        return f"{self.task.instruction}\n{coloured(*self.transcript(state), int(state.outcome))}"


class FreeText(spaces.Text):
    """`Text` space that contains every string of at most `max_length` characters of any script.

    It samples from its `charset`.
    """

    def contains(self, x: Any) -> bool:
        """Return whether x is such a string."""
        return isinstance(x, str) and self.min_length <= len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"FreeText({self.min_length}, {self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeText) and super().__eq__(other)

    __hash__ = None


class TextEnv(KernelEnv):
    """Text environment: the prompt is a string, and each action is an answer (or one turn of it) as a string.

    The episodes equal those of the single token environment, with the same seeds, states and rewards. An action may be
    any string, because people and language models may write anything; anything but a right answer gets no reward. The
    player's text is part of the next observation, where "_" replaces characters outside the task's alphabet and "$"
    marks the end of a turn.
    """

    definition_class: type[TextEpisode]

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        task = self.definition.task
        signs = task.alphabet + PAD_SIGN + "$"
        self.observation_space = spaces.Text(task.prompt_length + task.answer_length, charset=signs)
        self.action_space = FreeText(_LONGEST, min_length=0, charset=task.alphabet + task.ignored)

    def observation(self) -> str:
        """Return the transcript so far, without the end token of a finished answer."""
        return self.definition.transcript(self._batch.episode(0))[0].rstrip("$")

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Submit an answer, or one turn of it.

        Raises:
            InvalidActionError: The action is not a string.
            ResetNeededError: The environment was never reset, or the episode has ended.
        """
        batch = self._batch
        batch.require_started()
        if batch.needs_reset[0]:
            raise ResetNeededError("step was called after the end of the episode; call reset first")
        if not isinstance(action, str):
            raise InvalidActionError(f"action {action!r} is not a string; expected the answer as a string")
        for token in self.definition.task.answer_ids(action):
            before = int(batch.state.length[0])
            infos = batch.new_infos()
            rewards, terminated, truncated, _ = batch.step(np.array([token]), batch.everyone, infos)
            # The task itself closes a turn that is too long, and the rest of the text belongs to no other turn.
            if batch.needs_reset[0] or token == EOS or batch.state.length[0] > before + 1:
                break
        return self.observation(), rewards.item(), terminated.item(), truncated.item(), self._info(infos)

    def _info(self, infos: tuple) -> dict[str, Any]:
        return {**super()._info(infos), "instruction": self.definition.task.instruction}


def make_faces(definition: type[TextEpisode]) -> tuple[type[TextEnv], type[KernelEnv], type[KernelVectorEnv]]:
    """Make the environments of a task: text, tokens, and the vector environment of tokens.

    Their names are that of the definition with Env, TokensEnv and TokensVectorEnv behind it, under which the module of
    the definition has to bind them.
    """

    def make(base: type, ending: str, manual: str) -> type:
        names = {"definition_class": definition, "__module__": definition.__module__, "__doc__": manual}
        return type(f"{definition.__name__}{ending}", (base,), names)

    return (
        make(TextEnv, "Env", f"Text environment of `{definition.__name__}`."),
        make(KernelEnv, "TokensEnv", f"Token environment of `{definition.__name__}`."),
        make(KernelVectorEnv, "TokensVectorEnv", f"Vector token environment of `{definition.__name__}`."),
    )
