"""KernelEnv: single environments as a `gymnasium.Env`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from envzoo.errors import ResetNeededError
from envzoo.kernel.arguments import check_choice
from envzoo.kernel.batch import EpisodeBatch, render_episode
from envzoo.kernel.definition import Definition, build


class KernelEnv(gym.Env):
    """A `gymnasium.Env` over a batch of one; subclass it and set `definition_class`.

    Args:
        render_mode: None, "rgb_array" or "ansi".
        max_episode_steps: Truncate episodes after this many steps. `gymnasium.make(id, max_episode_steps=...)` uses
            Gymnasium's TimeLimit wrapper instead, whose step count is not part of `get_state`; pass the limit here to
            capture episodes with a time limit.
        **parameters: The environment's own arguments; see its definition class.

    Raises:
        UnknownNameError: A render mode or argument is unknown.
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
            seed: Seed of the episode's random stream; None continues the current stream.
            options: Reset options of the environment.

        Raises:
            UnknownNameError: An option is unknown.
            EnvzooError: The seed or the value of an option is invalid.
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
        """Take one step.

        Raises:
            InvalidActionError: The action is outside the action space.
            ResetNeededError: The environment was never reset, or the episode has ended.
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
        """Return the current observation, as `reset` and `step` do; useful after `set_state`."""
        batched = self._batch.observe()
        return {name: array[0] for name, array in batched.items()} if isinstance(batched, dict) else batched[0]

    def get_state(self) -> dict[str, np.ndarray]:
        """Return copies of the complete state of the episode, each array with a leading dimension of 1.

        The state includes the random stream, the step count and whether the episode has ended. The dict can be saved
        directly to a safetensors file, and passed to `set_state` of a single or vector environment.
        """
        return self._batch.get_state()

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state returned by `get_state`, of this environment or for one episode of its vector environment.

        Raises:
            EnvzooError: The state does not fit this environment; nothing is changed in that case.
        """
        self._batch.set_state(state)

    def render(self) -> np.ndarray | str | None:
        """Render the episode as an image, uint8 (height, width, 3), or as text, depending on `render_mode`.

        Raises:
            ResetNeededError: The environment was never reset.
        """
        return render_episode(self, self._batch, "gymnasium.make")

    def _info(self, infos: tuple) -> dict[str, Any]:
        # Plain Python numbers, so that SyncVectorEnv batches them with the dtypes of the vector environment.
        names = getattr(infos, "_fields", ())
        return {name: array.item() if array.ndim == 1 else array[0] for name, array in zip(names, infos, strict=True)}
