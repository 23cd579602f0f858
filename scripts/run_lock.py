"""A lock that prevents two processes from writing to the same run."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from envzoo.errors import RunDirectoryError
from envzoo.files import storage_error

_held: set[RunLock] = set()


class RunLock:
    """An exclusive lock on a run folder, held from `acquire` until `release` or the end of the process.

    The operating system locks the file `.lock`. Its content, the host and the process id, is used only in messages. The
    file is removed on release; a file left behind by a killed process does not lock anything.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.path = self.folder / ".lock"
        self.handle: int | None = None

    def acquire(self, patience: float = 0.0) -> None:
        """Acquire the lock.

        Args:
            patience: Seconds to wait for another process to release it.

        Raises:
            RunDirectoryError: Another process holds it.
            StorageError: The folder cannot be written.
        """
        deadline = time.monotonic() + patience
        while not self._try():
            if time.monotonic() >= deadline:
                raise RunDirectoryError(
                    f"{self.folder} is being written by another process{self._holder()}; wait for it to end, or stop it"
                )
            time.sleep(0.2)

    def _try(self) -> bool:
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise storage_error(self.path, error) from error
        try:
            if not self._lock(handle):
                os.close(handle)
                return False
            # Between opening and locking, the previous holder may have removed the file.
            if not self._is_current(handle):
                os.close(handle)
                return self._try()
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{socket.gethostname()} {os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(handle)
            raise storage_error(self.path, error) from error
        self.handle = handle
        _held.add(self)
        return True

    def _lock(self, handle: int) -> bool:
        if fcntl is None:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            print(
                f"note: the file system of {self.folder} has no locks ({error.strerror}), so make sure that no other "
                "process writes to this run",
                file=sys.stderr,
            )
        return True

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(handle))
        except FileNotFoundError:
            return False

    def _holder(self) -> str:
        try:
            host, process = self.path.read_text().split()
        except (OSError, ValueError):
            return ""
        return f" (process {process} on {host})"

    def release(self) -> None:
        """Release the lock."""
        if self.handle is None:
            return
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Close the file without releasing the lock of a parent process."""
        handle, self.handle = self.handle, None
        _held.discard(self)
        if handle is not None:
            os.close(handle)


def _forget_all() -> None:
    # A forked child, such as an environment worker, must not keep the lock of a killed parent.
    for lock in list(_held):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
