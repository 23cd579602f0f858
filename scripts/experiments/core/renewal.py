"""Keep stored results whose code has changed but whose numbers have not, by rerunning one seed of each arm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envzoo.files import write_text
from envzoo.scripts.experiments.core.arms import AnyArm
from envzoo.scripts.experiments.core.execution import current_key
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.report import read_results, to_json
from envzoo.scripts.experiments.core.results import SECONDS, total_seconds
from envzoo.scripts.experiments.core.run import run_job
from envzoo.scripts.experiments.core.store import RENEWED
from envzoo.scripts.experiments.core.verdicts import NOT_JUDGED, verdict_of
from envzoo.scripts.launch import run_jobs


def stale_arms(experiment: Experiment, data: dict[str, Any]) -> list[AnyArm]:
    """List the arms whose stored results are missing, or were produced with other settings or code."""
    stored, left_out = data["arms"], data.get("left_out", ())
    return [
        arm
        for arm in experiment.arms
        if stored.get(arm.name, {}).get("key") != current_key(arm)
        and not (arm.name not in stored and arm.group in left_out)
    ]


def awaits_run(experiment: Experiment, data: dict[str, Any]) -> bool:
    """Check whether the stored results are older than the experiment's judged checks."""
    return experiment.judged and verdict_of(data) == NOT_JUDGED


def standing(experiment: Experiment, data: dict[str, Any]) -> str:
    """Say for its page what a run would change about the stored results of an experiment; "" if nothing."""
    if not experiment.judged:
        return ""
    if awaits_run(experiment, data):
        return "**Not yet judged with intervals.** These results are from before the checks above, on other seeds."
    waiting = _waiting(experiment, data)
    stale = [arm.name for arm in stale_arms(experiment, data)]
    if not stale:
        return waiting
    names = ", ".join(stale[:3]) + (f" and {len(stale) - 3} more" if len(stale) > 3 else "")
    found = f"**Stale.** Settings or code of {len(stale)} of {len(experiment.arms)} arms have changed since: {names}."
    return f"{found} {waiting}".rstrip()


def _waiting(experiment: Experiment, data: dict[str, Any]) -> str:
    """Say which groups of arms have not run yet; "" if all have."""
    groups = data.get("left_out", ())
    if not groups:
        return ""
    count = sum(arm.group in groups and arm.name not in data["arms"] for arm in experiment.arms)
    return (
        f"**Not complete.** {count} arms ({', '.join(groups)}) have not run yet, and the checks that need them have no "
        f"verdict; `envzoo reproduce {experiment.paper.label}` runs them, and continues where it was interrupted."
    )


def renew(experiment: Experiment, folder: Path, **where: Any) -> list[str]:
    """Rerun one seed of each stale arm, and mark its stored runs as current if all numbers are identical.

    Which of the stored seeds that is depends on the stale key, so that nobody chooses it and every change of the code
    is compared on other seeds.

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
    compared = [compared_run(data["arms"][arm.name]) for arm in arms]
    jobs = [
        {"arm": arm, "seeds": [run["seed"]], "budget": arm.budget, "quick": False}
        for arm, run in zip(arms, compared, strict=True)
    ]
    names = [f"{arm.name} (seed {job['seeds'][0]})" for arm, job in zip(arms, jobs, strict=True)]

    def report(index: int, _: Any) -> None:
        if on_done is not None:
            on_done(index + 1, len(jobs), names[index])

    sentences = []
    found = run_jobs(run_job, jobs, names=names, on_done=report, **where)
    for arm, old, (run,) in zip(arms, compared, found, strict=True):
        entry = data["arms"][arm.name]
        stored, again = (json.loads(to_json(_numbers(part))) for part in (old, run))
        if stored == again:
            entry["key"] = current_key(arm)
            entry[RENEWED] = run["seed"]
            sentences.append(f"{arm.name}: seed {run['seed']} gives the same numbers; its results are current")
        else:
            sentences.append(f"{arm.name}: seed {run['seed']} gives other numbers; it runs anew")
    data[SECONDS] = total_seconds(data)
    write_text(folder / "results.json", to_json(data) + "\n")
    return sentences


def compared_run(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored run of an arm that is compared with a new one, by a hash of the stale key."""
    digest = hashlib.blake2b(str(entry.get("key")).encode(), digest_size=8).digest()
    return entry["runs"][int.from_bytes(digest, "big") % len(entry["runs"])]


def _numbers(run: dict[str, Any]) -> dict[str, Any]:
    return {"scores": run["scores"], "curves": run["curves"]}
