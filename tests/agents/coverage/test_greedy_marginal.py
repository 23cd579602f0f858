"""The greedy planner against hand-worked and brute-force choices."""

import gymnasium as gym
import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.errors import EnvzooError, UnsupportedSpaceError


def test_takes_the_largest_gain_on_three_cells():
    env = gym.make("envzoo/GridCoverage-v0", rows=1, columns=3, horizon=2, start=0)
    observation, _ = env.reset(seed=0)
    agent = agents.make("GreedyMarginal", env)
    action, _ = agent.predict(observation)
    assert action == 1  # right gains one cell, every other move none
    before = env.unwrapped.get_state()
    agent.predict(observation)
    for name, array in env.unwrapped.get_state().items():
        np.testing.assert_array_equal(array, before[name])  # looking ahead leaves the environment as it was


def test_every_choice_is_a_maximum_over_the_actions():
    env = gym.make_vec("envzoo/GridCoverage-v0", num_envs=16, autoreset_mode="SameStep", start="random")
    observation, _ = env.reset(seed=3)
    agent = agents.make("GreedyMarginal", env)
    for _ in range(30):
        action, _ = agent.predict(observation)
        state = env.unwrapped.get_state()
        gains = []
        for other in range(5):
            env.unwrapped.set_state(state)
            gains.append(env.step(np.full(16, other))[1])
        env.unwrapped.set_state(state)
        observation, reward, *_ = env.step(action)
        np.testing.assert_array_equal(reward, np.max(gains, axis=0))


def test_first_tie_is_deterministic_and_batches_agree():
    agent = agents.make("GreedyMarginal", "envzoo/GridCoverage-v0", ties="first")
    first, second = evaluate(agent, episodes=3), evaluate(agent, episodes=7)
    assert set(first.returns) == set(second.returns)
    assert len(set(first.returns)) == 1


def test_clear_refusals():
    agent = agents.make("GreedyMarginal", "envzoo/GridCoverage-v0")
    with pytest.raises(EnvzooError, match="set_env"):
        agent.predict(np.array([0, 0]))
    with pytest.raises(UnsupportedSpaceError, match="cannot capture its state"):
        agents.make("GreedyMarginal", gym.make("CartPole-v1"))
    with pytest.raises(EnvzooError, match="'random' or 'first'"):
        agents.make("GreedyMarginal", "envzoo/GridCoverage-v0", ties="frist")


def test_looks_through_a_wrapper_that_pays_other_rewards():
    from envzoo.coverage.set_functions import WeightedCoverage
    from envzoo.wrappers import SubmodularReward

    weights = np.array([0.0, 0.0, 5.0, 1.0])
    inner = gym.make("envzoo/GridCoverage-v0", rows=2, columns=2, radius=0, horizon=2)
    env = SubmodularReward(inner, WeightedCoverage.on_grid(2, 2, weights, radius=0), key=0)
    observation, _ = env.reset(seed=0)
    action, _ = agents.make("GreedyMarginal", env).predict(observation)
    assert action == 2  # down, to the cell of weight 5
