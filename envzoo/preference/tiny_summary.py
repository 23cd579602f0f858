"""TextTinySummary: procedural posts with key facts, and summaries whose quality is known exactly."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.kernel.stream import integer, keys, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.task import DIGIT, EOS, Task, TaskKernels

SLOTS, FILLERS = "ABCDE", "abcdefghijklmnopqrstuvwxyz"
FACTS = len(SLOTS)
SLOT, FILLER = DIGIT + 10, DIGIT + 10 + FACTS  # first token ids
POSTS = 10**6
LEFT_OUT, CHANGED, INSERTED = 0.3, 0.15, 0.2  # chances in a flawed summary: a fact missing or wrong, a filler added
UNFINISHED = -2.0  # quality of an answer without an end


class Parameters(NamedTuple):
    """Parameters shared by all problems."""

    fillers: int
    wrong_cost: float
    length_cost: float


@njit(cache=True)
def _write(parameters, numbers, prompts):
    streams = np.empty((1, 2), np.uint64)
    values, order = np.empty(FACTS, np.int64), np.empty(FACTS, np.int64)
    gaps = np.empty(FACTS + 1, np.int64)
    for i in range(numbers.size):
        streams[0, 0] = np.uint64(numbers[i]) * np.uint64(0x9E3779B97F4A7C15)
        streams[0, 1] = 0
        for k in range(FACTS):
            values[k] = integer(streams, 0, 10)
            other = integer(streams, 0, k + 1)
            order[k] = order[other]
            order[other] = k
        gaps[:] = 0
        for _ in range(parameters.fillers):
            gaps[integer(streams, 0, FACTS + 1)] += 1
        at = 0
        for k in range(FACTS + 1):
            for _ in range(gaps[k]):
                prompts[i, at] = FILLER + integer(streams, 0, 26)
                at += 1
            if k < FACTS:
                prompts[i, at] = SLOT + order[k]
                prompts[i, at + 1] = DIGIT + values[order[k]]
                at += 2


@njit(cache=True)
def _facts(prompts, i, values):
    """Read the values (FACTS,) of the facts of row i; returns whether it is a post."""
    values[:] = -1
    k = 0
    while k < prompts.shape[1]:
        slot = prompts[i, k] - SLOT
        if 0 <= slot < FACTS:
            if k + 1 == prompts.shape[1] or not 0 <= prompts[i, k + 1] - DIGIT < 10 or values[slot] >= 0:
                return False
            values[slot] = prompts[i, k + 1] - DIGIT
            k += 2
        elif 0 <= prompts[i, k] - FILLER < 26:
            k += 1
        else:
            return False
    return values.min() >= 0


@njit(cache=True)
def _recognise(parameters, prompts):
    result = np.empty(prompts.shape[0], np.bool_)
    values = np.empty(FACTS, np.int64)
    for i in range(result.size):
        result[i] = _facts(prompts, i, values)
    return result


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards = np.zeros(prompts.shape[0], np.float32)
    values, told = np.empty(FACTS, np.int64), np.empty(FACTS, np.bool_)
    for i in range(rewards.size):
        if not _facts(prompts, i, values) or ends[i] < 0:
            rewards[i] = UNFINISHED
            continue
        told[:] = False
        quality = -parameters.length_cost * ends[i]
        for k in range(ends[i] - 1):
            slot, digit = answers[i, k] - SLOT, answers[i, k + 1] - DIGIT
            if 0 <= slot < FACTS and 0 <= digit < 10:
                if digit != values[slot]:
                    quality -= parameters.wrong_cost
                elif not told[slot]:
                    told[slot] = True
                    quality += 1.0
        rewards[i] = quality
    return rewards


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    values = np.empty(FACTS, np.int64)
    for i in range(prompts.shape[0]):
        _facts(prompts, i, values)
        flawed = uniform(streams, i) < noise
        at = 0
        for slot in range(FACTS):
            if flawed and uniform(streams, i) < INSERTED:
                answers[i, at] = FILLER + integer(streams, i, 26)
                at += 1
            if flawed and uniform(streams, i) < LEFT_OUT:
                continue
            value = values[slot]
            if flawed and uniform(streams, i) < CHANGED:
                value = (value + 1 + integer(streams, i, 9)) % 10
            answers[i, at] = SLOT + slot
            answers[i, at + 1] = DIGIT + value
            at += 2
        answers[i, at] = EOS


class TinySummary(Task):
    """Problems of TextTinySummary; see `TextTinySummary` for the manual and the arguments."""

    name = "TextTinySummary"
    alphabet = "0123456789" + SLOTS + FILLERS
    warm_up_noise = 1.0
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(
        self,
        fillers: int = 22,
        wrong_cost: float = 0.5,
        length_cost: float = 0.05,
        temperature: float = 0.5,
        split: str = "train",
    ) -> None:
        fillers = check_whole("fillers", fillers, 0, 100)
        costs = [check_number(n, v, 0.0) for n, v in (("wrong_cost", wrong_cost), ("length_cost", length_cost))]
        self.temperature = check_number("temperature", temperature, 0.0, above=True)
        self.parameters = Parameters(fillers, *costs)
        self.prompt_length, self.answer_length = fillers + 2 * FACTS, 17
        self.instruction = "Write down the five facts of the post, such as A3, in a short text."
        self._number([POSTS])
        self._split(split)
        self.split = split

    def key_spans(self, answer: str) -> list[tuple[int, int]]:
        """Return the places (first, last + 1) of the facts in an answer: a slot and the digit behind it."""
        return [(k, k + 2) for k, (slot, digit) in enumerate(pairwise(answer)) if slot in SLOTS and digit.isdigit()]

    def preference_pairs(self, count: int, seed: int = 0) -> dict[str, object]:
        """Draw pairs of flawed summaries of posts of the split, labelled by their quality.

        The better one is chosen with probability sigmoid(difference / `temperature`), so that some labels are wrong.

        Returns:
            Keyword arguments of `envzoo.agents.source.Preferences`: texts, and as margins the absolute differences of
            quality.
        """
        count, seed = check_whole("count", count, 1), check_whole("seed", seed, 0, None)
        prompts = self.sample(count, self.split, seed)
        key = int(keys(np.array([seed % 2**64], np.uint64))[0] >> np.uint64(2))
        both = [self.demo(prompts, 1.0, key, side * count) for side in (0, 1)]
        attempt = 2
        while True:
            same = ((both[0] == both[1]).all(1)) | (both[0][:, 0] == EOS) | (both[1][:, 0] == EOS)
            if not same.any():
                break
            if attempt > 200:
                raise EnvzooError("no two different summaries were found for a post")
            for side in (0, 1):  # row k depends on the seed and its number alone
                both[side][same] = self.demo(prompts, 1.0, key, attempt * count)[same]
                attempt += 1
        quality = np.stack([self.verify(prompts, answers) for answers in both]).astype(np.float64)
        first = 1 / (1 + np.exp(-(quality[0] - quality[1]) / self.temperature))
        better = np.random.default_rng([seed, 21]).random(count) < first
        texts = [[self.text(row) for row in answers] for answers in both]
        return {
            "prompts": tuple(self.text(row) for row in prompts),
            "chosen": tuple(a if won else b for a, b, won in zip(*texts, better, strict=True)),
            "rejected": tuple(b if won else a for a, b, won in zip(*texts, better, strict=True)),
            "margin": np.abs(quality[0] - quality[1]),
        }


@with_shared_manual
class TextTinySummary(TextEpisode):
    """Summarise a short post: name its facts, none wrong, in few words. Every summary has an exact quality.

    ## Description
    A post has 5 facts, a slot (A to E) and its value (a digit), among 22 filler words; every character is a word. A
    summary should name the facts. Its quality is the number of right facts (each counts once), minus 0.5 for each wrong
    one and 0.05 for each word. Pairs for learning from preferences (`task.preference_pairs`) are two flawed summaries,
    of which the better one is chosen with probability sigmoid(difference / `temperature`); `task.key_spans` finds the
    facts in a summary. A small stand-in for the summaries on which Li et al. 2024 (arXiv 2409.17791) train.

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(43)`, the next token: 0 padding, 1 the end
    token, then the digits, the slots and the fillers.

    $observation
    The quality of the summary, when it ends; -2 for one of 17 words without an end.

    ## Info
    `length`, the number of tokens so far; in the text environment also `instruction`, the task in one sentence.

    $start_and_end
    - `fillers` (22): filler words of a post, at most 100.
    - `wrong_cost` (0.5), `length_cost` (0.05): costs of a wrong fact and of a word.
    - `temperature` (0.5): of the labels of pairs.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    All facts in the order of their slots. In a flawed one, each fact is missing with probability 0.3 and otherwise
    wrong with probability 0.15, and before each a filler is inserted with probability 0.2.

    ## Registered ids
    - `envzoo/TextTinySummary-v0`: the text environment, one answer per step.
    - `envzoo/TextTinySummary-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(
        self,
        fillers: int = 22,
        wrong_cost: float = 0.5,
        length_cost: float = 0.05,
        temperature: float = 0.5,
        split: str = "train",
    ) -> None:
        task = TinySummary(fillers, wrong_cost, length_cost, temperature, split)
        super().__init__(task, split)
        self.preference_pairs = task.preference_pairs


TextTinySummaryEnv, TextTinySummaryTokensEnv, TextTinySummaryTokensVectorEnv = make_faces(TextTinySummary)
