"""Losses of Soft Actor-Critic: closed forms of paper 19, signs, and who gets a gradient."""

import copy
import math

import numpy as np
import pytest
import torch

from envzoo.agents.losses import soft
from envzoo.agents.losses.distributions import sample_squashed_gaussian
from envzoo.agents.networks.lagrange import DualVariable
from envzoo.agents.networks.target_network import PolyakTarget
from envzoo.agents.optim import make_optimizer
from envzoo.errors import EnvzooError, UnknownNameError

REWARDS = torch.tensor([[1.0, 0.5, 0.0, -1.0]], dtype=torch.float64)


def test_truncation_bootstraps_and_termination_does_not():
    reward, value = torch.tensor([1.0, 1.0]), torch.tensor([10.0, 10.0])
    target = soft.td_target(reward, torch.tensor([0.0, 1.0]), value, 0.9)
    torch.testing.assert_close(target, torch.tensor([10.0, 1.0]))


def test_critic_loss_sums_critics_and_averages_transitions():
    q = torch.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    loss = soft.critic_loss(q, torch.tensor([0.0, 1.0]))
    assert loss.item() == pytest.approx(0.5 * ((1 + 1) / 2 + (9 + 16) / 2))
    loss.backward()  # each critic gets (Q - y) / N, as if it were alone
    torch.testing.assert_close(q.grad, torch.tensor([[0.5, 0.5], [1.5, 2.0]]))


def test_soft_values_and_reductions():
    q = torch.tensor([[1.0, 4.0], [2.0, 3.0]])
    torch.testing.assert_close(soft.soft_value(q, torch.tensor([-1.0, 2.0]), 0.5), torch.tensor([1.5, 2.0]))
    torch.testing.assert_close(soft.reduce_critics(q, "mean"), torch.tensor([1.5, 3.5]))
    torch.testing.assert_close(soft.reduce_critics(q[[0, 1, 0]], "min"), torch.tensor([1.0, 3.0]))
    with pytest.raises(UnknownNameError, match=r"unknown reduction of critics 'maen'.*did you mean 'mean'"):
        soft.reduce_critics(q, "maen")


def test_the_optimum_of_the_discrete_losses_is_the_softmax():
    alpha = 0.5
    q = REWARDS.expand(2, 1, 4)
    log_probs = (REWARDS / alpha).log_softmax(-1).requires_grad_()
    value = soft.discrete_soft_value(q, log_probs, alpha)
    assert value.item() == pytest.approx(1.20986, abs=1e-5)  # alpha logsumexp(r / alpha)
    assert -(log_probs.exp() * log_probs).sum().item() == pytest.approx(0.88754, abs=1e-5)
    logits = (REWARDS / alpha).clone().requires_grad_()
    soft.discrete_actor_loss(q, logits.log_softmax(-1), alpha).backward()
    assert logits.grad.abs().max() < 1e-12
    assert soft.discrete_actor_loss(q, log_probs, alpha).item() == pytest.approx(-1.20986, abs=1e-5)


@pytest.mark.parametrize(("share", "expected"), [(0.25, 0.2145), (0.5, 0.3645), (0.89, 1.1592), (0.98, 3.0026)])
def test_learned_temperature_of_the_discrete_bandit(share, expected):
    alpha = DualVariable(1.0, share * math.log(4), lr=0.03)
    for step in range(1500):
        alpha.optimizer.lr = 0.03 * (1 - step / 1500)
        log_probs = (REWARDS / alpha.value.double()).log_softmax(-1)
        alpha.update(-(log_probs.exp() * log_probs).sum().float())
    assert alpha.value.item() == pytest.approx(expected, rel=2e-3)
    if share == 0.5:
        policy = (REWARDS / alpha.value.double()).softmax(-1)[0]
        np.testing.assert_allclose(policy.numpy(), [0.7563, 0.1919, 0.0487, 0.0031], atol=1e-3)
        assert (policy * REWARDS[0]).sum().item() == pytest.approx(0.8491, abs=1e-3)


def test_learned_temperature_of_the_continuous_bandit():
    # The optimum for -a^2 is N(0, alpha / 2); target entropy -1 means alpha = 0.015848, squashing moves it by < 2%.
    generator = torch.Generator().manual_seed(0)
    parameters = torch.nn.Parameter(torch.tensor([0.0, -1.0]))
    optimizer = make_optimizer([parameters], lr=0.02)
    alpha = DualVariable(0.1, -1.0, lr=0.02)
    tail = []
    for step in range(1500):
        optimizer.lr = alpha.optimizer.lr = 0.02 * (1 - step / 1500)
        mean, log_std = parameters.expand(256, 2).chunk(2, dim=-1)
        action, log_prob = sample_squashed_gaussian(mean, log_std, generator)
        q = -action.square().mT.expand(2, 256)
        optimizer.step(soft.actor_loss(q, log_prob, alpha.value))
        alpha.update(-log_prob.detach().mean())
        if step > 1200:
            tail.append(alpha.value.item())
    assert 0.013 <= np.mean(tail) <= 0.019
    assert parameters[1].exp().item() == pytest.approx(0.08902, rel=0.05)


@pytest.mark.parametrize(("entropy", "falls"), [(2.0, True), (0.5, False)])
def test_temperature_gradient_has_the_sign_and_unit_of_the_paper(entropy, falls):
    log_alpha = torch.tensor(math.log(0.3), requires_grad=True)
    loss = soft.temperature_loss(log_alpha, torch.tensor(entropy), target_entropy=1.0)
    loss.backward()  # alpha (H - target), in nats
    assert log_alpha.grad.item() == pytest.approx(0.3 * (entropy - 1.0))
    assert loss.item() == pytest.approx(0.3 * (entropy - 1.0))
    alpha = DualVariable(0.3, 1.0, lr=0.1)
    alpha.update(torch.tensor(entropy))
    assert (alpha.value.item() < 0.3) == falls
    # Adam's first step moves log alpha by the learning rate, whatever the size of the gradient.
    assert abs(math.log(alpha.value.item() / 0.3)) == pytest.approx(0.1, rel=1e-4)


def test_dual_variable_keeps_its_bounds_and_can_be_fixed():
    capped = DualVariable(1.0, 5.0, lr=1.0, high=10.0)
    fixed = DualVariable(0.2, 5.0, lr=None)
    for _ in range(20):
        capped.update(torch.tensor(0.0))
        fixed.update(torch.tensor(0.0))
    assert capped.value.item() == pytest.approx(10.0)
    assert fixed.value.item() == pytest.approx(0.2)
    for initial in (0.0, -1.0, math.inf, 11.0):
        with pytest.raises(EnvzooError, match="the initial value of a dual variable must be positive"):
            DualVariable(initial, 0.0, lr=None, high=10.0)


def test_dual_variable_resumes_exactly():
    one, other = DualVariable(1.0, 0.5, lr=0.1), DualVariable(1.0, 0.5, lr=0.1)
    for measured in (1.0, 0.2, 0.7):
        one.update(torch.tensor(measured))
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert one.update(torch.tensor(0.9)) == other.update(torch.tensor(0.9))
    assert one.value == other.value


def test_polyak_target_follows_and_owns_its_parameters():
    network = torch.nn.Linear(2, 1)
    optimizer = make_optimizer(network, lr=0.1)
    target = PolyakTarget(network, optimizer.flat, tau=0.25)
    before = target.network.weight.clone()
    optimizer.step(network(torch.ones(1, 2)).sum())
    torch.testing.assert_close(target.network.weight, before)
    target.update()
    torch.testing.assert_close(target.network.weight, 0.75 * before + 0.25 * network.weight.detach())
    assert not any(parameter.requires_grad for parameter in target.network.parameters())
    other = PolyakTarget(network, optimizer.flat, tau=0.25)
    other.load_state_dict(target.state_dict())
    torch.testing.assert_close(other.flat, target.flat)
