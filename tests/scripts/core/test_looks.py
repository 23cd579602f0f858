"""Seeds of some groups of arms: those that wait, and looking again until a verdict is reached."""

from __future__ import annotations

import dataclasses

import function_arms
import numpy as np
import pytest
from function_arms import CALLS

from envzoo.errors import EnvzooError
from envzoo.scripts.experiments.core.checks import Difference, Score, all_of, seeded
from envzoo.scripts.experiments.core.execution import run_experiment
from envzoo.scripts.experiments.core.formats import format_confidence
from envzoo.scripts.experiments.core.renewal import stale_arms, standing
from envzoo.scripts.experiments.core.report import write_results
from envzoo.scripts.experiments.core.store import Store

experiment = function_arms.experiment


def staged(experiment):
    """The same experiment with its second arm in a group of its own, and a check of the first arm alone."""
    arms = (experiment.arms[0], dataclasses.replace(experiment.arms[1], group="later"))
    alone = seeded("plain is small", Score("plain", "x"), "<", 5.0, null=lambda results: np.full(6, 9.0), primary=True)
    return dataclasses.replace(experiment, arms=arms, checks=(*experiment.checks, alone))


def test_groups_that_wait_for_a_later_run_have_no_verdict_and_the_page_says_so(experiment, tmp_path):
    both = staged(experiment)
    results = run_experiment(both, groups=("g",), folder=tmp_path, launcher="inline")
    assert CALLS == [0, 1, 2, 3, 4, 5]
    assert results.left_out == ("later",)
    assert [check["verdict"] for check in results.data["checks"]] == ["not run", "holds"]
    assert results.verdict == "not run"
    assert "1 of 2 primary checks hold" in results.sentence
    assert "1 of these has not been run" in results.sentence
    assert stale_arms(both, results.data) == []
    assert standing(both, results.data).startswith("**Not complete.** 1 arms (later) have not run yet")
    write_results(both, results, tmp_path)
    # The rest continues from what is stored, and a restricted run keeps it.
    CALLS.clear()
    full = run_experiment(both, folder=tmp_path, launcher="inline")
    assert CALLS == [0, 1, 2, 3]
    assert "left_out" not in full.data
    assert standing(both, full.data) == ""
    write_results(both, full, tmp_path)
    again = run_experiment(both, groups=("g",), folder=tmp_path, launcher="inline")
    assert again.arms == ("plain", "shifted")
    assert not again.left_out
    with pytest.raises(EnvzooError, match="group of arms"):
        run_experiment(both, groups=("other",), launcher="inline")


def test_a_run_until_decided_looks_four_times_with_wider_intervals(experiment):
    undecided = seeded("it is 0", Score("plain", "x"), ">", 0.0, null={"plain": "shifted"}, primary=True)
    undecided = dataclasses.replace(experiment, checks=(undecided,))
    results = run_experiment(undecided, until_decided=True, launcher="inline")
    (check,) = results.data["checks"]
    assert check["confidence"] == 0.9875
    assert check["verdict"] == "inconclusive"
    assert (results.data["looks"], check["n"]) == (4, 48)
    clear = seeded("it is large", Score("plain", "x"), ">", -9.0, null={"plain": "shifted"}, primary=True)
    results = run_experiment(dataclasses.replace(experiment, checks=(clear,)), until_decided=True, launcher="inline")
    assert (results.data["looks"], results.data["verdict"]) == (1, "holds")


@pytest.fixture
def apart(experiment):
    """An experiment of two groups, with a check of each and one of both."""
    plain, shifted = experiment.arms
    undecided = seeded("it is 0", Score("plain", "x"), ">", 0.0, null={"plain": "shifted"}, primary=True)
    other = seeded("the other is 0", Score("shifted", "x"), ">", 0.0, null={"shifted": "plain"})
    both = seeded("the gap is 0", Difference("plain", "shifted", "x"), ">", 0.0, null={"plain": "shifted"})
    return dataclasses.replace(
        experiment,
        arms=(plain, dataclasses.replace(shifted, group="other")),
        checks=(undecided, other, all_of("all", both)),
    )


def test_looking_again_at_some_groups_leaves_the_seeds_of_the_others(apart, tmp_path):
    run_experiment(apart, folder=tmp_path, launcher="inline")
    results = run_experiment(apart, groups=("g",), until_decided=True, folder=tmp_path, launcher="inline")
    assert len(results.data["arms"]["plain"]["runs"]) == 48
    assert len(results.data["arms"]["shifted"]["runs"]) == 4
    checks = results.data["checks"]
    assert [check["confidence"] for check in (*checks[:2], *checks[2]["components"])] == [0.9875, 0.95, 0.9875]
    assert format_confidence(checks) == "95% or 98.75%"
    write_results(apart, results, tmp_path)
    report = (tmp_path / "table.md").read_text()
    assert "The results of the group g were looked at 4 times" in report
    command = f"envzoo reproduce {apart.paper.label}"
    assert f"`{command}`, then `{command} --groups g --until-decided`" in report


def test_a_later_run_keeps_the_seeds_of_one_until_decided(apart, tmp_path):
    run_experiment(apart, folder=tmp_path, launcher="inline")
    results = run_experiment(apart, groups=("g",), until_decided=True, folder=tmp_path, launcher="inline")
    write_results(apart, results, tmp_path)
    Store(tmp_path).clear()
    CALLS.clear()
    for again in ({}, {"groups": ("other",)}, {"groups": ("g",), "until_decided": True}):
        later = run_experiment(apart, folder=tmp_path, launcher="inline", **again)
        assert CALLS == []
        for name in ("looks", "looked_at", "checks", "arms"):
            assert later.data[name] == results.data[name]
    both = run_experiment(apart, groups=("other",), until_decided=True, folder=tmp_path, launcher="inline")
    assert (both.data["looks"], both.data["looked_at"]) == (4, ["g", "other"])
    assert {len(arm["runs"]) for arm in both.data["arms"].values()} == {48, 32}
    more = run_experiment(apart, groups=("other",), seeds=5, folder=tmp_path, launcher="inline")
    assert {name: len(arm["runs"]) for name, arm in more.data["arms"].items()} == {"plain": 48, "shifted": 5}
    assert (more.data["looks"], more.data["looked_at"]) == (4, ["g"])
    fewer = run_experiment(apart, seeds=3, folder=tmp_path, launcher="inline")
    assert (fewer.data["looks"], [len(arm["runs"]) for arm in fewer.data["arms"].values()]) == (1, [3, 3])
    assert {check["confidence"] for check in fewer.data["checks"][:2]} == {0.95}
