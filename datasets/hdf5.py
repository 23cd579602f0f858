"""Episodes of Minari datasets in HDF5, read without h5py's objects, which take longer to make than the data to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import minari
import numpy as np
from gymnasium import spaces
from h5py import h5d, h5g, h5s
from minari.dataset.minari_storage import is_image_space

from envzoo.action_masks import NAME

FILE = "main_data.hdf5"
PLAIN = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class StoredEpisode(NamedTuple):
    """The parts of a Minari episode that a transition table needs; of the infos only the action masks."""

    observations: Any
    actions: Any
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
    infos: dict[str, np.ndarray]


def read_episodes(dataset: Any) -> Iterator[Any]:
    """Yield all episodes of a dataset, as `dataset.iterate_episodes` does but several times as fast.

    An episode that cannot be read as plain arrays is left to Minari, and so are those after it: what is unusual is
    decoded, and what is damaged reported, as everywhere else.

    Args:
        dataset: A Minari dataset, or an object with its method `iterate_episodes`.
    """
    if not _is_plain(dataset):
        yield from dataset.iterate_episodes()
        return
    indices, storage = dataset.episode_indices, dataset.storage
    spaces_of = {"observations": storage.observation_space, "actions": storage.action_space}
    spaces_of |= dict.fromkeys(("rewards", "terminations", "truncations"))
    done = 0
    with h5py.File(storage.data_path / FILE, "r") as file:
        for index in indices:
            try:
                episode = _read(file.id, index, spaces_of)
            except (OSError, KeyError, ValueError, RuntimeError, TypeError):
                break
            done += 1
            yield episode
    if done < len(indices):
        yield from dataset.iterate_episodes(indices[done:])


def _is_plain(dataset: Any) -> bool:
    """Return whether this is a dataset of Minari itself whose observations and actions are stored as arrays."""
    if type(dataset) is not minari.MinariDataset or dataset.storage.FORMAT != "hdf5":
        return False
    return all(_stored_as_arrays(space) for space in (dataset.storage.observation_space, dataset.storage.action_space))


def _stored_as_arrays(space: spaces.Space) -> bool:
    if isinstance(space, spaces.Dict):
        return all(_stored_as_arrays(part) for part in space.spaces.values())
    return type(space) in PLAIN and not is_image_space(space)


def _read(file: Any, index: int, spaces_of: dict[str, spaces.Space | None]) -> StoredEpisode:
    """Read an episode from the identifier of an open file; `spaces_of` has the space of each part."""
    group = h5g.open(file, f"episode_{index}".encode())
    masks = {}
    if group.links.exists(b"infos"):
        infos = h5g.open(group, b"infos")
        if infos.links.exists(NAME.encode()):
            masks[NAME] = _tree(infos, NAME, None)
    return StoredEpisode(*(_tree(group, name, space) for name, space in spaces_of.items()), masks)


def _tree(group: Any, name: str, space: spaces.Space | None) -> Any:
    """Read an array, or for a Dict space a dict of its parts, in the types that h5py would give.

    Raises:
        TypeError: It is no array of numbers.
        KeyError: It is missing, or the space has no such part.
    """
    if isinstance(space, spaces.Dict):
        parts = h5g.open(group, name.encode())
        # The high-level object knows whether keys are in the order of their names or of their creation.
        return {key: _tree(parts, key, space.spaces[key]) for key in h5py.Group(parts)}
    stored = h5d.open(group, name.encode())
    shape, dtype = stored.shape, stored.dtype
    if not shape or not all(shape) or dtype.kind not in "biuf":
        raise TypeError(f"{name} is no array of numbers")
    array = np.empty(shape, dtype)
    stored.read(h5s.ALL, h5s.ALL, array)
    return array
