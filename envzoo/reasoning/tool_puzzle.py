"""TextToolPuzzle: find a hidden code by querying a tool over several turns."""

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
NUMBER_WIDTH, REPLY = 6, 3  # number of digits of a puzzle's number, and of tokens of a reply
_KEY = np.uint64(0xC0DE)


class Parameters(NamedTuple):
    """Parameters shared by all problems."""

    digits: int
    symbols: int
    turns: int
    codes: np.ndarray  # int64 (codes, digits): all codes, each of different digits


@njit(cache=True)
def _code_of(parameters, prompts, i):
    """Return the index of the code that row i hides, -1 if the row is not a prompt."""
    if prompts[i, 0] != HASH or prompts[i, NUMBER_WIDTH + 1] != COLON:
        return -1
    number = number_at(prompts, i, 1, NUMBER_WIDTH + 1)
    if number < 0:
        return -1
    return np.int64(_mix(np.uint64(number) ^ _KEY) % np.uint64(parameters.codes.shape[0]))


@njit(cache=True)
def _compare(codes, secret, guess):
    """Count bulls (right digit, right place) and cows (right digit, wrong place) of a guess (digits,)."""
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
    """Return whether tokens first, ..., last - 1 of row i are a well-formed query; writes its digits to `guess`."""
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
    """Return the writer of token `length` of row i (a token id, MODEL or DONE), and whether the code has been found."""
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
                    return DONE, False  # not the tool's reply
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
                chosen = secret  # of the codes that fit, take the secret, so that the demonstration is right
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
        EnvzooError: The code needs more different digits than there are symbols.
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
            raise EnvzooError(f"a code of {digits} different digits cannot be made of {symbols}; expected more symbols")
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
        self._ids[ord(EOS_SIGN)] = EOS  # transcripts include the ends of the turns

    def codes(self, prompts: np.ndarray) -> np.ndarray:
        """Return the hidden codes of prompts (n, P), int64 (n, digits); for tests and tools, not for players."""
        rows = self._rows("prompts", prompts, self.prompt_length)
        return self.parameters.codes[[_code_of(self.parameters, rows, i) for i in range(len(rows))]]

    def _judge(self, prompts: np.ndarray, answers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return _replay_all(self.parameters, prompts, answers, lengths)[1]

    def _advance(self, prompts: np.ndarray, answers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return _replay_all(self.parameters, prompts, answers, lengths)[0]


class TextToolPuzzle(TextEpisode):
    """Find a hidden code by querying a tool over several turns.

    ## Description
    The game of bulls and cows. The prompt "#482910:" is the number of a puzzle; a hash of it determines the hidden
    code, three different digits. A turn is a query such as "?123", to which the tool replies "10:": one digit right and
    in place, none right but out of place. The reply to a malformed query is "--:", and it uses up a turn. Querying the
    code itself within the given turns wins. The replies are part of the answer, but are not written by the player:
    `task.model_mask` distinguishes them, `task.advance` provides them to a sampler, and a transcript whose replies are
    not the tool's is wrong. The splits share no puzzle numbers; both use all codes, because a good player would learn
    to rule out a code that never occurs in training.

    ## Action space
    Text environment: `Text`, one question per step. Token environment: `Discrete(16)`, the next token: 0 padding (never
    right), 1 the end of the turn, then "0123456789#:?-". A turn that fills its length without an end is closed, and
    malformed.

    ## Observation space
    Text environment: `Text`, the transcript, "$" for the ends of turns. Token environment: `MultiDiscrete`, the ids of
    the prompt, then of the transcript so far (replies included), padded with 0.

    ## Reward
    1 when the code is found, otherwise 0. In the text environment spaces are ignored.

    ## Info
    `length`, the number of tokens of the transcript; in the text environment also `instruction`, the task in two
    sentences.

    ## Start of an episode
    A problem drawn from the split; `reset(options={"problem": k})` selects problem k of `task.sample` with seed 0, and
    an integer array selects one per episode.

    ## End of an episode
    Terminates when the code is found, or after the last turn: the number of turns is part of the problem.

    ## Arguments
    - `digits` (3): number of digits of the code, at most 5, all different.
    - `symbols` (10): number of digits to choose from.
    - `turns` (6): number of queries, at most 20.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    Every query is drawn uniformly from the codes that fit all replies; the last one is the code. A flawed demonstration
    queries random codes.

    ## Registered ids
    - `envzoo/TextToolPuzzle-v0`: the text environment, one question per step.
    - `envzoo/TextToolPuzzle-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(self, digits: int = 3, symbols: int = 10, turns: int = 6, split: str = "train") -> None:
        super().__init__(ToolPuzzle(digits, symbols, turns), split)


TextToolPuzzleEnv, TextToolPuzzleTokensEnv, TextToolPuzzleTokensVectorEnv = make_faces(TextToolPuzzle)
