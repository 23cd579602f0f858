"""MemorylessAlign and TextTilt, against closed forms and enumeration."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo  # noqa: F401
from envzoo.errors import EnvzooError
from envzoo.preference.text_tilt import Tilt


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_rewards_and_log_probs_of_tokens(tokens):
    p, r = (0.5, 0.3, 0.2), (0.0, 1.0, 2.5)
    env = gym.make("envzoo/MemorylessAlign-v0", length=4, disable_env_checker=True)
    observation, info = env.reset(seed=0)
    assert (observation, info) == (0, {"log_p": 0.0, "total": 0.0})
    for step, token in enumerate(tokens, 1):
        observation, reward, terminated, truncated, info = env.step(token)
        assert (observation, reward, terminated, truncated) == (step, r[token], step == 4, False)
        assert info["log_p"] == pytest.approx(np.log(p[token]))
    assert info["total"] == pytest.approx(sum(r[token] for token in tokens))


def test_the_reference_policy_is_an_attribute_of_both_faces():
    for env in (gym.make("envzoo/MemorylessAlign-v0"), gym.make_vec("envzoo/MemorylessAlign-v0", num_envs=2)):
        assert env.unwrapped.reference_policy.tolist() == [0.5, 0.3, 0.2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"probabilities": (0.5, 0.4)}, "probabilities has 2 entries and rewards 3"),
        ({"probabilities": (0.5, 0.3, 0.3)}, "expected positive numbers with the sum 1"),
        ({"probabilities": (1.0, 0.0, 0.0)}, "expected positive numbers with the sum 1"),
        ({"rewards": (0, 1, np.nan)}, "rewards is float64 of shape"),
        ({"length": 0}, "length is 0; expected a whole number of at least 1"),
    ],
)
def test_refusals(arguments, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        gym.make("envzoo/MemorylessAlign-v0", **arguments)


def answers_of(task):
    """All complete answers of a small task, (n, length + 1)."""
    symbols = range(2, 2 + len(task.transitions))
    return np.array([(*row, 1) for row in itertools.product(symbols, repeat=task.length)])


def test_the_law_of_the_reward_is_that_of_all_answers():
    task = Tilt(symbols=4, length=4, model_seed=3)
    answers = answers_of(task)
    for prompt in range(4):
        prompts = np.full((len(answers), 1), 2 + prompt)
        probability = np.exp(task.base_log_probs(prompts, answers))
        rewards = task.verify(prompts, answers).astype(int)
        assert probability.sum() == pytest.approx(1, abs=1e-12)
        assert rewards.tolist() == [len(set(row[:-1])) for row in answers.tolist()]
        expected = np.bincount(rewards, probability, minlength=5)
        assert task.reward_law(prompt) == pytest.approx(expected, abs=1e-13)


def test_demonstrations_are_samples_of_the_bigram_model():
    task = Tilt(symbols=3, length=2)
    prompts = np.full((6000, 1), 2)
    answers = task.demo(prompts, noise=0.5, seed=1)
    every = answers_of(task)
    probability = np.exp(task.base_log_probs(prompts[: len(every)], every))
    counts = np.array([(answers == row).all(1).sum() for row in every])
    assert counts.sum() == 6000
    assert (np.abs(counts - 6000 * probability) <= 5 * np.sqrt(6000 * probability) + 1).all()


def test_answers_of_another_length_earn_nothing():
    task = Tilt(symbols=4, length=3)
    assert task.verify_text(["a"] * 5, ["abc", "ab", "abcd", "ab_", ""]).tolist() == [3, 0, 0, 0, 0]
    assert task.base_log_probs(np.array([[2]]), np.array([[2, 3, 1, 0]])).tolist() == [-np.inf]


def test_both_faces_give_the_same_rewards():
    text = gym.make("envzoo/TextTilt-v0", length=3)
    tokens = gym.make("envzoo/TextTilt-Tokens-v0", length=3)
    assert text.reset(seed=4)[0] == tokens.unwrapped.definition.task.text(tokens.reset(seed=4)[0][:1])
    assert text.step("bcb")[1] == 2
    for token in (3, 4, 3):
        assert tokens.step(token)[1] == 0
    assert tokens.step(1)[1:3] == (2.0, True)
