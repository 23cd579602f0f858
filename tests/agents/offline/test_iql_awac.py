"""IQL, AWAC and FilteredBC: losses by hand, closed forms, and a small finite world that they must solve."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from envzoo import agents
from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.iql import advantage_weight, expectile_loss
from envzoo.agents.offline.networks import values_of
from envzoo.datasets.collector import collect, write
from envzoo.errors import EnvzooError

STRIPED, MAZE = "envzoo/line-world/striped-v0", "envzoo/point-maze-stitch/mixed-v0"
GRID = "envzoo/GridCoverage-v0"


@pytest.fixture(scope="module", autouse=True)
def discrete(root):
    """One state, three steps: action 1 pays, and is logged in a third of the rows only."""

    def behaviour(observation, state, start, deterministic):
        return (np.arange(len(observation)) % 3 == 0).astype(np.int64), state

    kwargs = {"rewards": (0.0, 1.0)}
    buffers = collect("envzoo/EntropyBandit-v0", behaviour, episodes=60, seed=0, env_kwargs=kwargs)
    facts = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    write("test/bandit-v0", buffers, env_id="envzoo/EntropyBandit-v0", env_kwargs=kwargs, **facts)


def make(name, source, **hyperparameters):
    settings = {"hidden": (16,), "batch_size": 32, "steps_per_iteration": 10}
    return agents.make(name, source, device="cpu", **(settings | hyperparameters))


def batch_of(agent):
    data = Batch(*(column[:20] for column in agent.data))
    return data._replace(
        observation=agent.normalizer(data.observation), next_observation=agent.normalizer(data.next_observation)
    )


def test_the_expectile_loss_by_hand_and_its_minimiser():
    u = torch.tensor([2.0, -1.0])
    assert float(expectile_loss(u, 0.7)) == pytest.approx((0.7 * 4 + 0.3 * 1) / 2)
    sample = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    found = minimize_scalar(lambda m: float(expectile_loss(sample - m, 0.9)), bounds=(0, 1), method="bounded")
    assert found.x == pytest.approx(0.9 / (0.9 + 3 * 0.1), abs=1e-4)  # .9 (1 - m) = 3 * .1 m


def test_weights_are_bounded_constants():
    advantage = torch.tensor([0.0, 1.0, 100.0], requires_grad=True)
    weight = advantage_weight(advantage, 3.0, 100.0)
    assert weight.tolist() == pytest.approx([1.0, np.exp(3.0), 100.0], rel=1e-6)
    assert not weight.requires_grad


@pytest.mark.parametrize("source", [STRIPED, "test/bandit-v0"])
def test_losses_of_iql_by_hand(source):
    agent = make("IQL", source)
    batch = batch_of(agent)
    with torch.no_grad():
        q = values_of(agent.critics, batch.observation, batch.action)
        u = q.min(dim=0).values - agent.value(batch.observation)
        y = batch.reward + 0.99 * (1 - batch.terminated) * agent.value(batch.next_observation)
        log_prob = agent.policy.log_prob(batch.observation, batch.action)
    metrics = agent.update(batch)
    assert float(metrics["loss/value"]) == pytest.approx(float(expectile_loss(u, 0.7)), rel=1e-5)
    assert float(metrics["loss/critic"]) == pytest.approx(float(((q - y) ** 2).mean(dim=1).sum()), rel=1e-5)
    expected = -((3 * u).exp().clamp(max=100) * log_prob).mean()
    assert float(metrics["loss/policy"]) == pytest.approx(float(expected), rel=1e-4)


def test_critics_of_discrete_actions_pick_the_logged_action():
    agent = make("IQL", "test/bandit-v0")
    batch = batch_of(agent)
    every = agent.critics(batch.observation)
    chosen = values_of(agent.critics, batch.observation, batch.action)
    for i, action in enumerate(batch.action.tolist()):
        assert torch.equal(chosen[:, i], every[:, i, action])


def test_the_gaussian_policy_by_hand():
    agent = make("IQL", STRIPED)
    x = batch_of(agent).observation
    mean, log_std = agent.policy(x)
    action = torch.full_like(mean, 0.3)
    expected = torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum(dim=1)
    assert torch.allclose(agent.policy.log_prob(x, action), expected, atol=1e-6)
    assert mean.abs().max() <= 1


@pytest.mark.parametrize("name", ["IQL", "AWAC"])
def test_the_rarer_action_that_pays_is_found(name):
    """Cloning would choose action 0, which is logged twice as often."""
    settings = {"learning_rate": 1e-2, "steps_per_iteration": 100} | ({"temperature": 0.1} if name == "AWAC" else {})
    settings |= {"inverse_temperature": 10.0} if name == "IQL" else {}
    agent = make(name, "test/bandit-v0", **settings).learn(400)
    assert agent.predict(0)[0] == 1
    assert make("BC", "test/bandit-v0", learning_rate=1e-2).learn(200).predict(0)[0] == 0
    with torch.no_grad():
        q = agent.critics(agent.normalizer(agent.data.observation[:1]))
    assert q[:, 0].flatten().tolist() == pytest.approx([0, 1, 0, 1], abs=0.1)


def test_the_policys_learning_rate_falls_like_a_cosine():
    agent = make("IQL", STRIPED, learning_rate=1e-3)
    rates = []
    agent.learn(40, callback=lambda a, m: rates.append(a.policy_optimizer.lr))
    expected = [5e-4 * (1 + np.cos(np.pi * t)) for t in (0, 0.25, 0.5, 0.75)]
    assert rates == pytest.approx(expected)
    assert agent.critics_optimizer.lr == 1e-3
    constant = make("IQL", STRIPED, policy_schedule="constant").learn(20)
    assert constant.policy_optimizer.lr == 3e-4


def test_awac_averages_discrete_values_exactly():
    agent = make("AWAC", "test/bandit-v0")
    batch = batch_of(agent)
    p = agent.policy(batch.observation).exp()
    expected = (p * agent.critics(batch.observation).min(dim=0).values).sum(dim=1)
    assert torch.allclose(agent.state_value(agent.critics, batch.observation), expected)


def test_filtered_bc_keeps_a_tenth():
    agent = make("FilteredBC", "test/bandit-v0")
    assert len(agent.data.reward) == 6
    assert (agent.data.reward == 1).all()


def test_refusals():
    with pytest.raises(EnvzooError, match="expectile of IQL lies in"):
        make("IQL", STRIPED, expectile=1.0)
    with pytest.raises(EnvzooError, match="temperature of AWAC is positive"):
        make("AWAC", STRIPED, temperature=0.0)
    assert gym.spec(GRID)
