"""Runs resume as they were, and say so where they cannot."""

import json
import shutil

import pytest
import resumed_runs
import torch
from helpers import refused_command
from resumed_runs import FLAGS, RUN, SMALL, SOURCE, START, assert_same_run, files, resume

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.errors import RunDirectoryError, UnknownNameError
from envzoo.scripts.cli import main
from envzoo.scripts.resume import CHANGEABLE
from envzoo.scripts.run_directory import FACTS, OPTIONAL_FACTS
from envzoo.scripts.training import DEFAULTS, train

pytestmark = pytest.mark.any_arithmetic

in_an_empty_folder, finished = resumed_runs.in_an_empty_folder, resumed_runs.finished
run_dir, killed = resumed_runs.run_dir, resumed_runs.killed


# ---------------------------------------------------------------------------- what can be given anew

CHANGES = {
    "seed": (["--seed", "1"], "seed (the run has 0, given 1)"),
    "threads": (["--threads", "2"], "threads (the run has 1, given 2)"),
    "gamma": (["--gamma", "0.5"], "gamma (the run has 0.99, given 0.5)"),
    "back to the default": (["--num-envs", "8"], "num_envs (the run has 2, given 8)"),
    "tuple": (["--hidden", "4", "4"], "hidden (the run has [4], given [4, 4])"),
    "keyword": (["--env-kwargs", "rows=5"], "env_kwargs rows (the run has 3, given 5)"),
    "new keyword": (["--env-kwargs", "start=random"], "env_kwargs start (the run has nothing, given random)"),
    "evaluation": (["--eval-every", "3"], "eval_every (the run has 2, given 3)"),
    "episodes": (["--eval-episodes", "9"], "eval_episodes (the run has 2, given 9)"),
    "samples": (["--eval-stochastic"], "eval_stochastic (the run has False, given True)"),
    "stop": (["--stop-at", "3"], "stop_at (the run has None, given 3.0)"),
    "budget": (["--timesteps", "8"], "timesteps (the run has 24, given 8; a budget can only grow)"),
    "several": (
        ["--seed", "1", "--gamma", "0.5"],
        "seed (the run has 0, given 1), gamma (the run has 0.99, given 0.5)",
    ),
}


@pytest.mark.parametrize("state", ["finished", "killed"])
@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_option_is_refused_and_all_are_listed(case, state, run_dir, request, capsys):
    folder = request.getfixturevalue("killed") if state == "killed" else run_dir
    flags, words = CHANGES[case]
    before = files(folder)
    refused_command(resume(folder, *flags), capsys, "--resume cannot change ", words, str(folder))
    assert files(folder) == before


def test_every_option_of_a_run_is_compared_or_can_be_changed():
    """A new option must be a fact of the run, else a resume could not compare it."""
    assert set(DEFAULTS) <= set(FACTS | OPTIONAL_FACTS)
    assert set(CHANGEABLE) <= set(DEFAULTS)


def test_options_equal_to_those_of_the_run_are_no_changes(killed, finished):
    same = ["--seed", "0", "--threads", "1", "--gamma", "0.99", "--stop-at", "None", "--timesteps", "24", *FLAGS]
    assert main(resume(killed, *same)) == 0
    assert_same_run(killed, finished)


def test_flags_that_were_not_given_are_those_of_the_run(tmp_path):
    """The defaults of seed, gamma and the evaluation differ from the run's; nobody asked for them."""
    other = {**RUN, "seed": 3, "eval_every": 8, "eval_episodes": 3, "eval_stochastic": True}
    train("PPO", SOURCE, {**SMALL, "gamma": 0.5}, run_dir="whole", **other)
    shutil.copytree("whole", "killed")
    for name in ("agent.zip", "results.json", "checkpoints/checkpoint-24.zip"):
        (tmp_path / "killed" / name).unlink()
    assert main(resume("killed")) == 0
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_the_interface_of_python_compares_as_well(killed):
    with pytest.raises(RunDirectoryError, match=r"cannot change seed \(the run has 0, given 4\) of the run"):
        train("PPO", SOURCE, run_dir=str(killed), resume=True, seed=4)
    with pytest.raises(UnknownNameError, match="unknown hyperparameter of PPO 'gama'"):
        train("PPO", SOURCE, {"gama": 1.0}, run_dir=str(killed), resume=True)
    with pytest.raises(UnknownNameError, match=r"unknown option of train 'sed'.*did you mean 'seed'"):
        train("PPO", SOURCE, sed=4)


def test_checkpoints_may_become_more_frequent(killed):
    (killed / "checkpoints" / "checkpoint-16.zip").unlink()
    assert main(resume(killed, "--checkpoint-every", "100")) == 0
    assert json.loads((killed / "run.json").read_text())["checkpoint_every"] == 100
    assert "checkpoint-16.zip" not in {path.name for path in (killed / "checkpoints").iterdir()}


def test_the_device_is_that_of_the_run_unless_another_is_named(killed, capsys):
    facts = json.loads((killed / "run.json").read_text())
    (killed / "run.json").write_text(json.dumps({**facts, "device": "cuda:7"}))
    refused_command(resume(killed), capsys, "was on cuda:7", "not available", "choose another with --device")
    assert main(resume(killed, "--device", "cpu")) == 0
    assert "note: the run began on the device cuda:7 and continues on cpu" in capsys.readouterr().err
    assert json.loads((killed / "run.json").read_text())["device"] == "cpu"


def test_other_versions_are_named(killed, capsys):
    facts = json.loads((killed / "run.json").read_text())
    facts["versions"]["torch"] = "1.0"
    (killed / "run.json").write_text(json.dumps(facts))
    assert main(resume(killed)) == 0
    assert f"torch 1.0 is now {torch.__version__}" in capsys.readouterr().err


def test_a_larger_budget_is_remembered(run_dir, capsys):
    """Killed after it was extended and before the next checkpoint, the run continues to the larger budget."""

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agents.registry.agent_class("PPO"), "update", die)
        with pytest.raises(Killed):
            main(resume(run_dir, "--timesteps", "40"))
    assert not (run_dir / "results.json").exists()
    assert main(resume(run_dir)) == 0
    assert agents.load(run_dir / "agent.zip").num_timesteps == 40


def test_a_budget_that_the_last_iteration_has_overshot_is_spent(tmp_path, capsys):
    train("PPO", SOURCE, SMALL, run_dir="run", **{**RUN, "timesteps": 20})
    assert main(resume("run", "--timesteps", "22")) == 0
    assert agents.load(tmp_path / "run" / "agent.zip").num_timesteps == 24


# ---------------------------------------------------------------------------- a finished run


@pytest.mark.parametrize("flags", [[], ["--timesteps", "24"], ["--seed", "0"]])
def test_a_finished_run_is_left_as_it_is(run_dir, flags, capsys):
    before, folder = files(run_dir), run_dir.stat().st_mtime_ns
    assert main(resume(run_dir, *flags)) == 0
    assert files(run_dir) == before
    assert run_dir.stat().st_mtime_ns == folder
    score = json.loads((run_dir / "results.json").read_text())["return_mean"]
    assert f"return {score:.2f}" in capsys.readouterr().out


@pytest.mark.parametrize("damaged", ["results.json", "agent.zip"])
def test_a_damaged_result_is_made_again(run_dir, finished, damaged):
    (run_dir / damaged).write_bytes((run_dir / damaged).read_bytes()[:20])
    assert main(resume(run_dir)) == 0
    assert_same_run(run_dir, finished)


# ---------------------------------------------------------------------------- what a kill leaves behind


def test_leftovers_are_removed(killed, finished):
    left = [killed / "checkpoints" / ".checkpoint-24.zip.abcd1234.tmp", killed / ".results.json.x.tmp"]
    for path in left:
        path.write_bytes(b"torn")
    mine = killed / "checkpoints" / ".notes.tmp"
    mine.write_bytes(b"precious")
    assert main(resume(killed)) == 0
    assert [path for path in left if path.exists()] == []
    assert mine.read_bytes() == b"precious"
    assert_same_run(killed, finished)


@pytest.mark.parametrize("size", [0, 1000, -1])
def test_a_torn_checkpoint_falls_back_to_the_one_before(run_dir, finished, size, capsys):
    for name in ("agent.zip", "results.json"):
        (run_dir / name).unlink()
    path = run_dir / "checkpoints" / "checkpoint-24.zip"
    path.write_bytes(path.read_bytes()[:size])
    assert main(resume(run_dir)) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert "checkpoint-24.zip is truncated" in notes[0]
    assert notes[0].endswith("; the run continues from checkpoint-16.zip, the checkpoint before it")
    assert_same_run(run_dir, finished)
    assert path.with_name("checkpoint-24.zip.damaged").is_file()
    checkpoint.read(path)


def test_missing_metrics_are_noticed(killed, capsys):
    (killed / "metrics.jsonl").unlink()
    assert main(resume(killed)) == 0
    assert (
        "metrics.jsonl is missing, so the run continues without the metrics of its first 2" in capsys.readouterr().err
    )
    assert [row["iteration"] for row in read_metrics(killed / "metrics.jsonl")] == [3]


def test_a_hole_in_the_metrics_is_noticed(killed, capsys):
    lines = (killed / "metrics.jsonl").read_text().splitlines(keepends=True)
    (killed / "metrics.jsonl").write_text("".join(lines[1:]))
    assert main(resume(killed)) == 0
    assert "metrics.jsonl lacks the metrics of 1 of the 2 iterations before the checkpoint" in capsys.readouterr().err


def test_a_run_killed_before_it_began_can_be_started_in_its_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_text("somewhere 1\n")
    (tmp_path / "run" / ".run.json.abc.tmp").write_text("{")
    assert main([*START, "--run-dir", "run", "--no-progress"]) == 0
    assert not list((tmp_path / "run").glob(".*"))


# ---------------------------------------------------------------------------- several seeds


def test_several_seeds_resume_as_one(tmp_path, finished, capsys):
    root = tmp_path / "both"
    shutil.copytree(finished, root / "seed0", copy_function=shutil.copy2)
    facts = json.loads((root / "seed0" / "run.json").read_text())
    (root / "seed0" / "run.json").write_text(json.dumps({**facts, "seeds": [0, 1]}))
    for name in ("agent.zip", "results.json", "checkpoints/checkpoint-24.zip"):
        (root / "seed0" / name).unlink()
    # Seed 1 was never begun: it is started as its sibling was, though the command does not repeat the settings.
    assert main([*resume(root), "--processes", "1"]) == 0
    assert_same_run(root / "seed0", finished)
    train("PPO", SOURCE, SMALL, run_dir="alone", seed=1, **RUN)
    assert_same_run(root / "seed1", tmp_path / "alone")
    before = files(root)
    assert main([*resume(root, "--seeds", "2"), "--processes", "1"]) == 0
    assert files(root) == before
    words = "cannot change gamma (the run has 0.99, given 0.5)"
    refused_command([*resume(root, "--gamma", "0.5")], capsys, words, "seed0")
    refused_command([*resume(tmp_path / "nothing", "--seeds", "2")], capsys, "nothing holds no run")
