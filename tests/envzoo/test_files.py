"""Files that are written whole or not at all."""

import os
import subprocess
import sys

import pytest

from envzoo.errors import EnvzooError, StorageError
from envzoo.files import AppendedFile, atomic_file, remove_leftovers, write_bytes

pytestmark = pytest.mark.any_arithmetic

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits the sizes of files")


@linux
def test_a_full_disk_leaves_the_old_file(tmp_path, files_of_at_most):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with files_of_at_most(1000), pytest.raises(StorageError) as caught:
        write_bytes(path, bytes(2000))
    assert str(caught.value) == (
        f"{path} cannot be written (File too large); the file that was there before is unchanged"
    )
    assert isinstance(caught.value, EnvzooError)
    assert isinstance(caught.value, OSError)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@linux
def test_a_record_that_does_not_fit_is_taken_back(tmp_path, files_of_at_most):
    log = AppendedFile(tmp_path / "folder" / "log")
    log.append(b"a" * 900)
    with files_of_at_most(1000), pytest.raises(StorageError, match=r"File too large.*what it held before is kept"):
        log.append(b"b" * 900)  # of which 100 bytes would fit
    assert log.path.read_bytes() == b"a" * 900
    log.append(b"c")
    log.close()
    assert log.path.read_bytes() == b"a" * 900 + b"c"


def test_what_stands_in_the_way(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    with pytest.raises(StorageError, match="folder is a folder, so no file can be written there"):
        write_bytes(tmp_path / "folder", b"")
    with pytest.raises(StorageError, match=r"file/below cannot be written \((Not a directory|File exists)\)"):
        write_bytes(tmp_path / "file" / "below", b"")
    with pytest.raises(StorageError, match=r"cannot be written .*null byte"):
        write_bytes(tmp_path / "a\0b", b"")
    with pytest.raises(StorageError, match="cannot be written"):
        AppendedFile(tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_other_errors_of_the_block_are_not_renamed(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "file"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_only_leftovers_of_the_names_are_removed(tmp_path):
    names = [".a.zip.x1.tmp", ".b.zip.x1.tmp", ".a.zip.x1", "a.zip", ".a.zip"]
    for name in names:
        (tmp_path / name).touch()
    assert remove_leftovers(tmp_path, ["a.zip"]) == [tmp_path / ".a.zip.x1.tmp"]
    assert sorted(os.listdir(tmp_path)) == sorted(names[1:])
    assert remove_leftovers(tmp_path / "missing", ["a.zip"]) == []


NO_CACHE = """
import os, sys, tempfile
real = tempfile.TemporaryFile

def read_only_disk(*arguments, dir=None, **keywords):  # how Numba finds out whether it can write somewhere
    if dir is not None and "envzoo-numba-" not in str(dir):
        raise PermissionError(13, "Permission denied", str(dir))
    return real(*arguments, dir=dir, **keywords)

tempfile.TemporaryFile = read_only_disk
import gymnasium
import envzoo
env = gymnasium.make("envzoo/GridCoverage-v0")
env.reset(seed=0)
print(env.step(1)[1], os.environ["NUMBA_CACHE_DIR"])
"""


def test_numba_works_where_nothing_can_be_cached(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", NO_CACHE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    reward, folder = done.stdout.split()
    assert float(reward) >= 0
    assert not os.path.exists(folder)  # removed at the end
