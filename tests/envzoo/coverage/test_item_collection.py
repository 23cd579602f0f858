"""ItemCollection: the hand-worked path, placements, and the capped counts by brute force."""

from collections import Counter

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401
from envzoo.coverage.item_collection import CAPS, COUNTS, ItemCollection
from envzoo.errors import EnvzooError


def test_hand_check():
    # x, y, x, z, all with items of one type of which two count: F = 1, 2, 2, 2.
    env = gym.make("envzoo/ItemCollection-v0", rows=1, columns=3, counts=(3,), caps=(2,), horizon=3, start=1)
    _, info = env.reset(seed=0)
    seen = [info["coverage"]]
    rewards, modular = [], []
    for action in (3, 1, 1):
        _, reward, *_, info = env.step(action)
        rewards.append(reward)
        modular.append(info["modular_reward"])
        seen.append(info["coverage"])
    assert seen == [1, 2, 2, 2]
    assert rewards == [1, 0, 0]
    assert modular == [1, 1, 1]


def test_value_against_counting():
    rng = np.random.default_rng(0)
    definition = ItemCollection(placement_seed=4)
    items = definition.parameters.load
    for _ in range(50):
        visited = rng.integers(0, 105, size=20).tolist()
        counts = Counter(int(items[cell]) for cell in set(visited) if items[cell] >= 0)
        assert definition.value(visited) == sum(min(count, CAPS[kind]) for kind, count in counts.items())
    assert definition.value(range(105)) == sum(CAPS) == 21


def test_placements():
    vector = gym.make_vec("envzoo/ItemCollection-v0", num_envs=2000)
    vector.reset(seed=0)
    items = vector.get_state()["items"]
    for kind, count in enumerate(COUNTS):
        assert ((items == kind).sum(axis=1) == count).all()
    # Every cell gets every type as often as any other: within five standard deviations.
    for kind, count in enumerate(COUNTS):
        share = count / 105
        assert np.abs((items == kind).mean(axis=0) - share).max() < 5 * np.sqrt(share * (1 - share) / 2000)
    fixed = gym.make_vec("envzoo/ItemCollection-v0", num_envs=2, placement_seed=7)
    fixed.reset(seed=0)
    items = fixed.get_state()["items"]
    assert np.array_equal(items[0], items[1])
    assert not np.array_equal(items[0], ItemCollection(placement_seed=8).parameters.load)


def test_observation_shows_what_is_left():
    env = gym.make("envzoo/ItemCollection-v0", items_visible=True, counts=(40, 40), caps=(3, 5)).unwrapped
    observation, _ = env.reset(seed=0)
    for action in (1, 1, 2, 3, 3, 3):
        observation, *_ = env.step(action)
        state = env.get_state()
        kinds, visited = state["items"][0], state["covered"][0]
        for kind in range(2):
            assert np.array_equal(observation["items"][kind].ravel(), (kinds == kind) & ~visited)
            collected = min(int(((kinds == kind) & visited).sum()), (3, 5)[kind])
            assert observation["needed"][kind] == (3, 5)[kind] - collected


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"counts": (3, 4)}, "counts has 2 types but caps has 6"),
        ({"counts": (100, 6), "caps": (1, 1)}, "counts asks for 106 items; expected at most 105"),
        ({"counts": 3}, "counts is 3"),
        ({"counts": (1.5,), "caps": (1,)}, "counts is"),
        ({"caps": (-1,), "counts": (1,)}, "caps is"),
        ({"placement_seed": -1}, "placement_seed is -1"),
    ],
)
def test_unusable_arguments(kwargs, match):
    with pytest.raises(EnvzooError, match=match):
        ItemCollection(**kwargs)


def test_value_needs_the_placement():
    definition = ItemCollection()
    with pytest.raises(EnvzooError, match="pass them as `items`"):
        definition.value([0])
    assert definition.value([0, 1], np.zeros(105, np.int8)) == 2
