"""The committed results of experiments: every check can fail, and no result is of code that has changed since."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from envzoo.scripts.experiments import comparisons, find_experiment, numbers
from envzoo.scripts.experiments.core.execution import judge
from envzoo.scripts.experiments.core.renewal import awaits_run, stale_arms, standing
from envzoo.scripts.experiments.core.report import draw, read_results
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.verdicts import HOLDS, NOT_RUN

pytestmark = pytest.mark.any_arithmetic

PAPERS = Path(__file__).parents[2] / "docs" / "papers"
NAMES = (*numbers(), *comparisons())


@functools.cache
def committed(name):
    return find_experiment(name), read_results(PAPERS / find_experiment(name).paper.slug)


def judged(name):
    """The experiment and its committed results, unless they are from before its checks, as its page then says."""
    experiment, results = committed(name)
    if awaits_run(experiment, results.data):
        assert "Not yet judged" in standing(experiment, results.data)
        pytest.skip("its checks are newer than its results")
    return experiment, results


@pytest.mark.parametrize("name", NAMES)
def test_stored_verdicts_are_those_of_the_stored_runs(name):
    experiment, results = judged(name)
    confidence = max((check["confidence"] or 0.95 for check in results.data["checks"]), default=0.95)
    again = [check.judge(results, confidence=confidence) for check in experiment.checks]
    for stored, found in zip(results.data["checks"], again, strict=True):
        assert (stored["sentence"], stored["verdict"]) == (found["sentence"], found["verdict"])


@pytest.mark.parametrize("name", NAMES)
def test_no_check_holds_when_the_claim_is_false(name):
    experiment, results = judged(name)
    waiting = {check["sentence"] for check in results.data["checks"] if check["verdict"] == NOT_RUN}
    for check in experiment.checks:
        if check.kind != "point" and check.sentence not in waiting:
            assert check.under_null(results)["verdict"] != HOLDS, check.sentence


@pytest.mark.parametrize("name", NAMES)
def test_judged_results_are_of_the_present_code(name):
    experiment, results = judged(name)
    if experiment.judged:
        stale = [arm.name for arm in stale_arms(experiment, results.data)]
        assert not stale, f"run `envzoo reproduce {name} --out docs/papers/{name}` (with --renew if no number changed)"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_quick_run_has_is_enough_for_its_checks_and_figure(name):
    experiment, results = judged(name)
    if not experiment.judged:
        pytest.skip("its checks are not judged")
    ran = [arm.name for arm in experiment.sweep(True) if arm.group not in results.left_out]
    arms = {name: results.data["arms"][name] for name in ran}
    few = {key: {**arm, "runs": arm["runs"][: experiment.quick_seeds]} for key, arm in arms.items()}
    quick = Results({**results.data, "quick": True, "seeds": [0], "arms": few})
    judge(experiment, quick, quick=True)
    assert {check["verdict"] for check in quick.data["checks"]} <= {"not judged"}
    assert quick.verdict == "not judged"
    assert draw(experiment, quick).startswith(b"\x89PNG")
