"""Advantages and returns against sums written out term by term."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from envzoo.agents.losses.advantages import cumulative_rewards, generalized_advantages, reward_to_go

numbers = st.floats(-10, 10, width=32)
discounts = st.sampled_from([0.0, 0.5, 0.9, 1.0])


@st.composite
def experiences(draw):
    shape = (draw(st.integers(1, 7)), draw(st.integers(1, 3)))
    arrays = [draw(npst.arrays(np.float32, shape, elements=numbers)) for _ in range(3)]
    terminated = draw(npst.arrays(np.bool_, shape))
    truncated = draw(npst.arrays(np.bool_, shape)) & ~terminated
    return *arrays, terminated, terminated | truncated


def brute_force(rewards, values, next_values, terminated, done, gamma, lam):
    """A_t as the sum of (gamma lambda)^k delta_{t+k} up to the end of the episode (equation 16)."""
    steps, num_envs = rewards.shape
    out = np.zeros((steps, num_envs))
    for b in range(num_envs):
        for t in range(steps):
            for k in range(t, steps):
                bootstrap = 0.0 if terminated[k, b] else gamma * float(next_values[k, b])
                delta = float(rewards[k, b]) + bootstrap - float(values[k, b])
                out[t, b] += (gamma * lam) ** (k - t) * delta
                if done[k, b]:
                    break
    return out


@settings(max_examples=100, deadline=None)
@given(experiences(), discounts, discounts)
def test_generalized_advantages_equal_the_sum(experience, gamma, lam):
    found = generalized_advantages(*experience, gamma, lam)
    assert found.dtype == np.float32
    assert np.allclose(found, brute_force(*experience, gamma, lam), atol=1e-3, rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(experiences(), discounts)
def test_lambda_one_is_monte_carlo(experience, gamma):
    rewards, values, next_values, terminated, done = experience
    steps, num_envs = rewards.shape
    for t in range(steps - 1):  # within an episode the next value is the value of the next row
        next_values[t] = np.where(done[t], next_values[t], values[t + 1])
    found = generalized_advantages(rewards, values, next_values, terminated, done, gamma, 1.0)
    for b in range(num_envs):
        for t in range(steps):
            total, discount = 0.0, 1.0
            for k in range(t, steps):
                total += discount * float(rewards[k, b])
                discount *= gamma
                if done[k, b] or k == steps - 1:  # the tail is bootstrapped, unless the episode terminated
                    total += 0.0 if terminated[k, b] else discount * float(next_values[k, b])
                    break
            assert found[t, b] == pytest.approx(total - float(values[t, b]), abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(experiences(), discounts)
def test_lambda_zero_is_one_step(experience, gamma):
    rewards, values, next_values, terminated, _ = experience
    found = generalized_advantages(*experience, gamma, 0.0)
    assert np.allclose(found, rewards + gamma * np.where(terminated, 0, next_values) - values, atol=1e-4)


def one_step(terminated, done):
    column = lambda *numbers: np.array([[number] for number in numbers], np.float32)  # noqa: E731
    flags = [np.array([[flag], [False]]) for flag in (terminated, done)]
    return generalized_advantages(column(1, 2), column(10, 20), column(100, 1000), *flags, 0.5, 0.5)[0, 0]


def test_truncation_bootstraps_and_termination_does_not():
    assert one_step(terminated=True, done=True) == 1 - 10
    assert one_step(terminated=False, done=True) == 1 + 0.5 * 100 - 10
    # The episode continues: the second step's delta is 2 + 500 - 20.
    assert one_step(terminated=False, done=False) == 1 + 0.5 * 100 - 10 + 0.25 * (2 + 500 - 20)


@settings(max_examples=50, deadline=None)
@given(experiences(), discounts)
def test_reward_to_go_equals_the_sum(experience, gamma):
    rewards, _, _, _, done = experience
    found = reward_to_go(rewards, done, gamma)
    zero, never = np.zeros_like(rewards), np.zeros_like(done)
    # It is the advantage without values, where every end is a termination.
    assert np.allclose(found, brute_force(rewards, zero, zero, never, done, gamma, 1.0), atol=1e-3)
    assert found.dtype == np.float32


@settings(max_examples=50, deadline=None)
@given(experiences())
def test_cumulative_rewards_equal_the_sum(experience):
    rewards, _, _, _, start = experience
    found = cumulative_rewards(rewards, start)
    steps, num_envs = rewards.shape
    for b in range(num_envs):
        for t in range(steps):
            first = max([k for k in range(t + 1) if start[k, b]], default=0)
            assert found[t, b] == pytest.approx(rewards[first : t + 1, b].astype(float).sum(), abs=1e-4)


def test_hand_worked_returns():
    rewards = np.array([[1, 2, 4, 8]], np.float32).T
    done = np.array([[False, True, False, False]]).T
    start = np.array([[True, False, True, False]]).T
    assert reward_to_go(rewards, done, 0.5).ravel().tolist() == [2, 2, 8, 8]
    assert cumulative_rewards(rewards, start).ravel().tolist() == [1, 3, 4, 12]
