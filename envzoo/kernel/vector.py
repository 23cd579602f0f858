"""KernelVectorEnv: many episodes as a `gymnasium.vector.VectorEnv`, without a Python loop over episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envzoo.errors import EnvzooError, ResetNeededError
from envzoo.kernel.arguments import check_choice, check_seed, check_whole, read_array
from envzoo.kernel.batch import EpisodeBatch, check_options, may_render
from envzoo.kernel.definition import Definition, build
from envzoo.kernel.drawing import tile


class KernelVectorEnv(VectorEnv):
    """A `gymnasium.vector.VectorEnv` over one batch; subclass it and set `definition_class`.

    Episode i of a batch reset with `seed=s` equals, bit for bit, the single environment reset with `seed=s + i`,
    whatever num_envs is. Every array returned by `reset` and `step` is new and may be kept.

    Args:
        num_envs: Number of episodes.
        autoreset_mode: NEXT_STEP (the step after the end of an episode resets it and ignores the action), SAME_STEP
            (the last step resets it; `infos` then hold `final_obs` and `final_info` as in Gymnasium's SyncVectorEnv) or
            DISABLED (the caller resets with a mask); the enum or its value as a string ("NextStep", ...).
        max_episode_steps: Truncate episodes after this many steps; None for no limit.
        render_mode: None; "rgb_array": `render` returns one image with a tile for each of the first `render_tiles`
            episodes; "rgb_array_each": a tuple with an image of every episode, as Gymnasium's vector wrappers
            (RecordVideo, HumanRendering) expect.
        render_tiles: Number of episodes that "rgb_array" shows.
        **parameters: The environment's own arguments; see its definition class.

    Attributes:
        final_observation: Batched observations after the last step, before any reset within that step. In SAME_STEP
            mode it holds the last observation of the episodes that just ended, without the object arrays of
            `infos["final_obs"]`; if no episode ended, it equals the observations returned by `step`. Read-only.

    Raises:
        UnknownNameError: A mode or argument is unknown.
        EnvzooError: The number of episodes or steps is not positive.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array", "rgb_array_each"], "render_fps": 5}
    definition_class: ClassVar[type[Definition]]

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        render_tiles: int = 16,
        **parameters: Any,
    ) -> None:
        if not isinstance(autoreset_mode, AutoresetMode):
            check_choice("autoreset mode", autoreset_mode, [mode.value for mode in AutoresetMode])
        if render_mode is not None:
            check_choice("render mode", render_mode, self.metadata["render_modes"])
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.render_mode = render_mode
        self.render_tiles = check_whole("render_tiles", render_tiles, 1)
        self.definition = build(self.definition_class, parameters)
        self._batch = EpisodeBatch(self.definition, num_envs, max_episode_steps)
        self.num_envs = self._batch.num_envs
        self.metadata = {
            **self.metadata,
            "render_fps": self.definition.render_fps,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space = self.definition.observation_space
        self.single_action_space = self.definition.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.final_observation: np.ndarray | dict[str, np.ndarray] | None = None
        # Whether any episode waits for its reset: saves a pass over the flags in most steps.
        self._pending = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start all episodes, or those marked in `options["reset_mask"]`.

        Args:
            seed: An int s gives episode i the seed s + i; a sequence gives one seed per episode; None (also as an
                element of the sequence) continues the current stream.
            options: Reset options of the environment, each a single value for all episodes or an array with one value
                per episode; and `reset_mask`, bool (num_envs,), which leaves the unmarked episodes unchanged.

        Raises:
            UnknownNameError: An option is unknown.
            EnvzooError: A seed, mask or option value is invalid.
            ResetNeededError: A mask was given before every episode was started once.
        """
        batch = self._batch
        check_options(options)
        options = dict(options or {})
        where = self._read_mask(options.pop("reset_mask")) if "reset_mask" in options else batch.everyone
        read = batch.read_options(options)
        if seed is not None:
            batch.seed(self._read_seed(seed), where)
            super().reset(seed=int(seed) if isinstance(seed, int | np.integer) else None)
        infos = batch.new_infos()
        batch.reset(where, infos, read)
        batch.started = True
        self._pending = bool(batch.needs_reset.any())
        self.final_observation = observation = batch.observe()
        return observation, batch.info_dict(infos, where)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one step in every episode.

        Args:
            actions: One action per episode, (num_envs, ...), all within the action space, including those of episodes
                that are only reset in this step.

        Returns:
            Observations (num_envs, ...), rewards (num_envs,) float64, terminated and truncated (num_envs,) bool, and
            infos: arrays (num_envs, ...) with their masks `_name`.

        Raises:
            InvalidActionError: An action is outside the action space; no episode has been stepped in that case.
            ResetNeededError: The environment was never reset; or an episode has ended and was not reset, except in
                NEXT_STEP mode.
        """
        batch = self._batch
        batch.require_started()
        actions = batch.check_actions(actions)
        infos = batch.new_infos()
        where = batch.everyone
        if self._pending:
            where = self._reset_pending(infos)
        rewards, terminated, truncated, ended = batch.step(actions, where, infos)
        self.final_observation = observation = batch.observe()
        if ended and self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = self._final_info(infos)
            batch.reset(batch.needs_reset.copy(), infos)
            return batch.observe(), rewards, terminated, truncated, {**final, **batch.info_dict(infos)}
        self._pending = ended > 0
        return observation, rewards, terminated, truncated, batch.info_dict(infos)

    def observation(self) -> np.ndarray | dict[str, np.ndarray]:
        """Return the current observations (num_envs, ...), new arrays; useful after `set_state`."""
        return self._batch.observe()

    def get_state(self, indices: Any = None) -> dict[str, np.ndarray]:
        """Return copies of the complete state of the chosen episodes (None: all); leading dimension: their number.

        The state includes random streams, step counts and which episodes have ended. The dict can be saved directly to
        a safetensors file, and passed to `set_state` of a single or vector environment.

        Raises:
            EnvzooError: An index is out of range.
        """
        return self._batch.get_state(indices)

    def set_state(self, state: Mapping[str, np.ndarray], indices: Any = None) -> None:
        """Restore a state returned by `get_state` to the chosen episodes (None: all).

        The state of a single episode is copied to all of them, which forks the episode: the copies continue with the
        same random stream (reset one with a seed to give it another).

        Raises:
            EnvzooError: The state or an index does not fit; nothing is changed in that case.
        """
        self._batch.set_state(state, indices)
        self._pending = bool(self._batch.needs_reset.any())

    def render(self) -> np.ndarray | tuple[np.ndarray, ...] | None:
        """Render the episodes as images, uint8 (height, width, 3); see `render_mode`.

        Raises:
            ResetNeededError: The environment was never reset.
        """
        if not may_render(self.render_mode, self._batch.started, "gymnasium.make_vec"):
            return None
        each = self.render_mode == "rgb_array_each"
        shown = self.num_envs if each else min(self.render_tiles, self.num_envs)
        images = tuple(self.definition.draw(self._batch.episode(i)) for i in range(shown))
        return images if each else tile(images)

    # ------------------------------------------------------------- internals

    def _reset_pending(self, infos: tuple) -> np.ndarray:
        """Reset the episodes that ended in an earlier step; returns the mask of the episodes to step."""
        batch = self._batch
        if self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            waiting = np.flatnonzero(batch.needs_reset)
            raise ResetNeededError(
                f"step was called although {len(waiting)} episodes have ended (the first is number {waiting[0]}); "
                'reset them first, with options={"reset_mask": mask}'
            )
        pending = batch.needs_reset.copy()
        batch.reset(pending, infos)
        return ~pending

    def _final_info(self, infos: tuple) -> dict[str, Any]:
        """Return `final_obs` and `final_info` of the episodes that have just ended, in the format of SyncVectorEnv."""
        batch, ended = self._batch, self._batch.needs_reset
        final = self.final_observation
        if isinstance(final, dict):
            rows = (dict(zip(final, row, strict=True)) for row in zip(*(a[ended] for a in final.values()), strict=True))
        else:
            rows = iter(final[ended])
        final_obs = np.full(self.num_envs, None, dtype=object)
        # fromiter, because plain assignment would broadcast the rows of an array over the object array.
        final_obs[ended] = np.fromiter(rows, object, np.count_nonzero(ended))
        final_infos = batch.new_infos()
        for kept, array in zip(final_infos, infos, strict=True):
            kept[ended] = array[ended]
        return {
            "final_obs": final_obs,
            "_final_obs": ended.copy(),
            "final_info": batch.info_dict(final_infos, ended),
            "_final_info": ended.copy(),
        }

    def _read_seed(self, seed: int | Sequence[int | None]) -> Sequence[int | None]:
        if isinstance(seed, int | np.integer):
            first = check_seed(seed)
            return [first + i for i in range(self.num_envs)]
        sequence = isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str | bytes)
        if not sequence or read_array("seed", seed).ndim == 0 or len(seed) != self.num_envs:
            raise EnvzooError(f"seed {seed!r} is not usable; expected an integer or a list of {self.num_envs} of them")
        return seed

    def _read_mask(self, mask: Any) -> np.ndarray:
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise EnvzooError(f"reset_mask is not usable; expected a bool array of shape ({self.num_envs},)")
        if not mask.any():
            raise EnvzooError("reset_mask marks no episode; expected at least one True")
        if not self._batch.started and not mask.all():
            raise ResetNeededError("reset_mask was given before every episode was started; call reset without it first")
        return mask.copy()
