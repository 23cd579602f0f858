"""CQL: its terms by hand, the integral over actions, and conservatism on a bandit."""

import math

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.cql import conservative_term
from envzoo.datasets.collector import collect, write
from envzoo.errors import EnvzooError

STRIPED = "envzoo/line-world/striped-v0"
KWARGS = {"rewards": (0.0, 0.5, 1.0)}


@pytest.fixture(scope="module", autouse=True)
def bandit(root):
    """Actions 0 and 1 of three are logged; nobody knows that the third pays more."""

    def behaviour(observation, state, start, deterministic):
        return np.arange(len(observation)) % 2, state

    buffers = collect("envzoo/EntropyBandit-v0", behaviour, episodes=60, seed=0, env_kwargs=KWARGS)
    facts = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    write("test/three-v0", buffers, env_id="envzoo/EntropyBandit-v0", env_kwargs=KWARGS, **facts)


def make(source=STRIPED, **hyperparameters):
    settings = {"hidden": (16,), "batch_size": 32, "steps_per_iteration": 10}
    return agents.make("CQL", source, device="cpu", **(settings | hyperparameters))


def batch_of(agent):
    data = Batch(*(column[:20] for column in agent.data))
    return data._replace(
        observation=agent.normalizer(data.observation), next_observation=agent.normalizer(data.next_observation)
    )


def test_the_conservative_term_by_hand():
    q = torch.tensor([[[0.0, math.log(3.0)]], [[1.0, 1.0]]])
    logged = torch.tensor([[0.0], [1.0]])
    assert float(conservative_term(q, logged)) == pytest.approx(math.log(4.0) + math.log(2.0))


def test_discrete_losses_by_hand():
    agent = make("test/three-v0")
    batch = batch_of(agent)
    with torch.no_grad():
        every = agent.critics(batch.observation)
        q = every.gather(-1, batch.action.expand(2, -1)[..., None])[..., 0]
        y = batch.reward + 0.99 * (1 - batch.terminated) * every.min(dim=0).values.max(dim=1).values
    metrics = agent.update(batch)
    assert float(metrics["loss/critic"]) == pytest.approx(float(((q - y) ** 2).mean(dim=1).sum()), rel=1e-5)
    expected = float((every.exp().sum(dim=-1).log() - q).mean(dim=1).sum())
    assert float(metrics["loss/conservative"]) == pytest.approx(expected, rel=1e-5)


def test_the_unlogged_action_gets_the_lowest_value():
    """The minimiser on logged actions satisfies 2 (Q - r) + alpha (2 softmax - 1) = 0; the third has no logged row."""
    agent = make("test/three-v0", learning_rate=1e-2, cql_alpha=1.0).learn(300)
    q = agent.critics(agent.normalizer(agent.data.observation[:1])).detach()[:, 0]
    assert (q[:, 2] < q[:, :2].min(dim=1).values - 1).all()
    assert agent.predict(0)[0] == 1
    greedy = make("test/three-v0", cql_alpha=0.0, learning_rate=1e-2).learn(300)
    q = greedy.critics(greedy.normalizer(greedy.data.observation[:1])).detach()[:, 0]
    assert q[:, 0].tolist() == pytest.approx([0.0, 0.0], abs=0.05)
    assert q[:, 1].tolist() == pytest.approx([0.5, 0.5], abs=0.05)


def test_the_integral_over_actions():
    """For Q = c a the integral of exp Q over [-1, 1] is 2 sinh(c) / c."""
    agent = make(sampled_actions=4000)
    c = 1.5
    agent.critics.evaluate = lambda features, action: (c * action[:, 0]).expand(2, -1)
    batch = Batch(*(column[:4] for column in batch_of(agent)))
    estimate = agent.all_values(batch).logsumexp(dim=-1)
    expected = math.log(2 * math.sinh(c) / c)
    assert estimate.shape == (2, 4)
    assert estimate.flatten().tolist() == pytest.approx([expected] * 8, abs=0.05)


def test_actions_stay_with_their_states():
    agent = make(sampled_actions=3)
    batch = batch_of(agent)
    agent.critics.evaluate = lambda features, action: features[:, 0].expand(2, -1)
    values = agent.all_values(batch)
    uniform = values[:, :, :3]  # the log-density of uniform actions is the same in every row
    expected = batch.observation[:, 0] + math.log(2.0) - math.log(9)
    assert torch.allclose(uniform, expected[None, :, None].expand(2, -1, 3), atol=1e-5)


def test_a_step_with_box_actions_is_finite_and_moves_everything():
    agent = make()
    before = {n: next(getattr(agent, n).parameters()).detach().clone() for n in ("actor", "critics")}
    metrics = agent.update(batch_of(agent))
    assert all(math.isfinite(float(value)) for value in metrics.values())
    for name, old in before.items():
        assert not torch.equal(old, next(getattr(agent, name).parameters()))


def test_refusals():
    with pytest.raises(EnvzooError, match="cql_alpha of CQL is at least 0"):
        make(cql_alpha=-1.0)
    with pytest.raises(EnvzooError, match="sampled_actions of CQL is at least 1"):
        make(sampled_actions=0)
