"""Train an agent with several seeds in parallel, each in its own folder, or resume such runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from envzoo.errors import EnvzooError, RunDirectoryError
from envzoo.scripts.import_modules import command_line
from envzoo.scripts.resume import check
from envzoo.scripts.run_directory import RunDirectory, make_folder
from envzoo.scripts.train_options import DEFAULTS
from envzoo.scripts.training import train, train_together

LOCK_PATIENCE = 60.0  # seconds to wait for the worker of a lost node to end before another worker continues its run


def seed_folders(root: str | os.PathLike) -> dict[int, RunDirectory]:
    """Return the runs below a folder by their seeds, as created by `train --seeds`."""
    found = {}
    root = Path(root)
    try:
        entries = list(root.iterdir()) if root.is_dir() else []
    except OSError as error:
        raise RunDirectoryError(f"{root} cannot be read ({error.strerror})") from error
    for path in entries:
        match = re.fullmatch(r"seed(\d+)", path.name)
        directory = RunDirectory(path)
        if match and directory.exists:
            found[int(match[1])] = directory
    return dict(sorted(found.items()))


def start_jobs(shared: Mapping[str, Any], root: Path, seeds: list[int]) -> list[dict[str, Any]]:
    """Create one `train` job per seed; shared options are checked once, before any job starts."""
    from envzoo.agents import make

    settings = {name: shared.get(name, DEFAULTS[name]) for name in ("device", "env_kwargs", "threads")}
    make(shared["agent"], shared["source"], seed=seeds[0], **settings, **shared["hyperparameters"])
    for seed in seeds:
        RunDirectory(root / f"seed{seed}").check_free()
    return [_job(shared, root, seed, seeds) for seed in seeds]


def resume_jobs(
    shared: Mapping[str, Any], root: Path, first: int | None = None, count: int | None = None
) -> list[dict[str, Any]]:
    """Create one `train` job per seed of an earlier call, which resumes its run, or starts it if it never began.

    Args:
        shared: Agent, source and the options that were given.
        root: Folder of the runs.
        first: The first seed, if given; None uses that of the earlier call.
        count: The number of seeds, if given; None uses that of the earlier call.

    Raises:
        RunDirectoryError: The folder contains no runs, or an option differs that a resumed run cannot change.
    """
    from envzoo.agents.registry import agent_class

    found = seed_folders(root)
    if not found:
        raise RunDirectoryError(f"{root} holds no run: there is no run.json in it, nor in a folder seed0, seed1, ...")
    facts = {seed: directory.facts() for seed, directory in found.items()}
    options = {name: shared[name] for name in DEFAULTS if name in shared}
    config = agent_class(shared["agent"]).Config
    for seed, directory in found.items():
        if facts[seed]["seed"] != seed:
            raise RunDirectoryError(f"{directory.path} holds a run of the seed {facts[seed]['seed']}, not of {seed}")
        for what in ("agent", "source"):
            if facts[seed][what] != shared[what]:
                has = facts[seed][what]
                raise RunDirectoryError(f"{directory.path} holds a run of {what} {has}, not of {shared[what]}")
        check(directory.path, facts[seed], options, shared["hyperparameters"], config)
    model = next(iter(facts.values()))
    known = model.get("seeds")
    if not isinstance(known, list) or not known or not all(type(seed) is int and seed >= 0 for seed in known):
        known = list(found)
    first = min(known) if first is None else first
    seeds = list(range(first, first + count)) if count is not None else [seed for seed in known if seed >= first]
    # Seeds that never began get the settings of the other seeds.
    names = set(DEFAULTS) - {"seed"}
    new = {name: model[name] for name in names} | options
    new |= {"agent": shared["agent"], "source": shared["source"], "hyperparameters": model["given"]}
    return [
        _job(shared, root, seed, seeds, resume=True) if seed in found else _job(new, root, seed, seeds)
        for seed in seeds
    ]


def _job(shared: Mapping[str, Any], root: Path, seed: int, seeds: list[int], resume: bool = False) -> dict[str, Any]:
    job = {**shared, "run_dir": str(root / f"seed{seed}"), "progress": False, "resume": resume}
    return job if resume else {**job, "seed": seed, "siblings": seeds}


def train_job(job: dict[str, Any]) -> dict[str, Any]:
    """Call `train` with one picklable argument; the entry `killed` means that an earlier worker may have begun."""
    settings = {name: value for name, value in job.items() if name != "killed"}
    if job.get("killed"):
        settings["patience"] = LOCK_PATIENCE
        if not job["resume"] and RunDirectory(job["run_dir"]).exists:
            # The folder of the run holds all settings.
            begun = ("siblings", "hyperparameters", *DEFAULTS)
            settings = {name: value for name, value in settings.items() if name not in begun} | {"resume": True}
    return train(**settings)


def after_a_kill(job: dict[str, Any]) -> dict[str, Any]:
    """Create the job that continues a killed one, from its checkpoint if there is one."""
    return {**job, "killed": True}


def run_seeds(
    jobs: list[dict[str, Any]],
    root: Path,
    launcher: str,
    processes: int | None,
    on_done: Callable[[dict[str, Any], str], None],
) -> list[dict[str, Any]]:
    """Run the jobs; on Ray, a job whose worker was killed is resumed from its checkpoint.

    Args:
        jobs: Jobs from `start_jobs` or `resume_jobs`.
        root: Folder of the runs.
        launcher: "batch", "processes", "ray", or "auto" (see `choose_launcher`).
        processes: See `run_jobs`.
        on_done: Called with each result and the name of its seed.
    """
    from envzoo.scripts.launch import run_jobs

    launcher = choose_launcher(launcher, jobs)
    names = [Path(job["run_dir"]).name.replace("seed", "seed ") for job in jobs]
    if launcher == "ray":  # workers have their own working folders
        root = Path(os.path.abspath(root))
        jobs = [{**job, "run_dir": os.path.abspath(job["run_dir"])} for job in jobs]
    else:
        make_folder(root)
    if launcher == "batch":
        results = train_together(jobs)
        for result, name in zip(results, names, strict=True):
            on_done(result, name)
        return results
    return run_jobs(
        train_job,
        jobs,
        launcher=launcher,
        processes=processes,
        names=names,
        on_done=lambda index, result: on_done(result, names[index]),
        again=after_a_kill,
        shared_folder=root,
    )


def choose_launcher(launcher: str, jobs: list[dict[str, Any]]) -> str:
    """Return how the jobs are run; "auto" is a batch on a GPU for agents that can be batched, and processes otherwise.

    On one CPU core TD3BC and IQL train eight seeds in one process as fast as one after the other (their closed-form
    steps are taken in turn), and BC 1.3 times as fast with 2 x 64 units: the matrix products and the passes over the
    activations stay the same. Processes use all cores instead. On a GPU, small networks would leave most of it idle.

    Raises:
        EnvzooError: A batch of an agent that cannot be batched.
    """
    from envzoo.agents.agent import choose_device
    from envzoo.agents.loops.seed_batch import can_batch
    from envzoo.agents.registry import agent_class
    from envzoo.agents.spec import build_config

    if launcher not in ("auto", "batch") or not jobs:
        return "processes" if launcher == "auto" else launcher
    agent, job = agent_class(jobs[0]["agent"]), jobs[0]
    if job["resume"]:
        job = RunDirectory(job["run_dir"]).facts()
    fits = can_batch(agent, build_config(agent.Config, job["agent"], job["hyperparameters"]))
    if launcher == "batch":
        if not fits:
            raise EnvzooError(
                f"{job['agent']} with these hyperparameters cannot be trained as a batch of seeds; use --launcher "
                "processes"
            )
        return "batch"
    gpu = choose_device(job.get("device", "auto")).type == "cuda"
    return "batch" if fits and gpu and len(jobs) > 1 else "processes"


def group_command(agent: str, source: str, root: Path) -> str:
    """Format the command line that resumes the runs of all seeds."""
    return command_line("train", agent, source, "--run-dir", str(root), "--resume")
