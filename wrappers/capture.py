"""Saves and restores the running episodes of a vector environment, whatever its origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gymnasium.vector import SyncVectorEnv, VectorEnv

from envzoo.wrappers.adapters import adapter_of, entry_point
from envzoo.wrappers.lasting import own_state
from envzoo.wrappers.replay import Recorder, ReplayError

# Vector wrappers without state that affects learning. Those that apply a user's function are not listed: state kept by
# such a function would go unnoticed, because replays are compared below the vector wrappers.
_GYMNASIUM = {
    "common": ("RecordEpisodeStatistics",),
    "dict_info_to_list": ("DictInfoToList",),
    "rendering": ("HumanRendering", "RecordVideo"),
    "vectorize_action": ("ClipAction", "RescaleAction"),
    "vectorize_observation": (
        *("DtypeObservation", "FilterObservation", "FlattenObservation", "GrayscaleObservation"),
        *("RescaleObservation", "ReshapeObservation", "ResizeObservation"),
    ),
    "vectorize_reward": ("ClipReward",),
}
_STATELESS = {f"gymnasium.wrappers.vector.{module}:{name}" for module, names in _GYMNASIUM.items() for name in names}


def captures_all(env: VectorEnv) -> bool:
    """Return whether `get_state` covers all state of an environment, which requires every wrapper to take part."""
    while True:
        # Look at the class, because Gymnasium's wrappers forward attribute look-ups to the wrapped environment.
        if not (hasattr(type(env), "get_state") and hasattr(type(env), "set_state")):
            return False
        if env is env.unwrapped:
            return True
        env = env.env


class Capture:
    """Saves and restores the running episodes of a vector environment by the best available method.

    The methods, in order of preference: `get_state` and `set_state`; an adapter (`register_state_adapter`); and for a
    `SyncVectorEnv` a replay of the running episodes, recorded by a recorder on each of its environments. Create the
    capture before the first reset of the environment, because episodes are recorded from their start.

    Args:
        env: The vector environment including its wrappers.
    """

    def __init__(self, env: VectorEnv):
        self.env, self.base = env, env.unwrapped
        self._layers: list[VectorEnv] = []
        self._recorder: Recorder | None = None
        self._obstacle: str | None = None
        if captures_all(env):
            self.kind = "state"
            return
        while env is not self.base:
            self._layers.append(env)
            env = env.env
        self.kind = "none"
        for layer in self._layers:
            if own_state(layer) is None and entry_point(type(layer)) not in _STATELESS:
                self._obstacle = f"the wrapper {type(layer).__name__} may hold state that cannot be captured"
                return
        name = type(self.base).__name__
        if adapter_of(self.base) is not None or own_state(self.base) is not None:
            self.kind = "adapter"
        elif type(self.base) is SyncVectorEnv:
            self.kind = "replay"
            self._recorder = Recorder.of(self.base)
        elif hasattr(self.base, "call_async"):
            self._obstacle = f"{name} runs its environments in other processes"
        else:
            self._obstacle = f"no state adapter is registered for {name}"

    @property
    def obstacle(self) -> str | None:
        """Reason why the episodes cannot be restored, as a clause; None if they can."""
        return self._obstacle or (None if self._recorder is None else self._recorder.obstacle())

    def get_state(self) -> dict[str, Any] | None:
        """Return the state of all running episodes, or a record of them; None if neither is available."""
        if self.kind == "state":
            return self.env.get_state()
        if self.obstacle is not None:
            return None
        layers = []
        for layer in self._layers:
            own = own_state(layer)
            try:
                layers += [] if own is None else [own[0]()]
            except Exception:  # third-party code; a checkpoint without the episodes is better than none
                self._obstacle = f"the state of the wrapper {type(layer).__name__} cannot be read"
                return None
        if self.kind == "adapter":
            return {"kind": "adapter", "layers": layers, "base": own_state(self.base)[0]()}
        return {"kind": "replay", "layers": layers, "base": self._recorder.get_state()}

    def set_state(self, state: Mapping[str, Any] | None) -> int | None:
        """Restore the episodes saved by `get_state`.

        Returns:
            Number of steps replayed and verified; None if the state was restored directly.

        Raises:
            ReplayError: The episodes cannot be restored here; the environment must be reset.
            ValueError: The state does not fit.
        """
        if self.obstacle is not None:
            raise ReplayError(f"cannot capture its state ({self.obstacle})")
        if state is None:
            raise ReplayError("cannot be resumed where it stopped (its state is not in the checkpoint)")
        if self.kind == "state":
            self.env.set_state(state)
            return None
        if state["kind"] != self.kind:
            raise ReplayError("is captured by a different method than it was saved with")
        steps = None
        if self.kind == "adapter":
            own_state(self.base)[1](state["base"])
        else:
            steps = self._recorder.set_state(state["base"])
        for layer, saved in zip((x for x in self._layers if own_state(x) is not None), state["layers"], strict=True):
            own_state(layer)[1](saved)
        return steps
