"""Recipes of right answers: the oracles answer right in every episode, from what they observe alone."""

import gymnasium as gym
import numpy as np
import pytest

from envzoo.datasets import recipes
from envzoo.datasets.collector import collect
from envzoo.datasets.memory_experts import same_glyphs
from envzoo.datasets.recipes.memory import DATASETS
from envzoo.scripts.make_dataset import make_script


@pytest.mark.parametrize("row", DATASETS, ids=lambda row: row.id)
def test_the_oracle_is_never_wrong(row):
    policy = make_script(row.policy, row.env_id, row.env_kwargs)
    played = collect(row.env_id, policy.predict, episodes=40, seed=7, env_kwargs=dict(row.env_kwargs))
    assert [sum(episode.rewards) for episode in played] == pytest.approx([row.reference] * 40)
    assert len({tuple(np.ravel(episode.actions)) for episode in played}) > 1
    assert recipes()[row.id] == row


@pytest.mark.parametrize(("size", "distance"), [(32, 16), (9, 6), (20, 17)])
def test_glyphs_are_told_apart_by_their_picture_alone(size, distance):
    env = gym.make_vec("envzoo/SameDifferent-v0", num_envs=2000, size=size, distance=distance)
    images, _ = env.reset(seed=0)
    answers = np.array([same_glyphs(image[..., 0]) for image in images])
    _, rewards, terminated, _, _ = env.step(answers.astype(np.int64))
    assert (rewards == 1).all()
    assert terminated.all()
    assert 0.45 < answers.mean() < 0.55
