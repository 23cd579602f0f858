"""RacetrackCoverage: a small car is rewarded for covering new track (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.coverage.grid_world import NO_OPTION, RANDOM_START, Infos, Options, read_starts
from envzoo.coverage.racetrack import FASTEST, SUBSTEP, Track, drive, locate, make_track
from envzoo.errors import EnvzooError, unknown
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_number, check_whole
from envzoo.kernel.stream import integer, normal

SEGMENTS = 200
WINDOW = 5  # largest number of segments passed in one step
START_SPEED = 0.5  # metres per second
AHEAD = (4, 8, 14)  # segments ahead at which the curvature is observed
TURNING = 10.0  # yaw rate in radians per second observed as 1


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    track: Track
    start: int  # start segment, or RANDOM_START
    horizon: int
    half_width: float
    time_step: float
    noise: float


class State(NamedTuple):
    """State of one episode."""

    car: Any  # float64 (6,): x, y, heading, forward speed, speed to the left, yaw rate
    segment: Any  # nearest segment of the track
    offset: Any  # distance from the centre line, positive to the left
    moves: Any
    covered: Any  # bool (SEGMENTS,)
    coverage: Any  # F of the drive so far
    path: Any  # float32 (horizon + 1, 2)


class MaskObservation(NamedTuple):
    """Observation with `coverage_mask=True`."""

    motion: Any
    covered: Any


@njit(cache=True)
def _arrive(parameters, state, i):
    """Record the position of episode i's car; returns the length of track newly passed, and passed in this step."""
    track, car = parameters.track, state.car[i]
    before = state.segment[i]
    segment, state.offset[i] = locate(track, car[0], car[1], before, WINDOW)
    # Take the shorter way around, also where the track closes; driving backwards counts like driving forwards.
    passed = (segment - before + SEGMENTS // 2) % SEGMENTS - SEGMENTS // 2
    direction = 1 if passed > 0 else -1
    fresh = 0
    for k in range(1, abs(passed) + 1):
        through = (before + direction * k) % SEGMENTS
        fresh += 1 - np.int64(state.covered[i, through])
        state.covered[i, through] = True
    state.segment[i] = segment
    state.coverage[i] += fresh * track.length
    state.path[i, state.moves[i], 0] = car[0]
    state.path[i, state.moves[i], 1] = car[1]
    return fresh * track.length, abs(passed) * track.length


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    track = parameters.track
    for i in range(where.size):
        if where[i]:
            start = parameters.start if options.start[i] == NO_OPTION else options.start[i]
            if start == RANDOM_START:
                start = integer(streams, i, SEGMENTS)
            state.car[i] = 0.0
            state.car[i, 0] = track.points[start, 0]
            state.car[i, 1] = track.points[start, 1]
            state.car[i, 2] = track.heading[start]
            state.car[i, 3] = START_SPEED
            state.segment[i] = start
            state.moves[i] = 0
            state.covered[i] = False
            state.covered[i, start] = True
            state.coverage[i] = track.length
            state.path[i] = 0.0
            _arrive(parameters, state, i)
            infos.modular_reward[i] = 0.0
            infos.coverage[i] = state.coverage[i]


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            throttle, steering = np.float64(actions[i, 0]), np.float64(actions[i, 1])
            if parameters.noise > 0.0:
                throttle = min(max(throttle + parameters.noise * normal(streams, i), -1.0), 1.0)
                steering = min(max(steering + parameters.noise * normal(streams, i), -1.0), 1.0)
            drive(state.car[i], throttle, steering, parameters.time_step)
            state.moves[i] += 1
            rewards[i], infos.modular_reward[i] = _arrive(parameters, state, i)
            infos.coverage[i] = state.coverage[i]
            terminated[i] = state.moves[i] == parameters.horizon or abs(state.offset[i]) > parameters.half_width


@njit(cache=True)
def observe_motion(parameters, state, observation):
    """Observation kernel: the car in the frame of the track, and the curvature ahead."""
    track = parameters.track
    for i in range(state.moves.size):
        car, segment = state.car[i], state.segment[i]
        error = car[2] - track.heading[segment]
        observation[i, 0] = min(max(state.offset[i] / parameters.half_width, -2.0), 2.0)
        observation[i, 1] = math.cos(error)
        observation[i, 2] = math.sin(error)
        observation[i, 3] = min(car[3] / FASTEST, 1.0)
        observation[i, 4] = min(max(car[4] / FASTEST, -1.0), 1.0)
        observation[i, 5] = min(max(car[5] / TURNING, -2.0), 2.0)
        for k in range(len(AHEAD)):
            observation[i, 6 + k] = track.curvature[(segment + AHEAD[k]) % SEGMENTS] * parameters.half_width
        observation[i, 9] = state.moves[i] / parameters.horizon


@njit(cache=True)
def observe_with_mask(parameters, state, observation):
    """Observation kernel: the same, with the passed segments, starting at the car's own."""
    observe_motion(parameters, state, observation.motion)
    for i in range(state.moves.size):
        for k in range(SEGMENTS):
            observation.covered[i, k] = state.covered[i, (state.segment[i] + k) % SEGMENTS]


class RacetrackCoverage(Definition):
    """A small car on a closed track is rewarded for the track that it passes for the first time.

    ## Description
    The centre line of the track, 12.3 m long, is divided into 200 segments. The value of a drive is the length of the
    segments that it has passed, F(drive): a coverage function, hence monotone and submodular. Every segment counts
    once, so driving back and forth gives no reward and the best drive is a full lap. Modelled on the car racing task of
    submodular reinforcement learning (Prajapat et al., "Submodular Reinforcement Learning", ICLR 2024, arXiv
    2307.13372), with a track and a car of our own.

    ## Action space
    `Box(-1, 1, (2,), float32)`: throttle (negative values brake; there is no reverse gear) and steering (positive to
    the left).

    ## Observation space
    `Box` (10,) float32: offset from the centre line (1 is the left edge), cosine and sine of the heading relative to
    the track, forward speed and speed to the left (in units of 3 m/s), yaw rate (in units of 10 rad/s), the curvature
    of the track 4, 8 and 14 segments ahead (times the half width), and the fraction of steps taken. With
    `coverage_mask=True` a `Dict` of `motion` (that vector) and `covered`, `MultiBinary(200)`, the passed segments,
    starting at the car's own.

    ## Dynamics
    A planar bicycle model with six states: x, y, heading h, speeds u (forwards) and v (to the left), yaw rate w. With
    throttle t, steering angle d = 0.45 * steering, axles lf = 0.03 m and lr = 0.033 m from the centre of mass, the slip
    angles are af = d - atan2(v + lf w, max(u, 0.3)) and ar = -atan2(v - lr w, max(u, 0.3)), and the lateral forces (per
    unit mass) Ff = 2 tanh(5 af) and Fr = 2 tanh(5 ar), fading out below u = 0.3. Then u' = 4 t - 0.3 u - 0.35 u^2 - Ff
    sin d + v w, v' = Ff cos d + Fr - u w, w' = (lf Ff cos d - lr Fr) / 0.001, x' = u cos h - v sin h, y' = u sin h + v
    cos h, h' = w, in metres and seconds, by Euler steps of 2.5 ms; u is kept at or above 0, and below u = 0.3 sliding
    decays by a tenth per Euler step. At full speed (3 m/s) the car understeers: it must brake before bends.

    ## Reward
    The length of track newly passed in this step, in metres.

    ## Info
    After every reset and step: `coverage`, F of the drive so far, including the start's segment; `modular_reward`, the
    length of track passed in this step, whether or not new (0 after a reset), the additive reward of the ModPO
    baseline.

    ## Start of an episode
    On the centre line and aligned with it, at 0.5 m/s, in the segment set by `start` or
    `reset(options={"start": ...})`, which also accepts an array with one segment per episode.

    ## End of an episode
    Terminates when the car's centre leaves the track, and after `horizon` steps; the horizon is part of the problem,
    not an external time limit.

    ## Arguments
    - `horizon` (300): number of steps.
    - `start` (0): a segment from 0 to 199, or "random" (uniform).
    - `half_width` (0.25): half the width of the track, metres.
    - `time_step` (0.04): seconds between two actions, at most 0.1.
    - `noise` (0.0): standard deviation of the noise added to both components of the action.
    - `coverage_mask` (False): whether the observation includes the passed segments.

    ## Registered ids
    - `envzoo/RacetrackCoverage-v0`: the defaults above.
    """

    observation_type = MaskObservation
    option_names = ("start",)
    render_fps = 25

    def __init__(
        self,
        horizon: int = 300,
        start: int | str = 0,
        half_width: float = 0.25,
        time_step: float = 0.04,
        noise: float = 0.0,
        coverage_mask: bool = False,
    ) -> None:
        self.parameters = Parameters(
            track=make_track(SEGMENTS),
            start=self._start_segment(start),
            horizon=check_whole("horizon", horizon, 1),
            half_width=check_number("half_width", half_width, 0, 0.4, above=True),
            time_step=check_number("time_step", time_step, SUBSTEP, 0.1),
            noise=check_number("noise", noise, 0),
        )
        self.state = State(
            car=(np.float64, (6,)),
            segment=np.int64,
            offset=np.float64,
            moves=np.int64,
            covered=(np.bool_, (SEGMENTS,)),
            coverage=np.float64,
            path=(np.float32, (horizon + 1, 2)),
        )
        self.limits = {"segment": (0, SEGMENTS - 1), "moves": (0, horizon)}
        self.running_limits = {"moves": (0, horizon - 1)}
        self.infos = Infos(modular_reward=np.float64, coverage=np.float64)
        least = np.array([-2, -1, -1, 0, -1, -2, -1, -1, -1, 0], np.float32)
        most = np.array([2, 1, 1, 1, 1, 2, 1, 1, 1, 1], np.float32)
        motion = spaces.Box(least, most)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = motion
        if coverage_mask:
            self.observation_space = spaces.Dict({"motion": motion, "covered": spaces.MultiBinary(SEGMENTS)})
        self.kernels = Kernels(reset, step, observe_with_mask if coverage_mask else observe_motion)

    def value(self, segments: Iterable[int]) -> float:
        """Compute F of a set of passed segments: their length."""
        return len(set(segments)) * self.parameters.track.length

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the start segments from the reset options."""
        return Options(start=read_starts(given, num_envs, self._start_segment, "segment", SEGMENTS, "'random'"))

    def _start_segment(self, start: int | str) -> int:
        if isinstance(start, str):
            if start != "random":
                raise unknown("start", start, ("random",))
            return RANDOM_START
        if check_whole("start", start, 0) >= SEGMENTS:
            raise EnvzooError(f"start is {start!r}; expected a segment from 0 to {SEGMENTS - 1}, or 'random'")
        return int(start)

    # ---------------------------------------------------------------- drawing

    def draw(self, state: State) -> np.ndarray:
        """Draw the track from above, passed segments blue and others grey, with the drive and the car."""
        width, height = 520, 296
        parameters, points = self.parameters, self.parameters.track.points
        low, high = points.min(axis=0), points.max(axis=0)
        scale = min(np.array([width, height]) / (high - low + 3 * parameters.half_width))
        middle = (low + high) / 2

        def place(point: np.ndarray) -> tuple[float, float]:
            x, y = (np.asarray(point, np.float64)[:2] - middle) * scale
            return float(width / 2 + x), float(height / 2 - y)

        canvas = art.Canvas(width, height)
        places = [place(point) for point in points]
        broad = 2 * parameters.half_width * scale
        # Draw discs, because a broad line shows gaps in the bends.
        for colour, radius in ((art.FRAME, broad / 2 + 2), (art.GRID, broad / 2)):
            for x, y in places:
                canvas.disc(x, y, radius, colour)
        for segment in np.flatnonzero(state.covered).tolist():
            canvas.line([places[segment - 1], places[segment]], art.PALE_BLUE, broad)
        first = int(parameters.start) if parameters.start >= 0 else int(np.argmax(state.covered))
        along = parameters.track.heading[first]
        side = parameters.half_width * np.array([-np.sin(along), np.cos(along)])
        canvas.line([place(points[first] - side), place(points[first] + side)], art.PAPER, 3)
        canvas.line([place(point) for point in state.path[: int(state.moves) + 1]], art.BLUE, 2)
        ahead = 0.08 * np.array([np.cos(state.car[2]), np.sin(state.car[2])])
        canvas.line([place(state.car[:2] - ahead), place(state.car[:2] + ahead)], art.ORANGE, 9)
        canvas.disc(*place(state.car[:2] + ahead), 3, art.INK)
        return canvas.image()

    def describe(self, state: State) -> str:
        """State the step number, the speed and the length of track passed."""
        length = SEGMENTS * self.parameters.track.length
        return (
            f"move {int(state.moves)} of {self.parameters.horizon}, {state.car[3]:.2f} m/s, "
            f"{state.offset:+.2f} m from the centre line, covered {state.coverage:.2f} of {length:.2f} m"
        )


class RacetrackCoverageEnv(KernelEnv):
    """Single environment of `RacetrackCoverage`."""

    definition_class = RacetrackCoverage


class RacetrackCoverageVectorEnv(KernelVectorEnv):
    """Vector environment of `RacetrackCoverage`."""

    definition_class = RacetrackCoverage
