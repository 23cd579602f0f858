"""RCSL: the frequencies of the data given the return, in closed form."""

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.scripts.make_dataset import make_dataset

LUCKY, STRIPED = "envzoo/lucky-bandit/p10-v0", "envzoo/line-world/striped-v0"


@pytest.fixture(scope="module", autouse=True)
def lucky(root):
    make_dataset(LUCKY, quiet=True)


def make(source=LUCKY, **hyperparameters):
    settings = {"hidden": (16,), "batch_size": 256, "steps_per_iteration": 50, "learning_rate": 1e-2}
    return agents.make("RCSL", source, device="cpu", **(settings | hyperparameters))


def probability(agent, asked):
    """P(good arm | R)."""
    x = agent.normalizer(agent.data.observation[:1])
    returns = torch.tensor([(asked - agent.scale.mean) / agent.scale.std])
    return float(agent.policy(x, returns).softmax(dim=-1)[0, 1].detach())


def test_it_learns_the_share_of_the_good_arm_among_pulls_of_one_return():
    agent = make().learn(400)
    action, reward = agent.data.action.numpy(), agent.data.reward.numpy()
    for asked in (0.0, 1.0):
        assert probability(agent, asked) == pytest.approx(action[reward == asked].mean(), abs=0.05)
    # The closed form for p = .1: one half given a reward, .01 / .82 without one.
    assert probability(agent, 1.0) == pytest.approx(0.5, abs=0.15)
    assert probability(agent, 0.0) < 0.1
    # So it earns about one half, where .9 is possible.
    assert 0.3 < evaluate(agent, episodes=400, deterministic=False).returns.mean() < 0.7


def test_the_target_return():
    assert make().scale.target == 1.0
    assert make(target_return=0.25).scale.target == 0.25
    first, second = make().learn(200), make(target_return=0.0).learn(200)
    x = first.normalizer(first.data.observation[:1])
    generator = torch.Generator().manual_seed(0)
    taken = [[int(a.act(x, generator, False)[0]) for _ in range(200)] for a in (first, second)]
    assert np.mean(taken[0]) > np.mean(taken[1]) + 0.2


def test_returns_are_those_of_the_whole_episode():
    agent = make("envzoo/point-maze-stitch/mixed-v0")
    assert agent.episode_return.min() == -32
    rows = agent.normal_returns * agent.scale.std + agent.scale.mean
    assert torch.allclose(rows, torch.as_tensor(agent.episode_return), atol=1e-4)


def test_the_loss_by_hand():
    agent = make(STRIPED, batch_size=16)
    batch, returns = agent.sample(torch.Generator().manual_seed(0))
    mean = agent.policy(batch.observation, returns)
    expected = -torch.distributions.Normal(mean, 1.0).log_prob(batch.action).sum(dim=1).mean()
    assert float(agent.update((batch, returns))["loss/policy"]) == pytest.approx(float(expected.detach()), rel=1e-5)
