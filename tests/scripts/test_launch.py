"""The launcher: same results everywhere, named failures, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from envzoo.errors import EnvzooError, MissingExtraError, UnknownNameError
from envzoo.scripts.launch import available_cores, job_name, run_jobs

pytestmark = pytest.mark.any_arithmetic

# Jobs live in a module of their own that other processes can import.
MODULE = """
import os, signal, time
import numpy as np
from envzoo.errors import EnvzooError

def draw(job):
    time.sleep(job.get("wait", 0))
    return {"seed": job["seed"], "value": float(np.random.default_rng(job["seed"]).normal())}

def threads(job):
    import torch
    return torch.get_num_threads()

def fail(job):
    if job["seed"] == 1:
        raise EnvzooError("the reward became infinite")
    time.sleep(job.get("wait", 0))
    return job["seed"]

def crash(job):
    if job["seed"] == 1:
        raise ZeroDivisionError("a mistake")
    return job["seed"]

def die(job):
    os._exit(3)

def until_asked(job):
    asked = []
    signal.signal(signal.SIGINT, lambda *_: asked.append(1))
    open(job["file"], "w").write(str(os.getpid()))
    while not asked:
        time.sleep(0.02)
    return "stopped in order"

def until_interrupted(job):
    open(job["file"], "w").write(str(os.getpid()))
    while True:
        time.sleep(0.02)
"""
NAME = "envzoo_launcher_jobs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    (folder / f"{NAME}.py").write_text(MODULE)
    return folder


@pytest.fixture
def jobs_module(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    return pytest.importorskip(NAME)


def test_results_are_the_same_with_every_launcher_and_number_of_processes(jobs_module):
    jobs = [{"seed": seed, "wait": 0.1 if seed == 0 else 0} for seed in range(4)]
    seen = []
    inline = run_jobs(jobs_module.draw, jobs, launcher="inline", on_done=lambda i, r: seen.append((i, r)))
    assert [result["seed"] for result in inline] == [0, 1, 2, 3]
    assert seen == list(enumerate(inline))
    seen.clear()
    assert run_jobs(jobs_module.draw, jobs, processes=2, on_done=lambda i, r: seen.append((i, r))) == inline
    assert sorted(seen, key=lambda pair: pair[0]) == list(enumerate(inline))


def test_workers_share_the_cores(jobs_module):
    assert run_jobs(jobs_module.threads, [{}], processes=1) == [available_cores()]


def test_no_jobs_is_no_work(jobs_module):
    assert run_jobs(jobs_module.draw, []) == []


@pytest.mark.parametrize("launcher", ["inline", "processes"])
def test_a_failure_names_its_job_and_ends_the_others(jobs_module, launcher):
    jobs = [{"seed": 1}, {"seed": 2, "wait": 1000}, {"seed": 3, "wait": 1000}]
    began = time.monotonic()
    with pytest.raises(EnvzooError, match=r"^seed 1: the reward became infinite$"):
        run_jobs(jobs_module.fail, jobs, launcher=launcher, processes=2)
    assert time.monotonic() - began < 900  # a busy machine is slow, but the others were not waited for


def test_a_mistake_in_the_program_keeps_its_class_and_names_its_job(jobs_module):
    with pytest.raises(ZeroDivisionError) as caught:
        run_jobs(jobs_module.crash, [{"seed": 0}, {"seed": 1, "name": "the second"}], launcher="inline")
    assert caught.value.__notes__ == ["while running the job the second"]


def test_a_process_that_dies_is_reported(jobs_module):
    with pytest.raises(EnvzooError, match="a process died while running seed 7"):
        run_jobs(jobs_module.die, [{"seed": 7}], processes=1)


def test_bad_arguments(jobs_module):
    with pytest.raises(UnknownNameError, match=r"unknown launcher 'rays'.*did you mean 'ray'"):
        run_jobs(jobs_module.draw, [{"seed": 0}], launcher="rays")
    with pytest.raises(EnvzooError, match="processes is a positive integer, got 0"):
        run_jobs(jobs_module.draw, [{"seed": 0}], processes=0)


def test_names_of_jobs():
    assert job_name({"name": "first", "seed": 1}, 0) == "first"
    assert job_name({"seed": 1, "agent": "PPO"}, 0) == "seed 1"
    assert job_name({"agent": "PPO", "steps": 5, "kwargs": {}}, 0) == "agent=PPO steps=5"
    assert job_name({}, 2) == "number 3"


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import envzoo_launcher_jobs
from envzoo.scripts.launch import run_jobs
if __name__ == "__main__":
    function = getattr(envzoo_launcher_jobs, sys.argv[2])
    try:
        run_jobs(function, [{"file": sys.argv[3]}], processes=1, on_done=lambda i, r: print("result:", r, flush=True))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("function", "ending", "expected"),
    [
        ("until_asked", signal.SIGINT, "result: stopped in order\ninterrupted\n"),
        ("until_interrupted", signal.SIGINT, "interrupted\n"),
        ("until_interrupted", signal.SIGKILL, ""),
    ],
)
def test_ctrl_c_leaves_no_process_behind(folder, tmp_path, function, ending, expected):
    script, mark = tmp_path / "parent.py", tmp_path / "pid"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(folder), function, str(mark)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        deadline = time.monotonic() + 300
        while not (mark.exists() and mark.read_text()):
            assert time.monotonic() < deadline
            assert parent.poll() is None
            time.sleep(0.05)
        worker = int(mark.read_text())
        parent.send_signal(ending)
        output, _ = parent.communicate(timeout=300)
    finally:
        parent.kill()
    assert output == expected
    deadline = time.monotonic() + 120
    while _alive(worker):
        assert time.monotonic() < deadline, "the worker still runs without its parent"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:  # an orphan that has ended but that nobody has waited for is gone as well
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def test_ray_gives_the_same_results_and_names_failures(jobs_module, folder, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(folder))  # for Ray's workers
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    jobs = [{"seed": seed} for seed in range(3)]
    inline = run_jobs(jobs_module.draw, jobs, launcher="inline")
    assert run_jobs(jobs_module.draw, jobs, launcher="ray", processes=2) == inline
    with pytest.raises(EnvzooError, match=r"^seed 1: the reward became infinite$"):
        run_jobs(jobs_module.fail, jobs, launcher="ray", processes=2)


def test_ray_missing_names_the_extra(jobs_module, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install -c constraints.txt -e '\.\[ray\]'"):
        run_jobs(jobs_module.draw, [{"seed": 0}], launcher="ray")
