"""Keep stored results whose code has changed without changing a number: one seed of each arm is run again to see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from envzoo.files import write_text
from envzoo.scripts.experiments.core.arms import AnyArm
from envzoo.scripts.experiments.core.execution import current_key
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.report import read_results, to_json
from envzoo.scripts.experiments.core.run import run_job
from envzoo.scripts.launch import run_jobs


def stale_arms(experiment: Experiment, data: dict[str, Any]) -> list[AnyArm]:
    """Return the arms of an experiment whose stored results are missing, or stem from other settings or code."""
    stored = data["arms"]
    return [arm for arm in experiment.arms if stored.get(arm.name, {}).get("key") != current_key(arm)]


def renew(experiment: Experiment, folder: Path, **where: Any) -> list[str]:
    """Run one seed of each stale arm again, and mark its stored runs as current if all numbers are the same.

    Args:
        experiment: Whose results lie in the folder.
        folder: Folder with a results.json of a full run; it is rewritten.
        **where: Keywords of `run_jobs` (`launcher`, `processes`), and `on_done` as of `run_experiment`.

    Returns:
        A sentence for each stale arm.

    Raises:
        EnvzooError: No readable results.json.
    """
    data = read_results(folder).data
    on_done = where.pop("on_done", None)
    arms = [arm for arm in stale_arms(experiment, data) if arm.name in data["arms"]]
    jobs = [
        {"arm": arm, "seeds": [data["arms"][arm.name]["runs"][0]["seed"]], "budget": arm.budget, "quick": False}
        for arm in arms
    ]
    names = [f"{arm.name} (seed {job['seeds'][0]})" for arm, job in zip(arms, jobs, strict=True)]

    def report(index: int, _: Any) -> None:
        if on_done is not None:
            on_done(index + 1, len(jobs), names[index])

    sentences = []
    found = run_jobs(run_job, jobs, names=names, on_done=report, **where)
    for arm, (run,) in zip(arms, found, strict=True):
        entry = data["arms"][arm.name]
        stored, again = (json.loads(to_json(_numbers(part))) for part in (entry["runs"][0], run))
        if stored == again:
            entry["key"] = current_key(arm)
            entry["renewed_by_seed"] = run["seed"]
            sentences.append(f"{arm.name}: seed {run['seed']} gives the same numbers; its results are current")
        else:
            sentences.append(f"{arm.name}: seed {run['seed']} gives other numbers; it runs anew")
    write_text(folder / "results.json", to_json(data) + "\n")
    return sentences


def _numbers(run: dict[str, Any]) -> dict[str, Any]:
    return {"scores": run["scores"], "curves": run["curves"]}
