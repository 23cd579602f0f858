"""Keep stored results whose code has changed but whose numbers have not, by rerunning one seed of each arm."""

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
from envzoo.scripts.experiments.core.verdicts import NOT_JUDGED, verdict_of
from envzoo.scripts.launch import run_jobs


def stale_arms(experiment: Experiment, data: dict[str, Any]) -> list[AnyArm]:
    """List the arms whose stored results are missing, or were produced with other settings or code."""
    stored = data["arms"]
    return [arm for arm in experiment.arms if stored.get(arm.name, {}).get("key") != current_key(arm)]


def awaits_run(experiment: Experiment, data: dict[str, Any]) -> bool:
    """Check whether the stored results are older than the experiment's judged checks."""
    return experiment.judged and verdict_of(data) == NOT_JUDGED


def standing(experiment: Experiment, data: dict[str, Any]) -> str:
    """Say for its page what a run would change about the stored results of an experiment; "" if nothing."""
    if not experiment.judged:
        return ""
    if awaits_run(experiment, data):
        return "**Not yet judged with intervals.** These results are from before the checks above, on other seeds."
    stale = [arm.name for arm in stale_arms(experiment, data)]
    if not stale:
        return ""
    names = ", ".join(stale[:3]) + (f" and {len(stale) - 3} more" if len(stale) > 3 else "")
    return f"**Stale.** Settings or code of {len(stale)} of {len(experiment.arms)} arms have changed since: {names}."


def renew(experiment: Experiment, folder: Path, **where: Any) -> list[str]:
    """Rerun one seed of each stale arm, and mark its stored runs as current if all numbers are identical.

    Args:
        experiment: The experiment whose results are in the folder.
        folder: Folder with a results.json of a full run; it is rewritten.
        **where: `launcher` and `processes` of `run_jobs`, and `on_done` of `run_experiment`.

    Returns:
        A sentence for each stale arm.

    Raises:
        EnvzooError: There is no readable results.json.
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
