"""AntCoverage: MuJoCo's Ant covers the plane (submodular reinforcement learning, paper 09)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from envzoo.errors import EnvzooError, ResetNeededError, missing_extra
from envzoo.kernel import drawing as art
from envzoo.kernel.arguments import check_choice, check_seed
from envzoo.kernel.batch import check_options, may_render
from envzoo.kernel.check import ActionCheck

EDGE = 20.0  # the plane extends from -EDGE to EDGE
CELLS = 100  # cells along each side
BLOCK = 5  # side of the marked block of cells, which begins with the ant's cell
SCALE = 0.1  # reward per cell
STATES = 29  # x, y and the 27 numbers of Ant-v5 without contact forces


def make_body(**arguments: Any) -> gym.Env:
    """Make Gymnasium's Ant-v5 with x and y in the observation.

    Raises:
        MissingExtraError: MuJoCo is not installed.
    """
    try:
        import mujoco  # noqa: F401
    except ImportError as error:
        raise missing_extra("AntCoverage", "mujoco", "mujoco") from error
    return gym.make(
        "Ant-v5",
        max_episode_steps=-1,
        exclude_current_positions_from_observation=False,
        include_cfrc_ext_in_observation=False,
        **arguments,
    )


class AntCoverage(gym.Env):
    """MuJoCo's Ant walks on a plane and is rewarded for covering new ground.

    ## Description
    The plane from -20 to 20 in both directions is divided into 100x100 cells of side 0.4. At every step the ant marks
    the block of 5x5 cells that begins with its own cell (cut off at the border). The value of a path is a tenth of the
    number of marked cells, F(path): a monotone submodular set function, so walking back and forth gives no reward. The
    rewards of Ant-v5 are not used. This is the ant task of submodular reinforcement learning (Prajapat et al.,
    "Submodular Reinforcement Learning", ICLR 2024, arXiv 2307.13372), which was based on Ant-v4. Requires the extra
    `mujoco`.

    ## Action space
    `Box(-1, 1, (8,), float32)`: the torques of Ant-v5's eight joints.

    ## Observation space
    `Box` (29,) float64: position x, y and the other 27 values of Ant-v5 without contact forces. With
    `coverage_mask=True` a `Dict` of `motion` (that vector) and `covered`, `MultiBinary([100, 100])`, rows along y:
    without the mask or a memory, the agent cannot predict its future gains.

    ## Reward
    A tenth of the number of newly marked cells. The block of the start gives no reward.

    ## Info
    After every reset and step: `coverage`, F of the path so far; `modular_reward`, a tenth of the number of cells of
    the new block, whether or not marked before (0 after a reset), the additive reward of the ModPO baseline.

    ## Start of an episode
    As in Ant-v5, near the centre, with random joint positions.

    ## End of an episode
    Terminates when |x| or |y| exceeds 20, and with `terminate_when_unhealthy` also when Ant-v5 does. The registered id
    truncates after 400 steps.

    ## Arguments
    - `coverage_mask` (False): whether the observation includes the marked cells.
    - `terminate_when_unhealthy` (False): whether the episode ends when the ant's torso is too high or too low.
    - `render_mode` (None): "rgb_array" (the plane from above) or "ansi".

    ## Registered ids
    - `envzoo/AntCoverage-v0`: the defaults above.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 20}

    def __init__(
        self,
        *,
        coverage_mask: bool = False,
        terminate_when_unhealthy: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None:
            check_choice("render mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self._body = make_body(terminate_when_unhealthy=terminate_when_unhealthy)
        motion = self._body.observation_space
        if motion.shape != (STATES,):
            raise EnvzooError(
                f"the installed Ant-v5 observes {motion.shape} numbers; expected {STATES}, beginning with x and y"
            )
        self._masked = bool(coverage_mask)
        self.action_space = self._body.action_space
        self.observation_space = motion
        if coverage_mask:
            mask = spaces.MultiBinary([CELLS, CELLS])
            self.observation_space = spaces.Dict({"motion": motion, "covered": mask})
        self._covered = np.zeros((CELLS, CELLS), np.bool_)
        self._path: list[tuple[float, float]] = []
        self._ended = False
        self._check_actions = ActionCheck(self.action_space)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; `options` are those of Ant-v5.

        Raises:
            EnvzooError: The seed is invalid, or the options are not a dict.
        """
        check_options(options)
        seed = None if seed is None else check_seed(seed)
        super().reset(seed=seed)
        motion, _ = self._body.reset(seed=seed, options=dict(options) if options else None)
        self._covered[:] = False
        self._path, self._ended = [], False
        self._mark(motion)
        return self._observation(motion), self._info(0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step.

        Raises:
            InvalidActionError: The action is outside the action space.
            ResetNeededError: The environment was never reset, or the episode has ended.
        """
        if not self._path:
            raise ResetNeededError("step was called before the first reset; call reset first")
        if self._ended:
            raise ResetNeededError("step was called after the end of the episode; call reset first")
        self._check_actions([action] if isinstance(action, list | tuple) else np.asarray(action)[None], 1)
        motion, _, fallen, _, _ = self._body.step(action)
        fresh, block = self._mark(motion)
        outside = bool(np.abs(motion[:2]).max() > EDGE)
        self._ended = bool(fallen) or outside
        return self._observation(motion), SCALE * fresh, self._ended, False, self._info(block)

    def render(self) -> np.ndarray | str | None:
        """Render the plane from above with marked cells, path and ant, uint8 (320, 320, 3), or one line of text.

        Raises:
            ResetNeededError: The environment was never reset.
        """
        if not may_render(self.render_mode, bool(self._path), "gymnasium.make"):
            return None
        marked = int(self._covered.sum())
        if self.render_mode == "ansi":
            x, y = self._path[-1]
            return f"move {len(self._path) - 1}, position ({x:+.2f}, {y:+.2f}), covered {marked} of {CELLS**2} cells"
        pixels = 320
        scale, size = pixels / (2 * EDGE), pixels / CELLS
        canvas = art.Canvas(pixels, pixels)
        for row, column in np.argwhere(self._covered).tolist():
            x, y = column * size, pixels - (row + 1) * size
            canvas.rectangle(x, y, x + size, y + size, art.PALE_BLUE)
        path = [((x + EDGE) * scale, (EDGE - y) * scale) for x, y in self._path]
        canvas.line(path, art.BLUE, 2)
        canvas.circle(*path[0], 5, art.BLUE, 1.5)
        canvas.disc(*path[-1], 6, art.ORANGE)
        return canvas.image()

    def close(self) -> None:
        """Close the simulator."""
        self._body.close()

    # ------------------------------------------------------------- internals

    def _mark(self, motion: np.ndarray) -> tuple[int, int]:
        """Mark the block at the ant's position; returns the numbers of newly marked cells and of cells in the block."""
        x, y = float(motion[0]), float(motion[1])
        self._path.append((x, y))
        column, row = (int(np.floor((value + EDGE) / (2 * EDGE / CELLS))) for value in (x, y))
        block = self._covered[max(row, 0) : max(row + BLOCK, 0), max(column, 0) : max(column + BLOCK, 0)]
        fresh = int(block.size - block.sum())
        block[:] = True
        return fresh, block.size

    def _observation(self, motion: np.ndarray) -> Any:
        return {"motion": motion, "covered": self._covered.astype(np.int8)} if self._masked else motion

    def _info(self, block: int) -> dict[str, Any]:
        return {"coverage": SCALE * float(self._covered.sum()), "modular_reward": SCALE * block}
