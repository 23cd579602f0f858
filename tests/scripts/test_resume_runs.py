"""Runs resume as they were, and say so where they cannot; what the system refuses to write ends in one sentence."""

import ctypes
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from functools import partialmethod

import pytest
import torch
from helpers import refused_command

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.callbacks import MetricsTable, TensorBoard
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.errors import EnvzooError, RunDirectoryError, UnknownNameError
from envzoo.scripts.cli import main
from envzoo.scripts.resume import CHANGEABLE
from envzoo.scripts.run_directory import FACTS, RunDirectory
from envzoo.scripts.run_lock import RunLock
from envzoo.scripts.training import DEFAULTS, train

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
    assert set(DEFAULTS) <= set(FACTS)
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
    """Killed after it was extended and before the next checkpoint, the run goes on to the larger budget."""

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


# ---------------------------------------------------------------------------- wrong types in run.json


VALUES = ["x", -1, [], {"a": 1}, None, True, 1.5]
WRONG = [(name, value) for name, (_, is_valid) in FACTS.items() for value in VALUES if not is_valid(value)]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_types_in_the_run_file_are_refused(killed, capsys, name, value):
    facts = json.loads((killed / "run.json").read_text())
    (killed / "run.json").write_text(json.dumps({**facts, name: value}))
    refused_command(resume(killed), capsys, f"run.json is damaged ({name} is ", FACTS[name][0])


# ---------------------------------------------------------------------------- the lock


def test_two_processes_cannot_write_one_run(killed, finished, capsys):
    before = files(killed)
    lock = RunLock(killed)
    lock.acquire()
    try:
        refused_command(resume(killed), capsys, f"is being written by another process (process {os.getpid()} on ")
        assert socket.gethostname() in (killed / ".lock").read_text()
    finally:
        lock.release()
    assert files(killed) == before
    assert main(resume(killed)) == 0
    assert_same_run(killed, finished)


def test_the_lock_is_that_of_the_system_not_the_file(tmp_path):
    """What a killed process left locks nothing; a lock on a file that was removed is not mistaken for ours."""
    (tmp_path / ".lock").write_text("elsewhere 123\n")
    first = RunLock(tmp_path)
    first.acquire()
    other = os.open(tmp_path / ".lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    first.release()
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of a file that is no longer there
    second = RunLock(tmp_path)
    second.acquire()
    with pytest.raises(RunDirectoryError):
        RunLock(tmp_path).acquire()
    second.release()
    os.close(other)
    assert list(tmp_path.iterdir()) == []


def test_a_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path):
    code = f"""
import os, time
from envzoo.scripts.run_lock import RunLock
RunLock({str(tmp_path)!r}).acquire()
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(600)
print(child, flush=True)
os._exit(9)
"""
    parent = subprocess.run([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, check=False, text=True)
    child = int(parent.stdout)
    try:
        RunLock(tmp_path).acquire()
    finally:
        os.kill(child, 9)


def test_patience_waits_for_the_other_process(tmp_path):
    code = f"from envzoo.scripts.run_lock import RunLock; RunLock({str(tmp_path)!r}).acquire(); print(1, flush=True)"
    other = subprocess.Popen(
        [sys.executable, "-P", "-c", f"{code}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "1\n"
    with pytest.raises(RunDirectoryError, match=f"process {other.pid} on"):
        RunLock(tmp_path).acquire()
    other.stdin.close()  # which ends it, within the patience
    lock = RunLock(tmp_path)
    lock.acquire(patience=60)
    lock.release()
    other.wait()


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


# ---------------------------------------------------------------------------- the operating system refuses


def respect_permissions():
    """In a child: the bits count even for root."""
    ctypes.CDLL(None).prctl(24, 1)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE; without effect for other users


def sentences(*commands):
    """The one line that each command line ends with, all run in one child."""
    code = "import json, sys; from envzoo.scripts.cli import main; print([main(a) for a in json.loads(sys.argv[1])])"
    command = [sys.executable, "-P", "-c", code, json.dumps(commands)]
    done = subprocess.run(command, preexec_fn=respect_permissions, capture_output=True, text=True, check=False)
    assert done.stdout == f"{[2] * len(commands)}\n", done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(commands)
    assert all(line.startswith("envzoo: error: ") for line in lines)
    return lines


linux = pytest.mark.skipif(sys.platform != "linux", reason="uses prctl and setrlimit as Linux has them")


@linux
def test_a_run_directory_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("precious")
    refused_command([*START, "--run-dir", "file/run"], capsys, "file/run cannot be created (Not a directory)")
    refused_command([*START, "--run-dir", "x" * 300], capsys, "File name too long")
    refused_command(
        [*START, "--run-dir", "file/run", "--seeds", "2"], capsys, "file/run cannot be created (Not a directory)"
    )
    assert (tmp_path / "file").read_text() == "precious"


@linux
def test_folders_without_permission_to_write(killed, tmp_path):
    before = files(killed)
    killed.chmod(0o555)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    inside, itself, run = sentences(
        [*START, "--run-dir", "locked/run"], [*START, "--run-dir", "locked"], resume(killed)
    )
    assert "the run directory locked/run cannot be created (Permission denied)" in inside
    assert "locked/.lock cannot be written (Permission denied)" in itself
    assert f"{killed}/.lock cannot be written (Permission denied)" in run
    assert list(locked.iterdir()) == []
    killed.chmod(0o755)
    assert files(killed) == before


@linux
@pytest.mark.parametrize("name", ["checkpoints", "tensorboard", "metrics.jsonl"])
def test_a_file_in_place_of_a_folder_and_a_folder_in_place_of_a_file(killed, name, capsys):
    path = killed / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("precious")
    else:
        path.unlink()
        path.mkdir()
    err = refused_command(resume(killed), capsys, str(path))
    assert "Not a directory" in err or "File exists" in err or "is a folder" in err
    assert path.is_dir() == (name == "metrics.jsonl")


@linux
def test_a_full_disk_while_a_checkpoint_is_written_keeps_the_one_before(finished, killed, capsys, files_of_at_most):
    path = killed / "checkpoints" / "checkpoint-16.zip"
    before = path.read_bytes()
    with files_of_at_most(len(before) - 1000):
        sentence = refused_command(resume(killed), capsys, "checkpoint-24.zip cannot be written (File too large)")
    assert "; the checkpoint before it, checkpoint-16.zip, is kept; " in sentence
    assert f"resume with `envzoo train PPO {SOURCE} --run-dir {killed} --resume`" in sentence
    assert [path.name for path in (killed / "checkpoints").iterdir()] == ["checkpoint-16.zip"]
    assert path.read_bytes() == before
    assert main(resume(killed)) == 0
    assert_same_run(killed, finished)


@linux
@pytest.mark.parametrize("name", ["metrics.jsonl", "tensorboard"])
def test_a_full_disk_while_metrics_are_written_keeps_whole_rows(tmp_path, name, capsys, monkeypatch, files_of_at_most):
    """A run of small iterations, whose logs outgrow the limit before any other file does."""
    if name == "tensorboard":  # with every row, and no table beside it
        monkeypatch.setattr(TensorBoard, "on_iteration", partialmethod(every_row, TensorBoard.on_iteration))
        monkeypatch.setattr(MetricsTable, "on_iteration", lambda *_: None)
    argv = [*START, "--run-dir", "run", "--eval-every", "0", "--checkpoint-every", "1000000", "--timesteps", "80000"]
    with files_of_at_most(20_000):
        refused_command(argv, capsys, f"run/{name}", "cannot be written (File too large); what it held before is kept")
    path = tmp_path / "run" / "metrics.jsonl"
    if name == "metrics.jsonl":
        assert path.read_bytes().endswith(b"}\n")
        assert len(read_metrics(path)) == len(path.read_text().splitlines()) > 20


def every_row(self, log, agent, metrics):
    self.min_seconds = 0
    return log(self, agent, metrics)


def test_saving_onto_a_folder(tmp_path):
    (tmp_path / "agent.zip").mkdir()
    (tmp_path / "agent.zip" / "precious").write_text("x")
    agent = agents.make("Random", SOURCE)
    with pytest.raises(EnvzooError, match=r"agent\.zip is a folder, so no file can be written there"):
        agent.save(tmp_path / "agent.zip")
    assert [path.name for path in tmp_path.rglob("*")] == ["agent.zip", "precious"]


def test_a_full_disk_anywhere_else_is_one_sentence(monkeypatch, capsys):
    def full(argv):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("envzoo.scripts.list.command", full)
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "envzoo: error: somewhere: No space left on device\n"


def test_unfinished_runs_do_not_pass_for_finished(killed):
    assert RunDirectory(killed).finished() is None
