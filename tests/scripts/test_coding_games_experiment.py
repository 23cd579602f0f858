"""The experiment on coding games: its own computations, and scores that are read off an agent."""

import numpy as np
import pytest

from envzoo.agents.planners.coupling import entropy
from envzoo.scripts.experiments.core.results import Results
from envzoo.scripts.experiments.core.run import run_arm
from envzoo.scripts.experiments.p05_mec_bottleneck import checks as checks
from envzoo.scripts.experiments.p05_mec_bottleneck import experiment as experiment
from envzoo.scripts.experiments.p05_mec_bottleneck.figure import partitions
from envzoo.scripts.experiments.p05_mec_bottleneck.names import BLIND, CODES, TEMPERATURES, arm_name


def test_partitions_are_counted_by_bells_numbers():
    for n, count in ((1, 1), (2, 2), (3, 5), (4, 15), (6, 203)):
        found = list(partitions(n))
        assert len({tuple(labels) for labels in found}) == len(found) == count
        assert all(labels[0] == 0 for labels in found)
    assert entropy(np.bincount([0, 0, 1, 2], np.full(4, 0.25))) == 1.5


def fabricated(accuracy, returns=0.3, seeds=6):
    """Results of the grid's arms with given accuracies by (code, temperature), and a little noise of the seeds."""

    def runs(code, temperature):
        value = returns(code, temperature) if callable(returns) else returns
        noise = 1e-4 * np.random.default_rng(0).normal(size=seeds)
        for seed in range(seeds):
            scores = {"correct": accuracy(code, temperature) + noise[seed], "discounted_return": value + noise[seed]}
            yield {"seed": seed, "scores": scores | {"gap": 1e-15}}

    arms = {arm_name(code, t): {"group": "grid", "runs": list(runs(code, t))} for code in CODES for t in TEMPERATURES}
    return Results({"arms": arms, "seeds": list(range(seeds))})


def judged(words, results):
    return next(found for found in checks.CHECKS if words in found.sentence).judge(results)


def test_checks_hold_and_fail_where_they_should():
    # An accuracy that rises with the temperature and a return that falls, as far as the exact one does.
    good = fabricated(
        lambda code, t: checks.blocks(CODES[code][1]) / 64 if "quantiser" in code else 0.8 + 0.05 * (t + 4),
        lambda _, t: checks.exact_return(t),
    )
    for words in ("EBIM guesses", "tells its blocks", "raises the accuracy", "lowers the return", "is the exact one"):
        assert judged(words, good)["verdict"] == "holds", words
    flat = fabricated(lambda *_: 0.5)
    for words, found in (
        ("EBIM guesses", "fails"),
        ("tells its blocks", "fails"),
        ("raises the accuracy", "inconclusive"),
        ("lowers the return", "inconclusive"),
        ("is the exact one", "fails"),
    ):
        assert judged(words, flat)["verdict"] == found, words


def test_the_quantisers_blocks_are_whole():
    # 2^4.5 = 22.6: blocks of three messages, 22 of them; 2^3 = 8 blocks of eight; 2^1.5 = 2.8: two blocks.
    assert [checks.blocks(rate) for rate in (1.0, 0.75, 0.5, 0.25)] == [64, 22, 8, 2]


def test_the_exact_returns_are_those_of_the_page():
    found = [checks.exact_return(temperature) for temperature in TEMPERATURES]
    assert found == pytest.approx([0.3335, 0.3324, 0.3201, 0.0819], abs=5e-5)


def test_a_single_rate_off_blind_play_is_found():
    for off in ("rate 1", BLIND):
        results = fabricated(lambda *_: 0.5, lambda code, _, off=off: 0.3 + 0.05 * (code == off))
        assert judged("The return at every rate", results)["verdict"] == "fails"
    same = fabricated(lambda *_: 0.5, lambda _, t: 0.3 + 0.05 * t)
    parts = judged("The return at every rate", same)["components"]
    assert [part["value"] for part in parts] == pytest.approx([0.0] * 4, abs=1e-12)


def test_a_gap_is_found_if_one_message_acts_for_all():
    (gap,) = (check for check in checks.CHECKS if check.kind == "exact")
    assert gap.under_null(fabricated(lambda *_: 0.5))["verdict"] == "fails"


def test_every_seed_plays_messages_of_its_own():
    arm = next(arm for arm in experiment.EXPERIMENT.arms if arm.name == arm_name("EBIM 0.5", -4))
    first, second = (run_arm({"arm": arm, "seed": seed, "timesteps": 0})["scores"] for seed in (0, 1))
    assert 0 < first["gap"] < 1e-9
    assert min(first["correct"], second["correct"]) > 0.9
    assert first["message"] != second["message"]
    assert first["discounted_return"] != second["discounted_return"]
