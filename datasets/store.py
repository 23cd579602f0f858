"""Datasets on this machine: list their ids, and load them with clear error messages."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from envzoo.datasets.recipes import recipes
from envzoo.errors import DatasetError, nearest

if TYPE_CHECKING:
    from minari import MinariDataset

# Minari itself accepts an id without a version and then fails on int(None).
_ID = re.compile(r"(?P<namespace>(?:[\w-]+/)*)(?P<name>[\w-]+)-v\d+")
_LACKING = re.compile(r"object '(\w+)' doesn't exist")
OURS = "envzoo/"


def root() -> Path:
    """Return the folder of Minari datasets: MINARI_DATASETS_PATH, or ~/.minari/datasets. It may not exist."""
    given = os.environ.get("MINARI_DATASETS_PATH")
    return Path(given) if given is not None else Path.home() / ".minari" / "datasets"


def is_valid_id(name: str) -> bool:
    """Check whether a name has the form of a Minari id, `(namespace/)*name-vN`."""
    return isinstance(name, str) and _ID.fullmatch(name) is not None


def is_local(dataset_id: str) -> bool:
    """Check whether the Minari root has a folder of this id."""
    return is_valid_id(dataset_id) and (root() / dataset_id / "data").is_dir()


def known_dataset_ids() -> list[str]:
    """List the ids of the datasets for which envzoo has recipes."""
    return list(recipes())


def is_dataset_id(name: str) -> bool:
    """Check whether a name that is not a registered Gymnasium id refers to a dataset.

    True for envzoo's recipes, for datasets in the Minari root, and for names that only Minari allows: Gymnasium ids
    have at most one namespace, so `D4RL/door/human-v2` must be a dataset, while `CartPole-v9` is a mistyped
    environment. In envzoo's namespace only existing names are ids, so that the error for a mistyped one names the
    nearest.
    """
    if not is_valid_id(name):
        return False
    if name in recipes() or is_local(name):
        return True
    return name.count("/") >= 2 and not name.startswith(OURS)


def load_minari(dataset_id: str) -> MinariDataset:
    """Open a dataset from the Minari root.

    Args:
        dataset_id: `(namespace/)*name-vN`.

    Returns:
        A `minari.MinariDataset`.

    Raises:
        DatasetError: The id is malformed, the dataset is missing (the message names the command that builds it), or
            its files are damaged.
    """
    if not is_valid_id(dataset_id):
        guess = nearest(str(dataset_id), known_dataset_ids())
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise DatasetError(f"{dataset_id!r} is not the id of a dataset, expected (namespace/)name-vN{hint}")
    if not is_local(dataset_id):
        raise DatasetError(_missing(dataset_id))

    import h5py
    import minari

    path = root() / dataset_id / "data"
    try:
        dataset = minari.MinariDataset(path)
        if dataset.id != dataset_id:
            raise ValueError(f"its metadata says it is {dataset.id}")
        file = path / "main_data.hdf5"
        if file.exists():
            with h5py.File(file, "r") as opened:
                if len(opened) != dataset.storage.total_episodes:
                    raise ValueError(f"it holds {len(opened)} of {dataset.storage.total_episodes} episodes")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError, RuntimeError) as error:
        raise damaged(dataset_id, error) from error
    return dataset


def damaged(dataset_id: str, error: Exception) -> DatasetError:
    """Build the error for a dataset whose files cannot be read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    missing = _LACKING.search(reason)  # how HDF5 names what is not there
    if missing:
        reason = f"it lacks {missing[1]}"
    if dataset_id in recipes():
        cure = f"make it again with `envzoo make-dataset {dataset_id} --overwrite`"
    else:
        cure = "delete it and fetch it again"
    return DatasetError(f"dataset {dataset_id} in {root()} is damaged ({reason}); {cure}")


def _missing(dataset_id: str) -> str:
    if dataset_id in recipes():
        return f"dataset {dataset_id} has not been made yet; make it with `envzoo make-dataset {dataset_id}`"
    guess = nearest(dataset_id, known_dataset_ids()) if dataset_id.startswith(OURS) else None
    if guess:
        return f"there is no dataset {dataset_id}; did you mean {guess!r} (made with `envzoo make-dataset {guess}`)?"
    return f"dataset {dataset_id} is not in {root()}; fetch it with `minari download {dataset_id}`"
