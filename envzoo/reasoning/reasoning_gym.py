"""ReasoningGym: every dataset of the reasoning-gym package as a text environment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from envzoo.errors import EnvzooError, InvalidActionError, ResetNeededError, missing_extra, unknown
from envzoo.kernel.arguments import check_choice, check_seed, check_whole, read_array
from envzoo.kernel.batch import check_options
from envzoo.kernel.stream import integer, keys
from envzoo.reasoning.episode import RIGHT, RUNNING, WRONG, FreeText
from envzoo.reasoning.safe_scoring import LONGEST, check_dataset, playable, score_answer
from envzoo.reasoning.task import SPLITS
from envzoo.reasoning.transcript import MODEL, PROMPT, coloured

MOST_STEPS_ASIDE = 1000  # items skipped in search of one of the split
_FIELDS = ("item", "outcome", "streams")


def library() -> ModuleType:
    """Import the reasoning-gym package.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        import reasoning_gym
        import reasoning_gym.factory
    except ImportError as error:
        raise missing_extra("ReasoningGym", "reasoning-gym", "text") from error
    return reasoning_gym


def dataset_names() -> list[str]:
    """List the supported datasets by name.

    Raises:
        MissingExtraError: The reasoning-gym package is not installed.
    """
    return playable(list(library().factory.DATASETS))


def in_split(question: str, split: str) -> bool:
    """Return whether a question belongs to a split: a hash of its text assigns a fifth of all to "evaluation"."""
    evaluates = hashlib.blake2b(question.encode("utf-8", "surrogatepass"), digest_size=8).digest()[0] % 5 == 0
    return split == "all" or evaluates == (split == "evaluation")


class ReasoningGym(gym.Env):
    """Any dataset of the reasoning-gym package: a text question, one answer, the dataset's own score.

    ## Description
    Reasoning-gym (Stojanovski et al., "Reasoning Gym: Reasoning Environments for Reinforcement Learning with
    Verifiable Rewards", arXiv 2505.24760) generates about a hundred kinds of problems, from algebra to games, each with
    a verifier. `envzoo.reasoning.reasoning_gym.dataset_names()` lists them. Requires the extra `text`.

    No answer is ever evaluated as code. Some of the package's verifiers pass the answer to `eval` or to SymPy's parser,
    and a short answer can keep others busy forever; `envzoo/reasoning/safe_scoring/table.py` reviews every dataset.
    Most verifiers are called unchanged, some only with answers within stated bounds, and twelve are replaced by parsers
    of bounded grammars that give the same scores, except that a list of "nan" does not count as sorted, an unevaluated
    `Integral(...)` is not an antiderivative, and functions are not allowed in arithmetic. The datasets `codeio`, which
    executes programs from a data file, and `composite` are refused, as is any dataset added by a later version of the
    package.

    ## Action space
    `Text`: the answer, any string.

    ## Observation space
    `Text`: the question.

    ## Reward
    The dataset's score of the answer, from 0 to 1; some datasets give partial credit for a badly formatted or
    incomplete answer. An answer scores 0 if it is longer than 131,072 characters, exceeds the bounds of its dataset,
    makes the verifier fail, or would get a score that is not a number from 0 to 1.

    ## Info
    `item`, the index of the item within the dataset.

    ## Start of an episode
    An item drawn uniformly, or the first after it that belongs to the split; `reset(options={"item": k})` starts the
    search at item k.

    ## End of an episode
    Terminates with the answer.

    ## Arguments
    - `dataset` ("chain_sum"): name of a dataset.
    - `split` ("train"): "train", "evaluation" or "all". It is determined by a hash of the question's text, so the two
    splits share no question.
    - `size` (10,000): number of items of the dataset.
    - `dataset_seed` (0): seed of the dataset's generator.
    - `config` (None): a mapping with settings of the dataset.
    - `render_mode` (None): "ansi".

    ## Registered ids
    - `envzoo/ReasoningGym-v0`
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 1}

    def __init__(
        self,
        dataset: str = "chain_sum",
        split: str = "train",
        size: int = 10_000,
        dataset_seed: int = 0,
        config: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None:
            check_choice("render mode", render_mode, self.metadata["render_modes"])
        check_choice("split", split, SPLITS)
        check_dataset(dataset, list(library().factory.DATASETS))
        if config is not None and not isinstance(config, Mapping):
            raise EnvzooError(f"config is {config!r}; expected a dict of the dataset's settings, or None")
        self.render_mode, self.split, self.dataset_name = render_mode, split, dataset
        self.size = check_whole("size", size, 1)
        seed = check_whole("dataset_seed", dataset_seed, 0, None)
        try:
            self.dataset = library().create_dataset(dataset, size=self.size, seed=seed, **dict(config or {}))
        except (TypeError, ValueError, AssertionError, AttributeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise EnvzooError(f"config {config!r} does not fit the dataset {dataset} ({reason})") from error
        self.observation_space = FreeText(LONGEST, min_length=0)
        self.action_space = FreeText(LONGEST, min_length=0)
        self._streams = np.zeros((1, 2), np.uint64)
        self._streams[0, 0] = np.random.SeedSequence().generate_state(1, np.uint64)[0]
        self._entry: dict[str, Any] | None = None
        self._item, self._outcome, self._answer = -1, RUNNING, ""

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode.

        Raises:
            UnknownNameError: An option is unknown.
            EnvzooError: The item is outside the dataset, or no item of the split is found.
        """
        check_options(options)
        seed = None if seed is None else check_seed(seed)
        super().reset(seed=seed)
        if seed is not None:
            self._streams[0] = keys(np.array([seed % 2**64], np.uint64))[0], 0
        for name in options or {}:
            if name != "item":
                raise unknown("reset option", name, ["item"])
        if options and not 0 <= check_whole("reset option item", options["item"], 0) < self.size:
            raise EnvzooError(f"reset option item is {options['item']}; expected at most {self.size - 1}")
        first = int(options["item"]) if options else int(integer(self._streams, 0, self.size))
        for step in range(min(self.size, MOST_STEPS_ASIDE)):
            if self._open((first + step) % self.size):
                self._outcome, self._answer = RUNNING, ""
                return self._entry["question"], {"item": self._item}
        raise EnvzooError(f"no item of the split {self.split!r} was found; expected a dataset with more questions")

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Submit the answer, which ends the episode.

        Raises:
            InvalidActionError: The action is not a string.
            ResetNeededError: The environment was never reset, or the episode has ended.
        """
        if self._entry is None or self._outcome != RUNNING:
            raise ResetNeededError("step was called on an episode that has not begun or has ended; call reset first")
        if not isinstance(action, str):
            raise InvalidActionError(f"action {action!r} is not a string; expected the answer as a string")
        reward = score_answer(self.dataset_name, self.dataset, action, self._entry)
        self._answer, self._outcome = action, RIGHT if reward >= 1 else WRONG
        return self._entry["question"], reward, True, False, {"item": self._item}

    def get_state(self) -> dict[str, np.ndarray]:
        """Return copies of the complete state of the episode, each with a leading dimension of 1."""
        return {
            "item": np.array([self._item], np.int64),
            "outcome": np.array([self._outcome], np.int64),
            "streams": self._streams.copy(),
        }

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state returned by `get_state`.

        Raises:
            EnvzooError: The state does not fit; nothing is changed in that case.
        """
        if not isinstance(state, Mapping):
            raise EnvzooError(f"the state is a {type(state).__name__}; expected the dict that get_state returns")
        for name in _FIELDS:
            expected = (np.uint64, (1, 2)) if name == "streams" else (np.int64, (1,))
            array = read_array(f"field {name!r} of the state", state.get(name))
            if (array.dtype, array.shape) != expected:
                raise EnvzooError(f"field {name!r} of the state does not fit; expected {expected[0].__name__} values")
        item, outcome = int(state["item"][0]), int(state["outcome"][0])
        if not (-1 <= item < self.size and RUNNING <= outcome <= RIGHT):
            raise EnvzooError(f"item {item} or outcome {outcome} of the state is out of range")
        if item >= 0:
            self._open(item)
        else:
            self._entry, self._item = None, -1
        self._outcome, self._answer = outcome, ""
        self._streams = np.array(state["streams"])

    def render(self) -> str | None:
        """Render the question and the answer as coloured text."""
        if self.render_mode is None or self._entry is None:
            return None
        question = self._entry["question"] + "\n"
        writers = np.repeat([PROMPT, MODEL], [len(question), len(self._answer)])
        return coloured(question + self._answer, writers, self._outcome)

    def _open(self, item: int) -> bool:
        """Load an item; returns whether it belongs to the split."""
        self._entry, self._item = self.dataset[item], item
        return in_split(self._entry["question"], self.split)
