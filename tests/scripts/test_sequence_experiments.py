"""The runs of papers 28 and 52: what can be known of them exactly."""

import numpy as np
import pytest

from envzoo.offline.planning import policy_return
from envzoo.offline.slip_lake import SlipLake
from envzoo.scripts.experiments.p28_dichotomy_of_control import study
from envzoo.scripts.experiments.p52_learning_history_filtering import study as histories


def test_imitation_on_the_tree_goes_left_and_claims_ten():
    scores = study.run_tree(3, 0, True, "imitation", 400)["scores"]
    assert scores["return"] == pytest.approx(2.5)
    assert scores["claimed"] == 10
    assert scores["gap"] == pytest.approx(7.5)
    assert scores["share of optimal"] == pytest.approx(2.5 / 4)


def test_imitation_on_the_jackpot_never_takes_the_sure_arm():
    scores = study.run_bandit(3, 0, True, "imitation", [0.01, 1.0], [100.0, 5.0], 0.5, 2000)["scores"]
    assert scores["last arm"] == 0
    assert scores["return"] == pytest.approx(1.0)
    assert scores["gap"] == pytest.approx(99)


def test_data_are_of_their_seed():
    first, again, other = (study.play("envzoo/LuckyTree-v0", np.full((7, 2), 0.5), 20, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.actions, again.actions)
    assert np.array_equal(first.rewards, again.rewards)
    assert not np.array_equal(first.actions, other.actions)


def test_the_behaviour_on_the_lake():
    policy = study.lake_behaviour(SlipLake(slip=0.0))
    assert policy.sum(axis=1) == pytest.approx(1)
    assert sorted(set(policy.round(12).ravel())) == [0.1, 0.7]
    greedy = np.eye(4)[policy.argmax(axis=1)]
    assert policy_return(SlipLake(slip=0.0).model(), greedy, 50) == pytest.approx(1)


def test_identities_hold():
    assert max(study.run_identities(5, 20, True)["scores"].values()) < 1e-12
    scores = histories.run_metrics(5, 200, True)["scores"]
    assert scores["metrics"] == scores["broken"] == 0
    assert scores["frequencies"] < 0.01


def test_scores_of_a_curve():
    found = histories.score(np.arange(1.0, 16.0))
    assert found["scores"] == {"mean": 8, "first": 3, "last": 13, "last over first": 13 / 3}
    assert found["curves"]["timesteps"] == list(range(1, 16))
