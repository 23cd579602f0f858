"""On a Ray cluster: workers that are killed, and folders that a node does not see."""

import io
import math
import sys

import pytest
from rich.console import Console

from envzoo.errors import EnvzooError
from envzoo.papers import find
from envzoo.scripts import launch_ray, train_seeds
from envzoo.scripts.cli import main
from envzoo.scripts.experiments.core import execution
from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan
from envzoo.scripts.experiments.core.checks import Score, seeded
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.report import read_results
from envzoo.scripts.launch import run_jobs
from envzoo.scripts.reproduce import ReproduceOptions, reproduce_experiment

pytestmark = pytest.mark.any_arithmetic

ray = pytest.importorskip("ray")
if not hasattr(ray, "init"):  # any folder called ray imports as a package
    pytest.skip("Ray is not installed", allow_module_level=True)

# What the workers run in place of the program's own functions: they kill their process once, in the middle of the run.
MODULE = """
import os, signal
from pathlib import Path
from envzoo.agents.actor_critic.ppo import PPO
from envzoo.scripts.experiments.core.run import run_job
from envzoo.scripts.train_seeds import train_job

def die_once(mark):
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

def dying_at(iteration, mark, function, job):
    update, log = PPO.update, Path(f"{mark}.log")
    def deadly(self, rollout):
        with log.open("a") as file:
            print(self.iteration, file=file)
        if self.iteration == iteration:
            die_once(mark)
        return update(self, rollout)
    PPO.update = deadly
    try:
        return function(job)
    finally:
        PPO.update = update

def dying_train_job(job):
    name = Path(job["run_dir"]).name
    return dying_at(3 if name == "seed0" else 0, Path(os.environ["MARKS"]) / name, train_job, job)

def dying_run_job(job):
    return dying_at(2, Path(os.environ["MARKS"]) / f"arm{job['seeds'][0]}", run_job, job)

def always_die(job):
    os.kill(os.getpid(), signal.SIGKILL)
"""
NAME = "envzoo_dying_jobs"
SOURCE = "envzoo/GridCoverage-v0"
SMALL = ["--num-envs", "2", "--num-steps", "4", "--num-epochs", "1", "--hidden", "4", "--eval-episodes", "2"]
TRAIN = ["train", "PPO", SOURCE, *SMALL, "--timesteps", "40", "--checkpoint-every", "8", "--device", "cpu"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes of one CPU each, in processes of this machine, and the functions that die."""
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("cluster")
    (folder / f"{NAME}.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("MARKS", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.syspath_prepend(str(folder))
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield folder
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_killed_seed_goes_on_from_its_checkpoint(cluster, tmp_path, monkeypatch, capsys):
    jobs = __import__(NAME)
    monkeypatch.setattr(train_seeds, "train_job", jobs.dying_train_job)
    assert main([*TRAIN, "--seeds", "2", "--launcher", "ray", "--run-dir", "runs"]) == 0
    err = capsys.readouterr().err
    for seed in (0, 1):
        assert f"note: the worker of seed {seed} was killed; restarting it (1 of 3)" in err
        assert main([*TRAIN, "--seed", str(seed), "--run-dir", f"alone{seed}", "--no-progress"]) == 0
        for name in ("agent.zip", "results.json"):
            expected = (tmp_path / f"alone{seed}" / name).read_bytes()
            assert (tmp_path / "runs" / f"seed{seed}" / name).read_bytes() == expected
    # Killed in the update after its third checkpoint, seed 0 repeats that one; seed 1 had none and begins again.
    assert (cluster / "seed0.log").read_text().split() == ["0", "1", "2", "3", "3", "4"]
    assert (cluster / "seed1.log").read_text().split() == ["0", "0", "1", "2", "3", "4"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["seed0", "seed1"]


def draw(results, figure):
    figure.add_subplot()


def experiment():
    hyperparameters = {"num_envs": 2, "num_steps": 4, "num_epochs": 1, "hidden": (4,)}
    arm = Arm("small", "PPO", SOURCE, 40, hyperparameters=hyperparameters, evaluations=(EvaluationPlan(episodes=2),))
    check = seeded("it scores", Score("small", "return"), ">", -1.0, null=lambda results: [-2.0], primary=True)
    return Experiment(find("ppo"), "Does it?", "It does.", (arm,), (check,), draw, (), seeds=1)


def test_a_killed_arm_of_an_experiment_runs_again_whole(cluster, tmp_path, monkeypatch, capsys):
    jobs = __import__(NAME)
    expected = execution.run_experiment(experiment(), launcher="inline").data["arms"]["small"]["runs"]
    monkeypatch.setattr(execution, "run_job", jobs.dying_run_job)
    console = Console(file=io.StringIO())
    options = ReproduceOptions(out=str(tmp_path / "out"), launcher="ray")
    assert reproduce_experiment(experiment(), options, console=console) == 3  # one seed decides nothing
    found = read_results(tmp_path / "out").data["arms"]["small"]["runs"]
    assert [{**run, "seconds": 0} for run in found] == [{**run, "seconds": 0} for run in expected]
    err = capsys.readouterr().err
    for seed in (run["seed"] for run in expected):
        assert f"note: the worker of small (seed {seed}) was killed; restarting it (1 of 3)" in err
        assert (cluster / f"arm{seed}.log").read_text().split() == ["0", "1", "2", "0", "1", "2", "3", "4"]


def test_a_job_that_always_dies_is_given_up(cluster, monkeypatch, capsys):
    monkeypatch.setattr(launch_ray, "RETRIES", 0)
    with pytest.raises(EnvzooError, match=r"a process died while running seed 7 \("):
        run_jobs(__import__(NAME).always_die, [{"seed": 7}], launcher="ray")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_folder_that_nodes_do_not_see_is_refused_before_work(cluster, tmp_path, capsys):
    """/proc/self/cwd is another folder in every process, as a local disk is another on every machine."""
    argv = [*TRAIN, "--seeds", "2", "--launcher", "ray", "--run-dir", "/proc/self/cwd/runs"]
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "does not see the folder of the runs /proc/self/cwd/runs" in err
    assert "give --run-dir a folder that all nodes of the cluster share" in err
    assert list(tmp_path.iterdir()) == []


def test_the_bench_measures_the_start():
    from envzoo.scripts.bench.scaling import _ray_start

    assert math.isfinite(_ray_start())
