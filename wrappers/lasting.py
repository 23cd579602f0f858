"""What environments and wrappers keep from one episode to the next: which keep nothing, and how the rest is read."""

from __future__ import annotations

from typing import Any

from envzoo.wrappers.adapters import adapter_of, entry_point

# Wrappers of which nothing lasts from one episode to the next, or nothing that decides how learning goes on.
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
# What every wrapper has, and the reset that a recorder put there.
_OWN_ATTRIBUTES = {"reset", "env", "_action_space", "_observation_space", "_metadata", "_cached_spec", "_saved_kwargs"}


def register_per_episode(cls: type | str) -> None:
    """Declare that nothing in wrappers of a class (or of the entry point "module:Class") outlasts an episode.

    Exact resume then replays episodes through them. A wrapper that keeps something (running statistics, a curriculum)
    instead has `get_state()` and `set_state(state)`, or an adapter; see `register_state_adapter`.
    """
    _PER_EPISODE.add(cls if isinstance(cls, str) else entry_point(cls))


def per_episode(layer: Any) -> bool:
    """Whether a wrapper is known to keep nothing from one episode to the next."""
    return entry_point(type(layer)) in _PER_EPISODE or vars(layer).keys() <= _OWN_ATTRIBUTES


def own_state(layer: Any) -> tuple[Any, Any] | None:
    """Functions that read and write what a layer keeps beyond an episode; None when it has none."""
    adapter = adapter_of(layer)
    if adapter is not None:
        return (lambda: adapter.get_state(layer)), (lambda state: adapter.set_state(layer, state))
    for get, put in (("get_memory", "set_memory"), ("get_state", "set_state")):
        # The class is asked, because Gymnasium's vector wrappers pass attribute look-ups on to what they wrap.
        if hasattr(type(layer), get) and hasattr(type(layer), put):
            return getattr(layer, get), getattr(layer, put)
    return None
