"""The form of experiments: statistics, verdicts, and a tiny experiment from end to end."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.papers import Paper
from envzoo.scripts.experiments.core.arms import Arm, EvaluationPlan
from envzoo.scripts.experiments.core.checks import Difference, exact, seeded
from envzoo.scripts.experiments.core.execution import run_experiment
from envzoo.scripts.experiments.core.experiment import Experiment, Table
from envzoo.scripts.experiments.core.figures import BLUE, GREY, final_bars, learning_curves, level, title
from envzoo.scripts.experiments.core.report import format_number, read_results, to_json, to_markdown
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.run import CurveRecorder
from envzoo.scripts.experiments.core.statistics import (
    bootstrap_iqm,
    bootstrap_iqm_curve,
    interquartile_mean,
    probability_of_improvement,
)
from envzoo.scripts.reproduce import ReproduceOptions, reproduce_experiment

# ---------------------------------------------------------------------------- statistics


def test_interquartile_mean_of_known_scores():
    assert interquartile_mean(np.arange(8)) == 3.5
    assert interquartile_mean([0, 0, 0, 100]) == 0
    assert interquartile_mean([1, 2, 6]) == 3  # too few to trim
    assert interquartile_mean(np.arange(8).reshape(4, 2)) == 3.5  # over runs and tasks together


def test_intervals():
    assert bootstrap_iqm(np.full((5, 3), 2.0)) == (2.0, 2.0, 2.0)
    scores = np.random.default_rng(0).normal(10, 1, 40)
    iqm, low, high = bootstrap_iqm(scores)
    assert low < iqm < high
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / 40**0.5, rel=0.4)
    assert bootstrap_iqm(scores) == (iqm, low, high)  # the same numbers again
    # Runs are resampled within each task: two tasks that differ, but not between runs, leave nothing uncertain.
    assert bootstrap_iqm(np.tile([0.0, 8.0], (6, 1)))[1:] == (4.0, 4.0)


def test_curves_have_a_band_at_every_point():
    middle, low, high = bootstrap_iqm_curve(np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]))
    assert middle == pytest.approx([0, 2])
    assert low == pytest.approx([0, 1], abs=0.4)
    assert high == pytest.approx([0, 3], abs=0.4)


def test_probability_of_improvement():
    assert probability_of_improvement([3, 4], [1, 2]) == 1
    assert probability_of_improvement([1, 2], [1, 2]) == 0.5


# ---------------------------------------------------------------------------- parts


def test_recorder_thins_to_means_and_keeps_the_tail():
    class Agent:
        num_timesteps = 0

    recorder, agent = CurveRecorder(("a", "b"), 1000), Agent()
    for i in range(1000):
        agent.num_timesteps += 1
        recorder.on_iteration(agent, {"a": float(i)} | ({"b": 1.0} if i == 999 else {}))
    curves = recorder.curves()
    assert len(curves["timesteps"]) == len(curves["a"]) == len(curves["b"]) == 100
    assert curves["timesteps"][0] == 5.5
    assert curves["a"][:2] == [4.5, 14.5]
    assert curves["b"][-2:] == [None, 1.0]
    assert recorder.tail() == {"a": pytest.approx(949.5), "b": 1.0}


def test_json_has_no_numbers_that_json_lacks():
    text = to_json({"a": [1.5, float("nan"), None], "b": {}, "c": [{"d": float("inf")}], "e": (True, "x")})
    assert json.loads(text) == {"a": [1.5, None, None], "b": {}, "c": [{"d": None}], "e": [True, "x"]}


def test_numbers_for_people():
    assert [format_number(v) for v in (1234.5, 57.94, 0.8949, 1.0021, -4.76, float("nan"), None)] == [
        "1,234",
        "57.9",
        "0.895",
        "1.002",
        "-4.76",
        "-",
        "-",
    ]


def test_a_check_that_cannot_be_computed_does_not_hold():
    check = seeded("x", lambda results: [1.0, float("nan")], ">", 0.0, null={})
    entry = check.judge(Results({"arms": {}}))
    assert entry["verdict"] == "inconclusive"
    assert entry["method"] == "not computed: 1 of 2 values are not finite"


# ---------------------------------------------------------------------------- a tiny experiment

PAPER = Paper("A Tiny Paper", "Nobody", 2024, "0000.00000", "98")
ENV = "envzoo/GridCoverage-v0"


def count_odd(result):
    return {"odd": float((result.infos["coverage"] % 2 == 1).mean())}


def draw(results, figure):
    title(figure, results, "Tiny")
    left, right = figure.subplots(1, 2)
    colours = {"random": GREY, "learner": BLUE, "not run": BLUE}
    learning_curves(left, results, colours, "rollout/final_coverage_mean")
    level(left, 64, "bound")
    final_bars(right, results, colours, "coverage")


BEATS = Difference("learner", "random", "coverage")
NULL = {"learner": "random"}


@pytest.fixture
def tiny():
    evaluations = (
        EvaluationPlan(episodes=20, deterministic=False),
        EvaluationPlan(episodes=5, prefix="mode/", measure=count_odd),
    )
    elsewhere = EvaluationPlan(episodes=5, env=ENV, env_kwargs={"start": "centre"}, prefix="centre/")
    learner = {"num_envs": 16}
    return Experiment(
        paper=PAPER,
        question="Does it run?",
        claim="It does.",
        arms=(
            Arm("random", "Random", ENV, 0, evaluations=(*evaluations, elsewhere), group="all"),
            Arm(
                "learner",
                "SubPO",
                ENV,
                16 * 20 * 30,
                hyperparameters=learner,
                evaluations=evaluations,
                group="all",
                curves=("rollout/final_coverage_mean",),
                quick_timesteps=16 * 20 * 20,
            ),
            Arm("slow", "Random", ENV, 0, group="all", full_only=True),
        ),
        checks=(
            seeded("the learner covers more than the random policy", BEATS, ">", 0.0, null=NULL, primary=True),
            exact("only in a full run", lambda results: 1.0, ">", 0.0, null=lambda results: 0.0, full_only=True),
        ),
        figure=draw,
        tables=(Table("all", "Everything", {"coverage": "cells", "mode/odd": "odd"}, {"random": 18.8}),),
        seeds=3,
    )


def _without_times(value):
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key != "seconds"}
    return [_without_times(item) for item in value] if isinstance(value, list | tuple) else value


def reproduce(experiment, out, **options):
    console = Console(file=io.StringIO(), width=200)
    code = reproduce_experiment(
        experiment, ReproduceOptions(out=str(out), launcher="inline", **options), console=console
    )
    return code, console.file.getvalue()


def test_a_quick_run_writes_everything_and_can_be_repeated(tiny, tmp_path):
    code, output = reproduce(tiny, tmp_path, quick=True)
    assert code == 0
    assert "the learner covers more than the random policy" in output
    assert "A quick run is not judged. 4 runs" in output
    assert str(tmp_path / "figure.png") in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", "hero.png", "results.json", "table.md"]
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")

    data = json.loads((tmp_path / "results.json").read_text())
    assert data["verdict"] == "not judged"
    assert data["unchecked"] == 1
    assert data["seeds"] == [0, 1]
    assert list(data["arms"]) == ["random", "learner"]
    entry = data["arms"]["learner"]
    assert entry["config"]["num_envs"] == 16
    assert entry["config"]["credit"] == "reward-to-go"
    assert entry["timesteps"] == 16 * 20 * 20
    assert len(entry["runs"]) == 2
    assert len(entry["runs"][0]["curves"]["timesteps"]) == 20
    scores = entry["runs"][0]["scores"]
    assert scores["coverage"] == scores["return"] + 4  # the disc of the start
    assert {"mode/odd", "mode/return", "rollout/final_coverage_mean"} <= set(scores)
    assert "centre/coverage" in data["arms"]["random"]["runs"][0]["scores"]
    assert entry["statistics"]["coverage"]["low"] <= entry["statistics"]["coverage"]["high"]
    assert set(data["versions"]) >= {"envzoo", "python", "torch", "numpy", "gymnasium"}

    table = (tmp_path / "table.md").read_text()
    assert "**Claimed.** It does.\n\n**Found.** A quick run is not judged." in table
    assert "| learner |" in table
    assert to_markdown(tiny, read_results(tmp_path)) == table
    with pytest.raises(EnvzooError, match=r"holds no readable results\.json"):
        read_results(tmp_path / "nowhere")
    again = run_experiment(tiny, quick=True, launcher="inline")
    assert _without_times(json.loads(to_json(again.data))) == _without_times(data)


def test_exit_codes_are_those_of_the_verdict(tiny, tmp_path):
    code, output = reproduce(tiny, tmp_path / "holds")
    assert code == 0
    assert "The claim holds: 1 of 1 primary check hold, and 1 of 1 others." in output
    impossible = seeded("the learner covers a thousand cells more", BEATS, ">", 1000.0, null=NULL, primary=True)
    code, output = reproduce(dataclasses.replace(tiny, checks=(*tiny.checks, impossible)), tmp_path / "fails")
    assert code == 1
    assert "The claim does not hold: 1 of 2" in output
    assert "**fails**" in (tmp_path / "fails" / "table.md").read_text()
    code, _ = reproduce(tiny, tmp_path / "undecided", seeds=1)
    assert code == 3
    assert "inconclusive (over 10,000 seeds needed)" in (tmp_path / "undecided" / "table.md").read_text()


def test_results_name_what_they_lack(tiny):
    results = run_experiment(tiny, quick=True, seeds=1, launcher="inline")
    with pytest.raises(UnknownNameError, match=r"unknown arm 'learned'.*did you mean 'learner'"):
        results.scores("learned", "coverage")
    with pytest.raises(UnknownNameError, match="unknown score of learner 'coverages'"):
        results.scores("learner", "coverages")


def test_bad_input_is_refused_before_any_work(tiny, tmp_path):
    with pytest.raises(EnvzooError, match="seeds is a positive integer, got 0"):
        run_experiment(tiny, seeds=0, launcher="inline")
    with pytest.raises(EnvzooError, match="cannot run until it is decided"):
        run_experiment(tiny, quick=True, until_decided=True, launcher="inline")
    with pytest.raises(EnvzooError, match="arms with names of their own"):
        dataclasses.replace(tiny, arms=tiny.arms * 2)
    with pytest.raises(EnvzooError, match="one to three primary checks decide an experiment, got 4"):
        dataclasses.replace(tiny, checks=tiny.checks[:1] * 4)
    with pytest.raises(EnvzooError, match="one to three primary checks decide an experiment, got 0"):
        dataclasses.replace(tiny, checks=tiny.checks[1:])
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvzooError, match="cannot be made"):
        reproduce(tiny, tmp_path / "file" / "below", quick=True)
