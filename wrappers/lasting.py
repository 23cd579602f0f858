"""State that environments and wrappers keep across episodes: which keep none, and how to read and write it."""

from __future__ import annotations

from typing import Any

from envzoo.wrappers.adapters import adapter_of, entry_point

# Wrappers without state that persists across episodes, or none that affects learning.
_GYMNASIUM = {
    "atari_preprocessing": ("AtariPreprocessing",),
    "common": ("Autoreset", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "TimeLimit"),
    "rendering": ("AddWhiteNoise", "HumanRendering", "ObstructView", "RecordVideo", "RenderCollection"),
    "stateful_action": ("RepeatAction", "StickyAction"),
    "stateful_observation": (
        *("DelayObservation", "FrameStackObservation", "MaxAndSkipObservation", "TimeAwareObservation"),
    ),
    "transform_action": ("ClipAction", "DiscretizeAction", "RescaleAction", "TransformAction"),
    "transform_observation": (
        *("AddRenderObservation", "DiscretizeObservation", "DtypeObservation", "FilterObservation"),
        *("FlattenObservation", "GrayscaleObservation", "RescaleObservation", "ReshapeObservation"),
        *("ResizeObservation", "TransformObservation"),
    ),
    "transform_reward": ("ClipReward", "TransformReward"),
}
_MINIGRID = (
    *("DictObservationSpaceWrapper", "FlatObsWrapper", "FullyObsWrapper", "ImgObsWrapper", "NoDeath"),
    *("OneHotPartialObsWrapper", "RGBImgObsWrapper", "RGBImgPartialObsWrapper", "StochasticActionWrapper"),
    *("SymbolicObsWrapper", "ViewSizeWrapper"),
)
_PER_EPISODE = {f"gymnasium.wrappers.{module}:{name}" for module, names in _GYMNASIUM.items() for name in names}
_PER_EPISODE |= {f"minigrid.wrappers:{name}" for name in _MINIGRID}
# Attributes that every wrapper has, and the reset installed by a recorder.
_OWN_ATTRIBUTES = {"reset", "env", "_action_space", "_observation_space", "_metadata", "_cached_spec", "_saved_kwargs"}


def register_per_episode(cls: type | str) -> None:
    """Declare that wrappers of a class (or of the entry point "module:Class") keep no state across episodes.

    Exact resume then replays episodes through them. A wrapper that does keep state (running statistics, a curriculum)
    should instead define `get_state()` and `set_state(state)`, or have an adapter; see `register_state_adapter`.
    """
    _PER_EPISODE.add(cls if isinstance(cls, str) else entry_point(cls))


def per_episode(layer: Any) -> bool:
    """Return whether a wrapper is known to keep no state across episodes."""
    return entry_point(type(layer)) in _PER_EPISODE or vars(layer).keys() <= _OWN_ATTRIBUTES


def own_state(layer: Any) -> tuple[Any, Any] | None:
    """Return functions that read and write the state a layer keeps across episodes; None if it has none."""
    adapter = adapter_of(layer)
    if adapter is not None:
        return (lambda: adapter.get_state(layer)), (lambda state: adapter.set_state(layer, state))
    for get, put in (("get_memory", "set_memory"), ("get_state", "set_state")):
        # Look at the class, because Gymnasium's vector wrappers forward attribute look-ups to the wrapped environment.
        if hasattr(type(layer), get) and hasattr(type(layer), put):
            return getattr(layer, get), getattr(layer, put)
    return None
