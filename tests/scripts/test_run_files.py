"""Files of runs: wrong types in them, the lock, and what the operating system refuses to write."""

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
import resumed_runs
from helpers import refused_command
from resumed_runs import SOURCE, START, assert_same_run, files, resume

from envzoo import agents
from envzoo.agents.callbacks import MetricsTable, TensorBoard
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.errors import EnvzooError, RunDirectoryError
from envzoo.scripts.cli import main
from envzoo.scripts.run_directory import FACTS, RunDirectory
from envzoo.scripts.run_lock import RunLock

pytestmark = pytest.mark.any_arithmetic

in_an_empty_folder, finished = resumed_runs.in_an_empty_folder, resumed_runs.finished
run_dir, killed = resumed_runs.run_dir, resumed_runs.killed


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
    """A lock left by a killed process locks nothing; a lock on a file that was removed is not mistaken for ours."""
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
