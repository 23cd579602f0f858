"""Random plays games, and takes every kind of action and of observation."""

import numpy as np
import pytest
from agent_worlds import ACTIONS, Corridor, Game
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

from envzoo import agents


def test_random_plays_games(tmp_path):
    game = Game()
    agent = agents.make("Random", game).learn(10)
    observations, _ = game.reset(seed=0)
    rounds = 0
    while game.agents:
        actions, _ = agent.predict({player: observations[player] for player in game.agents})
        observations, *_ = game.step(actions)
        rounds += 1
    assert rounds == 2
    agent.save(tmp_path / "agent.zip")
    loaded = agents.load(tmp_path / "agent.zip", game)
    assert loaded.predict({"even": 0})[0] == agent.predict({"even": 0})[0]


RANDOM_ACTIONS = {
    **ACTIONS,
    "multi-discrete": spaces.MultiDiscrete([2, 3], start=[-1, 4]),
    "multi-binary": spaces.MultiBinary((2, 2)),
    "half-bounded": spaces.Box(np.array([0, -np.inf], np.float32), np.array([np.inf, 0], np.float32)),
    "integers": spaces.Box(np.array([0, 250], np.uint8), np.array([1, 255], np.uint8), dtype=np.uint8),
}


@pytest.mark.parametrize("kind", RANDOM_ACTIONS)
def test_random_takes_every_kind_of_action(kind):
    agent = agents.make("Random", Corridor(actions=RANDOM_ACTIONS[kind]))
    space = agent.source.action_space
    actions, _ = agent.predict(np.zeros((200, 3), np.float32))
    assert actions.shape == (200, *space.shape)
    assert all(action in space for action in actions)
    assert agent.predict(np.zeros(3, np.float32))[0] in space
    if isinstance(space, spaces.Discrete):
        assert set(actions.tolist()) == {space.start + i for i in range(space.n)}


@pytest.mark.parametrize(
    "space", [spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (2,))]), spaces.Text(5)], ids=str
)
def test_random_takes_observations_that_networks_cannot_read(space):
    env = Corridor(space)
    env.observation_space.seed(0)
    agent = agents.make("Random", env).learn(5)
    observation, _ = env.reset(seed=0)
    assert agent.predict(observation)[0] in env.action_space
    vector = SyncVectorEnv([lambda: Corridor(space)] * 3)
    observation, _ = vector.reset(seed=0)
    actions, _ = agent.predict(observation, None, np.ones(3, bool))
    assert actions.shape == (3,)
