"""Tables of arrays in a folder, written in a stream and read through memory maps.

The folder holds `table.json`, which names every column with its type and the shape of a row, and one file of plain
little-endian numbers for each column. Nothing in it is executed, and no name in it is used as a path.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from envzoo.errors import DatasetError, StorageError, shorten
from envzoo.files import storage_error

FORMAT, FORMAT_VERSION, MANIFEST = "envzoo-table", 1, "table.json"
MOST_MANIFEST, MOST_COLUMNS, MOST_ROWS = 2**20, 1000, 2**48


def _flatten(tree: Any, path: tuple[str, ...]) -> dict[tuple[str, ...], np.ndarray]:
    if isinstance(tree, Mapping):
        return {key: value for name, child in tree.items() for key, value in _flatten(child, (*path, name)).items()}
    return {path: np.asarray(tree)}


class MappedWriter:
    """Context manager that appends rows to a new folder, which appears at `path` when `finish` was called.

    Raises:
        StorageError: Something is at `path` already, or the folder cannot be written.
    """

    def __init__(self, path: str | os.PathLike):
        try:
            self.path = Path(path)
            taken = self.path.exists() or self.path.is_symlink()
        except (TypeError, ValueError, OSError) as error:
            raise StorageError(f"{path!r} is not the path of a folder ({error})") from None
        if taken:
            raise StorageError(f"{self.path} exists already; give the path of a folder that does not")
        self.rows = self.episodes = 0
        self._layout: dict[tuple[str, ...], tuple[str, tuple[int, ...]]] = {}
        self._files: dict[tuple[str, ...], IO[bytes]] = {}
        self._finished = False

    def __enter__(self) -> MappedWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".tmp"))
        except (OSError, ValueError) as error:
            raise storage_error(self.path, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            with suppress(OSError):
                file.close()
        if not self._finished:
            shutil.rmtree(self.folder, ignore_errors=True)

    def append(self, columns: Mapping[str, Any]) -> None:
        """Append rows of all columns; numbers of episodes continue those of earlier calls.

        Columns that are missing in a later call, such as action masks that only some episodes have, are dropped.

        Raises:
            DatasetError: Rows of another form than before, or a new column.
        """
        arrays = {key: value for name, tree in columns.items() for key, value in _flatten(tree, (name,)).items()}
        layout = {
            key: (array.dtype.newbyteorder("<").str if array.dtype.itemsize > 1 else array.dtype.str, array.shape[1:])
            for key, array in arrays.items()
        }
        if not self.rows:
            self._layout = layout
        for key in [key for key in self._layout if key not in layout]:
            del self._layout[key]
            if key in self._files:
                self._files.pop(key).close()
        odd = [key for key in layout if self.rows and key in self._layout and self._layout[key] != layout[key]]
        if odd:
            raise DatasetError(
                f"{'/'.join(odd[0])} has rows of type {layout[odd[0]]} after ones of type {self._layout[odd[0]]}"
            )
        count = len(arrays["episode_id",])
        try:
            for key, (dtype, _) in self._layout.items():
                array = arrays[key] + self.episodes if key == ("episode_id",) else arrays[key]
                if key not in self._files:
                    self._files[key] = open(self.folder / f"{len(os.listdir(self.folder)):03d}.bin", "xb")  # noqa: SIM115
                self._files[key].write(np.ascontiguousarray(array, np.dtype(dtype)).data.cast("B"))
        except OSError as error:
            raise storage_error(self.path, error) from error
        self.episodes += int(arrays["episode_id",][-1]) + 1
        self.rows += count

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Complete the folder, with plain facts beside the columns.

        Raises:
            StorageError: The folder cannot be written, or something has appeared at its path.
        """
        columns = []
        try:
            for key, (dtype, shape) in self._layout.items():
                file = self._files[key]
                file.flush()
                os.fsync(file.fileno())
                file.close()
                os.replace(file.name, self.folder / f"column{len(columns):03d}.bin")
                columns.append({"path": list(key), "dtype": dtype, "shape": list(shape)})
            for left in self.folder.glob("[0-9]*.bin"):  # of dropped columns
                left.unlink()
            manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, "rows": self.rows}
            text = json.dumps(manifest | {"facts": dict(facts), "columns": columns})
            (self.folder / MANIFEST).write_text(text)
            os.chmod(self.folder, 0o755)
            os.rename(self.folder, self.path)
        except OSError as error:
            raise storage_error(self.path, error) from error
        self._finished = True


def read_mapped(
    path: str | os.PathLike, required: Iterable[str] = (), optional: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Open a folder that `MappedWriter` wrote.

    Args:
        path: The folder.
        required: Columns that it must have.
        optional: Columns that it may have; others are refused.

    Returns:
        The facts, and read-only arrays or nested dicts of them by the name of the column.

    Raises:
        DatasetError: The folder is missing, damaged or foreign.
    """
    try:
        folder = Path(path)
        file = folder / MANIFEST
        if not file.is_file():
            raise DatasetError(f"{folder} holds no table; convert a dataset with TransitionTable.convert first")
        if file.stat().st_size > MOST_MANIFEST:
            raise ValueError(f"{MANIFEST} has over {MOST_MANIFEST} bytes")
        manifest = json.loads(file.read_text())
        if (manifest["format"], manifest["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"its format is {manifest['format']!r}, version {manifest['format_version']!r}")
        rows, facts, listed = manifest["rows"], manifest["facts"], manifest["columns"]
        if type(rows) is not int or not 1 <= rows <= MOST_ROWS or not isinstance(facts, dict):
            raise ValueError(f"it says that it has {rows!r} rows")
        if not isinstance(listed, list) or len(listed) > MOST_COLUMNS:
            raise ValueError("its columns are not a short list")
        columns: dict[str, Any] = {}
        for number, column in enumerate(listed):
            _insert(columns, column["path"], _map(folder / f"column{number:03d}.bin", rows, column))
    except DatasetError:
        raise
    except (OSError, LookupError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise DatasetError(f"the table in {path} is damaged ({shorten(str(error) or type(error).__name__)})") from error
    required = set(required)
    missing, foreign = required - columns.keys(), columns.keys() - required - set(optional)
    if missing or foreign:
        what = f"lacks {min(missing)}" if missing else f"has a column {shorten(repr(min(foreign)))}"
        raise DatasetError(f"the table in {path} is damaged: it {what}")
    return facts, columns


def _map(file: Path, rows: int, column: Mapping[str, Any]) -> np.ndarray:
    """Map the file of a column, after checks of its type, shape and size."""
    text, shape = column["dtype"], column["shape"]
    if not isinstance(text, str) or len(text) > 4 or text[1:2] not in ("b", "i", "u", "f"):
        raise ValueError(f"a column has the type {text!r}")
    if not isinstance(shape, list) or not all(type(size) is int and 1 <= size <= MOST_ROWS for size in shape):
        raise ValueError(f"a column has rows of the shape {shape!r}")
    dtype = np.dtype(text)
    expected = rows * math.prod(shape) * dtype.itemsize
    found = file.stat().st_size
    if found != expected or not expected:
        raise ValueError(f"{file.name} has {found} bytes, expected {expected}")
    return np.memmap(file, dtype, "r", shape=(rows, *shape))


def _insert(tree: dict[str, Any], path: list[str], array: np.ndarray) -> None:
    if not isinstance(path, list) or not 1 <= len(path) <= 20 or not all(isinstance(name, str) for name in path):
        raise ValueError(f"a column has the name {path!r}")
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise ValueError(f"{name} is a column and a group of columns")
    if path[-1] in tree:
        raise ValueError(f"two columns have the name {path[-1]}")
    tree[path[-1]] = array
