"""Uniformly random actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.action_masks import NAME, check_mask, replace_illegal
from envzoo.agents.agent import Agent, MaskedPredict, NoConfig, PredictArguments
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.source import Source
from envzoo.errors import UnsupportedSpaceError
from envzoo.kernel.spaces import LimitedMultiBinary


def sample_uniform(space: spaces.Space, count: int, generator: np.random.Generator) -> np.ndarray:
    """Sample `count` uniform actions of a space, stacked; unbounded Box dimensions are standard normal.

    Raises:
        UnsupportedSpaceError: Not a Discrete, MultiDiscrete, MultiBinary or Box space.
    """
    if isinstance(space, spaces.Discrete):
        return generator.integers(space.start, space.start + space.n, count)
    if isinstance(space, spaces.MultiDiscrete):
        return generator.integers(space.start, space.start + space.nvec, (count, *space.shape))
    if isinstance(space, LimitedMultiBinary):
        return space.draw(count, generator)
    if isinstance(space, spaces.MultiBinary):
        return generator.integers(0, 2, (count, *space.shape), dtype=np.int8)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        bounded = np.isfinite(space.low) & np.isfinite(space.high)
        low, high = np.where(bounded, space.low, 0.0), np.where(bounded, space.high, 0.0)
        uniform = generator.uniform(low, high, (count, *space.shape))
        normal = np.clip(generator.standard_normal((count, *space.shape)), space.low, space.high)
        return np.where(bounded, uniform, normal).astype(space.dtype)
    if isinstance(space, spaces.Box):
        return generator.integers(space.low, space.high, (count, *space.shape), dtype=space.dtype, endpoint=True)
    raise UnsupportedSpaceError(f"Random takes Discrete, MultiDiscrete, MultiBinary or Box actions, got {space}")


def legal(space: spaces.Space, action: np.ndarray, mask: Any, generator: np.random.Generator) -> np.ndarray:
    """Replace actions (B,) of a Discrete space that a mask (B, A), or (A,) for one, forbids by allowed ones."""
    if mask is None or not isinstance(space, spaces.Discrete):
        return action
    rows = check_mask(np.asarray(mask).reshape(len(action), -1), len(action), int(space.n))
    return replace_illegal(action - space.start, rows, generator) + space.start


def first_leaf(observation: Any) -> Any:
    """Return the first array of a batch of observations, inside any dicts and tuples."""
    while isinstance(observation, dict | tuple):
        observation = next(iter(observation.values())) if isinstance(observation, dict) else observation[0]
    return observation


class Random(MaskedPredict, Agent):
    """Uniformly random policy for environments and games: pi(a|s) = 1 / |A|, over the allowed actions if masked.

    Nothing is learned. The policy has no mode, so it also samples with `deterministic=True`.

    Metrics:
        There is no training.
    """

    Config = NoConfig

    def __init__(self, source: Source, config: NoConfig, *, seed: int = 0, device: str = "auto"):
        super().__init__(source, config, seed=seed, device=device)
        generator = np.random.default_rng(0)
        for space in self._spaces().values():
            sample_uniform(space, 1, generator)  # raises for an unsupported space now, not in the first step
        if source.kind == "environment":
            try:
                self.codec = ObservationCodec(source.observation_space)
            except UnsupportedSpaceError:  # spaces such as Text or Graph, which only networks cannot read
                self.codec = None

    def _spaces(self) -> dict[str, spaces.Space]:
        return self.source.action_space if self.source.kind == "game" else {"": self.source.action_space}

    def _predict(self, observation: Any, asked: PredictArguments) -> tuple[Any, Any]:
        generator, state, action_mask = self.streams.numpy("predict"), asked.state, asked.action_mask
        if self.source.kind == "game":
            spaces_of = self.source.action_space
            masks = action_mask or {}
            drawn = {player: sample_uniform(spaces_of[player], 1, generator) for player in observation}
            return {p: legal(spaces_of[p], rows, masks.get(p), generator)[0] for p, rows in drawn.items()}, state
        batched = self._is_batched(observation)
        count = 1
        if batched and asked.episode_start is not None:
            count = len(asked.episode_start)
        elif batched:
            count = len(first_leaf(observation))
        if action_mask is None and isinstance(observation, dict):
            action_mask = observation.get(NAME)
        action = sample_uniform(self.source.action_space, count, generator)
        action = legal(self.source.action_space, action, action_mask, generator)
        return (action if batched else action[0]), state

    def _is_batched(self, observation: Any) -> bool:
        if self.codec is None:
            return not self.source.observation_space.contains(observation)
        return self.codec.is_batched(observation)
