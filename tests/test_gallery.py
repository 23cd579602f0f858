"""The committed gallery shows what its captions say, and is small."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from envzoo.scripts.docs.links import environments
from envzoo.scripts.gallery import MARK, MOST_BYTES, transcript
from envzoo.scripts.gallery_players import Single, player

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "gallery"


def test_every_picture_is_shown_and_all_are_small():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert MARK in text
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    files = {file.name: file.stat().st_size for file in FOLDER.glob("*.gif")}
    assert sorted(shown) == sorted(files)
    assert len(files) >= 20
    assert sum(files.values()) <= MOST_BYTES


def test_captions_name_the_players_and_scores_of_now():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for environment in environments():
        if f"]({environment.name}.gif)" in text:
            assert player(environment).caption in text, environment.name


def played(name):
    return next(player(environment) for environment in environments() if environment.name == name)


def test_a_transcript_is_text():
    assert len(transcript(played("TextSumToRulesTokens"))) > 10


@pytest.mark.parametrize(
    ("name", "words", "best"),
    [
        ("RepeatFirst", "the best policy", 1.0),
        ("TextSumToRulesTokens", "a demonstration of the puzzle", 1.0),
        ("Latch", "the policy of the dataset `envzoo/latch/oracle-v0`", 1.0),
        ("BimodalCoverage", "the planner GreedyMarginal", None),
    ],
)
def test_players_earn_more_than_a_random_policy(name, words, best):
    chosen = played(name)
    assert chosen.words == words
    env = gym.make(chosen.env_id, **chosen.env_kwargs)
    agent = chosen.build()
    agent.set_env(env)
    found = play(env, agent.predict)
    assert found > play(env, lambda observation, state: (env.action_space.sample(), None))
    assert best is None or found == pytest.approx(best)


def play(env, predict):
    total = 0.0
    env.action_space.seed(0)
    for seed in range(5):
        (observation, _), state, done = env.reset(seed=seed), None, False
        while not done:
            action, state = predict(observation, state)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, done = total + reward, terminated or truncated
    return total / 5


def test_policies_for_batches_play_one_environment():
    seen = []

    class Policy:
        def predict(self, observation, state, episode_start, deterministic):
            seen.append((observation.shape, bool(episode_start[0])))
            return np.array([7]), "state"

    policy = Single(Policy())
    assert policy.predict(np.zeros(3)) == (7, "state")
    assert policy.predict(np.zeros(3), "state") == (7, "state")
    assert seen == [((1, 3), True), ((1, 3), False)]
