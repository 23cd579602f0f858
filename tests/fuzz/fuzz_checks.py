"""Properties of every environment, and random actions for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from envzoo.kernel.spaces import LimitedMultiBinary


@dataclass
class Row:
    """Work done on one id; `calls` are steps of the vector environment, `steps` those of its episodes."""

    id: str
    calls: int = 0
    steps: int = 0
    episodes: int = 0
    before: int = 0
    after: int = 0
    seconds: float = 0.0
    note: str = ""


class Inside:
    """Checks batches (n, ...) of observations against the space of one."""

    def __init__(self, space: spaces.Space) -> None:
        self.parts: list[tuple[str | None, np.dtype, tuple, Any, Any]] = []
        for name, part in space.spaces.items() if isinstance(space, spaces.Dict) else [(None, space)]:
            if isinstance(part, spaces.Discrete):
                low, high = part.start, part.start + part.n - 1
            elif isinstance(part, spaces.MultiDiscrete):
                low, high = part.start, part.start + part.nvec - 1
            elif isinstance(part, spaces.MultiBinary):
                low, high = 0, 1
            else:
                low, high = part.low, part.high
            self.parts.append((name, part.dtype, part.shape, low, high))

    def __call__(self, observation: Any, count: int | None) -> None:
        """Check; a count of None stands for one observation without a leading dimension."""
        if self.parts[0][0] is not None:
            assert set(observation) == {name for name, *_ in self.parts}
        for name, dtype, shape, low, high in self.parts:
            values = observation if name is None else observation[name]
            assert np.shape(values) == (shape if count is None else (count, *shape)), name
            assert values.dtype == dtype, (name, values.dtype)
            # NaN lies inside nothing.
            assert ((values >= low) & (values <= high)).all(), (name, values)


def check_infos(infos: dict[str, Any], where: np.ndarray) -> None:
    """Infos in Gymnasium's vector form: every array beside the mask of the episodes that it speaks of."""
    names = [name for name in infos if not name.startswith("_")]
    assert {"_" + name for name in names} == {name for name in infos if name.startswith("_")}
    for name in names:
        mask = infos["_" + name]
        assert mask.dtype == np.bool_
        assert mask.shape == where.shape
        if name == "final_info":
            check_infos(infos[name], mask)
        elif name != "final_obs":
            assert np.array_equal(mask, where), name
            assert len(infos[name]) == len(where)
            if infos[name].dtype.kind == "f":
                assert np.isfinite(infos[name][where]).all(), name
    if "action_mask" in infos:
        assert np.isin(infos["action_mask"], (0, 1)).all()


def row_of(tree: Any, i: int) -> Any:
    """Return what a batch reports about episode i."""
    return {name: row_of(part, i) for name, part in tree.items()} if isinstance(tree, dict) else tree[i]


def same(one: Any, other: Any) -> bool:
    """Equal in every bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype == object:
        return all(a is b or same(a, b) for a, b in zip(one, other, strict=True))
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def draw_actions(space: spaces.Space, count: int, generator: np.random.Generator, legal: Any = None) -> np.ndarray:
    """Random actions (count, ...), some of them at the bounds; `legal`, int8 (count, A), are those to choose from."""
    if isinstance(space, LimitedMultiBinary):
        return space.draw(count, generator)
    if isinstance(space, spaces.MultiBinary):
        return generator.integers(0, 2, (count, *space.shape)).astype(space.dtype)
    if isinstance(space, spaces.Discrete):
        actions = generator.integers(space.start, space.start + space.n, count)
        if legal is not None:
            choices = [np.flatnonzero(row) for row in legal]
            actions = np.array([generator.choice(c) if len(c) else 0 for c in choices]) + space.start
        return actions
    if isinstance(space, spaces.MultiDiscrete):
        return generator.integers(space.start, space.start + space.nvec, (count, *space.shape))
    actions = generator.uniform(space.low, space.high, (count, *space.shape)).astype(space.dtype)
    return np.where(generator.random(actions.shape) < 0.1, np.where(actions > 0, space.high, space.low), actions)


def outside(space: spaces.Space, actions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The same actions, one of which is none."""
    bad = actions.astype(np.float64 if isinstance(space, spaces.Box) else np.int64)
    worse = (np.nan, np.inf, 1e30, -1e30) if isinstance(space, spaces.Box) else (-1 - 2**40, 2**62, 2**31)
    bad.reshape(-1)[generator.integers(bad.size)] = worse[generator.integers(len(worse))]
    return bad
