"""Speed of the coverage environments: steps, an epoch of SubPO against plain Python, and long measurements."""

from __future__ import annotations

import math
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch

import envzoo.agents
from envzoo.coverage.grid_coverage import GridCoverage
from envzoo.errors import EnvzooError
from envzoo.registration import EnvironmentSpec, spec, specs
from envzoo.scripts.bench.report import Row, measure

DESCRIPTION = "coverage environments on one thread: steps per second, one epoch of SubPO, cost of long measurements"

EPISODES = 1024
EPOCH = "envzoo/GridCoverage-Paper-v0"
TRAJECTORIES, MOVES = 500, 79
DESIGN = "envzoo/BayesianExperimentDesign-Paper-v0"
# Length of the walks -> number of walks, so that their Cholesky factors always take the same memory.
WALKS = {40: 512, 80: 128, 160: 32, 320: 8}


def run(quick: bool = False) -> list[Row]:
    """Measure the environments, the epoch and the scaling of a step's cost.

    Args:
        quick: Use fewer and shorter rounds.

    Returns:
        Rows in million environment steps per second, in seconds per epoch, and in microseconds per step; the `ratio`
        of the plain Python epoch is its rollout's time over ours.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*_worlds(quick), *_epoch(quick), *_growth(quick)]
    finally:
        torch.set_num_threads(threads)


# ---------------------------------------------------------------------------- steps per second


def _worlds(quick: bool) -> list[Row]:
    repeats, steps = (3, 50) if quick else (7, 200)
    subjects: dict[str, Callable[[], object]] = {}
    missing = []
    for row in specs():
        if row.family != "coverage" or row.vector_entry_point is None or "-Paper" in row.id:
            continue
        name = f"{row.id.removeprefix('envzoo/')}, {EPISODES} episodes"
        try:
            subjects[name] = _stepping(row, steps)
        except EnvzooError as error:  # an extra that is not installed
            missing.append(Row(name, math.nan, "million steps/s", note=str(error)))
    timings = measure(subjects, repeats)
    rows = [Row(name, steps * EPISODES / timings[name].best / 1e6, "million steps/s") for name in subjects]
    return rows + missing


def _stepping(row: EnvironmentSpec, steps: int) -> Callable[[], None]:
    env = gym.make_vec(row.id, num_envs=EPISODES)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    space = env.single_action_space

    def draw() -> np.ndarray:
        if isinstance(space, gym.spaces.Discrete):
            return (rng.random(EPISODES, dtype=np.float32) * space.n).astype(np.int64)
        return space.low + rng.random((EPISODES, *space.shape), dtype=np.float32) * (space.high - space.low)

    def go() -> None:
        for _ in range(steps):
            env.step(draw())

    return go


# ---------------------------------------------------------------------------- an epoch


def _epoch(quick: bool) -> list[Row]:
    agent = envzoo.agents.make("SubPO", EPOCH, device="cpu", num_envs=TRAJECTORIES)
    rollouts = [agent.collect()]

    def collect() -> None:
        rollouts[0] = agent.collect()
        agent.experience.pop_metrics()

    subjects = {
        "rollout": collect,
        "update": lambda: agent.update(rollouts[0]),
        "unions": PlainPython(TRAJECTORIES).rollout,
        "kept": PlainPython(TRAJECTORIES, keep=True).rollout,
    }
    timings = measure(subjects, 2 if quick else 5)
    rollout, update, unions, kept = (timings[name].best for name in subjects)
    title = f"SubPO epoch, {TRAJECTORIES} x {MOVES} moves on 30x30"
    return [
        Row(title, rollout + update, "s", note="rollout and update; well below 1 s is wanted"),
        Row(f"{title}: rollout", rollout, "s"),
        Row(f"{title}: update", update, "s"),
        Row(
            "rollout in plain Python", unions, "s", unions / rollout, 100, "every gain from unions of sets over a path"
        ),
        Row(
            "rollout in plain Python, sets kept", kept, "s", kept / rollout, note="every path keeps what it has covered"
        ),
    ]


class PlainPython:
    """A straightforward rollout: every gain is F(path and new cell) - F(path), computed with unions of sets.

    Actions are sampled for the whole batch from the same kind of policy, a table of logits for each cell and step, so
    that the comparison measures the environment.

    Args:
        trajectories: Number of trajectories.
        keep: Keep the covered set of every path instead of recomputing it for every gain.
    """

    def __init__(self, trajectories: int, keep: bool = False):
        self.keep = keep
        world = GridCoverage(**spec(EPOCH).kwargs)
        self.rows, self.columns, self.horizon = world.rows, world.columns, world.horizon
        self.start = int(world.parameters.walk.start)
        self.trajectories = trajectories
        self.probabilities = np.full((self.horizon, world.cells, 5), 0.2)
        self.rng = np.random.default_rng(0)

    def disc(self, cell: int) -> set[tuple[int, int]]:
        """Return the cells covered from a cell: the 2x2 block with it in the upper left corner, clipped to the grid."""
        row, column = divmod(cell, self.columns)
        block = {(row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)}
        return {(r, c) for r, c in block if r < self.rows and c < self.columns}

    def value(self, path: list[int]) -> int:
        """Compute F, the size of the union of the discs."""
        return len(set().union(*(self.disc(cell) for cell in path)))

    def move(self, cell: int, action: int) -> int:
        """Return the cell to which an action leads."""
        row, column = divmod(cell, self.columns)
        down, right = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))[action]
        if 0 <= row + down < self.rows and 0 <= column + right < self.columns:
            return (row + down) * self.columns + column + right
        return cell

    def rollout(self) -> tuple[np.ndarray, np.ndarray]:
        """Sample paths (trajectories, horizon + 1) and gains (trajectories, horizon)."""
        paths = [[self.start] for _ in range(self.trajectories)]
        gains = np.empty((self.trajectories, self.horizon))
        covered = [self.disc(self.start) for _ in paths]
        for step in range(self.horizon):
            cells = [path[-1] for path in paths]
            shares = self.probabilities[step, cells].cumsum(axis=1)
            actions = (self.rng.random((self.trajectories, 1)) < shares).argmax(axis=1)
            for i, path in enumerate(paths):
                cell = self.move(path[-1], int(actions[i]))
                if self.keep:
                    new = self.disc(cell) - covered[i]
                    covered[i] |= new
                    gains[i, step] = len(new)
                else:
                    gains[i, step] = self.value([*path, cell]) - self.value(path)
                path.append(cell)
        return np.array(paths), gains


# ---------------------------------------------------------------------------- long measurements


def _growth(quick: bool) -> list[Row]:
    repeats = 3 if quick else 7
    subjects = {length: _walk(length) for length in WALKS}
    timings = measure(subjects, repeats)
    costs = np.array([timings[length].best / length / walks * 1e6 for length, walks in WALKS.items()])
    exponent = float(np.polyfit(np.log(list(WALKS)), np.log(costs), 1)[0])
    rows = [
        Row(f"BayesianExperimentDesign 30x30, {length} moves", cost, "us/step")
        for length, cost in zip(WALKS, costs, strict=True)
    ]
    note = "exponent of the length, fitted to the costs above; a determinant for every step would have 3"
    return [*rows, Row("BayesianExperimentDesign 30x30, growth", exponent, "exponent", note=note)]


def _walk(length: int) -> Callable[[], None]:
    env = gym.make_vec(DESIGN, num_envs=WALKS[length], horizon=length, autoreset_mode=gym.vector.AutoresetMode.DISABLED)
    actions = np.random.default_rng(0).integers(5, size=(length, WALKS[length]))

    def go() -> None:
        env.reset(seed=0)
        for chosen in actions:
            env.step(chosen)

    return go
