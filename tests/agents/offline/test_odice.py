"""O-DICE: conjugates, gradient identities and the closed form in lambda."""

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.loops.replay import Batch
from envzoo.agents.offline.odice import DIVERGENCES, project_orthogonal
from envzoo.errors import EnvzooError

MAZE = "envzoo/point-maze-stitch/mixed-v0"


def make(**hyperparameters):
    settings = {"hidden": (16,), "batch_size": 32, "steps_per_iteration": 10, "reward_scale": 0.5}
    return agents.make("ODICE", MAZE, device="cpu", **(settings | hyperparameters))


def batch_of(agent, count=32):
    return agent.sample(torch.Generator().manual_seed(0))


def test_conjugates_by_hand_and_on_a_grid():
    pearson = DIVERGENCES["pearson"]
    y = torch.tensor([0.0, -2.0, -5.0, 2.0])
    assert pearson.conjugate(y).tolist() == pytest.approx([0.0, -1.0, -1.0, 3.0])
    w = torch.linspace(1e-6, 30, 300_001, dtype=torch.float64)
    for name, f in (("pearson", (w - 1) ** 2), ("reverse_kl", w * w.log())):
        for value in (-4.0, -1.0, 0.0, 0.5, 3.0):
            y = torch.tensor(value, dtype=torch.float64)
            assert float(DIVERGENCES[name].conjugate(y)) == pytest.approx(float((w * y - f).max()), abs=1e-3)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_ratio_is_the_derivative_of_the_conjugate(name):
    y = torch.linspace(-4, 3, 57, dtype=torch.float64, requires_grad=True)
    DIVERGENCES[name].conjugate(y).sum().backward()
    assert torch.allclose(y.grad, DIVERGENCES[name].ratio(y.detach()))


def test_projection():
    generator = torch.Generator().manual_seed(0)
    forward, backward = torch.randn(2, 500, generator=generator)
    projected = project_orthogonal(forward, backward)
    assert abs(forward @ projected) <= 1e-5 * forward.norm() * backward.norm()
    for parallel in (2 * forward, -forward):
        assert project_orthogonal(forward, parallel).abs().max() < 1e-5
    assert torch.equal(project_orthogonal(torch.zeros(500), backward), backward)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("twin", [False, True])
def test_gradient_identities_after_every_update(divergence, twin):
    agent = make(divergence=divergence, twin=twin)
    for _ in range(5):
        batch = batch_of(agent)
        g, _ = agent.value_gradient(batch)
        rest = g["total"] - g["base"]
        assert g["backward"].norm() > 1e-3
        assert torch.allclose(rest, g["forward"] + g["orthogonal"], atol=1e-6)
        assert abs(g["forward"] @ g["orthogonal"]) <= 1e-5 * g["forward"].norm() * g["backward"].norm()
        assert float(g["forward"] @ rest) == pytest.approx(float(g["forward"] @ g["forward"]), rel=1e-4)
        agent.update(batch)


def test_gradients_are_those_of_the_losses():
    """Against autograd on losses written out, for a single value function."""
    agent = make(twin=False, eta=0.7)
    agent.update(batch_of(agent))  # so that the target differs from V
    batch = batch_of(agent)
    g, _ = agent.value_gradient(batch)
    f = DIVERGENCES["pearson"].conjugate
    keep = 0.99 * (1 - batch.terminated)
    v, next_v = (agent.value(x)[0] for x in (batch.observation, batch.next_observation))
    fixed, next_fixed = (agent.target(x)[0] for x in (batch.observation, batch.next_observation))
    losses = {
        "base": 0.4 * v.mean(),
        "forward": 0.6 * f(batch.reward + keep * next_fixed - v).mean(),
        "backward": 0.6 * 0.7 * f(batch.reward + keep * next_v - fixed).mean(),
    }
    parameters = list(agent.value.parameters())
    for name, loss in losses.items():
        expected = torch.cat([p.reshape(-1) for p in torch.autograd.grad(loss, parameters, retain_graph=True)])
        assert torch.allclose(g[name], expected, atol=1e-6), name
    true = make(twin=False, mode="true")
    true.load_state_dict(agent.state_dict())
    found, _ = true.value_gradient(batch)
    whole = 0.4 * v.mean() + 0.6 * f(batch.reward + keep * next_v - v).mean()
    expected = torch.cat([p.reshape(-1) for p in torch.autograd.grad(whole, parameters)])
    assert torch.allclose(found["total"], expected, atol=1e-6)


def test_without_eta_it_is_the_semi_gradient():
    first, second = make(eta=0.0), make(mode="semi")
    for _ in range(4):
        batch = batch_of(first)
        first.update(batch)
        second.update(batch)
    for a, b in zip(first.value.parameters(), second.value.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("lam", "expected"), [(0.5, 0.0), (0.6, 2 / 3), (0.4, -1.0)])
@pytest.mark.parametrize("mode", ["orthogonal", "semi", "true"])
def test_the_closed_form_in_lambda(lam, expected, mode):
    """One absorbing transition: (1 - lambda) = lambda w*, so V = r - 2 ((1 - lambda) / lambda - 1)."""
    agent = make(lam=lam, mode=mode, learning_rate=1e-2, twin=False, reward_scale=1.0)
    row = batch_of(agent)
    batch = Batch(*(column[:1].expand(4, *column.shape[1:]) for column in row))
    batch = batch._replace(reward=torch.full((4,), 0.5), terminated=torch.ones(4))
    for _ in range(600):
        agent.update(batch)
    value = float(agent.value(batch.observation).detach().mean())
    assert value == pytest.approx(0.5 + expected, abs=1e-2)


def test_weights_of_the_policy():
    y = torch.tensor([-1.0, 0.5, 300.0])
    assert DIVERGENCES["pearson"].weight(y).tolist() == [0.0, 0.5, 300.0]
    assert DIVERGENCES["reverse_kl"].weight(y)[:2].tolist() == pytest.approx([np.exp(-2), np.exp(-0.5)])
    agent = make(largest_weight=0.01)
    assert float(agent.update(batch_of(agent))["policy/weight"]) <= 0.01


def test_refusals():
    with pytest.raises(EnvzooError, match="lam of ODICE lies in"):
        make(lam=1.0)
    with pytest.raises(EnvzooError, match="mode of ODICE expects one of 'orthogonal', 'semi', 'true'"):
        make(mode="full")


@pytest.mark.parametrize("mode", ["orthogonal", "semi", "true"])
def test_the_policy_is_weighted_with_the_residual_of_its_mode(mode):
    """As in the paper's code: averaged over both values of V, which are on both sides of it in the mode "true"."""
    agent = make(mode=mode, learning_rate=1e-9)
    with torch.no_grad():
        agent.value_optimizer.flat.mul_(3)  # the target, of before, differs
    batch = batch_of(agent)
    with torch.no_grad():
        v, next_v = agent.value(batch.observation), agent.value(batch.next_observation)
        if mode != "true":
            next_v = agent.target(batch.next_observation).amin(dim=0)
        y = batch.reward + 0.99 * (1 - batch.terminated) * next_v - v
    expected = y.clamp(min=0).clamp(max=100).mean(dim=0).mean()
    assert float(agent.update(batch)["policy/weight"]) == pytest.approx(float(expected), rel=1e-4)
    assert float(expected) > 0
