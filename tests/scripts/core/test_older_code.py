"""Renewing results by what the code that stored them computes on this machine."""

from __future__ import annotations

import json
import sys

import function_arms
import pytest

from envzoo.errors import EnvzooError
from envzoo.scripts.experiments import find_experiment
from envzoo.scripts.experiments.core import renewal
from envzoo.scripts.experiments.core.execution import current_key, run_experiment
from envzoo.scripts.experiments.core.older_code import run_older_code
from envzoo.scripts.experiments.core.renewal import compared_runs, renew
from envzoo.scripts.experiments.core.report import write_results
from envzoo.scripts.experiments.core.run import run_job
from envzoo.scripts.experiments.core.store import Store
from envzoo.scripts.reproduce import ReproduceOptions, reproduce

pytestmark = pytest.mark.any_arithmetic

experiment = function_arms.experiment

PAPER, ARM = "50", "4 contexts"  # a run takes a millisecond


@pytest.fixture
def checkout(tmp_path):
    """A folder whose .venv has this Python."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


def test_another_checkout_runs_an_arm(checkout):
    (arm,) = (arm for arm in find_experiment(PAPER).arms if arm.name == ARM)
    key, ended = current_key(arm), []
    (runs,) = run_older_code(checkout, PAPER, [(ARM, key, [3, 5])], ended.append)
    expected = run_job({"arm": arm, "seeds": [3, 5], "budget": arm.budget, "quick": False})
    assert [run["seed"] for run in runs] == [3, 5]
    assert [run["scores"] for run in runs] == [run["scores"] for run in expected]
    assert ended == [0]
    with pytest.raises(EnvzooError, match=f"{ARM}: its stored results are not from the code of"):
        run_older_code(checkout, PAPER, [(ARM, "another key", [3])])
    with pytest.raises(EnvzooError, match="no such arm: its stored results are not from the code of"):
        run_older_code(checkout, PAPER, [("no such arm", key, [3])])


def test_code_that_answers_nothing_readable(checkout):
    python = checkout / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\ncat > /dev/null; echo '{torn'\n")
    with pytest.raises(EnvzooError, match="gives no readable results"):
        run_older_code(checkout, PAPER, [(ARM, "", [3])])
    python.write_text("#!/bin/sh\ncat > /dev/null; exit 3\n")
    with pytest.raises(EnvzooError, match="failed, see above"):
        run_older_code(checkout, PAPER, [(ARM, "", [3])])


def test_a_folder_without_a_virtual_environment(tmp_path):
    with pytest.raises(EnvzooError, match=r"has no Python in \.venv"):
        run_older_code(tmp_path, PAPER, [(ARM, "", [3])])


def test_renewed_seeds_are_compared_with_the_older_code(experiment, tmp_path, monkeypatch):
    """The stored numbers are another processor's, which here differ from those of both codes."""
    results = run_experiment(experiment, launcher="inline")
    truth = json.loads(json.dumps(results.data["arms"]))
    for entry in results.data["arms"].values():
        entry["key"] = "old"
        for run in entry["runs"]:
            run["scores"]["x"] *= 1 + 1e-12
    write_results(experiment, results, tmp_path)
    Store(tmp_path).clear()
    asked = []

    def older(checkout, name, jobs, on_done):
        asked.append((checkout, name, [job[:2] for job in jobs]))
        found = [[run for run in truth[arm]["runs"] if run["seed"] in seeds] for arm, _, seeds in jobs]
        found[1][0]["scores"]["x"] += 1e-9
        on_done(0)
        on_done(1)
        return found

    monkeypatch.setattr(renewal, "run_older_code", older)
    seeds = [compared_runs(results.data["arms"][name])[0]["seed"] for name in ("plain", "shifted")]
    progress = []
    assert renew(
        experiment, tmp_path, before="older", launcher="inline", on_done=lambda *found: progress.append(found[:2])
    ) == [
        f"plain: seed {seeds[0]} gives the same numbers; its results are current",
        f"shifted: seed {seeds[1]} gives other numbers than the code of older; it runs anew",
    ]
    assert asked == [("older", experiment.paper.label, [("plain", "old"), ("shifted", "old")])]
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_older_code_is_for_renewing():
    with pytest.raises(EnvzooError, match="without --renew nothing is compared"):
        reproduce(PAPER, ReproduceOptions(before="somewhere"))
