"""How the running episodes of a vector environment are saved and taken up again, whoever wrote the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gymnasium.vector import SyncVectorEnv, VectorEnv

from envzoo.wrappers.adapters import adapter_of, entry_point
from envzoo.wrappers.lasting import own_state
from envzoo.wrappers.replay import Recorder, ReplayError

# Vector wrappers that keep nothing that decides how learning goes on. Those that apply any function of the user's are
# not among them: what such a function keeps would go unnoticed, since replays are compared below the vector wrappers.
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
    """Whether `get_state` of an environment holds all that decides how it goes on: every wrapper must take part."""
    while True:
        # The class is asked, because Gymnasium's wrappers pass attribute look-ups on to what they wrap.
        if not (hasattr(type(env), "get_state") and hasattr(type(env), "set_state")):
            return False
        if env is env.unwrapped:
            return True
        env = env.env


class Capture:
    """Saves and restores the running episodes of a vector environment, by the best means it offers.

    These are, in this order: `get_state` and `set_state`; an adapter (`register_state_adapter`); and for a
    `SyncVectorEnv` a replay of the running episodes, for which a recorder is put around each of its environments. Make
    the capture before the environment is first reset, since episodes are recorded from their start.

    Args:
        env: The vector environment with its wrappers.
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
                self._obstacle = f"the wrapper {type(layer).__name__} may keep something that cannot be captured"
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
        """Why the episodes cannot be taken up again, a half-sentence; None when they can."""
        return self._obstacle or (None if self._recorder is None else self._recorder.obstacle())

    def get_state(self) -> dict[str, Any] | None:
        """The state of all running episodes, or a record of them; None when neither can be had."""
        if self.kind == "state":
            return self.env.get_state()
        if self.obstacle is not None:
            return None
        layers = []
        for layer in self._layers:
            own = own_state(layer)
            try:
                layers += [] if own is None else [own[0]()]
            except Exception:  # other people's code; a checkpoint without the episodes is better than none
                self._obstacle = f"the state of the wrapper {type(layer).__name__} cannot be read"
                return None
        if self.kind == "adapter":
            return {"kind": "adapter", "layers": layers, "base": own_state(self.base)[0]()}
        return {"kind": "replay", "layers": layers, "base": self._recorder.get_state()}

    def set_state(self, state: Mapping[str, Any] | None) -> int | None:
        """Take up the episodes that `get_state` saved.

        Returns:
            How many steps were replayed and verified; None if the state was restored.

        Raises:
            ReplayError: The episodes cannot be taken up here; the environment must be reset.
            ValueError: The state does not fit.
        """
        if self.obstacle is not None:
            raise ReplayError(f"cannot capture its state ({self.obstacle})")
        if state is None:
            raise ReplayError("cannot be taken up where it stood (its state is not in the checkpoint)")
        if self.kind == "state":
            self.env.set_state(state)
            return None
        if state["kind"] != self.kind:
            raise ReplayError("is captured in another way than it was saved")
        steps = None
        if self.kind == "adapter":
            own_state(self.base)[1](state["base"])
        else:
            steps = self._recorder.set_state(state["base"])
        for layer, saved in zip((x for x in self._layers if own_state(x) is not None), state["layers"], strict=True):
            own_state(layer)[1](saved)
        return steps
