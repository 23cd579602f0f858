"""The in-memory transition table that offline agents train on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from envzoo.action_masks import NAME
from envzoo.datasets.episodes import Arrays, check_episode, compact, map_arrays, split_masks
from envzoo.datasets.exports import Exports
from envzoo.datasets.mapped import MappedWriter, read_mapped
from envzoo.datasets.store import damaged
from envzoo.errors import DatasetError, EnvzooError, UnsupportedSpaceError

if TYPE_CHECKING:
    from minari import MinariDataset

LONGEST = 2**31 - 1  # longest window and largest batch
BLOCK = 65_536  # transitions that are converted at a time
MASKS = ("action_masks", "next_action_masks")
FIELDS = ("actions", "rewards", "terminals", "timeouts", "episode_id", "step", "mc_return")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _finite(name: str, value: Any) -> float:
    if not _is_number(value) or not np.isfinite(float(value)):
        raise EnvzooError(f"{name} is {value!r}; expected a finite number")
    return value


def _episodes(dataset: Any) -> Iterator[Any]:
    """Yield the episodes of a Minari dataset that have steps.

    Raises:
        DatasetError: It is no dataset, or its files are damaged.
    """
    if not callable(getattr(dataset, "iterate_episodes", None)):
        raise DatasetError(f"a transition table is made from a Minari dataset, got a {type(dataset).__name__}")
    from envzoo.datasets.hdf5 import read_episodes  # with h5py, which takes long to import

    try:
        for episode in read_episodes(dataset):
            if len(episode.rewards):
                yield episode
    except (OSError, KeyError, ValueError, RuntimeError, AssertionError) as error:
        raise damaged(dataset.id, error) from error


def discounted_returns(rewards: np.ndarray, gamma: float) -> np.ndarray:
    """Compute the discounted return from each step to the end of the episode, (T,) -> (T,) float64."""
    result = np.array(rewards, np.float64)
    for t in range(len(result) - 2, -1, -1):
        result[t] += gamma * result[t + 1]
    return result


@dataclass(frozen=True, eq=False)
class TransitionTable(Exports):
    """All N transitions of a dataset, ordered by episode. Floats are single precision.

    Attributes:
        observations: (N, ...) or a dict of such arrays.
        actions: (N, ...), int64 (N,) for a Discrete space.
        rewards: (N,) float32.
        next_observations: Same form as observations. The last row of an episode holds its true final observation, never
            the first observation of the next episode.
        terminals: (N,) bool, True at terminations only; do not bootstrap there.
        timeouts: (N,) bool, True in the last row of a truncated episode; bootstrap there.
        episode_id: (N,) int64, numbered from 0 in the dataset's order; the rows of an episode are contiguous.
        step: (N,) int64, time step within the episode, from 0.
        mc_return: (N,) float32, discounted return from this row to the end of its episode, without bootstrapping at
            timeouts.
        gamma: Discount factor of `mc_return`.
        action_masks: (N, A) bool, which actions were allowed, or None if the infos of the dataset do not say.
        next_action_masks: (N, A) bool, which actions were allowed at the next observation, or None.
    """

    observations: Arrays
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: Arrays
    terminals: np.ndarray
    timeouts: np.ndarray
    episode_id: np.ndarray
    step: np.ndarray
    mc_return: np.ndarray
    gamma: float
    action_masks: np.ndarray | None = None
    next_action_masks: np.ndarray | None = None

    # ------------------------------------------------------------------ construction

    @classmethod
    def from_minari(cls, dataset: MinariDataset, gamma: float = 0.99) -> TransitionTable:
        """Read all episodes of a dataset; this takes about a quarter of a millisecond per episode.

        Args:
            dataset: A Minari dataset, or a subset of one.
            gamma: Discount factor of `mc_return`, in [0, 1].

        Raises:
            DatasetError: The dataset is empty or its files are damaged.
            UnsupportedSpaceError: Observations or actions are not numeric (Text, Tuple), or actions are a Dict.
        """
        episodes = list(_episodes(dataset))
        if not episodes:
            raise DatasetError(f"dataset {dataset.id} holds no transitions")
        return cls._from_minari_episodes(dataset.id, episodes, gamma)

    @classmethod
    def _from_minari_episodes(cls, name: str, episodes: list[Any], gamma: float) -> TransitionTable:
        parts = [(e.observations, e.actions, e.rewards, e.terminations, e.truncations) for e in episodes]
        masks = [(e.infos or {}).get(NAME) for e in episodes]
        try:
            return cls.from_episodes(parts, gamma, None if any(mask is None for mask in masks) else masks)
        except DatasetError as error:
            raise DatasetError(f"dataset {name} is damaged ({error})") from error

    @classmethod
    def convert(cls, dataset: MinariDataset, path: str | os.PathLike, gamma: float = 0.99) -> TransitionTable:
        """Write a dataset to a folder of memory-mapped arrays, episode by episode, and open it.

        The folder appears when it is complete; an interrupted conversion leaves nothing at `path`.

        Args:
            dataset: A Minari dataset of any size.
            path: The folder, which must not exist.
            gamma: Discount factor of `mc_return`.

        Raises:
            DatasetError: See `from_minari`.
            StorageError: The folder exists, or cannot be written.
        """
        with MappedWriter(path) as writer:
            block: list[Any] = []
            for episode in _episodes(dataset):
                block.append(episode)
                if sum(len(e.rewards) for e in block) >= BLOCK:
                    writer.append(cls._from_minari_episodes(dataset.id, block, gamma).columns())
                    block = []
            if block:
                writer.append(cls._from_minari_episodes(dataset.id, block, gamma).columns())
            if not writer.rows:
                raise DatasetError(f"dataset {dataset.id} holds no transitions")
            writer.finish({"gamma": float(gamma)})
        return cls.open(path)

    @classmethod
    def open(cls, path: str | os.PathLike) -> TransitionTable:
        """Open a table that `convert` wrote; its arrays stay on the disk and are read where they are used.

        Raises:
            DatasetError: There is no such folder, or its files are damaged or foreign.
        """
        facts, columns = read_mapped(path, required=(*FIELDS, "observations", "next_observations"), optional=MASKS)
        gamma = facts.get("gamma")
        if not _is_number(gamma) or not 0 <= gamma <= 1:
            raise DatasetError(f"the table in {path} is damaged: its gamma is {gamma!r}")
        if len(columns.keys() & set(MASKS)) == 1:
            raise DatasetError(f"the table in {path} is damaged: it lacks one of {' and '.join(MASKS)}")
        return cls(gamma=float(gamma), **columns)

    def columns(self) -> dict[str, Any]:
        """Return all fields that are arrays, or dicts of arrays, by name."""
        names = ("observations", "next_observations", *self._fields())
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_episodes(cls, episodes: list[tuple], gamma: float = 0.99, masks: list | None = None) -> TransitionTable:
        """Build a table from episodes: observations (T + 1, ...), actions, rewards, terminations, truncations (T, ...).

        Args:
            episodes: The episodes.
            gamma: Discount factor of `mc_return`, in [0, 1].
            masks: Action masks of each episode, (T + 1, A) zeros and ones, or None.

        Raises:
            DatasetError: There are no episodes, or the arrays of an episode have inconsistent lengths.
            UnsupportedSpaceError: See `from_minari`.
            EnvzooError: gamma is outside [0, 1].
        """
        if not _is_number(gamma) or not 0 <= gamma <= 1:
            raise EnvzooError(f"gamma of a transition table lies in [0, 1], got {gamma!r}")
        if not isinstance(episodes, list | tuple):
            raise DatasetError(f"a transition table is made from a list of episodes, got a {type(episodes).__name__}")
        if not episodes:
            raise DatasetError("a transition table needs at least one episode")
        for number, episode in enumerate(episodes):
            if not isinstance(episode, list | tuple) or len(episode) != 5:
                raise DatasetError(
                    f"episode {number} is not a tuple of observations, actions, rewards, terminations and truncations"
                )
            check_episode(number, *episode)
        observations, actions, rewards, terminations, _ = zip(*episodes, strict=True)
        lengths = np.array([len(r) for r in rewards], np.int64)
        last = np.cumsum(lengths) - 1
        terminals = np.concatenate(terminations).astype(bool)
        # An episode whose recording ends without termination or truncation counts as truncated.
        timeouts = np.zeros(len(terminals), bool)
        timeouts[last] = ~terminals[last]
        allowed, allowed_next = (None, None) if masks is None else split_masks(masks, lengths)
        return cls(
            observations=map_arrays(lambda *rows: compact(np.concatenate([r[:-1] for r in rows])), *observations),
            actions=compact(np.concatenate(actions)),
            rewards=np.concatenate(rewards).astype(np.float32),
            next_observations=map_arrays(lambda *rows: compact(np.concatenate([r[1:] for r in rows])), *observations),
            terminals=terminals,
            timeouts=timeouts,
            episode_id=np.repeat(np.arange(len(lengths)), lengths),
            step=np.concatenate([np.arange(length) for length in lengths]),
            mc_return=np.concatenate([discounted_returns(r, gamma) for r in rewards]).astype(np.float32),
            gamma=float(gamma),
            action_masks=allowed,
            next_action_masks=allowed_next,
        )

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def num_episodes(self) -> int:
        """Number of episodes."""
        return int(self.episode_id[-1]) + 1

    @property
    def episode_starts(self) -> np.ndarray:
        """Row of the first step of each episode, (E,) int64."""
        return np.flatnonzero(np.diff(self.episode_id, prepend=-1))

    def episode_returns(self) -> np.ndarray:
        """Compute the undiscounted return of each episode, (E,) float64."""
        return np.add.reduceat(self.rewards.astype(np.float64), self.episode_starts)

    # ------------------------------------------------------------------ transformation

    def select_episodes(self, chosen: np.ndarray) -> TransitionTable:
        """Return a table of selected episodes, in their original order and renumbered from 0.

        Args:
            chosen: Episode numbers, or a boolean mask (E,).

        Raises:
            EnvzooError: No episode is selected.
        """
        keep = np.zeros(self.num_episodes, bool)
        keep[self._index("episode numbers", chosen, self.num_episodes)] = True
        if not keep.any():
            raise EnvzooError("no episode of the transition table is selected")
        rows = np.flatnonzero(keep[self.episode_id])
        fields = {name: getattr(self, name)[rows] for name in self._fields()}
        fields["episode_id"] = (np.cumsum(keep) - 1)[fields["episode_id"]]
        observations, after = (
            map_arrays(lambda a: a[rows], tree) for tree in (self.observations, self.next_observations)
        )
        return replace(self, observations=observations, next_observations=after, **fields)

    def top_episodes(self, fraction: float) -> TransitionTable:
        """Return a table of the given fraction of episodes with the highest discounted return.

        At least one episode is kept; ties are resolved in favour of earlier episodes.

        Raises:
            EnvzooError: The fraction is outside (0, 1].
        """
        if not _is_number(fraction) or not 0 < fraction <= 1:
            raise EnvzooError(f"the share of episodes to keep lies in (0, 1], got {fraction!r}")
        count = max(1, int(fraction * self.num_episodes))
        best = np.argsort(-self.mc_return[self.episode_starts], kind="stable")
        return self.select_episodes(best[:count])

    def map_rewards(self, function: Callable[[np.ndarray], np.ndarray]) -> TransitionTable:
        """Return a table with rewards `function(rewards)`, (N,) -> (N,), and recomputed `mc_return`."""
        if not callable(function):
            raise EnvzooError(f"a reward transform is a function of rewards, got a {type(function).__name__}")
        rewards = np.asarray(function(self.rewards), np.float32)
        if rewards.shape != self.rewards.shape:
            raise EnvzooError(f"a reward transform keeps the shape {self.rewards.shape}, but gave {rewards.shape}")
        pieces = np.split(rewards, self.episode_starts[1:])
        mc_return = np.concatenate([discounted_returns(piece, self.gamma) for piece in pieces]).astype(np.float32)
        return replace(self, rewards=rewards, mc_return=mc_return)

    def shift_rewards(self, constant: float) -> TransitionTable:
        """Return a table with a constant added to every reward (-1 turns a goal reward of 1 into a cost per step)."""
        return self.map_rewards(lambda rewards: rewards + np.float32(_finite("constant", constant)))

    def scale_rewards(self, span: float = 1000.0) -> TransitionTable:
        """Return a table with rewards scaled so that the best and the worst episode return differ by `span`.

        Raises:
            EnvzooError: All episodes have the same return.
        """
        _finite("span", span)
        totals = self.episode_returns()
        spread = totals.max() - totals.min()
        if spread == 0:
            raise EnvzooError(f"rewards cannot be scaled by the range of returns: every episode returns {totals[0]:g}")
        return self.map_rewards(lambda rewards: rewards * np.float32(span / spread))

    def normalise_states(self, eps: float = 1e-3) -> tuple[TransitionTable, np.ndarray, np.ndarray]:
        """Normalise every observation column to mean 0 and standard deviation about 1: (s - mean) / (std + eps).

        Returns:
            The new table, the mean, and std + eps, both with the shape of one observation, to normalise observations at
            test time.

        Raises:
            UnsupportedSpaceError: Observations are a dict or not floats.
        """
        _finite("eps", eps)
        if isinstance(self.observations, dict) or self.observations.dtype.kind != "f":
            raise UnsupportedSpaceError("only observations of a float Box space can be normalised")
        mean = self.observations.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = (self.observations.std(axis=0, dtype=np.float64) + eps).astype(np.float32)
        observations, after = ((o - mean) / scale for o in (self.observations, self.next_observations))
        return replace(self, observations=observations, next_observations=after), mean, scale

    # ------------------------------------------------------------------ sampling

    def rows(self, index: np.ndarray) -> dict[str, Any]:
        """Return the rows at `index` (any shape) of every field, as a dict."""
        index = self._index("rows", index, len(self))
        batch = {name: getattr(self, name)[index] for name in self._fields()}
        for name in ("observations", "next_observations"):
            batch[name] = map_arrays(lambda a: a[index], getattr(self, name))
        return batch

    def sample(
        self, batch_size: int, generator: np.random.Generator, weights: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Sample a batch of transitions with replacement.

        Args:
            batch_size: Number of transitions.
            generator: Random generator.
            weights: (N,) non-negative, proportional to the probability of each row; None for uniform sampling.

        Returns:
            Every field, with leading dimension `batch_size`.

        Raises:
            EnvzooError: The weights have the wrong shape, are negative, not finite, or all zero.
        """
        return self.rows(self._draw(batch_size, generator, weights))

    def sample_windows(
        self, batch_size: int, length: int, generator: np.random.Generator, weights: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Sample windows of trajectories that end at a random transition, padded with zeros on the left.

        Args:
            batch_size: Number of windows.
            length: Steps per window.
            generator: Random generator.
            weights: See `sample`; they apply to the last row of the window.

        Returns:
            Every field as (batch_size, length, ...), and `mask` bool (batch_size, length), False on padding.
        """
        if not isinstance(length, int | np.integer) or isinstance(length, bool) or not 1 <= length <= LONGEST:
            raise EnvzooError(f"a window has at least 1 step, and at most {LONGEST}, got {length!r}")
        last = self._draw(batch_size, generator, weights)[:, None]
        back = np.arange(length - 1, -1, -1)
        mask = back <= self.step[last]
        batch = self.rows(np.where(mask, last - back, last))

        def blank(rows: np.ndarray) -> np.ndarray:
            return np.where(mask.reshape(*mask.shape, *[1] * (rows.ndim - 2)), rows, rows.dtype.type(0))

        return {name: map_arrays(blank, rows) for name, rows in batch.items()} | {"mask": mask}

    def _fields(self) -> tuple[str, ...]:
        """Return the names of the fields that are arrays, besides the observations."""
        return FIELDS if self.action_masks is None else (*FIELDS, *MASKS)

    def _index(self, what: str, index: Any, length: int) -> np.ndarray:
        """Convert integers below `length`, or a mask of that length, to an index array."""
        try:
            array = np.asarray(index)
        except ValueError:  # ragged rows
            array = np.array(None)
        if array.size == 0:
            array = array.astype(np.int64)
        mask = array.dtype.kind == "b" and array.shape == (length,)
        inside = array.dtype.kind in "iu" and (not array.size or -length <= array.min() <= array.max() < length)
        if not mask and not inside:
            raise EnvzooError(f"{what} are not usable; expected whole numbers below {length}, or {length} booleans")
        return array

    def _draw(self, count: int, generator: np.random.Generator, weights: np.ndarray | None) -> np.ndarray:
        if not isinstance(count, int | np.integer) or isinstance(count, bool) or not 0 <= count <= LONGEST:
            raise EnvzooError(f"batch_size is {count!r}; expected a whole number from 0 to {LONGEST}")
        if not isinstance(generator, np.random.Generator):
            raise EnvzooError(f"generator is a {type(generator).__name__}; expected a numpy.random.Generator")
        if weights is None:
            return generator.integers(len(self), size=count)
        try:
            weights = np.asarray(weights, np.float64)
        except (TypeError, ValueError):
            weights = np.zeros(0)
        if weights.shape != (len(self),) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise EnvzooError(f"sampling weights are {len(self)} finite numbers of at least 0, not all of them 0")
        cumulative = np.cumsum(weights)
        drawn = np.searchsorted(cumulative, generator.random(count) * cumulative[-1], side="right")
        return np.minimum(drawn, np.flatnonzero(weights)[-1])  # rounding must not exceed the last positive weight
