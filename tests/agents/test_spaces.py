"""PPO on every kind of space and of source."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from agent_worlds import ACTIONS, OBSERVATIONS, Corridor
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.errors import EnvzooError

SMALL = {"num_envs": 2, "num_steps": 7, "num_epochs": 2, "minibatch_size": 5, "hidden": (6,), "device": "cpu"}


def check_ppo(source, **changes):
    agent = agents.make("PPO", source, **{**SMALL, **changes})
    agent.learn(15)
    assert all(torch.isfinite(parameter).all() for parameter in agent.policy.parameters())
    observation = agent.source.observation_space.sample()
    for deterministic in (True, False):
        action, state = agent.predict(observation, deterministic=deterministic)
        assert action in agent.source.action_space
        assert agent.predict(observation, state, deterministic=deterministic)[0] in agent.source.action_space
    batch = gym.vector.utils.batch_space(agent.source.observation_space, 3).sample()
    actions, _ = agent.predict(batch)
    assert actions in gym.vector.utils.batch_space(agent.source.action_space, 3)
    return agent


@pytest.mark.parametrize("encoder", ["auto", "gru"])
@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_ppo_learns_from_every_kind_of_observation(kind, encoder):
    check_ppo(Corridor(OBSERVATIONS[kind]), encoder=encoder)


@pytest.mark.parametrize("kind", ACTIONS)
def test_ppo_learns_with_every_kind_of_action(kind):
    check_ppo(Corridor(actions=ACTIONS[kind]))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("encoder", ["mlp", "gru"])
def test_ppo_with_shared_encoders(encoder, shared):
    check_ppo(Corridor(), encoder=encoder, share_encoder=shared)


@pytest.mark.parametrize("kind", ["dict", "image", "discrete-from", "box"])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_ppo_learns_from_vector_environments(mode, kind):
    envs = SyncVectorEnv([lambda: Corridor(OBSERVATIONS[kind])] * 3, autoreset_mode=mode)
    agent = check_ppo(envs)
    # 7 steps of 3 environments; where resetting takes a step, the fourth does not count.
    assert agent.num_timesteps == (21 if mode == AutoresetMode.SAME_STEP else 18)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "envzoo/GridCoverage-v0", "FrozenLake-v1"])
def test_ppo_learns_from_ids(env_id):
    agent = check_ppo(env_id)
    assert agent.source.id == env_id


def test_keywords_of_objects_are_kept_for_their_copies():
    made = gym.make("MountainCar-v0", max_episode_steps=7, goal_velocity=0.01)
    source = agents.make("Random", made).source
    assert source.id == "MountainCar-v0"
    copies = source.evaluation_env(2)
    assert copies.envs[0].unwrapped.goal_velocity == 0.01
    copies.reset(seed=0)
    assert [bool(copies.step(np.zeros(2, int))[3].all()) for _ in range(7)] == [False] * 6 + [True]
    vector = gym.make_vec("envzoo/GridCoverage-v0", num_envs=4, rows=3, columns=5)
    source = agents.make("Random", vector).source
    assert source.evaluation_env(2).single_observation_space == vector.single_observation_space


def test_vector_implementations_keep_the_time_limit_of_their_id():
    for env_id, limit, kwargs in (("CartPole-v0", 200, {}), ("CartPole-v1", 6, {"max_episode_steps": 6})):
        env = agents.make("Random", env_id, env_kwargs=kwargs).source.evaluation_env(2)
        env.reset(seed=0)
        env.unwrapped.theta_threshold_radians = env.unwrapped.x_threshold = np.inf  # no other end
        ended = [env.step(np.arange(2) % 2)[3].any() for _ in range(limit)]
        assert ended == [False] * (limit - 1) + [True]


def test_wrapped_objects_have_no_id_to_copy_from():
    wrapped = gym.wrappers.RescaleObservation(gym.make("MountainCarContinuous-v0"), np.float32(-1), np.float32(1))
    vector = gym.wrappers.vector.RecordEpisodeStatistics(gym.make_vec("CartPole-v1", num_envs=2))
    for source in (wrapped, vector):
        agent = agents.make("Random", source)
        with pytest.raises(
            EnvzooError, match="has no registered id to make copies from; give an evaluation environment"
        ):
            agent.source.evaluation_env(1)
