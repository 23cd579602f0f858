"""The single face: one episode as a `gymnasium.Env`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from envzoo.errors import ResetNeededError
from envzoo.kernel.arguments import check_choice
from envzoo.kernel.batch import EpisodeBatch, may_render
from envzoo.kernel.definition import Definition, build


class KernelEnv(gym.Env):
    """A `gymnasium.Env` over a batch of one; subclass it and set `definition_class`.

    Args:
        render_mode: None, "rgb_array" or "ansi".
        max_episode_steps: Truncate episodes after this many steps. `gymnasium.make(id, max_episode_steps=...)` uses
            Gymnasium's TimeLimit wrapper instead, whose step count `get_state` cannot see; pass the limit here when
            episodes with a limit are to be captured.
        **parameters: The environment's own arguments; see its definition class.

    Raises:
        UnknownNameError: For an unknown render mode or argument.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 5}
    definition_class: ClassVar[type[Definition]]

    def __init__(
        self, *, render_mode: str | None = None, max_episode_steps: int | None = None, **parameters: Any
    ) -> None:
        if render_mode is not None:
            check_choice("render mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self.definition = build(self.definition_class, parameters)
        self.metadata = {**self.metadata, "render_fps": self.definition.render_fps}
        self.observation_space = self.definition.observation_space
        self.action_space = self.definition.action_space
        self._batch = EpisodeBatch(self.definition, 1, max_episode_steps)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of the episode's random stream; None goes on with the stream it has.
            options: The environment's reset options.

        Raises:
            UnknownNameError: For an unknown option.
            EnvzooError: For a seed or an option's value that is not usable.
        """
        batch = self._batch
        read = batch.read_options(options)
        if seed is not None:
            batch.seed([seed], batch.everyone)
        super().reset(seed=None if seed is None else int(seed))
        infos = batch.new_infos()
        batch.reset(batch.everyone, infos, read)
        batch.started = True
        return self.observation(), self._info(infos)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            InvalidActionError: When the action lies outside the action space.
            ResetNeededError: Before the first reset, or after the end of the episode.
        """
        batch = self._batch
        batch.require_started()
        if batch.needs_reset[0]:
            raise ResetNeededError("step was called after the end of the episode; call reset first")
        actions = batch.check_actions([action] if isinstance(action, list | tuple) else np.asarray(action)[None])
        infos = batch.new_infos()
        rewards, terminated, truncated, _ = batch.step(actions, batch.everyone, infos)
        return self.observation(), rewards.item(), terminated.item(), truncated.item(), self._info(infos)

    def observation(self) -> Any:
        """The current observation, as `reset` and `step` return it; useful after `set_state`."""
        batched = self._batch.observe()
        return {name: array[0] for name, array in batched.items()} if isinstance(batched, dict) else batched[0]

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies of all that decides how the episode goes on, each array with a leading dimension of 1.

        The random stream, the step count and whether the episode has ended are among it. The dict can go as it is
        into a safetensors file, and into `set_state` of either face.
        """
        return self._batch.get_state()

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `get_state` gave (here or on a vector face of the same environment, for one episode).

        Raises:
            EnvzooError: When the state does not fit this environment; nothing is changed then.
        """
        self._batch.set_state(state)

    def render(self) -> np.ndarray | str | None:
        """The episode as an image, uint8 (height, width, 3), or as text, by `render_mode`.

        Raises:
            ResetNeededError: Before the first reset.
        """
        if not may_render(self.render_mode, self._batch.started, "gymnasium.make"):
            return None
        episode = self._batch.episode(0)
        return self.definition.draw(episode) if self.render_mode == "rgb_array" else self.definition.describe(episode)

    def _info(self, infos: tuple) -> dict[str, Any]:
        # Plain Python numbers, so that SyncVectorEnv batches them with the dtypes of the vector face.
        names = getattr(infos, "_fields", ())
        return {name: array.item() if array.ndim == 1 else array[0] for name, array in zip(names, infos, strict=True)}
