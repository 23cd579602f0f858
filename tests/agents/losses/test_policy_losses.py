"""Policy losses against hand-worked numbers and gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.losses.policy import (
    approximate_kl,
    clipped_surrogate,
    clipped_surrogate_gradient,
    score_function_loss,
)

# Ratio, advantage, the surrogate min(rho A, clip(rho, 0.8, 1.2) A), and its derivative by log pi (rho A, 0 if clipped).
CASES = [
    (1.0, 2.0, 2.0, 2.0),
    (1.1, 2.0, 2.2, 2.2),
    (1.5, 2.0, 2.4, 0.0),  # better than expected and already likelier: no further
    (0.5, 2.0, 1.0, 1.0),  # better than expected and less likely: pull back in full
    (0.9, -2.0, -1.8, -1.8),
    (1.5, -2.0, -3.0, -3.0),  # worse than expected and likelier: push away in full
    (0.5, -2.0, -1.6, 0.0),  # worse than expected and already less likely: no further
    (1.5, 0.0, 0.0, 0.0),
]


def test_clipped_surrogate_value_and_gradient():
    ratio, advantage, value, slope = torch.tensor(CASES, dtype=torch.float64).T
    old = torch.full_like(ratio, -1.3)
    new = (old + ratio.log()).requires_grad_()
    loss, found = clipped_surrogate(new, old, advantage, 0.2)
    assert torch.allclose(found, ratio)
    assert float(loss.detach()) == pytest.approx(-float(value.mean()))
    loss.backward()
    assert torch.allclose(new.grad, -slope / len(CASES))


@pytest.mark.parametrize(("ratio", "advantage", "value", "slope"), CASES)
def test_each_case_of_the_clipped_surrogate(ratio, advantage, value, slope):
    new = torch.tensor([math.log(ratio)], dtype=torch.float64, requires_grad=True)
    loss, _ = clipped_surrogate(new, torch.zeros(1, dtype=torch.float64), torch.tensor([advantage]).double(), 0.2)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-value)
    assert float(new.grad) == pytest.approx(-slope)


def test_score_function_loss_is_reinforce():
    log_prob = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
    advantage = torch.tensor([3.0, -1.0, 0.5])
    loss = score_function_loss(log_prob, advantage)
    assert float(loss.detach()) == pytest.approx(-(-3 + 2 - 1.5) / 3)
    loss.backward()
    assert torch.allclose(log_prob.grad, -advantage / 3)


def test_weights_leave_steps_out():
    log_prob = torch.tensor([[-1.0, -2.0], [-3.0, -4.0]], requires_grad=True)
    advantage = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    loss = score_function_loss(log_prob, advantage, torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    assert float(loss.detach()) == pytest.approx((1 + 4 + 16) / 3)
    loss.backward()
    assert torch.allclose(log_prob.grad, torch.tensor([[-1.0, -2.0], [0.0, -4.0]]) / 3)


floats = st.lists(st.tuples(st.floats(-5, 0), st.floats(-5, 0)), min_size=1, max_size=20)


@settings(max_examples=100, deadline=None)
@given(floats)
def test_the_estimate_of_kl_is_never_negative(pairs):
    new, old = torch.tensor(pairs, dtype=torch.float64).T
    assert float(approximate_kl(new, old)) >= -1e-15
    assert float(approximate_kl(new, new)) == 0


def test_the_estimate_of_kl_is_unbiased():
    old = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    new = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    # The expectation over actions of the old policy, with counts in proportion to its probabilities.
    counts = torch.tensor([5, 3, 2])
    estimate = approximate_kl(new.log().repeat_interleave(counts), old.log().repeat_interleave(counts))
    assert float(estimate) == pytest.approx(float((old * (old / new).log()).sum()))


def test_closed_form_gradient_is_that_of_the_clipped_surrogate():
    generator = torch.Generator().manual_seed(0)
    log_prob = torch.randn(1000, generator=generator).double().requires_grad_()
    old, advantage = torch.randn(2, 1000, generator=generator).double()
    loss, ratio = clipped_surrogate(log_prob, old, advantage, 0.2)
    found, found_ratio = clipped_surrogate_gradient(log_prob.detach(), old, advantage, 0.2)
    torch.testing.assert_close(found, torch.autograd.grad(loss, log_prob)[0])
    torch.testing.assert_close(found_ratio, ratio.detach())
    assert 0 < (found == 0).sum() < 1000
