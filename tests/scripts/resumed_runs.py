"""A small finished run, killed copies of it, and comparisons of runs, which tests of resuming share."""

import shutil

import pytest

from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.scripts.training import train

SOURCE = "envzoo/GridCoverage-v0"
SMALL = {"num_envs": 2, "num_steps": 4, "num_epochs": 1, "hidden": (4,)}
FLAGS = ["--num-envs", "2", "--num-steps", "4", "--num-epochs", "1", "--hidden", "4"]
FLAGS += ["--env-kwargs", "rows=3", "columns=4", "horizon=4"]
RUN = {
    **{"env_kwargs": {"rows": 3, "columns": 4, "horizon": 4}, "timesteps": 24, "eval_episodes": 2, "device": "cpu"},
    **{"checkpoint_every": 8, "progress": False},
}
START = ["train", "PPO", SOURCE, *FLAGS, "--timesteps", "24", "--eval-episodes", "2", "--device", "cpu"]
START += ["--checkpoint-every", "8", "--no-progress"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "run"
    train("PPO", SOURCE, SMALL, run_dir=str(path), **RUN)
    return path


@pytest.fixture
def run_dir(finished, tmp_path):
    """A finished run; copy2 keeps the times of its files."""
    return shutil.copytree(finished, tmp_path / "run", copy_function=shutil.copy2)


@pytest.fixture
def killed(run_dir):
    """As after kill -9 in the last iteration."""
    for name in ("agent.zip", "results.json", "checkpoints/checkpoint-24.zip"):
        (run_dir / name).unlink()
    return run_dir


def resume(path, *flags, source=SOURCE):
    return ["train", "PPO", source, "--run-dir", str(path), "--resume", "--no-progress", *flags]


def files(folder):
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def assert_same_run(folder, expected):
    for name in ("agent.zip", "results.json"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    drop = ("time/steps_per_second",)
    first, other = (
        [{key: value for key, value in row.items() if key not in drop} for row in read_metrics(path / "metrics.jsonl")]
        for path in (folder, expected)
    )
    assert first == other
