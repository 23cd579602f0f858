"""Densities and gradients of the policies' distributions against torch.distributions and hand-worked numbers."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, Normal, TanhTransform, TransformedDistribution

from envzoo.agents.losses import distributions as dist


def reference(mean, log_std):
    base = Independent(Normal(mean, log_std.exp()), 1)
    return TransformedDistribution(base, [TanhTransform(cache_size=1)])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_log_prob_of_paper_19_by_hand():
    zero = torch.zeros(1, dtype=torch.float64)
    u = torch.tensor([0.5], dtype=torch.float64)
    assert dist.log_tanh_derivative(u).item() == pytest.approx(-0.240229, abs=1e-6)
    assert math.log(1 - math.tanh(0.5) ** 2) == pytest.approx(-0.240229, abs=1e-6)
    assert dist.squashed_gaussian_log_prob(zero, zero, u).item() == pytest.approx(-0.80371, abs=1e-5)


@pytest.mark.parametrize("u", [-30.0, -8.0, 0.0, 8.0, 30.0])
def test_log_tanh_derivative_and_its_gradient_stay_exact_far_out(u):
    x = torch.tensor(u, dtype=torch.float32, requires_grad=True)
    value = dist.log_tanh_derivative(x)
    value.backward()
    exact = 2 * (math.log(2) - np.logaddexp(u, -u))  # log sech^2 u
    assert value.item() == pytest.approx(exact, rel=1e-6, abs=1e-6)
    assert x.grad.item() == pytest.approx(-2 * math.tanh(u), abs=1e-6)


def test_squashed_sample_agrees_with_torch_distributions():
    mean = torch.randn(7, 3, generator=generator(), dtype=torch.float64)
    log_std = torch.randn(7, 3, generator=generator(1), dtype=torch.float64) * 0.3
    action, log_prob = dist.sample_squashed_gaussian(mean, log_std, generator(2))
    noise = torch.empty_like(mean).normal_(generator=generator(2))
    torch.testing.assert_close(action, torch.tanh(mean + log_std.exp() * noise))
    torch.testing.assert_close(log_prob, reference(mean, log_std).log_prob(action))
    torch.testing.assert_close(log_prob, dist.squashed_gaussian_log_prob(mean, log_std, mean + log_std.exp() * noise))


def test_squashed_sample_has_the_gradient_autograd_would_find():
    mean = torch.randn(4, 2, generator=generator(), dtype=torch.float64, requires_grad=True)
    log_std = (torch.randn(4, 2, generator=generator(1), dtype=torch.float64) * 0.3).requires_grad_()

    def function(mean, log_std):
        return dist.sample_squashed_gaussian(mean, log_std, generator(2))

    assert torch.autograd.gradcheck(function, (mean, log_std))


def test_squashed_density_integrates_to_one():
    edge = torch.linspace(-6, 6, 20001, dtype=torch.float64)[:, None]
    log_prob = dist.squashed_gaussian_log_prob(torch.tensor([0.3]), torch.tensor([-0.2]), edge)
    assert torch.trapezoid(log_prob.exp(), torch.tanh(edge[:, 0])).item() == pytest.approx(1, abs=1e-6)


def test_gaussian_and_categorical_against_torch_distributions():
    mean, log_std = torch.randn(5, 3, generator=generator()), torch.randn(3, generator=generator(1))
    action = torch.randn(5, 3, generator=generator(2))
    normal = Independent(Normal(mean, log_std.exp().expand_as(mean)), 1)
    torch.testing.assert_close(dist.gaussian_log_prob(mean, log_std, action), normal.log_prob(action))
    torch.testing.assert_close(dist.gaussian_entropy(log_std), normal.entropy()[0])
    logits = torch.randn(5, 4, generator=generator(3)) * 3
    choice = torch.tensor([0, 1, 2, 3, 0])
    torch.testing.assert_close(
        dist.categorical_log_prob(logits, choice), Categorical(logits=logits).log_prob(choice), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(dist.categorical_entropy(logits), Categorical(logits=logits).entropy())


def test_entropy_of_masked_actions_by_hand():
    # p = (1/4, 3/4, 0): H = ln 4 - 3/4 ln 3, dH/dz = -p (ln p + H) = (3/16 ln 3, -3/16 ln 3, 0)
    logits = torch.tensor([[0.0, math.log(3), -torch.inf]], dtype=torch.float64, requires_grad=True)
    entropy = dist.categorical_entropy(logits)
    entropy.sum().backward()
    assert entropy.item() == pytest.approx(math.log(4) - 0.75 * math.log(3))
    slope = 3 / 16 * math.log(3)
    assert logits.grad[0].tolist() == pytest.approx([slope, -slope, 0.0])
    finite = torch.randn(6, 5, generator=generator(4), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(dist.categorical_entropy, finite)


def test_categorical_samples_have_the_right_frequencies():
    logits = torch.tensor([2.0, 1.0, 0.0, -30.0]).expand(40_000, 4)
    counts = torch.bincount(dist.sample_categorical(logits, generator()), minlength=4) / 40_000
    torch.testing.assert_close(counts, logits[0].softmax(-1), rtol=0, atol=0.01)
