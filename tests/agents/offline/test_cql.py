"""CQL: its terms by hand, the integral over actions, and conservatism on a bandit."""

import math

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.distributions import squashed_gaussian_log_prob
from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble
from envzoo.agents.offline import conservative as fused
from envzoo.datasets.collector import collect, write
from envzoo.errors import EnvzooError

STRIPED = "envzoo/line-world/striped-v0"
FUSED = ((11, 3), (11, 7, 2), (11, 6), (11,))  # features, actions, corrections, targets
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
    result = fused.combine(logged, q, torch.zeros(1, 2), torch.tensor([2.0]), alpha=10.0)
    assert float(result.gap) == pytest.approx(math.log(4.0) + math.log(2.0))
    assert float(result.error) == pytest.approx(4.0 + 1.0)
    assert float(result.loss) == pytest.approx(5.0 + 10 * math.log(8.0))


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


def plain_pairs(features, actions):
    """Put the features of each observation beside each of its actions, (N J, F + D)."""
    n, j, _ = actions.shape
    return torch.cat([features[:, None].expand(n, j, -1), actions], dim=-1).view(n * j, -1)


@pytest.mark.parametrize("numbers", [1, 300, 2**17])  # an observation at a time, some, and all
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("hidden", [(8,), (16, 8), (8, 24, 16), (128, 130), (260, 128)])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_the_fused_loss_is_the_plain_formula(activation, hidden, dtype, tolerance, numbers, monkeypatch):
    """Loss and gradients, with autograd through the values of all pairs as reference."""
    monkeypatch.setattr(fused, "NUMBERS", numbers)
    monkeypatch.setattr(fused, "NUMBERS_IN_KERNEL", numbers)
    generator = torch.Generator().manual_seed(3)
    net = ScalarEnsemble(2, 5, hidden, activation, generator).to(dtype)

    def normal(*shape):
        return torch.empty(*shape, dtype=dtype).normal_(generator=generator)

    features, actions, corrections, y = normal(11, 3).requires_grad_(), normal(11, 7, 2), 3 * normal(11, 6), normal(11)
    inputs = [features, *net.parameters()]
    found = fused.conservative_loss(net, activation, features, actions, corrections, y, 1.7)
    q = net(plain_pairs(features, actions)).view(2, 11, 7)
    pairs = [(i, n) for i in range(2) for n in range(11)]
    gap = sum((q[i, n, :6] - corrections[n]).exp().sum().log() - q[i, n, 6] for i, n in pairs) / 11
    error = sum((q[i, n, 6] - y[n]) ** 2 for i, n in pairs) / 11
    expected = error + 1.7 * gap
    for ours, plain in ((found.loss, expected), (found.error, error), (found.gap, gap)):
        assert ours.item() == pytest.approx(plain.item(), rel=tolerance)
    assert torch.allclose(found.values, q[..., 6], rtol=tolerance, atol=tolerance)
    assert [part.requires_grad for part in found] == [True, False, False, False]
    for ours, plain in zip(
        torch.autograd.grad(2 * found.loss, inputs), torch.autograd.grad(2 * expected, inputs), strict=True
    ):
        assert torch.allclose(ours, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("hidden", [(8, 8), (128, 260)])  # by the kernel, and by torch
def test_the_fused_loss_of_broken_weights_and_of_columns(hidden):
    """NaN is not hidden by ReLU, and the order in memory does not matter."""
    generator = torch.Generator().manual_seed(4)
    net = ScalarEnsemble(2, 5, hidden, "relu", generator)
    features, actions, corrections, y = (torch.randn(shape, generator=generator) for shape in FUSED)
    columns = [part.mT.contiguous().mT for part in (features, actions, corrections)]
    columns[0].requires_grad_()
    features.requires_grad_()
    plain, turned = (
        torch.autograd.grad(fused.conservative_loss(net, "relu", *given, y, 1.7).loss, [given[0], *net.parameters()])
        for given in ((features, actions, corrections), columns)
    )
    for ours, other in zip(plain, turned, strict=True):
        assert torch.allclose(ours, other, rtol=1e-6, atol=1e-7)
    with torch.no_grad():
        net.weights[0][1, 0, 3] = math.nan
    broken = fused.conservative_loss(net, "relu", features, actions, corrections, y, 1.7)
    assert all(math.isnan(part.item()) for part in (broken.loss, broken.error, broken.gap))
    assert broken.values[0].isfinite().all()
    assert broken.values[1].isnan().all()


@pytest.mark.parametrize("hidden", [(16,), (16, 16), (160, 16)])
def test_a_step_has_the_gradient_of_the_plain_loss(hidden):
    """Draw the same numbers, and evaluate actor and critics on every pair of an observation and an action."""
    agent, k = make(hidden=hidden, sampled_actions=3), 3
    batch = batch_of(agent)
    n, dim = batch.action.shape
    noise = agent.streams.torch("policy-noise")
    before = noise.get_state()
    with torch.no_grad():
        y = agent.target_values(batch)
        actions, densities = [torch.empty(n * k, dim).uniform_(-1, 1, generator=noise)], [torch.zeros(n * k)]
        densities[0] -= dim * math.log(2.0)
        for observation in (batch.observation, batch.next_observation):
            action, density = agent.actor.sample(observation.repeat_interleave(k, dim=0), noise)
            actions.append(action)
            densities.append(density)
    noise.set_state(before)
    repeated = batch.observation.repeat_interleave(k, dim=0).repeat(3, 1)
    values = agent.critics(repeated, torch.cat(actions)) - torch.cat(densities) - math.log(3 * k)
    values = values.view(2, 3, n, k).transpose(1, 2).reshape(2, n, 3 * k)
    q = agent.critics(batch.observation, batch.action)
    conservative = (values.logsumexp(dim=-1) - q).mean(dim=1).sum()
    loss = ((q - y) ** 2).mean(dim=1).sum() + agent.config.cql_alpha * conservative
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(agent.critics.parameters()))])
    metrics = agent.update(batch)
    assert float(metrics["loss/conservative"]) == pytest.approx(conservative.item(), rel=1e-5, abs=1e-5)
    assert torch.allclose(agent.critic_optimizer.flat.grad, expected, rtol=1e-5, atol=1e-5)


def test_the_integral_over_actions():
    """For Q = c a the integral of exp Q over [-1, 1] is 2 sinh(c) / c."""
    agent = make(sampled_actions=4000, hidden=(2,))
    c = 1.5
    (first, head), biases = agent.critics.net.weights, agent.critics.net.biases
    with torch.no_grad():
        for parameter in (first, *biases):
            parameter.zero_()
        first[:, -1] = torch.tensor([1.0, -1.0])  # relu(a) and relu(-a)
        head[:, :, 0] = torch.tensor([c, -c])
    batch = Batch(*(column[:4] for column in batch_of(agent)))
    assert agent.critics(batch.observation, torch.full((4, 1), -0.5)).flatten().tolist() == [-0.5 * c] * 8
    estimate = agent.critic_loss(batch._replace(action=torch.zeros(4, 1)), torch.zeros(4)).gap
    assert float(estimate) == pytest.approx(2 * math.log(2 * math.sinh(c) / c), abs=0.1)


def test_actions_stay_with_their_states():
    """Each action has the density of the policy at its own observation."""
    agent, k = make(sampled_actions=3), 3
    batch = batch_of(agent)
    actions, corrections = agent.sample_actions(batch)
    n, dim = batch.action.shape
    assert actions.shape == (n, 3 * k + 1, dim)
    assert torch.equal(actions[:, -1], batch.action)
    assert (actions.abs() <= 1).all()
    densities = corrections - math.log(3 * k)
    assert torch.allclose(densities[:, :k], torch.full((n, k), -dim * math.log(2.0)))
    for part, observation in ((1, batch.observation), (2, batch.next_observation)):
        mean, log_std = agent.actor(observation)
        chosen = slice(part * k, (part + 1) * k)
        expected = squashed_gaussian_log_prob(mean[:, None], log_std[:, None], torch.atanh(actions[:, chosen]))
        assert torch.allclose(densities[:, chosen], expected, atol=1e-3)


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
