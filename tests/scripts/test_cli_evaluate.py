"""The commands `evaluate` and `plot`."""

import json
import re
import shutil

import cli_runs
import numpy as np
import pytest
from cli_runs import GRID
from PIL import Image

from envzoo.scripts.cli import main
from envzoo.scripts.run_directory import RunDirectory

pytestmark = pytest.mark.any_arithmetic

in_an_empty_folder, finished = cli_runs.in_an_empty_folder, cli_runs.finished
run_dir, refused = cli_runs.run_dir, cli_runs.refused


# ---------------------------------------------------------------------------- evaluate


def test_evaluate_prints_what_came_out(run_dir, capsys):
    expected = json.loads((run_dir / "results.json").read_text())
    for target in (run_dir, run_dir / "agent.zip"):
        capsys.readouterr()
        assert main(["evaluate", str(target), "--episodes", "2"]) == 0
        out = capsys.readouterr().out
        assert re.search(rf"return +{expected['return_mean']:.3f} +{expected['return_std']:.3f}", out)
        assert re.search(r"length +4\.000", out)


def test_evaluate_films_an_episode(run_dir, tmp_path, capsys):
    assert main(["evaluate", str(run_dir), "--episodes", "1", "--video", "film.gif", "--fps", "10"]) == 0
    assert "5 frames in film.gif" in capsys.readouterr().out
    with Image.open(tmp_path / "film.gif") as film:
        assert film.format == "GIF"
        frames = []
        for number in range(film.n_frames):  # a frame like the one before it only prolongs that one
            film.seek(number)
            frames.append((np.asarray(film.convert("RGB")), film.info["duration"]))
    assert 2 <= len(frames) <= 5
    assert sum(duration for _, duration in frames) == 4 * 100 + 1500
    assert (frames[0][0] != frames[-1][0]).any()


def test_evaluate_in_another_environment_of_the_same_spaces(run_dir, capsys):
    returns = []
    for rows in ("rows=3", "rows=3", "rows=4"):
        argv = ["evaluate", str(run_dir), "--episodes", "20", "--env", *GRID]
        argv[argv.index("rows=3")] = rows
        assert main([*argv, "start=random"]) == (0 if rows == "rows=3" else 2)
        returns.append(re.findall(r"return +(\S+) +(\S+)", capsys.readouterr().out))
    assert returns[0] == returns[1] != []
    assert main(["evaluate", str(run_dir), "--episodes", "20"]) == 0
    assert re.findall(r"return +(\S+) +(\S+)", capsys.readouterr().out) != returns[0]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--episodes", "0"], ["--episodes must be at least 1, got 0"]),
        (["--seed", "-3"], ["--seed must be a non-negative integer, got -3"]),
        (["--fps", "0"], ["--fps must be in (0, 100], got 0"]),
        (["--video", "film.mp4"], ["written as .gif files, got film.mp4"]),
        (["--env", "CartPole-v1"], ["was trained with the observation space", "CartPole-v1 has Box"]),
        (["--env", "CartPol-v1"], ["unknown source 'CartPol-v1'"]),
        (["--env-kwargs", "rows=3"], ["--env-kwargs requires an environment, given with --env"]),
        (["--env", GRID[0], "--env-kwargs", "rows"], ["KEY=VALUE, got 'rows'"]),
        (["--device", "gpu"], ["device 'gpu' is not available"]),
        (["--episode", "3"], ["unknown option 'episode'", "did you mean 'episodes'?"]),
        (["--episodes", "three"], ["--episodes", "three"]),
    ],
)
def test_evaluate_refuses(refused, run_dir, flags, words):
    refused(["evaluate", str(run_dir), *flags], *words)


def test_evaluate_refuses_damaged_and_empty_runs(refused, run_dir):
    (run_dir / "agent.zip").write_bytes((run_dir / "agent.zip").read_bytes()[:200])
    refused(["evaluate", str(run_dir)], "agent.zip is truncated or not an envzoo checkpoint")
    (run_dir / "agent.zip").unlink()
    assert RunDirectory(run_dir).trained_agent().name == "checkpoint-16.zip"
    shutil.rmtree(run_dir / "checkpoints")
    refused(["evaluate", str(run_dir)], "has no trained agent and no checkpoint yet")


# ---------------------------------------------------------------------------- plot


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("b.pdf", b"%PDF"), ("c.svg", b"<?xml")])
def test_plot_draws_runs(run_dir, tmp_path, capsys, name, magic):
    shutil.copytree(run_dir, tmp_path / "group" / "seed1")
    assert main(["plot", str(run_dir), "group", "--out", name, "--title", "Runs"]) == 0
    assert capsys.readouterr().out.strip() == name
    assert (tmp_path / name).read_bytes().startswith(magic)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--metric", "loss/polic"], ["unknown metric 'loss/polic'", "did you mean 'loss/policy'?"]),
        (["--out", "figure.xyz"], ["unknown figure format 'xyz'"]),
        (["--otu", "figure.png"], ["unknown option 'otu'", "did you mean 'out'?"]),
    ],
)
def test_plot_refuses(refused, run_dir, flags, words):
    refused(["plot", str(run_dir), *flags], *words)


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"\xff\xfe", b"[1]\n"])
def test_plot_refuses_runs_without_metrics(refused, run_dir, content):
    (run_dir / "metrics.jsonl").write_bytes(content)
    refused(["plot", str(run_dir)], "no return to draw yet; name a metric with --metric")
