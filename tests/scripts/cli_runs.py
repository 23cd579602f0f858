"""A small run of the command line and fixtures of its files, which tests of the commands share."""

import shutil

import pytest
import torch
from helpers import refused_command

from envzoo.scripts.cli import main

GRID = ["envzoo/GridCoverage-v0", "--env-kwargs", "rows=3", "columns=4", "horizon=4"]
QUICK = ["--num-envs", "2", "--num-steps", "4", "--num-epochs", "1", "--hidden", "4"]
TRAIN = ["train", "PPO", *GRID, *QUICK, "--timesteps", "16", "--eval-episodes", "2", "--no-progress", "--device", "cpu"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """No test sees datasets or runs of this machine, and threads are as they were."""
    threads = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("COLUMNS", "100")
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run; copy it before changing anything."""
    path = tmp_path_factory.mktemp("finished") / "run"
    assert main([*TRAIN, "--run-dir", str(path), "--checkpoint-every", "8"]) == 0
    return path


@pytest.fixture
def run_dir(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def refused(capsys, tmp_path):
    """`refused(argv, *words)` runs a command that must fail with one sentence holding the words."""

    def check(argv, *words):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        err = refused_command(argv, capsys, *words)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        return err

    return check


def resume(path, agent="PPO", source=GRID[0], *more):
    return ["train", agent, source, "--run-dir", str(path), "--resume", "--no-progress", *more]
