"""A fallback folder for Numba's compiled functions if the default ones are not writable."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


def _usual_folders() -> Iterator[Path]:
    """Yield the folders that Numba tries, in its order; see `numba.core.caching`."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(os.environ["NUMBA_CACHE_DIR"])
    yield Path(__file__).parent / "__pycache__"
    from numba.misc.appdirs import AppDirs  # imported only where the package itself is read-only

    yield Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def ensure_cache() -> None:
    """Set a private temporary cache folder for Numba if none of its default folders is writable.

    Without such a folder its decorators fail. The folder is private to this process and its children, because its
    contents are executed, and is removed at exit: each process then compiles its functions again.
    """
    if any(_is_writable(folder) for folder in _usual_folders()):
        return
    folder = tempfile.mkdtemp(prefix="envzoo-numba-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = folder
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder
