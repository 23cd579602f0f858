"""PointCoverage: a point with inertia covers the plane with a disc (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coverage.grid_world import Infos, Options
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_number, check_whole, read_positions
from envzoo.kernel.stream import normal, uniform

START_DEVIATION = 0.1


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    horizon: int
    edge: float
    cells: int  # cells along each axis
    radius: float
    time_step: float
    friction: float
    noise: float
    random_start: bool


class State(NamedTuple):
    """State of one episode."""

    position: Any  # float64 (2,)
    velocity: Any  # float64 (2,)
    moves: Any
    covered: Any  # bool (cells, cells): rows along y, columns along x
    coverage: Any  # F of the path so far
    path: Any  # float32 (horizon + 1, 2)


class MaskObservation(NamedTuple):
    """Observation with `coverage_mask=True`."""

    motion: Any
    covered: Any


@njit(cache=True)
def cover(parameters, covered, x, y):
    """Mark the cells of `covered` (cells, cells) whose centre is in the disc around (x, y).

    Returns the number of newly marked cells and the number of cells in the disc.
    """
    size = 2.0 * parameters.edge / parameters.cells
    reach = np.int64(parameters.radius / size) + 1
    row, column = np.int64((y + parameters.edge) / size), np.int64((x + parameters.edge) / size)
    fresh, inside = 0, 0
    for k in range(max(row - reach, 0), min(row + reach + 1, parameters.cells)):
        down = (k + 0.5) * size - parameters.edge - y
        for j in range(max(column - reach, 0), min(column + reach + 1, parameters.cells)):
            right = (j + 0.5) * size - parameters.edge - x
            if down * down + right * right <= parameters.radius * parameters.radius:
                inside += 1
                fresh += 1 - np.int64(covered[k, j])
                covered[k, j] = True
    return fresh, inside


@njit(cache=True)
def _arrive(parameters, state, i):
    """Cover the disc around the position of episode i; returns the newly covered area and the area of the disc."""
    x, y = state.position[i, 0], state.position[i, 1]
    fresh, inside = cover(parameters, state.covered[i], x, y)
    state.path[i, state.moves[i], 0] = x
    state.path[i, state.moves[i], 1] = y
    area = (2.0 * parameters.edge / parameters.cells) ** 2
    state.coverage[i] += fresh * area
    return fresh * area, inside * area


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            for axis in range(2):
                asked = options.start[i, axis]
                if not np.isnan(asked):
                    state.position[i, axis] = asked
                elif parameters.random_start:
                    state.position[i, axis] = parameters.edge * (2.0 * uniform(streams, i) - 1.0)
                else:
                    drawn = START_DEVIATION * normal(streams, i)
                    state.position[i, axis] = min(max(drawn, -parameters.edge), parameters.edge)
                state.velocity[i, axis] = 0.0
            state.moves[i] = 0
            state.covered[i] = False
            state.coverage[i] = 0.0
            state.path[i] = 0.0
            _arrive(parameters, state, i)
            infos.modular_reward[i] = 0.0
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            for axis in range(2):
                force = np.float64(actions[i, axis])
                if parameters.noise > 0.0:
                    force += parameters.noise * normal(streams, i)
                velocity = state.velocity[i, axis]
                velocity += parameters.time_step * (force - parameters.friction * velocity)
                place = state.position[i, axis] + parameters.time_step * velocity
                if place < -parameters.edge or place > parameters.edge:
                    place = min(max(place, -parameters.edge), parameters.edge)
                    velocity = 0.0
                state.velocity[i, axis] = velocity
                state.position[i, axis] = place
            state.moves[i] += 1
            rewards[i], infos.modular_reward[i] = _arrive(parameters, state, i)
            infos.coverage[i] = state.coverage[i]
            terminated[i] = state.moves[i] == parameters.horizon


@njit(cache=True)
def observe_motion(parameters, state, observation):
    """Observation kernel: position, velocity and time, all scaled."""
    for i in range(state.moves.size):
        for axis in range(2):
            observation[i, axis] = state.position[i, axis] / parameters.edge
            observation[i, 2 + axis] = state.velocity[i, axis]
        observation[i, 4] = state.moves[i] / parameters.horizon


@njit(cache=True)
def observe_with_mask(parameters, state, observation):
    """Observation kernel: position, velocity and time, with the covered cells."""
    observe_motion(parameters, state, observation.motion)
    for i in range(state.moves.size):
        for row in range(parameters.cells):
            for column in range(parameters.cells):
                observation.covered[i, row, column] = state.covered[i, row, column]


class PointCoverage(Definition):
    """A point with inertia covers the plane with the disc around it within a fixed number of steps.

    ## Description
    A double integrator in a square: the action is a force on the point, which covers everything within `radius` of its
    position at the end of each step. The value of a path is the area of the union of its discs, F(path), measured by
    small square cells whose centres are covered: a monotone submodular set function. This is a planar version of the
    continuous coverage tasks of submodular reinforcement learning (Prajapat et al., "Submodular Reinforcement
    Learning", ICLR 2024, arXiv 2307.13372), without a physics engine.

    ## Action space
    `Box(-1, 1, (2,), float32)`: the force (x, y); the mass is 1.

    ## Observation space
    `Box` (5,) float32: position / `edge` (x, y), velocity (x, y) and the fraction of steps taken. With
    `coverage_mask=True` a `Dict` of `motion` (that vector) and `covered`, `MultiBinary([cells, cells])`, rows along y.

    ## Dynamics
    velocity' = velocity + `time_step` * (action + `noise` * standard normal - `friction` * velocity), then position' =
    position + `time_step` * velocity'. At the edge of the square the position is clipped and that component of the
    velocity set to 0. Without noise, the speed in each direction cannot exceed 1 / `friction`.

    ## Reward
    The area newly covered. The disc of the start gives no reward, so the return is F(path) - F({start}).

    ## Info
    After every reset and step: `coverage`, F of the path so far; `modular_reward`, the area of the new disc within the
    square, whether or not covered before (0 after a reset), the additive reward of the ModPO baseline.

    ## Start of an episode
    At rest, at the centre plus a normal deviation of 0.1 in each coordinate, or anywhere (`start="random"`), or at
    `reset(options={"start": (x, y)})`, which may also be an array (num_envs, 2).

    ## End of an episode
    Terminates after `horizon` steps; the horizon is part of the problem, not an external time limit.

    ## Arguments
    - `horizon` (100): number of steps.
    - `edge` (5.0): the square extends from -edge to edge in both directions.
    - `cells` (50): number of cells along each side.
    - `radius` (0.75): radius of the disc.
    - `time_step` (0.5), `friction` (0.5): see the dynamics; time_step * friction is at most 1.
    - `noise` (0.0): standard deviation of the noise added to each component of the action.
    - `start` ("centre"): "centre" or "random" (uniform on the square).
    - `coverage_mask` (False): whether the observation includes the covered cells.

    ## Registered ids
    - `envzoo/PointCoverage-v0`: the defaults above.
    """

    observation_type = MaskObservation
    option_names = ("start",)
    render_fps = 15

    def __init__(
        self,
        horizon: int = 100,
        edge: float = 5.0,
        cells: int = 50,
        radius: float = 0.75,
        time_step: float = 0.5,
        friction: float = 0.5,
        noise: float = 0.0,
        start: str = "centre",
        coverage_mask: bool = False,
    ) -> None:
        if start not in ("centre", "random"):
            raise unknown("start", start, ("centre", "random"))
        self.parameters = Parameters(
            horizon=check_whole("horizon", horizon, 1),
            edge=check_number("edge", edge, 0, above=True),
            cells=check_whole("cells", cells, 1),
            radius=check_number("radius", radius, 0, above=True),
            time_step=check_number("time_step", time_step, 0, above=True),
            friction=check_number("friction", friction, 0, above=True),
            noise=check_number("noise", noise, 0),
            random_start=start == "random",
        )
        if time_step * friction > 1:
            raise EnvzooError(
                f"friction is {friction!r}; expected at most {1 / time_step:g}, 1 / time_step, because the point would "
                "oscillate"
            )
        self.state = State(
            position=(np.float64, (2,)),
            velocity=(np.float64, (2,)),
            moves=np.int64,
            covered=(np.bool_, (cells, cells)),
            coverage=np.float64,
            path=(np.float32, (horizon + 1, 2)),
        )
        self.limits = {"position": (-self.parameters.edge, self.parameters.edge), "moves": (0, horizon)}
        self.running_limits = {"moves": (0, horizon - 1)}
        self.infos = Infos(modular_reward=np.float64, coverage=np.float64)
        # Ten standard deviations of the noise that the velocity can accumulate.
        fastest = (1 + 10 * noise) / friction
        most = np.array([1, 1, fastest, fastest, 1], np.float32)
        motion = spaces.Box(np.append(-most[:4], 0).astype(np.float32), most)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        mask = spaces.MultiBinary([self.parameters.cells] * 2)
        self.observation_space = spaces.Dict({"motion": motion, "covered": mask}) if coverage_mask else motion
        self.kernels = Kernels(reset, step, observe_with_mask if coverage_mask else observe_motion)

    # ------------------------------------------------------- the set function

    def value(self, positions: np.ndarray) -> float:
        """Compute F of a set of positions (n, 2): the area covered by the union of the discs around them."""
        parameters = self.parameters
        covered = np.zeros((parameters.cells, parameters.cells), np.bool_)
        fresh = [cover(parameters, covered, x, y)[0] for x, y in np.asarray(positions, np.float64).reshape(-1, 2)]
        return float(sum(fresh) * (2 * parameters.edge / parameters.cells) ** 2)

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the start positions from the reset options."""
        if "start" in given:
            return Options(start=read_positions("start", given["start"], num_envs, self.parameters.edge))
        return Options(start=np.full((num_envs, 2), np.nan))

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw the square with the covered area, the disc, the path, its start and the point."""
        pixels = 320
        parameters = self.parameters
        scale, size = pixels / (2 * parameters.edge), pixels / parameters.cells

        def place(point: np.ndarray) -> tuple[float, float]:
            return (float(point[0]) + parameters.edge) * scale, (parameters.edge - float(point[1])) * scale

        canvas = art.Canvas(pixels, pixels)
        for row, column in np.argwhere(state.covered).tolist():
            x, y = column * size, pixels - (row + 1) * size
            canvas.rectangle(x, y, x + size, y + size, art.PALE_BLUE)
        path = [place(point) for point in state.path[: int(state.moves) + 1]]
        canvas.circle(*path[-1], parameters.radius * scale, art.MID_BLUE, 2)
        canvas.line(path, art.BLUE, 2)
        canvas.circle(*path[0], 5, art.BLUE, 1.5)
        canvas.disc(*path[-1], 6, art.ORANGE)
        return canvas.image()

    def describe(self, state: State) -> str:
        """State the step number, the position and the covered area."""
        area = (2 * self.parameters.edge) ** 2
        return (
            f"move {int(state.moves)} of {self.parameters.horizon}, position ({state.position[0]:+.2f}, "
            f"{state.position[1]:+.2f}), covered {state.coverage:.1f} of {area:.1f}"
        )


class PointCoverageEnv(KernelEnv):
    """Single environment of `PointCoverage`."""

    definition_class = PointCoverage


class PointCoverageVectorEnv(KernelVectorEnv):
    """Vector environment of `PointCoverage`."""

    definition_class = PointCoverage
