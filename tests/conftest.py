"""Shared fixtures: one small dataset root for the whole session, one torch thread everywhere, no deadlines."""

import importlib
import importlib.util
import os
import random
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

# Read by torch and by the child processes that tests start; the workers of xdist share the cores already.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

# A first example may wait for a compiler, and a machine may be busy: no example has a deadline.
settings.register_profile("envzoo", deadline=None)
settings.load_profile("envzoo")

# pytest's importlib mode does not let test files import each other.
_spec = importlib.util.spec_from_file_location("helpers", Path(__file__).with_name("helpers.py"))
sys.modules["helpers"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["helpers"])


ROOT = Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption("--shuffle", metavar="SEED", help="run the test files, and the tests of each, in a random order")


# Tests of kernels that hold vectors or fuse a product and a sum, and of the agents that learn with them. Numba compiles
# these, and no others, for another processor in `make test-emulated`.
VECTORS = ("agents/networks", "agents/preference", "agents/reasoning", "agents/text")
VECTORS += ("agents/offline/test_closed_form.py", "agents/offline/test_cql.py", "agents/test_first_release.py")
VECTORS += ("agents/diagnostics", "agents/imitation", "agents/loops/test_sequence_replay.py", "agents/test_memories.py")
VECTORS += ("scripts/test_memory_encoders.py", "scripts/test_stress.py", "scripts/test_text_experiments.py")
assert all((ROOT / each).exists() for each in VECTORS)


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(config, items):
    """Mark the tests of vectors. Shuffle the files, and the tests within each, alike for every worker of xdist."""
    for item in items:
        path = item.path.relative_to(ROOT)
        if any(path.is_relative_to(each) for each in VECTORS):
            item.add_marker("vectors")
    seed = config.getoption("shuffle")
    if seed is None:
        return
    generator, files = random.Random(seed), {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    blocks = list(files.values())
    generator.shuffle(blocks)
    for block in blocks:
        generator.shuffle(block)
    items[:] = [item for block in blocks for item in block]


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("shuffle") is not None:
        terminalreporter.write_line(f"the tests ran in the order of --shuffle {config.getoption('shuffle')}")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Let Ctrl-C reach the child processes of tests: a shell has what it runs in the background ignore SIGINT."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(scope="session", autouse=True)
def empty_cache(tmp_path_factory):
    """Models that were warmed up before, on this machine or another, are neither used nor kept."""
    with pytest.MonkeyPatch.context() as patch:
        if "ENVZOO_CACHE" not in os.environ:
            patch.setenv("ENVZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def random_walks(tmp_path_factory):
    """A Minari root with 100 episodes of `envzoo/grid-coverage/random-v0`."""
    from envzoo.scripts.make_dataset import make_dataset

    root = tmp_path_factory.mktemp("minari")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(root))
        make_dataset("envzoo/grid-coverage/random-v0", quiet=True, episodes=100)
    return root


@pytest.fixture
def datasets_root(random_walks, monkeypatch):
    """The same root, named in the environment of one test, so that child processes see it as well."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(random_walks))
    return random_walks


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


@pytest.fixture
def files_of_at_most():
    """`with files_of_at_most(size):` refuses what makes a file larger, as on a full disk; on Linux only."""
    import resource

    @contextmanager
    def limited(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
