"""The command line: what it writes, and one sentence with exit code 2 for every kind of bad input."""

import ast
import dataclasses
import inspect
import itertools
import json
import re
import shutil
import signal
import textwrap

import gymnasium as gym
import numpy as np
import pytest
import torch
from helpers import refused_command
from PIL import Image

from envzoo import agents
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.agents.registry import agent_class
from envzoo.papers import papers
from envzoo.registration import specs as environment_specs
from envzoo.scripts.cli import COMMANDS, main, run
from envzoo.scripts.run_directory import RunDirectory, free_directory
from envzoo.scripts.train import TrainOptions, parse_keywords, resume_command

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


def help_of(argv, capsys):
    capsys.readouterr()
    try:
        code = main(argv)
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert (code or 0) == 0
    assert err == ""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", out).split())


def written(command):
    return hasattr(__import__(COMMANDS[command][0], fromlist=["command"]), "command")


# ---------------------------------------------------------------------------- help


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_the_program_explains_its_commands(argv, capsys):
    text = help_of(argv, capsys)
    for name, (_, summary) in COMMANDS.items():
        assert name in text
        assert summary in text


def test_version(capsys):
    from envzoo import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"envzoo {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    if not written(command):
        pytest.skip(f"{command} is not written yet")
    text = help_of([command, "--help"], capsys)
    assert f"envzoo {command}" in text
    assert len(text) > 80


def documented(cls):
    """The docstring under each field of a dataclass and of those it extends, from their source."""
    found = {}
    for base in reversed([base for base in cls.__mro__ if dataclasses.is_dataclass(base)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = " ".join(text.value.value.split())
    return found


@pytest.mark.parametrize("agent", agents.specs())
def test_help_of_train_explains_every_option_and_hyperparameter(agent, capsys):
    config = agent_class(agent).Config
    text = help_of(["train", agent, "--help"], capsys)
    for cls in (TrainOptions, config):
        meanings = documented(cls) if dataclasses.fields(cls) else {}
        assert set(meanings) == {field.name for field in dataclasses.fields(cls)}
        for name, meaning in meanings.items():
            assert f"--{name.replace('_', '-')}" in text
            assert meaning in text


def test_help_of_train_shows_the_agents(capsys):
    text = help_of(["train", "--help"], capsys)
    for name in agents.specs():
        assert name in text


def test_without_an_agent_train_shows_them_and_fails(capsys):
    assert main(["train"]) == 2
    assert "PPO" in capsys.readouterr().err


# ---------------------------------------------------------------------------- list


def listed(argv, capsys):
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_list_shows_everything(capsys):
    environments = listed(["list", "envs"], capsys)
    assert all(f" {spec.id} " in environments for spec in environment_specs())
    found = listed(["list", "agents"], capsys)
    assert all(f" {name} " in found for name in agents.specs())
    found = listed(["list", "papers"], capsys)
    for number, paper in papers().items():
        assert number in found
        assert paper.title in found
    datasets = listed(["list", "datasets"], capsys)
    assert "envzoo/grid-coverage/medium-v0" in datasets
    everything = listed(["list"], capsys)
    assert environments in everything
    assert datasets in everything


def test_list_refuses_other_words(refused):
    refused(["list", "env"], "unknown kind of list 'env'", "did you mean 'envs'?")


# ---------------------------------------------------------------------------- errors of train

PPO = ["train", "PPO", "CartPole-v1"]
REFUSED = {
    "command": (["trian"], ["unknown command 'trian'", "did you mean 'train'?"]),
    "agent": (["train", "PPPO", "CartPole-v1"], ["unknown agent 'PPPO'", "did you mean 'PPO'?", "envzoo list agents"]),
    "source": (["train", "PPO", "CartPoll-v1"], ["unknown source 'CartPoll-v1'", "did you mean 'CartPole-v"]),
    "our-source": (["train", "PPO", "envzoo/GridCover-v0"], ["did you mean 'envzoo/GridCoverage-v0'?"]),
    "module": (["train", "PPO", "nothing:Env-v0"], ["nothing:Env-v0 cannot be made", "nothing"]),
    "no-source": (["train", "PPO"], ["takes an agent and one source", "envzoo train PPO CartPole-v1"]),
    "two-sources": (["train", "PPO", "CartPole-v1", "Acrobot-v1"], ["takes an agent and one source"]),
    "word-after-flags": ([*PPO, "--seed", "3", "word"], ["Unrecognized options: word"]),
    "hyperparameter": (
        [*PPO, "--gama", "0.9"],
        ["unknown option or hyperparameter of PPO 'gama'", "did you mean 'gamma'?"],
    ),
    "option": ([*PPO, "--timestep", "9"], ["'timestep'", "did you mean 'timesteps'?"]),
    "short-flag": ([*PPO, "-q"], ["Unrecognized options: -q", "`envzoo train PPO SOURCE --help`"]),
    "float": ([*PPO, "--learning-rate", "abc"], ["--learning-rate", "'abc'"]),
    "integer": ([*PPO, "--timesteps", "1.5"], ["--timesteps", "1.5"]),
    "list": ([*PPO, "--hidden", "wide"], ["--hidden", "wide"]),
    "choice": ([*PPO, "--anneal", "everything"], ["--anneal", "'everything'", "learning_rate"]),
    "no-value": ([*PPO, "--learning-rate"], ["--learning-rate"]),
    "two-wrong-values": ([*PPO, "--learning-rate", "abc", "--seed", "x"], ["--"]),
    "range": ([*PPO, "--gamma", "1.5"], ["gamma of PPO lies in [0, 1], got 1.5"]),
    "not-finite": ([*PPO, "--learning-rate", "nan"], ["learning_rate of PPO", "nan"]),
    "encoder": ([*PPO, "--encoder", "mpl"], ["unknown encoder 'mpl'", "did you mean 'mlp'?"]),
    "images": ([*PPO, "--encoder", "cnn"], ["the cnn encoder needs an image"]),
    "continuous-only": (
        ["train", "SAC", "CartPole-v1"],
        ["SAC takes Box actions, but the action space is Discrete(2)"],
    ),
    "discrete-only": (["train", "SubPO", "Pendulum-v1"], ["SubPO", "Discrete", "Box("]),
    "dataset-only": (["train", "BC", "CartPole-v1"], ["BC takes a dataset", "CartPole-v1 is an environment"]),
    "dataset-for-PPO": (["train", "PPO", "envzoo/grid-coverage/medium-v0"], ["envzoo/grid-coverage/medium-v0"]),
    "seed": ([*PPO, "--seed", "-1"], ["a seed is a non-negative integer, got -1"]),
    "seeds": ([*PPO, "--seeds", "0"], ["--seeds must be at least 1, got 0"]),
    "timesteps": ([*PPO, "--timesteps", "0"], ["timesteps is at least 1, got 0"]),
    "threads": ([*PPO, "--threads", "0"], ["threads is 'auto' or an integer from 1 to 1024, got 0"]),
    "eval-every": ([*PPO, "--eval-every", "-1"], ["eval_every is at least 0, got -1"]),
    "eval-episodes": ([*PPO, "--eval-episodes", "0", "--eval-every", "0"], ["eval_episodes is at least 1, got 0"]),
    "checkpoint-every": ([*PPO, "--checkpoint-every", "0"], ["checkpoint_every is a positive integer or None, got 0"]),
    "stop-at": ([*PPO, "--stop-at", "3", "--eval-every", "0"], ["stop_at requires evaluations"]),
    "device": ([*PPO, "--device", "gpu"], ["device 'gpu' is not available"]),
    "keyword": ([*PPO, "--env-kwargs", "gravity"], ["KEY=VALUE, got 'gravity'"]),
    "wrong-keyword": ([*PPO, "--env-kwargs", "gravity=3"], ["CartPole-v1 cannot be made with the keywords", "gravity"]),
    "our-keyword": (["train", "PPO", "envzoo/GridCoverage-v0", "--env-kwargs", "rows=0"], ["rows"]),
    "resume-what": ([*PPO, "--resume"], ["--resume continues the run in --run-dir"]),
    "resume-nothing": ([*PPO, "--resume", "--run-dir", "nothing"], ["nothing holds no run", "run.json"]),
    "missing-dataset": (
        ["train", "BC", "envzoo/grid-coverage/medium-v0"],
        ["envzoo make-dataset envzoo/grid-coverage/medium-v0"],
    ),
    "unknown-dataset": (
        ["train", "BC", "envzoo/grid-coverage/medum-v0"],
        ["medum-v0", "envzoo/grid-coverage/medium-v0"],
    ),
    "unknown-recipe": (
        ["make-dataset", "envzoo/grid-coverage/medum-v0"],
        ["medum-v0", "envzoo/grid-coverage/medium-v0"],
    ),
    "no-dataset-named": (["make-dataset"], ["make-dataset"]),
    "paper": (["reproduce", "99"], ["99"]),
    "no-paper": (["reproduce"], ["takes the number of one paper"]),
    "evaluate-nothing": (["evaluate"], ["takes one run directory"]),
    "evaluate-two": (["evaluate", "a", "b"], ["takes one run directory"]),
    "evaluate-missing": (["evaluate", "nothing"], ["nothing holds no run", "run.json"]),
    "plot-nothing": (["plot"], ["takes one or more run directories"]),
    "plot-missing": (["plot", "nothing"], ["nothing holds no run"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_gives_one_sentence_and_leaves_no_trace(case, refused, tmp_path):
    argv, words = REFUSED[case]
    refused(argv, *words)
    assert not (tmp_path / "runs").exists()


def test_a_damaged_dataset_gives_one_sentence(refused, tmp_path):
    folder = tmp_path / "minari" / "envzoo" / "grid-coverage" / "medium-v0" / "data"
    folder.mkdir(parents=True)
    (folder / "main_data.hdf5").write_bytes(b"garbage")
    (folder / "metadata.json").write_text("{")
    refused(["train", "BC", "envzoo/grid-coverage/medium-v0"], "envzoo/grid-coverage/medium-v0")


def test_spaces_of_many_lines_make_one_line(refused, run_dir):
    class Wide(gym.Env):
        observation_space = gym.spaces.Box(np.arange(40.0).reshape(8, 5), np.full((8, 5), 99.0), dtype=np.float64)
        action_space = gym.spaces.Discrete(2)

    gym.register("Wide-v0", Wide)
    try:
        refused(
            ["evaluate", str(run_dir), "--env", "Wide-v0"], "was trained with the observation space", "Wide-v0 has Box"
        )
    finally:
        del gym.registry["Wide-v0"]


# ---------------------------------------------------------------------------- train


def test_a_run_directory_holds_what_it_should(finished):
    assert {path.name for path in finished.iterdir()} == {
        *("run.json", "metrics.jsonl", "tensorboard", "checkpoints", "agent.zip", "results.json")
    }
    facts = json.loads((finished / "run.json").read_text())
    assert facts["agent"] == "PPO"
    assert facts["source"] == "envzoo/GridCoverage-v0"
    assert facts["env_kwargs"] == {"rows": 3, "columns": 4, "horizon": 4}
    assert facts["given"] == {"num_envs": 2, "num_steps": 4, "num_epochs": 1, "hidden": [4]}
    assert facts["hyperparameters"]["gamma"] == 0.99
    assert {"envzoo", "torch", "numpy", "python"} <= set(facts["versions"])
    assert [row["timesteps"] for row in read_metrics(finished / "metrics.jsonl")] == [8, 16]
    assert sorted(path.name for path in (finished / "checkpoints").iterdir()) == [
        "checkpoint-16.zip",
        "checkpoint-8.zip",
    ]
    assert any((finished / "tensorboard").iterdir())
    assert set(json.loads((finished / "results.json").read_text())) >= {"return_mean", "return_std", "length_mean"}
    assert agents.load(finished / "agent.zip").num_timesteps == 16
    directory = RunDirectory(finished)
    assert directory.trained_agent() == finished / "agent.zip"
    assert directory.latest_checkpoint().name == "checkpoint-16.zip"


def test_without_a_name_runs_get_free_folders(tmp_path, capsys):
    for _ in range(2):
        assert main(TRAIN) == 0
    found = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert found == ["PPO-envzoo-GridCoverage-v0-seed0", "PPO-envzoo-GridCoverage-v0-seed0-2"]
    assert "16 timesteps, run in runs/PPO-envzoo-GridCoverage-v0-seed0" in capsys.readouterr().out
    assert free_directory("runs", "a/b:c") == free_directory("runs", "a-b-c")


def test_the_same_command_gives_the_same_agent(finished, tmp_path):
    assert main([*TRAIN, "--run-dir", "again"]) == 0
    assert (tmp_path / "again" / "agent.zip").read_bytes() == (finished / "agent.zip").read_bytes()
    assert main([*TRAIN, "--run-dir", "other", "--seed", "1"]) == 0
    assert (tmp_path / "other" / "agent.zip").read_bytes() != (finished / "agent.zip").read_bytes()


def test_an_existing_run_is_refused_and_untouched(refused, run_dir):
    refused([*TRAIN, "--run-dir", str(run_dir)], f"{run_dir} already holds a run", "--resume", "--run-dir")


def test_a_folder_or_file_in_the_way_is_refused_and_untouched(refused, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    refused([*TRAIN, "--run-dir", "mine"], "mine exists and is not an empty folder")
    (tmp_path / "file").write_text("precious")
    refused([*TRAIN, "--run-dir", "file"], "file exists and is not an empty folder")
    (tmp_path / "empty").mkdir()
    assert main([*TRAIN, "--run-dir", "empty"]) == 0


def test_early_stop_ends_the_run(tmp_path, capsys):
    argv = ["--run-dir", "stopped", "--timesteps", "400", "--eval-every", "8", "--stop-at", "0"]
    assert main([*TRAIN, *argv]) == 0
    assert agents.load(tmp_path / "stopped" / "agent.zip").num_timesteps == 8


def test_seeds_one_after_the_other_make_a_folder_each(tmp_path, capsys):
    assert main([*TRAIN, "--seeds", "2", "--processes", "1", "--run-dir", "both"]) == 0
    out = capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["seed0", "seed1"]
    assert "2 seeds: interquartile mean" in out
    assert "envzoo plot both" in out
    assert main([*TRAIN, "--run-dir", "alone", "--seed", "1"]) == 0
    alone, beside = (tmp_path / name / "agent.zip" for name in ("alone", "both/seed1"))
    assert alone.read_bytes() == beside.read_bytes()


# ---------------------------------------------------------------------------- resume


def resume(path, agent="PPO", source=GRID[0], *more):
    return ["train", agent, source, "--run-dir", str(path), "--resume", "--no-progress", *more]


def test_a_killed_run_resumes_to_the_same_files(finished, run_dir):
    """As after kill -9: no agent, the newest checkpoint lost, rows of metrics past the one that is left."""
    for name in ("agent.zip", "results.json", "checkpoints/checkpoint-16.zip"):
        (run_dir / name).unlink()
    assert main(resume(run_dir)) == 0
    for name in ("agent.zip", "results.json", "checkpoints/checkpoint-16.zip"):
        assert (run_dir / name).read_bytes() == (finished / name).read_bytes(), name
    rows = [read_metrics(folder / "metrics.jsonl") for folder in (run_dir, finished)]
    for row in [*rows[0], *rows[1]]:
        del row["time/steps_per_second"]
    assert rows[0] == rows[1]


def test_a_run_killed_before_its_first_checkpoint_starts_again(finished, run_dir):
    shutil.rmtree(run_dir / "checkpoints")
    for name in ("agent.zip", "results.json"):
        (run_dir / name).unlink()
    assert main(resume(run_dir)) == 0
    assert (run_dir / "agent.zip").read_bytes() == (finished / "agent.zip").read_bytes()
    assert len(read_metrics(run_dir / "metrics.jsonl")) == 2


def test_a_finished_run_can_be_given_a_larger_budget(run_dir):
    assert main(resume(run_dir, "PPO", GRID[0], "--timesteps", "32")) == 0
    assert agents.load(run_dir / "agent.zip").num_timesteps == 32
    assert [row["timesteps"] for row in read_metrics(run_dir / "metrics.jsonl")] == [8, 16, 24, 32]


def test_a_run_of_another_agent_or_source_is_refused(refused, run_dir):
    refused(resume(run_dir, "SubPO"), f"{run_dir} holds a run of agent PPO, not of SubPO")
    refused(resume(run_dir, source="CartPole-v1"), "holds a run of source envzoo/GridCoverage-v0, not of CartPole-v1")


def test_a_checkpoint_of_another_agent_is_refused(refused, run_dir):
    (run_dir / "results.json").unlink()
    other = agents.make("Random", GRID[0], env_kwargs={"rows": 3, "columns": 4, "horizon": 4})
    other.save(run_dir / "checkpoints" / "checkpoint-17.zip")
    refused(resume(run_dir), "checkpoint-17.zip holds an agent Random, expected PPO")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"agent": "PPO", "source": "envzoo/GridCoverage-v0"}', "\xff"]
)
def test_a_damaged_run_file_is_refused(refused, run_dir, content):
    (run_dir / "run.json").write_text(content, encoding="latin-1")
    for argv in (resume(run_dir), ["evaluate", str(run_dir)], ["plot", str(run_dir)]):
        refused(argv, "run.json is damaged")


def test_when_all_checkpoints_are_torn_the_run_is_refused(refused, run_dir):
    (run_dir / "results.json").unlink()
    for path in (run_dir / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    refused(resume(run_dir), "checkpoint-16.zip is truncated or not an envzoo checkpoint")


def test_the_resume_command_can_be_pasted(tmp_path):
    facts = {"agent": "PPO", "source": "envzoo/GridCoverage-v0"}
    command = resume_command(facts, tmp_path / "my run")
    assert command == f"envzoo train PPO envzoo/GridCoverage-v0 --run-dir '{tmp_path}/my run' --resume"


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


# ---------------------------------------------------------------------------- details


def test_keywords_are_json_where_they_parse():
    given = ("rows=12", "start=centre", 'weights={"a": [1]}', "mask=true", "name=x=y", "empty=")
    assert parse_keywords(given) == {
        **{"rows": 12, "start": "centre", "weights": {"a": [1]}, "mask": True, "name": "x=y", "empty": ""}
    }


def test_ctrl_c_and_closed_pipes_end_quietly(monkeypatch, capsys):
    def interrupted(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr("envzoo.scripts.list.command", interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "envzoo: stopped\n"


def test_mistakes_of_the_program_are_not_hidden(monkeypatch):
    def broken(argv):
        raise RuntimeError("a bug")

    monkeypatch.setattr("envzoo.scripts.list.command", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run(["list"])


def test_the_first_ctrl_c_stops_after_the_iteration_with_the_resume_command(finished, tmp_path, monkeypatch, capsys):
    cls = agent_class("PPO")
    update = cls.update

    def interrupted(self, rollout):
        if self.iteration == 0:
            signal.raise_signal(signal.SIGINT)
        return update(self, rollout)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(cls, "update", interrupted)
    assert main([*TRAIN, "--run-dir", "stopped", "--checkpoint-every", "8"]) == 130
    out, err = capsys.readouterr()
    assert "press Ctrl-C again to stop immediately" in err
    command = out.splitlines()[-1].split()
    assert command == ["envzoo", *resume("stopped")[:-1]]
    assert [path.name for path in (tmp_path / "stopped" / "checkpoints").iterdir()] == ["checkpoint-8.zip"]
    assert not (tmp_path / "stopped" / "agent.zip").exists()
    assert signal.getsignal(signal.SIGINT) == before
    monkeypatch.setattr(cls, "update", update)
    assert main([*command[1:], "--no-progress"]) == 0
    assert (tmp_path / "stopped" / "agent.zip").read_bytes() == (finished / "agent.zip").read_bytes()
