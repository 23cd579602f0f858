"""TMaze: remember the cue at the start of a corridor until the junction at its end (Bakker, 2001)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from envzoo.errors import EnvzooError, shorten
from envzoo.kernel import Definition, KernelEnv, Kernels, KernelVectorEnv
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_whole
from envzoo.kernel.stream import integer

FORWARD, UP, DOWN = 0, 1, 2
CORRIDOR, CUE_UP, CUE_DOWN, JUNCTION = 0, 1, 2, 3
RIGHT_ARM, WRONG = 4.0, -0.1
NO_OPTION = -1
NO_ARM = 0
SIGNS = ("forward", "up", "down")


class Parameters(NamedTuple):
    """Parameters shared by all episodes."""

    length: int


class State(NamedTuple):
    """State of one episode."""

    cue: Any  # 1 up, 2 down
    position: Any  # 0 to length; the junction is at length
    clock: Any  # number of steps so far
    arm: Any  # 0 before the choice, then the arm chosen, 1 or 2


class Options(NamedTuple):
    """Options of `reset`."""

    cue: Any


@njit(cache=True)
def reset(parameters, state, streams, where, options, infos):
    """Reset kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.cue[i] = UP + integer(streams, i, 2) if options.cue[i] == NO_OPTION else options.cue[i]
            state.position[i] = 0
            state.clock[i] = 0
            state.arm[i] = NO_ARM


@njit(cache=True)
def step(parameters, state, streams, where, actions, rewards, terminated, infos):
    """Step kernel; see `envzoo.kernel.Kernels`."""
    for i in range(where.size):
        if where[i]:
            state.clock[i] += 1
            terminated[i] = state.clock[i] == parameters.length + 2
            forward = actions[i] == FORWARD
            if forward and state.position[i] < parameters.length:
                state.position[i] += 1
            elif forward or state.position[i] < parameters.length:  # into a wall
                rewards[i] = WRONG
            else:
                state.arm[i] = actions[i]
                rewards[i] = RIGHT_ARM if actions[i] == state.cue[i] else WRONG
                terminated[i] = True


@njit(cache=True)
def observe(parameters, state, observation):
    """Observation kernel: the cue before the first step, later whether the agent stands at the junction."""
    for i in range(observation.shape[0]):
        if state.clock[i] == 0:
            observation[i] = state.cue[i]
        else:
            observation[i] = JUNCTION if state.position[i] == parameters.length else CORRIDOR


class TMaze(Definition):
    """Remember the cue seen at the start of a corridor until the junction at its end.

    ## Description
    The agent walks along a corridor to a junction. Which arm of the junction pays is shown once, in the first
    observation; all cells of the corridor look the same. The length of the corridor sets for how long one bit has to be
    remembered. The task is that of Bakker ("Reinforcement Learning with Long Short-Term Memory", NeurIPS 2001), with
    the time limit length + 2, which leaves one step to spare. The best policy that is blind to the cue has an expected
    return of 1.95.

    ## Action space
    `Discrete(3)`: 0 forward, 1 up, 2 down.

    ## Observation space
    `Discrete(4)`: 1 or 2 before the first step, for a cue that points up or down; after that 3 at the junction and 0
    elsewhere.

    ## Reward
    4 for the arm that the cue has shown; -0.1 for the other arm and for walking into a wall, which leaves the agent in
    place (up and down in the corridor, forward at the junction); 0 otherwise. The best return is 4.

    ## Start of an episode
    The cue is drawn uniformly, or set by `reset(options={"cue": ...})`: 1 or 2, or one of them per episode.

    ## End of an episode
    Terminates when an arm is chosen, and after length + 2 steps. This is not a time limit on a continuing task, which
    would be a truncation: nothing can be gained after it, so agents must not bootstrap.

    ## Arguments
    - `length` (10): number of steps from the start to the junction, up to 10 000.

    ## Registered ids
    - `envzoo/TMaze-v0`
    """

    option_names = ("cue",)

    def __init__(self, length: int = 10) -> None:
        self.length = check_whole("length", length, 1, 10_000)
        self.parameters = Parameters(self.length)
        self.state = State(cue=np.int64, position=np.int64, clock=np.int64, arm=np.int64)
        self.limits = {
            "cue": (UP, DOWN),
            "position": (0, self.length),
            "clock": (0, self.length + 2),
            "arm": (NO_ARM, DOWN),
        }
        self.running_limits = {"clock": (0, self.length + 1)}
        self.observation_space = spaces.Discrete(4)
        self.action_space = spaces.Discrete(3)
        self.kernels = Kernels(reset, step, observe)

    def options(self, given: Mapping[str, Any], num_envs: int) -> Options:
        """Read the cue of each episode; see `Definition.options`."""
        cue = np.full(num_envs, NO_OPTION)
        if "cue" in given:
            wanted = np.asarray(given["cue"])
            fits = wanted.dtype.kind in "iu" and wanted.shape in ((), (num_envs,))
            if not fits or not np.isin(wanted, (UP, DOWN)).all():
                raise EnvzooError(
                    f"reset option cue is {shorten(repr(given['cue']))}; expected 1 (up) or 2 (down), or one of them "
                    "for each episode"
                )
            cue[:] = wanted
        return Options(cue)

    def draw(self, state: State) -> np.ndarray:
        """Draw the maze with the cue as it is seen, the agent, and the arm it has chosen."""
        width, height = 480, 170
        canvas = art.Canvas(width, height)
        left, right, middle, half = 40, width - 60, 90, 14
        canvas.rectangle(left - half, middle - half, right + half, middle + half, art.PALE_BLUE)
        canvas.rectangle(right - half, middle - 56, right + half, middle + 56, art.PALE_BLUE)
        seen, chosen, x = state.clock == 0, int(state.arm), left + (right - left) * int(state.position) / self.length
        tip = -1 if state.cue == UP else 1
        colour = art.ORANGE if seen else art.FRAME
        canvas.polygon(
            [(left - 10, middle + tip * 24), (left + 10, middle + tip * 24), (left, middle + tip * 42)], colour
        )
        pays = middle + tip * 46
        canvas.circle(right, pays, 8, art.ORANGE, 2)
        y = middle if chosen == NO_ARM else middle + (-46 if chosen == UP else 46)
        right_arm = chosen == state.cue
        agent = art.BLUE if chosen == NO_ARM else art.GREEN if right_arm else art.RED
        canvas.disc(x, y, 7, agent)
        if chosen != NO_ARM:
            text = f"Chose {SIGNS[chosen]}: " + (
                "right, the cue pointed there" if right_arm else "wrong, the cue pointed the other way"
            )
        elif seen:
            text = f"The cue points {SIGNS[int(state.cue)]}: remember it for {self.length} steps"
        else:
            text = f"{self.length - int(state.position)} steps to the junction; the cue is no longer seen"
        canvas.text(12, 16, text, art.INK, 14, anchor="lm")
        canvas.text(
            12, height - 12, "the ring marks the arm that pays, which the agent does not see", art.MUTED, 10, "lm"
        )
        return canvas.image()

    def describe(self, state: State) -> str:
        """Say in one line where the agent is, which cue it was given, and what it has chosen."""
        chosen = "" if state.arm == NO_ARM else f", chose {SIGNS[int(state.arm)]}"
        return f"position {int(state.position)} of {self.length}, cue {SIGNS[int(state.cue)]}{chosen}"


class TMazeEnv(KernelEnv):
    """Single environment of `TMaze`."""

    definition_class = TMaze


class TMazeVectorEnv(KernelVectorEnv):
    """Vector environment of `TMaze`."""

    definition_class = TMaze
