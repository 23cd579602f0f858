"""TextToolPuzzle: find a hidden code by asking a tool, turn by turn."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import _mix, integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces
from envzoo.reasoning.task import DIGIT, DONE, EOS, EOS_SIGN, MODEL, Task, TaskKernels, number_at, write_number

HASH, COLON, ASK, DASH = (DIGIT + 10 + k for k in range(4))
NUMBER_WIDTH, REPLY = 6, 3  # digits of a puzzle's number; tokens of a reply
_KEY = np.uint64(0xC0DE)


class Parameters(NamedTuple):
    """What all problems share."""

    digits: int
    symbols: int
    turns: int
    codes: np.ndarray  # int64 (codes, digits): all codes, each of different digits


@njit(cache=True)
def _code_of(parameters, prompts, i):
    """Which code row i hides, -1 when the row is no prompt."""
    if prompts[i, 0] != HASH or prompts[i, NUMBER_WIDTH + 1] != COLON:
        return -1
    number = number_at(prompts, i, 1, NUMBER_WIDTH + 1)
    if number < 0:
        return -1
    return np.int64(_mix(np.uint64(number) ^ _KEY) % np.uint64(parameters.codes.shape[0]))


@njit(cache=True)
def _compare(codes, secret, guess):
    """Bulls (right digit, right place) and cows (right digit, wrong place) of a guess (digits,)."""
    bulls = cows = 0
    for k in range(guess.size):
        for j in range(guess.size):
            if guess[k] == codes[secret, j]:
                if k == j:
                    bulls += 1
                else:
                    cows += 1
    return bulls, cows


@njit(cache=True)
def _read_guess(parameters, answers, i, first, last, guess):
    """Whether tokens first, ..., last - 1 of row i are a well-formed question; its digits go into `guess`."""
    if last - first != parameters.digits + 2 or answers[i, first] != ASK or answers[i, last - 1] != EOS:
        return False
    for k in range(parameters.digits):
        guess[k] = answers[i, first + 1 + k] - DIGIT
        if not 0 <= guess[k] < parameters.symbols:
            return False
        for j in range(k):
            if guess[j] == guess[k]:
                return False
    return True


@njit(cache=True)
def _reply_token(well, bulls, cows, k):
    if k == 2:
        return COLON
    if not well:
        return DASH
    return DIGIT + (bulls if k == 0 else cows)


@njit(cache=True)
def _replay(parameters, prompts, answers, i, length, guess):
    """Who writes token `length` of row i (a token id, MODEL or DONE), and whether the code has been found."""
    secret = _code_of(parameters, prompts, i)
    if secret < 0:
        return DONE, False
    at = 0
    for turn in range(parameters.turns):
        first = at
        while at == first or (answers[i, at - 1] != EOS and at - first < parameters.digits + 2):
            if at >= length:
                return MODEL, False
            at += 1
        well = _read_guess(parameters, answers, i, first, at, guess)
        bulls, cows = 0, 0
        if well:
            bulls, cows = _compare(parameters.codes, secret, guess)
        if bulls == parameters.digits:
            return DONE, True
        if turn < parameters.turns - 1:
            for k in range(REPLY):
                token = _reply_token(well, bulls, cows, k)
                if at >= length:
                    return token, False
                if answers[i, at] != token:
                    return DONE, False  # a reply that the tool did not give
                at += 1
    return DONE, False


@njit(cache=True)
def _replay_all(parameters, prompts, answers, lengths):
    following, found = np.empty(prompts.shape[0], np.int64), np.zeros(prompts.shape[0], np.float32)
    guess = np.zeros(parameters.digits, np.int64)
    for i in range(following.size):
        length = min(max(lengths[i], 0), answers.shape[1])
        following[i], found[i] = _replay(parameters, prompts, answers, i, length, guess)
    return following, found


@njit(cache=True)
def _write(parameters, numbers, prompts):
    for i in range(numbers.size):
        prompts[i, 0] = HASH
        write_number(prompts, i, 1, NUMBER_WIDTH, numbers[i])
        prompts[i, NUMBER_WIDTH + 1] = COLON


@njit(cache=True)
def _recognise(parameters, prompts):
    result = np.empty(prompts.shape[0], np.bool_)
    for i in range(result.size):
        result[i] = _code_of(parameters, prompts, i) >= 0
    return result


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    count, digits = parameters.codes.shape
    fits = np.empty(count, np.bool_)
    for i in range(prompts.shape[0]):
        secret = _code_of(parameters, prompts, i)
        guesses_blindly = uniform(streams, i) < noise
        fits[:] = True
        left, at = count, 0
        for turn in range(parameters.turns):
            if guesses_blindly:
                chosen = integer(streams, i, count)
            elif turn == parameters.turns - 1:
                chosen = secret  # one of those that fit: the lucky one, so that the demonstration is right
            else:
                rank, chosen = integer(streams, i, left), 0
                while not fits[chosen] or rank > 0:
                    rank -= fits[chosen]
                    chosen += 1
            guess = parameters.codes[chosen]
            bulls, cows = _compare(parameters.codes, secret, guess)
            answers[i, at] = ASK
            for k in range(digits):
                answers[i, at + 1 + k] = DIGIT + guess[k]
            answers[i, at + 1 + digits] = EOS
            at += digits + 2
            if chosen == secret or turn == parameters.turns - 1:
                break
            for k in range(REPLY):
                answers[i, at + k] = _reply_token(True, bulls, cows, k)
            at += REPLY
            if not guesses_blindly:
                left = 0
                for other in range(count):
                    if fits[other]:
                        its_bulls, its_cows = _compare(parameters.codes, other, guess)
                        fits[other] = its_bulls == bulls and its_cows == cows
                        left += fits[other]


class ToolPuzzle(Task):
    """Problems of TextToolPuzzle; see `TextToolPuzzle` for the manual and the arguments.

    Raises:
        EnvzooError: For more different digits than there are symbols.
    """

    name = "TextToolPuzzle"
    alphabet = "0123456789#:?-"
    multi_turn = True
    kernels = TaskKernels(_write, _recognise, None, _demonstrate)

    def __init__(self, digits: int = 3, symbols: int = 10, turns: int = 6) -> None:
        digits, symbols = check_whole("digits", digits, 1), check_whole("symbols", symbols, 1)
        turns = check_whole("turns", turns, 1)
        for name, value, most in (("digits", digits, 5), ("symbols", symbols, 10), ("turns", turns, 20)):
            if value > most:
                raise EnvzooError(f"{name} is {value}; expected at most {most}")
        if digits > symbols:
            raise EnvzooError(f"a code of {digits} different digits cannot be made of {symbols}; expected symbols more")
        codes = np.array(list(itertools.permutations(range(symbols), digits)), np.int64)
        self.parameters = Parameters(digits, symbols, turns, codes)
        self.prompt_length = NUMBER_WIDTH + 2
        self.answer_length = turns * (digits + 2) + (turns - 1) * REPLY
        self.instruction = (
            f"Find a hidden code of {digits} different digits below {symbols}, in at most {turns} turns. Ask with ? "
            f"and {digits} digits, as in ?{'0123456789'[:digits]}; the reply says how many of them are right and in "
            "the right place, then how many are right but in another place (--: when the question is malformed)."
        )
        self._number([10**NUMBER_WIDTH])
        self._ids[ord(EOS_SIGN)] = EOS  # transcripts are written with the ends of the turns

    def codes(self, prompts: np.ndarray) -> np.ndarray:
        """The hidden codes of prompts (n, P), int64 (n, digits); for tests and tools, not for players."""
        rows = self._rows("prompts", prompts, self.prompt_length)
        return self.parameters.codes[[_code_of(self.parameters, rows, i) for i in range(len(rows))]]

    def _judge(self, prompts: np.ndarray, answers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return _replay_all(self.parameters, prompts, answers, lengths)[1]

    def _advance(self, prompts: np.ndarray, answers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return _replay_all(self.parameters, prompts, answers, lengths)[0]


class TextToolPuzzle(TextEpisode):
    """Find a hidden code by asking a tool, turn by turn.

    ## Description
    The game of bulls and cows. The prompt "#482910:" is the number of a puzzle; a hash of it decides the hidden code,
    three different digits. A turn is a question such as "?123", to which the tool replies "10:": one digit right and
    in place, none right but out of place. A question in another form is answered by "--:" and costs a turn. Whoever
    asks for the code itself within the turns has won. The replies stand in the answer, but are not the player's:
    `task.model_mask` tells them apart, `task.advance` gives them to a sampler, and a transcript whose replies are not
    the tool's is wrong. The splits share no puzzle numbers; the codes are the same in both, since a code that is never
    used in training is one that a good player would learn to rule out.

    ## Action space
    Text face: `Text`, one question per step. Token face: `Discrete(16)`, the next token: 0 padding (never right), 1
    the end of the turn, then "0123456789#:?-". A turn that fills its length without an end is closed, and malformed.

    ## Observation space
    Text face: `Text`, the transcript, "$" for the ends of turns. Token face: `MultiDiscrete`, the ids of the prompt,
    then of the transcript so far (replies included), padded with 0.

    ## Reward
    1 when the code is found, else 0. In the text face spaces do not count.

    ## Info
    `length`, the number of tokens of the transcript; in the text face also `instruction`, the task in two sentences.

    ## Start of an episode
    A problem drawn from the split; `reset(options={"problem": k})` gives problem k of `task.sample` with seed 0, and
    an integer array gives each episode its own.

    ## End of an episode
    Terminates when the code is found, and after the last turn: the number of turns is part of the problem.

    ## Arguments
    - `digits` (3): digits of the code, at most 5, all different.
    - `symbols` (10): how many digits there are to choose from.
    - `turns` (6): questions, at most 20.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    Every question is drawn uniformly from the codes that fit all replies, the last one is the code. A flawed one asks
    for random codes.

    ## Registered ids
    - `envzoo/TextToolPuzzle-v0`: the text face, one question per step.
    - `envzoo/TextToolPuzzle-Tokens-v0`: the token face, one token per step.
    """

    def __init__(self, digits: int = 3, symbols: int = 10, turns: int = 6, split: str = "train") -> None:
        super().__init__(ToolPuzzle(digits, symbols, turns), split)


TextToolPuzzleEnv, TextToolPuzzleTokensEnv, TextToolPuzzleTokensVectorEnv = make_faces(TextToolPuzzle)
