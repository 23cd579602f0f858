"""TextMaze: find a path through a small maze; wrong answers tend to be long."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from envzoo.errors import EnvzooError
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer, uniform
from envzoo.reasoning.episode import TextEpisode, make_faces, with_shared_manual
from envzoo.reasoning.numbering import permute
from envzoo.reasoning.task import EOS, Task, TaskKernels
from envzoo.sizes import check_bytes

FREE, WALL, START, GOAL, COLON, UP = (2 + k for k in range(6))  # then down, left, right
MOST_SIZE = 6
TRIAL = 4096  # number of candidates tested to estimate the share of solvable mazes


class Parameters(NamedTuple):
    """Parameters shared by all problems."""

    size: int
    walls: int
    moves: int  # largest number of moves of an answer
    least: int  # smallest length of a shortest path
    binomial: np.ndarray  # int64 (cells, cells)


@njit(cache=True)
def _neighbour(size, cell, move):
    """Return the cell that a move (0 up, 1 down, 2 left, 3 right) leads to, -1 if outside."""
    row, column = cell // size, cell % size
    row += (move == 1) - (move == 0)
    column += (move == 3) - (move == 2)
    return row * size + column if 0 <= row < size and 0 <= column < size else -1


@njit(cache=True)
def _read(parameters, prompts, i):
    """Return start and goal of row i, both -1 if it is not a prompt (whether or not there is a path)."""
    cells = parameters.size * parameters.size
    start = goal = -1
    walls = 0
    for cell in range(cells):
        token = prompts[i, cell]
        if token == WALL:
            walls += 1
        elif token == START and start < 0:
            start = cell
        elif token == GOAL and goal < 0:
            goal = cell
        elif token != FREE:
            return -1, -1
    if start < 0 or goal < 0 or walls != parameters.walls or prompts[i, cells] != COLON:
        return -1, -1
    return start, goal


@njit(cache=True)
def _distances(parameters, prompts, i, goal, distances, queue):
    """Write the number of moves from every cell to the goal to `distances` (cells,), -1 where there is no path."""
    distances[:] = -1
    distances[goal] = 0
    queue[0], head, tail = goal, 0, 1
    while head < tail:
        cell = queue[head]
        head += 1
        for move in range(4):
            other = _neighbour(parameters.size, cell, move)
            if other >= 0 and distances[other] < 0 and prompts[i, other] != WALL:
                distances[other] = distances[cell] + 1
                queue[tail] = other
                tail += 1


@njit(cache=True)
def _recognise(parameters, prompts):
    result = np.zeros(prompts.shape[0], np.bool_)
    cells = parameters.size * parameters.size
    distances, queue = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    for i in range(result.size):
        start, goal = _read(parameters, prompts, i)
        if start >= 0:
            _distances(parameters, prompts, i, goal, distances, queue)
            result[i] = parameters.least <= distances[start] <= parameters.moves
    return result


@njit(cache=True)
def _write(parameters, numbers, prompts):
    cells = parameters.size * parameters.size
    for i in range(numbers.size):
        number = numbers[i]
        start = number % cells
        number //= cells
        goal = (start + 1 + number % (cells - 1)) % cells
        number //= cells - 1
        # The remainder is the rank of a set of walls among the other cells, in the combinatorial number system.
        left, walls = cells - 2, parameters.walls
        for cell in range(cells):
            if cell == start:
                prompts[i, cell] = START
            elif cell == goal:
                prompts[i, cell] = GOAL
            else:
                left -= 1
                without = parameters.binomial[left, walls]
                if number < without:
                    prompts[i, cell] = FREE
                else:
                    number -= without
                    walls -= 1
                    prompts[i, cell] = WALL
        prompts[i, cells] = COLON


@njit(cache=True)
def _verify(parameters, prompts, answers, ends):
    rewards = np.zeros(prompts.shape[0], np.float32)
    for i in range(rewards.size):
        if not 0 < ends[i] <= parameters.moves:
            continue
        cell, goal = _read(parameters, prompts, i)
        if cell < 0:
            continue
        for k in range(ends[i]):
            move = answers[i, k] - UP
            cell = _neighbour(parameters.size, cell, move) if 0 <= move <= 3 else -1
            if cell < 0 or prompts[i, cell] == WALL:
                cell = -1
                break
        rewards[i] = cell == goal
    return rewards


@njit(cache=True)
def _demonstrate(parameters, prompts, noise, streams, answers):
    cells = parameters.size * parameters.size
    distances, queue = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    for i in range(prompts.shape[0]):
        cell, goal = _read(parameters, prompts, i)
        _distances(parameters, prompts, i, goal, distances, queue)
        wanders = uniform(streams, i) < noise
        k = 0
        while cell != goal and k < parameters.moves:
            chosen, seen = 0, 0
            for move in range(4):  # uniform on the admissible moves
                other = _neighbour(parameters.size, cell, move)
                if other < 0 or prompts[i, other] == WALL:
                    continue
                if wanders or distances[other] == distances[cell] - 1:
                    seen += 1
                    if integer(streams, i, seen) == 0:
                        chosen = move
            cell = _neighbour(parameters.size, cell, chosen)
            answers[i, k] = UP + chosen
            k += 1
        answers[i, k] = EOS


class Maze(Task):
    """Problems of TextMaze; see `TextMaze` for the manual and the arguments.

    Raises:
        EnvzooError: No maze of this difficulty has a path that is short enough.
    """

    name = "TextMaze"
    alphabet = ".#SG:UDLR"
    ignored = " ,"
    warm_up_noise = 1.0
    kernels = TaskKernels(_write, _recognise, _verify, _demonstrate)

    def __init__(
        self, size: int = 4, walls: int | None = None, moves: int | None = None, least: int | None = None
    ) -> None:
        size = check_whole("size", size, 2)
        if size > MOST_SIZE:
            raise EnvzooError(f"size is {size}; expected at most {MOST_SIZE}")
        cells = size * size
        walls = check_whole("walls", cells // 4 if walls is None else walls, 0)
        moves = check_whole("moves", 3 * size if moves is None else moves, 1)
        least = check_whole("least", min(size, moves) if least is None else least, 1)
        check_bytes(64 * moves, f"answers of {moves} moves")
        if least > moves:
            raise EnvzooError(f"least is {least} and moves is {moves}; expected least of at most {moves}")
        if walls > cells - 2:
            raise EnvzooError(f"walls is {walls}, which leaves no room for a start and a goal; at most {cells - 2}")
        binomial = np.array([[math.comb(n, k) for k in range(cells)] for n in range(cells)], np.int64)
        self.parameters = Parameters(size, walls, moves, least, binomial)
        self.prompt_length, self.answer_length = cells + 1, moves + 1
        self.columns = size  # so that a picture shows the maze as a square
        self.instruction = (
            f"The first {cells} characters are the rows of a {size}x{size} maze, from the top (# is a wall). Write the "
            f"moves from S to G with U, D, L and R, at most {moves}, without touching a wall or the border."
        )
        total = cells * (cells - 1) * int(binomial[cells - 2, walls])
        trial = np.array([permute(k, total, np.uint64(0)) for k in range(min(TRIAL, total))], np.int64)
        share = float(self._prompts(trial)[1].mean())
        if share == 0:
            raise EnvzooError(
                f"no {size}x{size} maze with {walls} walls was found whose shortest path takes {least} to {moves} "
                "moves; expected other walls, or wider bounds"
            )
        # Enough candidates per problem that only one problem in 10^9 has no solvable candidate.
        tries = 1 if share == 1 else math.ceil(math.log(1e-9) / math.log1p(-share))
        if total // tries < 2:
            raise EnvzooError(f"a {size}x{size} maze with {walls} walls allows too few problems; expected a larger one")
        self._number([total], tries)

    def _prompts(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        prompts, _ = super()._prompts(numbers)
        return prompts, self._recognise(prompts)


@with_shared_manual
class TextMaze(TextEpisode):
    """Find a path through a small maze.

    ## Description
    The prompt shows the maze row by row, "." free, "#" wall, "S" start, "G" goal, and a colon; the answer is a path
    such as "RRDD" that ends at the goal. Any such path is right, including detours. A policy that loses track tends to
    wander until the moves run out, so wrong answers are longer than right ones.

    ## Action space
    Text environment: `Text`, the whole answer. Token environment: `Discrete(11)`, the next token: 0 padding (never
    right), 1 the end token, then ".#SG:UDLR".

    $observation
    1 for a right answer, otherwise 0, when the answer ends. A walk that touches a wall or the border is wrong, and so
    is one that passes the goal and ends elsewhere. In the text environment spaces and commas are ignored.

    ## Info
    `length`, the number of tokens so far; in the text environment also `instruction`, the task in two sentences.

    $start_and_end
    - `size` (4): rows and columns, 2 to 6.
    - `walls` (None: a quarter of the cells): how many walls.
    - `moves` (None: 3 * size): the most moves of an answer. Every maze can be crossed in so many.
    - `least` (None: size): the fewest moves that the shortest way of a maze takes.
    - `split` ("train"): "train", "evaluation" or "all".

    ## Demonstrations
    Shortest paths, uniform at every cell on the moves that approach the goal. A flawed demonstration moves at random on
    free cells until it reaches the goal or has used all moves.

    ## Registered ids
    - `envzoo/TextMaze-v0`: the text environment, one answer per step.
    - `envzoo/TextMaze-Tokens-v0`: the token environment, one token per step.
    """

    def __init__(
        self,
        size: int = 4,
        walls: int | None = None,
        moves: int | None = None,
        least: int | None = None,
        split: str = "train",
    ) -> None:
        super().__init__(Maze(size, walls, moves, least), split)


TextMazeEnv, TextMazeTokensEnv, TextMazeTokensVectorEnv = make_faces(TextMaze)
