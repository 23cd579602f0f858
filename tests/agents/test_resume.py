"""A run killed at any moment and resumed gives the same parameters and metrics as one that was never interrupted."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from envzoo.agents import checkpoint
from envzoo.agents.callbacks.metrics_table import read_metrics
from envzoo.scripts.cli import main
from envzoo.scripts.make_dataset import make_dataset

pytestmark = pytest.mark.any_arithmetic

# Runs with short iterations and frequent checkpoints, on environments whose state can be captured. `-m` finds the
# installed package; the working folder is a temporary one.
RUNS = {
    "on-policy": "PPO envzoo/GridCoverage-v0 --timesteps 4000 --num-steps 32 --num-epochs 4 "
    "--checkpoint-every 256 --eval-every 1500 --eval-episodes 20",
    "on-policy-recurrent": "SubPO envzoo/GridCoverage-v0 --timesteps 16000 --policy gru --hidden 16 16 --num-envs 32 "
    "--checkpoint-every 1000 --eval-every 4000 --eval-episodes 20",
    "on-policy-8-bit": "PPO envzoo/TMaze-v0 --timesteps 3000 --encoder s4d --optimizer adam8bit --hidden 64 "
    "--num-envs 8 --num-steps 32 --num-epochs 2 --checkpoint-every 256 --eval-every 1000 --eval-episodes 20",
    "off-policy": "SAC envzoo/PointMultiGoal-v0 --timesteps 1200 --hidden 16 16 --learning-starts 200 --batch-size 32 "
    "--checkpoint-every 200 --eval-every 500 --eval-episodes 20",
    "off-policy-recurrent": "SACDiscrete envzoo/TMaze-v0 --timesteps 900 --encoder s4d --hidden 16 "
    "--optimizer adam8bit --learning-starts 100 --batch-size 32 --sequence-length 8 --burn-in 4 --gradient-steps 1 "
    "--num-envs 4 "
    "--buffer-size 600 --checkpoint-every 120 --eval-every 300 --eval-episodes 20",
    "offline-recurrent": "BC envzoo/grid-coverage/random-v0 --timesteps 300 --encoder mamba --hidden 16 "
    "--batch-size 32 --sequence-length 8 --steps-per-iteration 50 --checkpoint-every 50 --eval-every 150 "
    "--eval-episodes 20",
    "offline": "BC envzoo/grid-coverage/random-v0 --timesteps 1500 --hidden 16 16 --batch-size 32 "
    "--steps-per-iteration 100 --checkpoint-every 100 --eval-every 500 --eval-episodes 20",
}
_PAIRS = (
    "envzoo/text-tiny-summary/pairs-v0 --timesteps 500 --sft-updates 10 --sft-batch 32 --model-dim 16 --model-layers 1 "
    "--batch-size 32 --checkpoint-every 32 --eval-every 320 --eval-episodes 20"
)
RUNS |= {"pairs": f"DPO {_PAIRS}", "pairs-degrees": f"DPODegree {_PAIRS} --optimizer adam8bit"}
RUNS = {kind: line.split() for kind, line in RUNS.items()}


# Imports everything once; then, for each request, runs the command line in a fork of its own, which gets a signal at a
# random moment after so many checkpoints: counted there, so that it does not matter how busy the machine is.
SERVER = """
import json, os, random, sys, threading
import torch, envzoo.scripts.training
from envzoo import agents
from envzoo.agents.callbacks.checkpoints import Checkpoints
from envzoo.agents.registry import agent_class
from envzoo.scripts.cli import main

for name in agents.specs():
    agent_class(name)

def serve(number, count, arguments, folder, environment, log):
    def counted(self, agent):
        nonlocal count
        path, count = save(self, agent), count - 1
        if count == 0:
            threading.Timer(random.uniform(0, 0.1), os.kill, (os.getpid(), number)).start()
        return path

    save, Checkpoints.save = Checkpoints.save, counted
    os.environ.update(environment)
    os.chdir(folder)
    file = os.open(log, os.O_CREAT | os.O_WRONLY)
    os.dup2(file, 1), os.dup2(file, 2)
    sys.exit(main(arguments))

assert threading.active_count() == 1
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        serve(**json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def server():
    """The process of SERVER."""
    command = [sys.executable, "-P", "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()
    assert process.returncode == 0


@pytest.fixture
def run_until(server, tmp_path):
    """`run_until(signal, count, arguments, folder)` trains in a child process until the signal.

    It returns the exit code and what the process printed.
    """

    def start(number, count, arguments, folder, *, resume=False):
        rest = ["--resume"] if resume else arguments[2:]
        command = ["train", *arguments[:2], "--run-dir", str(folder), *rest, "--no-progress"]
        log = tmp_path / "said"
        log.unlink(missing_ok=True)
        request = {"number": int(number), "count": count, "arguments": command, "folder": str(folder.parent)}
        request |= {"environment": dict(os.environ), "log": str(log)}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline()), log.read_text()

    return start


@pytest.fixture
def run_and_kill(run_until):
    """As `run_until`, with a signal that kills."""

    def start(count, *arguments, **keywords):
        code, said = run_until(signal.SIGKILL, count, *arguments, **keywords)
        assert code == -signal.SIGKILL, said

    return start


def run(arguments, folder, *, resume=False):
    """Train in this process, which saves the imports."""
    rest = ["--resume"] if resume else arguments[2:]
    assert main(["train", *arguments[:2], "--run-dir", str(folder), *rest, "--no-progress"]) == 0


def comparable(rows):
    return [{name: value for name, value in row.items() if not name.startswith("time/")} for row in rows]


def flatten(tree, prefix=""):
    if isinstance(tree, dict):
        return [leaf for key, child in tree.items() for leaf in flatten(child, f"{prefix}/{key}")]
    if isinstance(tree, list | tuple):
        return [leaf for i, child in enumerate(tree) for leaf in flatten(child, f"{prefix}/{i}")]
    return [(prefix, tree)]


def assert_same_state(first, second):
    one, other = flatten(first), flatten(second)
    assert [name for name, _ in one] == [name for name, _ in other]
    for (name, a), (_, b) in zip(one, other, strict=True):
        if hasattr(a, "shape"):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=name)
        else:
            assert a == b, name


@pytest.mark.parametrize("kind", RUNS)
def test_killed_run_resumes_bit_for_bit(kind, tmp_path, datasets_root, monkeypatch, run_and_kill):
    arguments = RUNS[kind]
    if "pairs" in kind:
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
        make_dataset(arguments[1], quiet=True, episodes=200)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(arguments, whole)
    run_and_kill(2, arguments, killed)
    run_and_kill(2, arguments, killed, resume=True)  # a resumed run may be killed again
    run(arguments, killed, resume=True)
    assert comparable(read_metrics(whole / "metrics.jsonl")) == comparable(read_metrics(killed / "metrics.jsonl"))
    assert_same_state(checkpoint.read(whole / "agent.zip")[1], checkpoint.read(killed / "agent.zip")[1])
    assert json.loads((whole / "results.json").read_text()) == json.loads((killed / "results.json").read_text())


def test_environment_without_get_state_is_replayed_and_the_command_line_says_so(tmp_path, capsys, run_and_kill):
    line = "PPO FrozenLake-v1 --timesteps 6000 --num-envs 3 --checkpoint-every 384 --eval-every 0 --eval-episodes 2"
    arguments = line.split()
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(arguments, whole)
    run_and_kill(2, arguments, killed)
    run(arguments, killed, resume=True)
    err = capsys.readouterr().err
    assert "note: the running episodes of the training environment were replayed, verified over" in err
    assert comparable(read_metrics(whole / "metrics.jsonl")) == comparable(read_metrics(killed / "metrics.jsonl"))
    assert_same_state(checkpoint.read(whole / "agent.zip")[1], checkpoint.read(killed / "agent.zip")[1])


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is a POSIX signal here")
def test_ctrl_c_writes_a_checkpoint_and_prints_the_resume_command(tmp_path, run_until):
    arguments = RUNS["on-policy"]
    folder = tmp_path / "run"
    code, said = run_until(signal.SIGINT, 1, arguments, folder)
    assert code == 130, said
    assert f"envzoo train PPO envzoo/GridCoverage-v0 --run-dir {folder} --resume" in said.replace("\n", " ")
    last = read_metrics(folder / "metrics.jsonl")[-1]["timesteps"]
    assert (folder / "checkpoints" / f"checkpoint-{last}.zip").is_file()
    run(arguments, folder, resume=True)
    assert read_metrics(folder / "metrics.jsonl")[-1]["timesteps"] >= 4000
