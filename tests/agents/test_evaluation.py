"""Evaluation: every slot plays its share of episodes, each is counted once, and the agent sees where they begin."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.errors import EnvzooError

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP]


class Slot(gym.Env):
    """Episodes of a fixed length; the return is 1000 * slot + number of the episode."""

    observation_space = spaces.Discrete(100)
    action_space = spaces.Discrete(2)

    def __init__(self, slot, length):
        self.slot, self.length, self.episode = slot, length, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.episode = -1
        self.episode += 1
        self.time = 0
        return 0, {"score": -1.0}

    def step(self, action):
        self.time += 1
        over = self.time == self.length
        reward = 1000.0 * self.slot + self.episode if over else 0.0
        return self.time, reward, over, False, {"score": 10.0 * self.time, "pair": np.zeros(2), "word": "x"}


def slots(lengths, mode):
    return SyncVectorEnv(
        [lambda slot=slot, length=length: Slot(slot, length) for slot, length in enumerate(lengths)],
        autoreset_mode=mode,
    )


def random_agent():
    return agents.make("Random", Slot(0, 3))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("episodes", [1, 2, 3, 7, 9])
def test_every_slot_plays_its_share_however_long_its_episodes(mode, episodes):
    lengths = (1, 12, 3)
    result = evaluate(random_agent(), slots(lengths, mode), episodes=episodes)
    share = [episodes // 3 + (slot < episodes % 3) for slot in range(3)]
    expected = [(1000.0 * slot + number, lengths[slot]) for slot in range(3) for number in range(share[slot])]
    assert sorted(zip(result.returns.tolist(), result.lengths.tolist(), strict=True)) == expected
    assert result.infos.keys() == {"score"}
    assert sorted(result.infos["score"]) == sorted(10.0 * length for _, length in expected)


def test_the_mean_is_not_biased_towards_short_episodes():
    """With half of the slots always short, a count of the first episodes to end would see short ones only."""

    class Length(Slot):
        def step(self, action):
            observation, _, over, truncated, info = super().step(action)
            return observation, 1.0, over, truncated, info

    env = SyncVectorEnv([lambda length=length: Length(0, length) for length in (1, 1, 9, 9)], autoreset_mode=MODES[0])
    result = evaluate(random_agent(), env, episodes=8)
    assert result.metrics()["eval/return_mean"] == 5
    assert result.metrics()["eval/length_mean"] == 5
    assert result.metrics()["eval/return_std"] == 4
    assert result.metrics("")["return_mean"] == 5


@pytest.mark.parametrize("mode", MODES)
def test_the_agent_is_told_where_episodes_begin(mode):
    agent = random_agent()
    seen = []

    def predict(observation, state, episode_start, deterministic):
        seen.append((observation.copy(), episode_start.copy(), state))
        return np.zeros(len(observation), int), (state or 0) + 1

    agent.predict = predict
    evaluate(agent, slots((2, 3), mode), episodes=6)
    for number, (observation, start, state) in enumerate(seen):
        assert (state or 0) == number
        assert np.array_equal(observation == 0, start)


def test_the_agent_is_shown_the_environment_and_how_to_play():
    agent, env = random_agent(), slots((2, 2), MODES[0])
    shown, modes = [], []
    predict = agent.predict
    agent.set_env = shown.append
    agent.predict = lambda *arguments: modes.append(arguments[3]) or predict(*arguments)
    evaluate(agent, env, episodes=2, deterministic=False)
    assert shown == [env]
    assert set(modes) == {False}
    env.reset()  # it was left open


@pytest.mark.parametrize("num_envs", [1, 4, 16])
def test_copies_of_the_source_play_the_same_episodes_every_time(num_envs):
    agent = agents.make("PPO", "envzoo/GridCoverage-v0", env_kwargs={"rows": 3, "start": "random"}, hidden=(4,))
    env = agent.source.evaluation_env(num_envs)
    first, again = evaluate(agent, episodes=16), evaluate(agent, episodes=16)
    assert np.array_equal(first.returns, again.returns)
    assert not np.array_equal(first.returns, evaluate(agent, episodes=16, seed=1).returns)
    assert len(evaluate(agent, env, episodes=16).returns) == 16
    env.close()


def test_scores_by_name():
    result = evaluate(random_agent(), slots((2, 4), MODES[0]), episodes=2)
    assert sorted(result.scores("length")) == [2, 4]
    assert sorted(result.scores("score")) == [20, 40]
    assert sorted(result.scores("return")) == [0, 1000]
    with pytest.raises(EnvzooError, match=r"episodes have no 'scor'; expected one of return, length, score"):
        result.scores("scor")


def test_wrong_input():
    agent = random_agent()
    with pytest.raises(EnvzooError, match="an evaluation needs at least 1 episode, got 0"):
        evaluate(agent, episodes=0)
    with pytest.raises(EnvzooError, match="Slot has no registered id to make copies from"):
        evaluate(agent, episodes=1)
    with pytest.raises(EnvzooError, match="autoreset disabled; an evaluation needs the mode SAME_STEP or NEXT_STEP"):
        evaluate(agent, slots((2,), AutoresetMode.DISABLED), episodes=1)
