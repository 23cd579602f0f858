"""Keep stored results whose code has changed but whose numbers have not, by rerunning some seeds of each arm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envzoo.errors import EnvzooError
from envzoo.files import write_text
from envzoo.scripts.experiments.core.arms import AnyArm
from envzoo.scripts.experiments.core.execution import current_key
from envzoo.scripts.experiments.core.experiment import Experiment
from envzoo.scripts.experiments.core.older_code import run_older_code
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


def renew(
    experiment: Experiment, folder: Path, seeds: int = 1, *, before: str | None = None, **where: Any
) -> list[str]:
    """Rerun some seeds of each stale arm, and mark its stored runs as current if all numbers are identical.

    Which of the stored seeds those are depends on the stale key, so that nobody chooses them and every change of the
    code is compared on other seeds. One seed shows that the code computes the same; after a change of arithmetic,
    whose effect some seeds do not show, compare more.

    Args:
        experiment: The experiment whose results are in the folder.
        folder: Folder with a results.json of a full run; it is rewritten.
        seeds: Number of seeds to compare, at most those that are stored.
        before: Folder of a checkout of the code with which the results were stored; the seeds are then compared with
            what it computes on this machine, because the last digits of stored results are those of their processor.
        **where: `launcher` and `processes` of `run_jobs`, and `on_done` of `run_experiment`.

    Returns:
        A sentence for each stale arm.

    Raises:
        EnvzooError: There is no readable results.json, `seeds` is below 1, or `before` is not the code with which the
            results were stored.
    """
    if seeds < 1:
        raise EnvzooError(f"at least 1 seed is compared, got {seeds}")
    data = read_results(folder).data
    on_done = where.pop("on_done", None)
    arms = [arm for arm in stale_arms(experiment, data) if arm.name in data["arms"]]
    compared = [compared_runs(data["arms"][arm.name], seeds) for arm in arms]
    jobs = [
        {"arm": arm, "seeds": [run["seed"] for run in runs], "budget": arm.budget, "quick": False}
        for arm, runs in zip(arms, compared, strict=True)
    ]
    names = [f"{arm.name} ({_words(job['seeds'])})" for arm, job in zip(arms, jobs, strict=True)]

    rounds = 1 if before is None else 2

    def report(index: int, _: Any, done: int = (rounds - 1) * len(jobs)) -> None:
        if on_done is not None:
            on_done(done + index + 1, rounds * len(jobs), names[index])

    sentences, other = [], "other numbers"
    if before is not None and jobs:
        asked = [(arm.name, data["arms"][arm.name]["key"], job["seeds"]) for arm, job in zip(arms, jobs, strict=True)]
        compared = run_older_code(before, experiment.paper.label, asked, lambda index: report(index, None, 0))
        other = f"other numbers than the code of {before}"
    found = run_jobs(run_job, jobs, names=names, on_done=report, **where)
    for arm, job, old, new in zip(arms, jobs, compared, found, strict=True):
        entry, words = data["arms"][arm.name], _words(job["seeds"])
        gives = "gives" if len(old) == 1 else "give"
        stored, again = (json.loads(to_json([_numbers(run) for run in runs])) for runs in (old, new))
        if stored == again:
            entry["key"] = current_key(arm)
            entry[RENEWED] = job["seeds"][0] if len(old) == 1 else job["seeds"]
            sentences.append(f"{arm.name}: {words} {gives} the same numbers; its results are current")
        else:
            sentences.append(f"{arm.name}: {words} {gives} {other}; it runs anew")
    data[SECONDS] = total_seconds(data)
    write_text(folder / "results.json", to_json(data) + "\n")
    return sentences


def compared_runs(entry: Mapping[str, Any], count: int = 1) -> list[dict[str, Any]]:
    """Return the stored runs of an arm that are compared with new ones: those from a hash of the stale key on."""
    digest = hashlib.blake2b(str(entry.get("key")).encode(), digest_size=8).digest()
    first, runs = int.from_bytes(digest, "big"), entry["runs"]
    return [runs[(first + k) % len(runs)] for k in range(min(count, len(runs)))]


def _words(seeds: list[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"


def _numbers(run: dict[str, Any]) -> dict[str, Any]:
    return {"scores": run["scores"], "curves": run["curves"]}
