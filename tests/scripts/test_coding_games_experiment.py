"""The experiment on coding games: its own computations, and scores that are read off an agent."""

import math

import numpy as np
import pytest

from envzoo.agents.planners.coupling import entropy
from envzoo.scripts.experiments.core.checks import compare
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.run import run_arm
from envzoo.scripts.experiments.p05_mec_bottleneck import experiment as experiment
from envzoo.scripts.experiments.p05_mec_bottleneck.figure import partitions
from envzoo.scripts.experiments.p05_mec_bottleneck.names import BLIND, CODES, TEMPERATURES, arm_name


def test_partitions_are_counted_by_bells_numbers():
    for n, count in ((1, 1), (2, 2), (3, 5), (4, 15), (6, 203)):
        found = list(partitions(n))
        assert len({tuple(labels) for labels in found}) == len(found) == count
        assert all(labels[0] == 0 for labels in found)
    assert entropy(np.bincount([0, 0, 1, 2], np.full(4, 0.25))) == 1.5


def fabricated(accuracy, returns=0.3, variance=0.01, seeds=2):
    """Results of the grid's arms with given accuracies by (code, temperature)."""

    def run(code, temperature):
        value = returns(code, temperature) if callable(returns) else returns
        scores = {"correct": accuracy(code, temperature), "discounted_return": value}
        return {"scores": {**scores, "variance": variance, "gap": 1e-15}}

    arms = {
        arm_name(code, t): {"group": "grid", "runs": [run(code, t) for _ in range(seeds)]}
        for code in CODES
        for t in TEMPERATURES
    }
    return Results({"arms": arms, "seeds": list(range(seeds))})


def check(words):
    return next(found for found in experiment.EXPERIMENT.checks if words in found.sentence)


def judged(words, results):
    found = check(words)
    entry = found.judge(results)
    return entry | {"holds": compare(entry["value"], found.operator, found.threshold)}


def test_checks_hold_and_fail_where_they_should():
    good = fabricated(lambda code, t: 0.02 if "quantiser" in code else 0.1 * (t + 10), lambda _, t: 0.3 - 0.01 * t)
    assert judged("Accuracy of EBIM over", good)["value"] == pytest.approx(0.4 / 0.02)
    assert judged("Gain in accuracy", good)["holds"]
    assert judged("Return lost", good)["value"] == pytest.approx(0.03)
    assert judged("rise from one temperature", good)["holds"]
    # Steps of 0.01 over 2 x 200 episodes of variance 0.01 in each of eight codes: the error of a difference is 0.0025.
    flat = fabricated(lambda *_: 0.5, lambda _, t: 0.01 * t)
    rise = judged("rise from one temperature", flat)
    assert rise["value"] == pytest.approx(0.01 / math.sqrt(2 * 0.01 / 400 / 8))
    assert not rise["holds"]
    assert not judged("Return lost", flat)["holds"]
    assert not judged("beyond its blocks", flat)["holds"]
    assert not judged("Accuracy of EBIM over", flat)["holds"]


def test_a_single_rate_off_blind_play_is_found():
    off = fabricated(lambda *_: 0.5, lambda code, _: 0.3 + 0.05 * (code == "rate 1"))
    found = judged("Return off blind play, all", off)
    assert found["value"] == pytest.approx(0.05 / math.sqrt(2 * 0.01 / 400 / len(TEMPERATURES)))
    assert not found["holds"]
    even = fabricated(lambda *_: 0.5, lambda code, _: 0.3 + 0.05 * (code == BLIND))
    assert not judged("Return off blind play, all", even)["holds"]


def test_the_gap_is_read_off_the_agent():
    arm = next(arm for arm in experiment.EXPERIMENT.arms if arm.name == arm_name("EBIM 0.5", -4))
    scores = run_arm({"arm": arm, "seed": 0, "timesteps": 0})["scores"]
    assert 0 < scores["gap"] < 1e-9
    assert scores["correct"] > 0.9
    assert scores["variance"] > 0
