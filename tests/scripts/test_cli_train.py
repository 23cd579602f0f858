"""The commands `train` and its `--resume`: what they write, and one sentence for every kind of bad input."""

import json
import shutil

import cli_runs
import gymnasium as gym
import numpy as np
import pytest
from cli_runs import GRID, TRAIN, resume

from envzoo import agents
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.scripts.cli import main
from envzoo.scripts.run_directory import RunDirectory, free_directory
from envzoo.scripts.train import resume_command

pytestmark = pytest.mark.any_arithmetic

in_an_empty_folder, finished = cli_runs.in_an_empty_folder, cli_runs.finished
run_dir, refused = cli_runs.run_dir, cli_runs.refused


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
    "word-after-flags": ([*PPO, "--seed", "3", "word"], ["unexpected word: arguments come before the options"]),
    "hyperparameter": (
        [*PPO, "--gama", "0.9"],
        ["unknown option or hyperparameter of PPO 'gama'", "did you mean 'gamma'?"],
    ),
    "option": ([*PPO, "--timestep", "9"], ["'timestep'", "did you mean 'timesteps'?"]),
    "short-flag": ([*PPO, "-q"], ["Unrecognized options: -q", "`envzoo train PPO SOURCE --help`"]),
    "float": ([*PPO, "--learning-rate", "abc"], ["learning_rate of PPO", "'abc'"]),
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
        *("run.json", "config.toml", "metrics.jsonl", "tensorboard", "checkpoints", "agent.zip", "results.json")
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
