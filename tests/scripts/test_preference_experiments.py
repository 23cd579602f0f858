"""The runs of paper 20 that follow SPO and let policies meet: what can be known of them exactly."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

from envzoo import agents
from envzoo.preference.preferences import FeasiblePreference, sectors
from envzoo.scripts.experiments.p20_spo.afterwards import duel, longest_stay, trace, walk

ENV = "envzoo/PrefPoint-v0"


@pytest.mark.parametrize(
    ("sector", "longest"),
    [([], 0), ([-1, -1], 0), ([2], 1), ([0, 0, 1, 1, 1, 0], 3), ([1, -1, 1, 1], 2), ([-1, -1, 0], 1)],
)
def test_a_stay_ends_with_another_sector_or_a_mixed_batch(sector, longest):
    assert longest_stay(np.array(sector, int)) == longest


class Straight:
    """A policy with one action for each row."""

    def __init__(self, x):
        self.x = x

    def predict(self, observation, deterministic):
        return np.stack([np.full(len(observation), self.x), np.zeros(len(observation))], 1).astype(np.float32), None


def test_walks_are_whole_paths_with_their_last_place():
    found = walk(Straight(0.5), ENV, "nonmarkov")
    env, places = gym.make(ENV, kind="nonmarkov"), []
    env.reset(seed=3)
    for _ in range(25):
        place, reward, *_ = env.step(np.array([0.5, 0.0], np.float32))
        places.append(place)
    assert np.array_equal(found.observation[1:, 7], places)
    assert found.reward[-1, 7] == reward
    assert (found.length == 25).all()


def test_in_a_duel_the_path_that_keeps_the_rule_wins():
    preference = FeasiblePreference()
    left, right = (preference.features(walk(Straight(x), ENV, "nonmarkov")) for x in (-0.5, 0.5))
    assert (preference.win_probability(left, right) == 1).all()


def test_a_duel_of_a_policy_with_itself_is_even():
    scores = duel(0, 1600, True, ["SPO", "SPO"], ENV, "nonmarkov", 5)["scores"]
    assert scores["wins"] == pytest.approx(0.5)


def test_a_trace_counts_the_ties_of_each_batch_with_the_batches_before():
    found = trace(3, 3 * 64 * 25, True, "SPO", ENV)["scores"]
    batches = []
    learner = agents.make("SPO", ENV, seed=3, device="cpu", env_kwargs={"kind": "cyclic"}, queue=256,
                          entropy_coefficient=0.02)  # fmt: skip
    judge = learner.judge

    def keep(trajectories, features):
        batches.append(sectors(*trajectories.final[:, :2].T))
        return judge(trajectories, features)

    learner.judge = keep
    learner.learn(3 * 64 * 25)
    first, second, third = batches
    earlier = first, first, np.concatenate([first, first, second])  # the first batch fills the queue, and joins it
    ties = [(new[:, None] == old).mean() for new, old in zip((first, second, third), earlier, strict=True)]
    assert found["ties"] == pytest.approx(np.mean(ties))
    main = [np.bincount(batch, minlength=3).argmax() for batch in batches]
    assert found["changes"] == sum(a != b for a, b in itertools.pairwise(main))
