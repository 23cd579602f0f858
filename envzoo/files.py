"""Atomic file writing: readers see either the old or the new file, never a part, even if the writer is killed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from envzoo.errors import StorageError


def reason(error: BaseException) -> str:
    """Return the operating system's reason for an error, on one line."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    return text or type(error).__name__


def storage_error(path: str | os.PathLike, error: BaseException, consequence: str = "") -> StorageError:
    """Create the error for a file that could not be written.

    Args:
        path: The file or folder.
        error: The error raised by the operating system.
        consequence: Optional clause at the end of the message ("the checkpoint before it is kept").
    """
    result = StorageError(f"{path} cannot be written ({reason(error)}){'; ' + consequence if consequence else ''}")
    result.errno = getattr(error, "errno", None)
    return result


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a binary file for writing that appears at `path` only if the block ends without an error.

    Parent folders are created. After an error the temporary file is removed and `path` is unchanged.

    Raises:
        StorageError: The operating system cannot write: full disk, read-only folder, or a folder at `path`.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise StorageError(f"{path} is a folder, so no file can be written there; give the path of a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except StorageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise storage_error(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files private; use what open() would give
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and not isinstance(error, StorageError):
            kept = "the file that was there before is unchanged" if path.is_file() else ""
            raise storage_error(path, error, kept) from error
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Flush a folder to the disk, where the system supports it, so that a rename survives a power failure."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: str | os.PathLike, names: Iterable[str]) -> list[Path]:
    """Remove the temporary files of `names` that killed processes left in a folder.

    Args:
        folder: The folder; it may be missing.
        names: File names, or glob patterns ("checkpoint-*.zip").

    Returns:
        The removed files.
    """
    removed = []
    for name in names:
        with suppress(OSError):
            for path in Path(folder).glob(f".{name}.*.tmp"):
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_file(path) as file:
        file.write(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to `path` in UTF-8, atomically."""
    write_bytes(path, text.encode())


class AppendedFile:
    """A file to which complete records are appended; a record that cannot be written in full is removed again.

    Args:
        path: The file; it and its parent folders are created if missing.

    Raises:
        StorageError: The operating system cannot write the file.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: Any = self.path.open("ab", buffering=0)
        except (OSError, ValueError) as error:
            raise storage_error(self.path, error) from error

    def append(self, record: bytes) -> None:
        """Append one record."""
        left = memoryview(record)
        try:
            size = os.fstat(self._file.fileno()).st_size
            try:
                while left:
                    left = left[self._file.write(left) :]
            except OSError:
                os.ftruncate(self._file.fileno(), size)
                raise
        except OSError as error:
            raise storage_error(self.path, error, "what it held before is kept") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()
