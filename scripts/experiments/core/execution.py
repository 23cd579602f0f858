"""Run an experiment: run every arm with every seed that is not stored yet, then compute statistics and verdicts."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from envzoo.errors import EnvzooError, unknown
from envzoo.scripts.experiments.core.arms import AnyArm, Arm, FunctionArm
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.intervals import CONFIDENCE
from envzoo.scripts.experiments.core.keys import arm_key
from envzoo.scripts.experiments.core.looks import Looks
from envzoo.scripts.experiments.core.results import SECONDS, Results, total_seconds
from envzoo.scripts.experiments.core.run import run_job
from envzoo.scripts.experiments.core.statistics import REPLICATIONS, bootstrap_iqm
from envzoo.scripts.experiments.core.store import Store
from envzoo.scripts.experiments.core.verdicts import INCONCLUSIVE, NOT_JUDGED, combine
from envzoo.scripts.launch import Launcher, run_jobs

Progress = Callable[[int, int, str], None]


def run_experiment(
    experiment: Experiment,
    *,
    quick: bool = False,
    groups: Sequence[str] = (),
    seeds: int | None = None,
    until_decided: bool = False,
    fresh: bool = False,
    folder: Path | None = None,
    launcher: Launcher = "processes",
    processes: int | None = None,
    on_done: Progress | None = None,
) -> Results:
    """Run an experiment and judge it.

    Args:
        experiment: The experiment.
        quick: Use fewer seeds, and smaller budgets where the experiment defines them; no verdicts are given.
        groups: Groups of arms to run; the others are in the results only if all their runs are stored. Empty for all.
        seeds: Number of seeds of every arm (of `groups`), instead of the experiment's or of a stored run until decided.
        until_decided: Increase the seeds (of `groups`) two, four and eight times while a primary check is inconclusive.
        fresh: Ignore stored results and run everything.
        folder: Folder in which results are stored by (arm, seed), and from which they are read; None stores nothing.
        launcher: See `run_jobs`; the results do not depend on it.
        processes: See `run_jobs`.
        on_done: Called as on_done(finished runs, total runs, name of the run) whenever a run ends.

    Returns:
        The results; apart from the entries "seconds" (the wall time of all runs, the stored ones included) they depend
        only on the experiment and the versions.

    Raises:
        EnvzooError: The number of seeds is not positive, or `quick` and `until_decided` are combined.
        UnknownNameError: A group does not exist.
    """
    every = dict.fromkeys(arm.group for arm in experiment.arms)
    for group in groups:
        if group not in every:
            raise unknown("group of arms", group, every)
    if seeds is not None and (isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1):
        raise EnvzooError(f"seeds is a positive integer, got {seeds!r}")
    if quick and until_decided:
        raise EnvzooError("a quick run is not judged, so it cannot run until it is decided")
    store = Store(folder)
    if fresh:
        store = Store(None)
        store.folder = folder
    arms = [(arm, *_plan(arm, quick)) for arm in experiment.sweep(quick)]
    looks = Looks(experiment, store, groups, seeds, until_decided, quick)
    for multiple in looks.multiples:
        plan = [(arm, budget, key, looks.numbers(arm, multiple)) for arm, budget, key in arms]
        plan, left_out = _stage(plan, store, groups)
        _run_missing(plan, quick, store, launcher, processes, on_done)
        results = _judge(experiment, plan, store, quick, looks.confidence, left_out, looks.looked_at)
        results.data["looks"] = looks.done(multiple)
        primary = [check["verdict"] for check in results.data["checks"] if check["primary"]]
        if INCONCLUSIVE not in primary:
            break
    return results


def _stage(plan: list, store: Store, groups: Sequence[str]) -> tuple[list, list[str]]:
    """Select the arms to run or to read, and list the groups that have to wait for a later run."""
    if not groups:
        return plan, []
    waiting = {arm.group for arm, _, key, numbers in plan for seed in numbers if store.get(key, seed) is None}
    left_out = sorted(waiting - set(groups))
    return [row for row in plan if row[0].group not in left_out], left_out


def _plan(arm: AnyArm, quick: bool) -> tuple[int, str]:
    """Return the budget and key of an arm."""
    budget = arm.quick_budget if quick else arm.budget
    return budget, arm_key(arm, budget, quick)


def current_key(arm: AnyArm) -> str:
    """Compute the key under which a full run of an arm would be stored now."""
    return _plan(arm, False)[1]


def _run_missing(
    plan: list, quick: bool, store: Store, launcher: Launcher, processes: int | None, on_done: Progress | None
) -> None:
    jobs, names = [], []
    for arm, budget, key, numbers in plan:
        missing = [seed for seed in numbers if store.get(key, seed) is None]
        size = arm.batch if isinstance(arm, FunctionArm) and arm.run_seeds is not None else 1
        for begin in range(0, len(missing), size):
            part = missing[begin : begin + size]
            jobs.append({"arm": _settle(arm, quick), "seeds": part, "budget": budget, "quick": quick, "key": key})
            names.append(f"{arm.name} (seed {part[0]}{f' to {part[-1]}' if len(part) > 1 else ''})")
    total, finished = sum(len(job["seeds"]) for job in jobs), 0

    def store_runs(index: int, runs: list[dict[str, Any]]) -> None:
        nonlocal finished
        for run in runs:
            store.put(jobs[index]["key"], run)
        finished += len(runs)
        if on_done is not None:
            on_done(finished, total, names[index])

    run_jobs(run_job, jobs, launcher=launcher, processes=processes, names=names, on_done=store_runs)


def _settle(arm: AnyArm, quick: bool) -> AnyArm:
    """Return the arm with its quick hyperparameters or settings applied."""
    if quick and isinstance(arm, Arm):
        return replace(arm, hyperparameters={**arm.hyperparameters, **arm.quick_hyperparameters})
    return arm


def _judge(
    experiment: Experiment,
    plan: list,
    store: Store,
    quick: bool,
    confidence: float,
    left_out: Sequence[str] = (),
    looked_at: Sequence[str] = (),
) -> Results:
    all_seeds = sorted({seed for *_, numbers in plan for seed in numbers})
    data: dict[str, Any] = {
        "paper": asdict(experiment.paper),
        "question": experiment.question,
        "claim": experiment.claim,
        "small_scale": experiment.small_scale,
        "quick": quick,
        "seeds": all_seeds,
        "aggregate": {"statistic": "interquartile mean", "confidence": CONFIDENCE, "replications": REPLICATIONS},
        "versions": versions(),
        "arms": {},
    }
    if left_out:
        data["left_out"] = list(left_out)
    if looked_at:
        data["looked_at"] = list(looked_at)
    for arm, budget, key, numbers in plan:
        entry = _arm_entry(_settle(arm, quick), budget, key, [store.get(key, s) for s in numbers])
        data["arms"][arm.name] = entry | store.renewals.get(key, {})
    data[SECONDS] = total_seconds(data)
    results = Results(data)
    judge(experiment, results, quick=quick, confidence=confidence)
    return results


def judge(experiment: Experiment, results: Results, *, quick: bool = False, confidence: float = CONFIDENCE) -> None:
    """Add the verdicts of the checks and of the experiment to the data of results."""
    data = results.data
    checks = [check for check in experiment.checks if not (quick and check.full_only)]
    data["checks"] = [check.judge(results, confidence=confidence, judged=not quick) for check in checks]
    data["unchecked"] = len(experiment.checks) - len(checks)
    data["superseded"] = [asdict(old) for old in experiment.superseded]
    primary = [check["verdict"] for check in data["checks"] if check["primary"]]
    data["verdict"] = NOT_JUDGED if quick else combine(primary)


def _arm_entry(arm: AnyArm, budget: int, key: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    config = runs[0]["config"]
    runs = [{name: value for name, value in run.items() if name != "config"} for run in runs]
    statistics = {}
    for score in runs[0]["scores"]:
        values = np.array([_number(run["scores"].get(score)) for run in runs])
        statistics[score] = bootstrap_iqm(values)._asdict()
    entry: dict[str, Any] = {"key": key, "group": arm.group, "timesteps": budget, "config": config}
    if isinstance(arm, FunctionArm):
        function = arm.function
        entry |= {"function": f"{function.__module__}:{function.__qualname__}", "settings": dict(config)}
    else:
        entry |= {
            "agent": arm.agent,
            "env": arm.env,
            "env_kwargs": dict(arm.env_kwargs),
            "hyperparameters": dict(arm.hyperparameters),
            "evaluations": [
                {key: getattr(e, key) for key in ("prefix", "episodes", "deterministic", "env", "env_kwargs")}
                for e in arm.evaluations
            ],
        }
    seconds = round(sum(run[SECONDS] for run in runs), 1)
    return entry | {SECONDS: seconds, "statistics": statistics, "runs": runs}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def versions() -> dict[str, str]:
    """Return the versions of the packages on which the results depend."""
    from importlib.metadata import version

    from envzoo.version import __version__

    packages = {name: version(name) for name in ("gymnasium", "numba", "numpy", "scipy", "torch")}
    return {"envzoo": __version__, "python": platform.python_version(), **packages}
