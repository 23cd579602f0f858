"""Carriers made from trained agents."""

import gymnasium as gym
import numpy as np
import torch

from envzoo import agents
from envzoo.agents.coding_games.carriers import AgentCarrier
from envzoo.datasets import collect
from envzoo.datasets.collector import write


def test_a_cloned_carrier_normalises_its_observations(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffers = collect(agents.make("Random", "CartPole-v1", device="cpu"), "CartPole-v1", 3)
    facts = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    write("test/cart-v0", buffers, env_id="CartPole-v1", **facts)
    agent = agents.make("BC", "test/cart-v0", device="cpu", hidden=(8,)).learn(20)
    env = gym.make("CartPole-v1")
    states = 0.3 * np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    found, _ = AgentCarrier(agent, env.observation_space, 2).probabilities(states, None, np.ones(5, bool))
    with torch.no_grad():
        features = agent.policy.actor_encoder.features(agent.normalizer(torch.from_numpy(states)))
        expected = torch.softmax(agent.policy.actor_head(features), dim=1).numpy()
        features = agent.policy.actor_encoder.features(torch.from_numpy(states))
        raw = torch.softmax(agent.policy.actor_head(features), dim=1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(raw - expected).max() > 0.01
