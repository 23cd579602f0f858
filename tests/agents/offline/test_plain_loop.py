"""Agents that need the rewards of the steps before play alike in a loop of one's own and in an evaluation."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorWrapper

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.offline.sequence_agent import SequenceAgent
from envzoo.agents.registry import agent_class
from envzoo.errors import EnvzooError

_spec = spec_from_file_location("contract", Path(__file__).parents[1] / "test_contract.py")
contract = module_from_spec(_spec)
_spec.loader.exec_module(contract)
dataset = contract.dataset
NAMES = [
    name
    for name, row in agents.specs().items()
    if row.sources == ("dataset",) and row.family == "offline" and issubclass(agent_class(name), SequenceAgent)
]
EPISODES = 3


class Recorder(VectorWrapper):
    """A vector environment that remembers the actions that it was given."""

    def __init__(self, env):
        super().__init__(env)
        self.actions = []

    def step(self, actions):
        self.actions.append(np.array(actions))
        return super().step(actions)


def learned(name, dataset):
    """Make an agent that has taken a few gradient steps; two of them are equal."""
    return contract.make_example(name, dataset).learn(3)


def environment(agent, count, mode=AutoresetMode.SAME_STEP):
    env_id, kwargs = agent.source.environment()
    return Recorder(gym.make_vec(env_id, num_envs=count, autoreset_mode=mode, **kwargs))


def evaluated(agent, count=1, mode=AutoresetMode.SAME_STEP):
    """Return the actions that an evaluation took, (T, B)."""
    env = environment(agent, count, mode)
    evaluate(agent, env, episodes=EPISODES * count, seed=5, deterministic=False)
    env.close()
    return np.stack(env.actions)


def test_all_of_these_agents_are_known():
    assert set(NAMES) >= {"DecisionTransformer", "DoC", "AlgorithmDistillation", "DPT", "DICP"}


@pytest.mark.parametrize("listening", [False, True], ids=["told", "listening"])
@pytest.mark.parametrize("name", NAMES)
def test_a_plain_loop_takes_the_actions_of_an_evaluation(name, listening, dataset):
    expected, agent = evaluated(learned(name, dataset)), learned(name, dataset)
    env_id, kwargs = agent.source.environment()
    env = gym.make(env_id, **kwargs)
    if listening:
        agent.set_env(env)
    taken = []
    observation, _ = env.reset(seed=5)
    state, start = None, True
    while len(taken) < len(expected):
        opens = {"episode_start": np.array([start])} if listening else {}
        action, state = agent.predict(observation, state, deterministic=False, **opens)
        taken.append(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        start = terminated or truncated
        if not listening:
            state = agent.observe_rewards(state, reward, start)
        if start:
            observation, _ = env.reset()
    env.close()
    assert np.array_equal(np.stack(taken), expected[:, 0])


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("name", NAMES)
def test_a_loop_over_a_vector_environment_takes_the_actions_of_an_evaluation(name, mode, dataset):
    count = 2
    expected, agent = evaluated(learned(name, dataset), count, mode), learned(name, dataset)
    env = environment(agent, count, mode)
    observation, _ = env.reset(seed=5)
    state, start, done = None, np.ones(count, bool), np.zeros(count, bool)
    while len(env.actions) < len(expected):
        action, state = agent.predict(observation, state, start, deterministic=False)
        before = done
        observation, reward, terminated, truncated, _ = env.step(action)
        done = terminated | truncated
        state = agent.observe_rewards(state, reward, done)
        start = done if mode == AutoresetMode.SAME_STEP else before
    env.close()
    assert np.array_equal(np.stack(env.actions), expected)


@pytest.mark.parametrize("done", [1, [True, False], "yes", [0.0]])
def test_ends_that_are_no_truth_values_are_refused(dataset, done):
    agent = learned(NAMES[0], dataset)
    _, state = agent.predict(agent.source.observation_space.sample())
    with pytest.raises(EnvzooError, match=r"done is .*; expected True or False for each of 1 episodes"):
        agent.observe_rewards(state, 0.0, done)
