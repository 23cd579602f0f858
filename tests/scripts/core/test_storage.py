"""Stored results: function arms, resuming, stale pages, and renewal."""

from __future__ import annotations

import dataclasses
import json

import function_arms
import pytest
import torch
from function_arms import CALLS, draw_many

from envzoo.agents.threads import using_threads
from envzoo.errors import EnvzooError
from envzoo.scripts.experiments.core.arms import FunctionArm
from envzoo.scripts.experiments.core.checks import Score, point, seeded
from envzoo.scripts.experiments.core.execution import run_experiment
from envzoo.scripts.experiments.core.renewal import awaits_run, compared_runs, renew, stale_arms, standing
from envzoo.scripts.experiments.core.report import write_results
from envzoo.scripts.experiments.core.run import run_job
from envzoo.scripts.experiments.core.store import Store
from envzoo.scripts.reproduce import ReproduceOptions, reproduce_experiment
from envzoo.scripts.run_lock import RunLock

pytestmark = pytest.mark.any_arithmetic

experiment = function_arms.experiment


def count_threads(seed, budget, quick):
    return {"scores": {"threads": torch.get_num_threads()}}


def test_function_arms_have_scores_curves_and_seeds_of_their_own(experiment):
    results = run_experiment(experiment, launcher="inline")
    assert len(results.scores("plain", "x")) == 6
    assert results.seeds("shifted") == (0, 1, 2, 3)
    assert results.scores("shifted", "x") == pytest.approx(results.scores("plain", "x")[:4] + 1.0)
    # The same generator in both arms: a difference without spread, of four seeds, decides nothing.
    (check,) = results.data["checks"]
    assert (check["n"], check["value"], check["verdict"]) == (4, pytest.approx(1.0), "inconclusive")
    assert results.data["arms"]["plain"]["runs"][0]["curves"]["y"] == [0.0, None]
    assert results.data["arms"]["shifted"]["settings"] == {"shift": 1.0}
    assert results.data["arms"]["shifted"]["function"] == f"{draw_many.__module__}:draw_many"


def test_a_batch_of_seeds_is_each_seed_alone(experiment):
    alone = run_experiment(experiment, launcher="inline").data["arms"]["shifted"]["runs"]
    arms = (experiment.arms[0], dataclasses.replace(experiment.arms[1], batch=1))
    again = run_experiment(dataclasses.replace(experiment, arms=arms), launcher="inline").data["arms"]["shifted"]
    assert [run["scores"] for run in again["runs"]] == [run["scores"] for run in alone]


def test_an_interrupted_experiment_runs_only_what_is_missing(experiment, tmp_path):
    def stop(finished, total, name):
        if finished == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, folder=tmp_path, launcher="inline", on_done=stop)
    assert CALLS == [0, 1, 2]
    parts = sorted((tmp_path / ".parts").iterdir())
    parts[0].write_text("{torn")
    results = run_experiment(experiment, folder=tmp_path, launcher="inline")
    assert sorted(CALLS) == sorted([0, 1, 2, int(parts[0].stem.split("-")[1]), 3, 4, 5, 0, 1, 2, 3])
    assert write_results(experiment, results, tmp_path)
    fresh = run_experiment(experiment, launcher="inline")
    for arm in results.arms:
        assert (results.scores(arm, "x") == fresh.scores(arm, "x")).all()
    # From results.json alone nothing runs, more seeds run only what is new, and `fresh` runs everything.
    CALLS.clear()
    run_experiment(experiment, folder=tmp_path, launcher="inline")
    assert CALLS == []
    run_experiment(experiment, folder=tmp_path, launcher="inline", seeds=7)
    assert sorted(CALLS) == [4, 5, 6, 6]
    CALLS.clear()
    run_experiment(experiment, folder=tmp_path, launcher="inline", fresh=True)
    assert len(CALLS) == 10


def test_other_settings_are_other_results(experiment, tmp_path):
    results = run_experiment(experiment, folder=tmp_path, launcher="inline")
    write_results(experiment, results, tmp_path)
    assert stale_arms(experiment, results.data) == []
    changed = dataclasses.replace(experiment.arms[1], settings={"shift": 2.0})
    experiment = dataclasses.replace(experiment, arms=(experiment.arms[0], changed))
    assert [arm.name for arm in stale_arms(experiment, results.data)] == ["shifted"]
    CALLS.clear()
    assert run_experiment(experiment, folder=tmp_path, launcher="inline").scores("shifted", "x")[0] > 1.0
    assert CALLS == [0, 1, 2, 3]


def test_a_page_says_if_its_results_are_stale_or_older_than_its_checks(experiment, tmp_path):
    results = run_experiment(experiment, folder=tmp_path, launcher="inline")
    assert standing(experiment, results.data) == ""
    changed = dataclasses.replace(experiment.arms[1], settings={"shift": 2.0})
    after = dataclasses.replace(experiment, arms=(experiment.arms[0], changed))
    assert standing(after, results.data) == ("**Stale.** Settings or code of 1 of 2 arms have changed since: shifted.")
    data = {**results.data, "verdict": "not judged"}
    assert awaits_run(experiment, data)
    assert standing(experiment, data).startswith("**Not yet judged with intervals.**")
    points = dataclasses.replace(experiment, checks=(point("x", Score("plain", "x"), ">", 0.0),))
    assert standing(points, data) == ""


def test_results_of_changed_code_are_kept_if_one_seed_gives_the_same_numbers(experiment, tmp_path):
    results = run_experiment(experiment, folder=tmp_path, launcher="inline")
    results.data["arms"]["plain"]["key"] = "old"
    results.data["arms"]["shifted"]["key"] = "old"
    seed = compared_runs(results.data["arms"]["plain"])[0]["seed"]
    (other,) = compared_runs(results.data["arms"]["shifted"])
    other["scores"]["x"] += 1e-9
    results.data["arms"]["plain"]["seconds"], results.data["seconds"] = 7.0, 0.0
    write_results(experiment, results, tmp_path)
    Store(tmp_path).clear()
    CALLS.clear()
    sentences = renew(experiment, tmp_path, launcher="inline")
    assert [seed, other["seed"]] == CALLS
    assert [sentence.partition(": ")[::2] for sentence in sentences] == [
        ("plain", f"seed {seed} gives the same numbers; its results are current"),
        ("shifted", f"seed {other['seed']} gives other numbers; it runs anew"),
    ]
    data = json.loads((tmp_path / "results.json").read_text())
    assert [arm.name for arm in stale_arms(experiment, data)] == ["shifted"]
    assert data["arms"]["plain"]["renewed_by_seed"] == seed
    assert data["seconds"] == pytest.approx(7.0 + data["arms"]["shifted"]["seconds"], abs=0.05)
    CALLS.clear()
    results = run_experiment(experiment, folder=tmp_path, launcher="inline")
    assert set(CALLS) == {run["seed"] for run in results.data["arms"]["shifted"]["runs"]}
    assert results.data["arms"]["plain"]["renewed_by_seed"] == seed
    assert "renewed_by_seed" not in results.data["arms"]["shifted"]
    assert results.data["seconds"] == pytest.approx(sum(arm["seconds"] for arm in results.data["arms"].values()))


def test_more_seeds_find_a_difference_that_one_does_not_show(experiment, tmp_path):
    results = run_experiment(experiment, folder=tmp_path, launcher="inline")
    for name in ("plain", "shifted"):
        results.data["arms"][name]["key"] = "old"
    compared = {name: compared_runs(results.data["arms"][name], 2) for name in ("plain", "shifted")}
    compared["shifted"][1]["scores"]["x"] += 1e-9
    write_results(experiment, results, tmp_path)
    Store(tmp_path).clear()
    plain, shifted = ([run["seed"] for run in compared[name]] for name in ("plain", "shifted"))
    CALLS.clear()
    assert renew(experiment, tmp_path, 2, launcher="inline") == [
        f"plain: seeds {plain[0]}, {plain[1]} give the same numbers; its results are current",
        f"shifted: seeds {shifted[0]}, {shifted[1]} give other numbers; it runs anew",
    ]
    assert plain + shifted == CALLS
    runs = results.data["arms"]["plain"]["runs"]
    assert len(compared_runs(results.data["arms"]["plain"], 100)) == len(runs)
    with pytest.raises(EnvzooError, match="at least 1 seed"):
        renew(experiment, tmp_path, 0)


def returns_nothing(seed, budget, quick):
    return seed


def forgets_a_seed(seeds, budget, quick):
    return draw_many(seeds[1:], 1, quick)


def test_bad_functions_are_one_sentence(experiment):
    def with_arm(**keywords):
        return dataclasses.replace(experiment, arms=(experiment.arms[0], FunctionArm("shifted", **keywords)))

    with pytest.raises(EnvzooError, match="the function of an arm returns"):
        run_experiment(with_arm(run=returns_nothing), launcher="inline")
    with pytest.raises(EnvzooError, match="6 seeds gave 5 results"):
        run_experiment(with_arm(run_seeds=forgets_a_seed), launcher="inline")
    with pytest.raises(EnvzooError, match="needs one function"):
        FunctionArm("none")
    with pytest.raises(EnvzooError, match="must be a function of a module"):
        FunctionArm("inner", lambda seed, budget, quick: None)
    with pytest.raises(EnvzooError, match="batch is at least 1"):
        FunctionArm("empty", run_seeds=draw_many, batch=0)


def test_a_function_runs_on_one_thread_whatever_the_process_has():
    arm = FunctionArm("a", count_threads)
    with using_threads(2):
        [found] = run_job({"arm": arm, "seeds": [0], "budget": 1, "quick": False})
        assert torch.get_num_threads() == 2
    assert found["scores"] == {"threads": 1}


def test_a_check_of_an_arm_that_does_not_exist_is_an_error_and_not_a_later_stage(experiment):
    wrong = seeded("typo", Score("plane", "x"), ">", 0.5, null={"plane": "plain"}, primary=True)
    with pytest.raises(EnvzooError, match="plane"):
        run_experiment(dataclasses.replace(experiment, checks=(wrong,)), launcher="inline")


def test_the_seed_that_renews_an_arm_follows_from_the_stale_key():
    runs = [{"seed": seed} for seed in range(8)]
    seeds = [compared_runs({"key": key, "runs": runs})[0]["seed"] for key in "abcdefghijklmnop"]
    assert seeds == [compared_runs({"key": key, "runs": runs})[0]["seed"] for key in "abcdefghijklmnop"]
    assert len(set(seeds)) > 3
    assert compared_runs({"runs": runs[:1]}, 3) == [{"seed": 0}]  # results from before keys


def test_two_runs_do_not_write_to_one_folder(experiment, tmp_path):
    lock = RunLock(tmp_path)
    lock.acquire()
    try:
        with pytest.raises(EnvzooError, match="being written by another process"):
            reproduce_experiment(experiment, ReproduceOptions(out=str(tmp_path), launcher="inline"))
    finally:
        lock.release()
    assert CALLS == []
    assert reproduce_experiment(experiment, ReproduceOptions(out=str(tmp_path), launcher="inline")) == 3
    assert not (tmp_path / ".lock").exists()
