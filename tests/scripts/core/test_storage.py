"""Stored results: function arms, resuming, stale keys, renewal, and looking until a verdict is reached."""

from __future__ import annotations

import ast
import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from envzoo.agents.threads import using_threads
from envzoo.errors import EnvzooError
from envzoo.papers import Paper
from envzoo.scripts.experiments.core import keys
from envzoo.scripts.experiments.core.arms import Arm, FunctionArm
from envzoo.scripts.experiments.core.checks import Difference, Score, all_of, point, seeded
from envzoo.scripts.experiments.core.execution import run_experiment
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.formats import format_confidence
from envzoo.scripts.experiments.core.renewal import awaits_run, compared_run, renew, stale_arms, standing
from envzoo.scripts.experiments.core.report import write_results
from envzoo.scripts.experiments.core.run import run_job
from envzoo.scripts.experiments.core.store import Store
from envzoo.scripts.reproduce import ReproduceOptions, reproduce_experiment
from envzoo.scripts.run_lock import RunLock

CALLS = []


def count_threads(seed, budget, quick):
    return {"scores": {"threads": torch.get_num_threads()}}


def draw_one(seed, budget, quick, shift=0.0):
    """A normal number around `shift`, from its seed alone."""
    CALLS.append(seed)
    values = np.random.default_rng(seed).normal(size=budget)
    return {"scores": {"x": shift + values.mean()}, "curves": {"timesteps": [1, 2], "y": [shift, float("nan")]}}


def draw_many(seeds, budget, quick, shift=0.0):
    """The same for many seeds at once."""
    return [draw_one(seed, budget, quick, shift) for seed in seeds]


def nothing(results, figure):
    figure.subplots()


@pytest.fixture
def experiment():
    CALLS.clear()
    return Experiment(
        paper=Paper("Functions", "Nobody", 2024, number="97"),
        question="Is one larger than the other?",
        claim="It is.",
        arms=(
            FunctionArm("plain", draw_one, budget=4, group="g"),
            FunctionArm("shifted", run_seeds=draw_many, budget=4, settings={"shift": 1.0}, group="g", batch=3, seeds=4),
        ),
        checks=(
            seeded(
                "shifted is larger",
                Difference("shifted", "plain", "x"),
                ">",
                0.5,
                null={"shifted": "plain"},
                primary=True,
            ),
        ),
        figure=nothing,
        tables=(Table("g", "All", {"x": "x"}),),
        seeds=6,
        quick_seeds=2,
    )


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
    assert results.data["arms"]["shifted"]["function"] == f"{__name__}:draw_many"


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


def test_a_key_needs_no_optional_part_of_a_library():
    assert keys.arm_key(Arm("a", "SAC", "Pendulum-v1", 0), 0, False)
    roots = keys._environment_roots("Pendulum-v1")
    assert roots[0][0].startswith("gymnasium.")
    assert keys.fingerprint(roots) == keys.fingerprint([])


def test_trees_are_written_alike_by_every_python():
    source = (
        "class A(B):\n    x: int = None\n    def f(self, *a, k=1, **b):\n        return {**b, f'{k!r:>3}': [None]}\n"
    )
    tree = ast.parse(source)
    written = keys._dump(tree)
    assert written.startswith(
        "Module(body=[ClassDef(name='A', bases=[Name(id='B', ctx=Load())], keywords=[], body=[Ann"
    )
    if sys.version_info < (3, 12):
        assert written == ast.dump(tree)
    # Later versions know type parameters.
    tree.body[0]._fields = (*ast.ClassDef._fields, "type_params")
    tree.body[0].type_params = []
    assert keys._dump(tree) == written


def test_results_of_changed_code_are_kept_if_one_seed_gives_the_same_numbers(experiment, tmp_path):
    results = run_experiment(experiment, folder=tmp_path, launcher="inline")
    results.data["arms"]["plain"]["key"] = "old"
    results.data["arms"]["shifted"]["key"] = "old"
    seed = compared_run(results.data["arms"]["plain"])["seed"]
    other = compared_run(results.data["arms"]["shifted"])
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


# ---------------------------------------------------------------------------- keys


BASE = '''"""Base."""

RATE = 2

def double(x):
    return RATE * x

def other(x):
    return x
'''
ARM = """from keyed_package.base import double

def run(seed):
    return helper(seed)

def helper(seed):
    from .base import double as twice
    return double(twice(seed))

def figure():
    return 1
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules on the path; returns the folder and a function that gives the fingerprint anew."""
    folder = tmp_path / "keyed_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "base.py").write_text(BASE)
    (folder / "arm.py").write_text(ARM)
    monkeypatch.syspath_prepend(str(tmp_path))

    def fingerprint():
        keys._load.cache_clear()
        keys._expand.cache_clear()
        return keys.fingerprint([("keyed_package.arm", "run")])

    yield folder, fingerprint
    for name in [name for name in sys.modules if name.startswith("keyed_package")]:
        del sys.modules[name]
    keys._load.cache_clear()
    keys._expand.cache_clear()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("base.py", "RATE = 2", "RATE = 3", True),  # a constant that a called function reads
        ("base.py", "return RATE * x", "return RATE * x + 1", True),  # a function imported from another module
        ("arm.py", "double(twice(seed))", "double(seed)", True),  # a function called in the same module
        ("base.py", '"""Base."""', '"""Another docstring."""', False),
        ("base.py", "def double(x):", "def double(x: int) -> int:  # typed", False),
        ("base.py", "def other(x):\n    return x", "def other(x):\n    return -x", False),  # not reached
        ("arm.py", "def figure():\n    return 1", "def figure():\n    return 2", False),
    ],
)
def test_a_key_changes_with_the_code_that_runs_and_with_no_other(package, file, old, new, changes):
    folder, fingerprint = package
    before = fingerprint()
    assert fingerprint() == before
    edit(folder / file, old, new)
    assert (fingerprint() != before) is changes


def test_the_key_of_an_agents_arm_covers_agent_and_environment():
    arm = Arm("a", "PPO", "envzoo/GridCoverage-v0", 100)
    roots = [*keys._agent_roots(arm.agent), *keys._environment_roots(arm.env)]
    reached = {}

    def collect(definition):
        if definition not in reached:
            reached[definition] = keys._expand(definition)[1]
            for found in reached[definition]:
                collect(found)

    for root in roots:
        collect(root)
    names = {(module.rpartition(".")[2], name) for module, name in reached}
    assert {("grid_coverage", "step"), ("grid_coverage", "GridCoverage"), ("on_policy", "OnPolicyAgent")} <= names
    base = keys.arm_key(arm, 100, False)
    assert base == keys.arm_key(dataclasses.replace(arm, name="b", group="other"), 100, False)
    others = [
        keys.arm_key(arm, 101, False),
        keys.arm_key(dataclasses.replace(arm, hyperparameters={"gamma": 0.9}), 100, False),
        keys.arm_key(dataclasses.replace(arm, env_kwargs={"start": "centre"}), 100, False),
    ]
    assert len({base, *others}) == 4


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


def test_a_check_of_an_arm_that_does_not_exist_is_an_error_and_not_a_later_stage(experiment):
    wrong = seeded("typo", Score("plane", "x"), ">", 0.5, null={"plane": "plain"}, primary=True)
    with pytest.raises(EnvzooError, match="plane"):
        run_experiment(dataclasses.replace(experiment, checks=(wrong,)), launcher="inline")


def test_the_seed_that_renews_an_arm_follows_from_the_stale_key():
    runs = [{"seed": seed} for seed in range(8)]
    seeds = [compared_run({"key": key, "runs": runs})["seed"] for key in "abcdefghijklmnop"]
    assert seeds == [compared_run({"key": key, "runs": runs})["seed"] for key in "abcdefghijklmnop"]
    assert len(set(seeds)) > 3
    assert compared_run({"runs": runs[:1]}) == {"seed": 0}  # results from before keys


def test_agents_and_environments_that_settings_name_are_in_the_key(monkeypatch):
    arm = FunctionArm("a", draw_one, settings={"method": "GRPO", "others": {"worlds": ["envzoo/BlockChain-v0"]}})
    key = keys.arm_key(arm, 1, False)
    for module in ("agents.reasoning.grpo", "block_chain"):
        roots = [root for root in keys._named_roots(dict(arm.settings)) if module in root[0]]
        assert roots
        real = keys._expand

        def changed(definition, real=real, roots=roots):
            digest, reached = real(definition)
            return (f"{digest} changed" if definition in roots else digest), reached

        monkeypatch.setattr(keys, "_expand", changed)
        assert keys.arm_key(arm, 1, False) != key
        monkeypatch.setattr(keys, "_expand", real)
    assert keys.arm_key(arm, 1, False) == key
    assert keys._named_roots({"method": "no agent", "n": 3, "flags": [True, None]}) == []


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
