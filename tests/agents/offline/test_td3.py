"""TD3, TD3+BC and PRDC: single updates against equations written out, and both limits of beta."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from envzoo import agents
from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.neighbours import DatasetNeighbours
from envzoo.agents.offline.td3_bc import value_weight
from envzoo.errors import EnvzooError, UnknownNameError, UnsupportedSpaceError

STRIPED = "envzoo/line-world/striped-v0"


def make(name="TD3BC", source=STRIPED, **hyperparameters):
    settings = {"hidden": (16, 16), "batch_size": 32, "steps_per_iteration": 10}
    return agents.make(name, source, device="cpu", **(settings | hyperparameters))


def batch_of(agent, rows=None):
    rows = torch.arange(32) if rows is None else rows
    data = Batch(*(column[rows] for column in agent.data))
    return data._replace(
        observation=agent.normalizer(data.observation), next_observation=agent.normalizer(data.next_observation)
    )


def networks(agent):
    return {
        name: [p.detach().clone() for p in part.parameters()]
        for name, part in (("actor", agent.actor), ("critics", agent.critics), ("target", agent.target.network))
    }


def test_the_target_by_hand():
    """Without noise: y = r + .99 (1 - d) min of both target critics at the target actor's action."""
    agent = make("TD3", policy_noise=0.0)
    batch = batch_of(agent)._replace(terminated=torch.tensor([1.0, 0.0] * 16))
    y = agent.target_values(batch)
    q = agent.critics(batch.next_observation, agent.actor(batch.next_observation)).min(dim=0).values
    assert torch.allclose(y, batch.reward + 0.99 * (1 - batch.terminated) * q, atol=1e-6)


def test_noise_of_the_target_is_clipped():
    seen = []
    agent = make("TD3", policy_noise=10.0, noise_clip=0.3)
    agent.closed_form = None
    agent.target = lambda x, action: seen.append(action) or torch.zeros(2, len(x))
    batch = batch_of(agent)
    agent.target_values(batch)
    offset = (seen[0] - agent.target_actor(batch.next_observation)).abs()
    assert offset.max() <= 0.3 + 1e-6
    assert (offset > 0.29).float().mean() > 0.9


def test_actor_and_targets_move_every_other_update():
    agent = make("TD3BC")
    start = networks(agent)
    metrics = agent.update(batch_of(agent))
    first = networks(agent)
    assert "loss/actor" not in metrics
    assert all(torch.equal(a, b) for a, b in zip(start["actor"], first["actor"], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(start["target"], first["target"], strict=True))
    assert not torch.equal(start["critics"][0], first["critics"][0])
    metrics = agent.update(batch_of(agent))
    second = networks(agent)
    assert "loss/actor" in metrics
    assert not torch.equal(first["actor"][0], second["actor"][0])
    for old, new, online in zip(first["target"], second["target"], second["critics"], strict=True):
        assert torch.allclose(new, old + 0.005 * (online - old), atol=1e-7)


def test_critic_and_actor_losses_by_hand():
    agent = make("TD3BC", policy_noise=0.0, policy_delay=1)
    batch = batch_of(agent)
    y = agent.target_values(batch)
    q = agent.critics(batch.observation, batch.action)
    expected = ((q[0] - y) ** 2).mean() + ((q[1] - y) ** 2).mean()
    metrics = agent.update(batch)
    assert metrics["loss/critic"] == pytest.approx(float(expected.detach()), rel=1e-5)
    # The actor saw the updated critics, and the state before its own step is gone: take another update's losses.
    action = agent.actor(batch.observation)
    q1 = agent.critics(batch.observation, action)[0]
    loss = agent.actor_loss(batch, action.detach(), q1.detach())
    weight = 2.5 / (q1.abs().mean() + 1e-6)
    distance = ((action - batch.action) ** 2).mean()
    assert torch.isclose(loss.value, distance - weight * q1.mean(), rtol=1e-5)
    first = agent.critics.evaluate_first(agent.critics.encode(batch.observation), action)
    assert torch.allclose(first, q1, atol=1e-6)


@pytest.mark.parametrize("name", ["TD3", "TD3BC", "PRDC"])
def test_derivatives_of_the_actor_loss(name):
    agent = make(name)
    batch = batch_of(agent)
    action = agent.actor(batch.observation).detach().requires_grad_()
    q = torch.randn(32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = agent.actor_loss(batch, action.detach(), q.detach())
    anchor = batch.action if name == "TD3BC" else agent.anchor(batch, action.detach()) if name == "PRDC" else action
    weight = 1.0 if name == "TD3" else 2.5 / q.detach().abs().mean()
    expected = (action - anchor).square().mean() - weight * q.mean()
    torch.testing.assert_close(loss.value, expected.detach())
    torch.testing.assert_close((loss.by_action, loss.by_q), torch.autograd.grad(expected, (action, q)))


def test_the_weight_of_values_is_a_constant():
    q = torch.tensor([1.0, -3.0], requires_grad=True)
    assert float(value_weight(2.5, q)) == pytest.approx(2.5 / 2)
    assert not value_weight(2.5, q).requires_grad
    assert float(value_weight(2.5, torch.zeros(3))) == pytest.approx(2.5e6)


@pytest.mark.parametrize("backend", ["kdtree", "brute"])
def test_a_large_beta_is_td3_bc(backend):
    """The nearest pair of any action in a logged state is that state's own (states are distinct)."""
    agent = make("PRDC", beta=1e7, backend=backend)
    batch = batch_of(agent)
    for action in (agent.actor(batch.observation), torch.ones_like(batch.action), -batch.action):
        assert torch.equal(agent.anchor(batch, action), batch.action)


@pytest.mark.parametrize("backend", ["kdtree", "brute"])
def test_beta_zero_ignores_the_states(backend):
    agent = make("PRDC", beta=0.0, backend=backend)
    batch = batch_of(agent)
    action = agent.actor(batch.observation)
    anchor = agent.anchor(batch, action)
    nearest = (action - agent.data.action.T).abs().min(dim=1).values
    assert torch.allclose((action - anchor).abs()[:, 0], nearest, atol=1e-7)
    elsewhere = batch._replace(observation=batch.observation.flip(0))
    assert torch.equal(agent.anchor(elsewhere, action), anchor)


def test_rows_of_the_data_are_their_own_neighbours():
    agent = make("PRDC", beta=2.0)
    batch = batch_of(agent)
    distance, _ = agent.index.query(agent.keys(batch.observation, batch.action))
    assert distance.max() == 0
    assert torch.equal(agent.anchor(batch, batch.action), batch.action)


def test_several_neighbours_are_averaged():
    agent = make("PRDC", beta=0.5, neighbours=3)
    batch = batch_of(agent)
    action = agent.actor(batch.observation)
    _, index = agent.index.query(agent.keys(batch.observation, action), 3)
    assert torch.allclose(agent.anchor(batch, action), agent.data.action[torch.as_tensor(index)].mean(dim=1))


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_backends_agree(seed, k):
    generator = np.random.default_rng(seed)
    rows, keys = generator.normal(size=(60, 4)).round(1), generator.normal(size=(7, 4)).round(1)
    tree, brute = (DatasetNeighbours(rows, name).query(keys, k) for name in ("kdtree", "brute"))
    assert tree[0] == pytest.approx(brute[0], abs=1e-12)
    for distance, index in (tree, brute):
        assert np.linalg.norm(keys[:, None] - rows[index], axis=2) == pytest.approx(distance, abs=1e-12)
    bounded = DatasetNeighbours(rows, "kdtree").query(keys, k, upper=float(brute[0].max()))
    assert bounded[0] == pytest.approx(brute[0], abs=1e-12)


@given(st.integers(0, 10**6))
def test_the_distance_grows_with_beta(seed):
    generator = np.random.default_rng(seed)
    states, actions = generator.normal(size=(40, 2)), generator.normal(size=(40, 1))
    key = generator.normal(size=(1, 3))
    distances = []
    for beta in (0.0, 0.5, 1.0, 2.0, 10.0):
        scale = np.array([beta, beta, 1.0])
        index = DatasetNeighbours(np.hstack([states, actions]) * scale)
        distances.append(index.query(key * scale)[0][0, 0])
    assert all(a <= b + 1e-12 for a, b in pairwise(distances))


def test_the_brute_search_works_in_pieces(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(50, 3))
    whole = DatasetNeighbours(rows, "brute").query(rows + 0.1, 2)
    monkeypatch.setattr("envzoo.agents.offline.neighbours.CHUNK", 200)
    pieces = DatasetNeighbours(rows, "brute").query(rows + 0.1, 2)
    assert np.array_equal(whole[1], pieces[1])


def test_refusals():
    with pytest.raises(UnknownNameError, match="did you mean 'kdtree'"):
        DatasetNeighbours(np.zeros((2, 2)), "kdtre")
    with pytest.raises(EnvzooError, match="k is 3; expected a whole number from 1 to 2"):
        DatasetNeighbours(np.zeros((2, 2))).query(np.zeros((1, 2)), 3)
    with pytest.raises(EnvzooError, match=r"expected finite numbers \(B, 2\)"):
        DatasetNeighbours(np.zeros((2, 2))).query(np.full((1, 2), np.nan))
    with pytest.raises(EnvzooError, match="alpha of PRDC is positive"):
        make("PRDC", alpha=0.0)
    with pytest.raises(EnvzooError, match="beta of PRDC is at least 0"):
        make("PRDC", beta=-1.0)
    with pytest.raises(EnvzooError, match="policy_delay of TD3 is at least 1"):
        make("TD3", policy_delay=0)


def test_discrete_actions_are_refused(random_walks, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(random_walks))
    with pytest.raises(UnsupportedSpaceError, match="TD3BC takes Box actions"):
        make("TD3BC", "envzoo/grid-coverage/random-v0")


def test_rewards_are_shaped_before_learning():
    agent = make("TD3", reward_scale=10.0, reward_shift=-1.0)
    assert torch.allclose(agent.data.reward, 10 * make("TD3").data.reward - 1)


def test_the_brute_search_survives_cancellation():
    """Far from the origin an expanded square has no digits left; the answer is exact all the same."""
    generator = np.random.default_rng(0)
    rows = 1e7 + generator.normal(size=(80, 3))
    keys = rows[:5] + 1e-3
    distance, index = DatasetNeighbours(rows, "brute").query(keys, 2)
    exact = np.linalg.norm(keys[:, None] - rows, axis=2)
    assert distance == pytest.approx(np.sort(exact, axis=1)[:, :2], abs=0)
    assert index[:, 0].tolist() == [0, 1, 2, 3, 4]
