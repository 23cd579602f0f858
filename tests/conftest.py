"""Shared fixtures: one small dataset root for the whole session, one torch thread everywhere, no deadlines."""

import importlib
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# A first example may wait for a compiler, and a machine may be busy: no example has a deadline.
settings.register_profile("envzoo", deadline=None)
settings.load_profile("envzoo")


@pytest.fixture(scope="session")
def datasets_root(tmp_path_factory):
    """A Minari root with `envzoo/grid-coverage/random-v0`, named in the environment so that child processes see it."""
    from envzoo.scripts.make_dataset import make_dataset

    root = tmp_path_factory.mktemp("minari")
    previous = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(root)
    make_dataset("envzoo/grid-coverage/random-v0", quiet=True)
    yield root
    if previous is None:
        del os.environ["MINARI_DATASETS_PATH"]
    else:
        os.environ["MINARI_DATASETS_PATH"] = previous


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A function that skips the test where a package of the extra `foreign` is missing, and fails it in CI."""
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working folder

    def need(*packages):
        for package in packages:
            if os.environ.get("ENVZOO_ALL_EXTRAS"):
                importlib.import_module(package)
            pytest.importorskip(package)

    return need
