"""Closed-form steps of the offline agents against those by autograd."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.loops.offline import OfflineAgent
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.perceptron_gradients import WIDE
from envzoo.agents.offline.closed_form import ClosedFormGaussian
from envzoo.agents.offline.iql import expectile_gradient, expectile_loss
from envzoo.agents.offline.networks import GaussianPolicy
from envzoo.agents.optim import FlatOptimizer

STRIPED = "envzoo/line-world/striped-v0"
NAMES = ["TD3", "TD3BC", "PRDC", "IQL", "CQL", "MOPO"]


def make(name, source=STRIPED, **hyperparameters):
    settings = {"hidden": (16, 16), "batch_size": 32, "steps_per_iteration": 10}
    return agents.make(name, source, device="cpu", threads=1, **(settings | hyperparameters))


def optimizers(agent):
    return {name: part for name, part in vars(agent).items() if isinstance(part, FlatOptimizer)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", [{}, {"activation": "tanh"}, {"hidden": ()}, {"hidden": (WIDE, WIDE)}])
def test_a_step_is_that_of_autograd(name, settings):
    closed, autograd = make(name, **settings), make(name, **settings)
    assert closed.closed_form is not None
    autograd.closed_form = None
    generators = [agent.streams.torch("minibatches") for agent in (closed, autograd)]
    for _ in range(4):
        metrics = []
        for agent, generator in zip((closed, autograd), generators, strict=True):
            agent.batch_penalty = torch.zeros(())  # MOPO's penalty of imagined transitions; this batch has none
            metrics.append(agent.update(OfflineAgent.sample(agent, generator)))
        torch.testing.assert_close(metrics[0], metrics[1], rtol=1e-4, atol=1e-5)
        for key, one in optimizers(closed).items():
            other = optimizers(autograd)[key]
            largest = float(other.flat.grad.abs().max())
            torch.testing.assert_close(one.flat.grad, other.flat.grad, rtol=1e-4, atol=1e-5 * largest, msg=key)
            # The rest is compared from equal weights on, since Adam enlarges the rounding of the smallest gradients.
            with torch.no_grad():
                one.flat.copy_(other.flat)
        for key in ("target", "target_actor"):
            if hasattr(closed, key):
                torch.testing.assert_close(getattr(closed, key).flat, getattr(autograd, key).flat)
    assert {key: bool(one.optimizer.state) for key, one in optimizers(closed).items()} == dict.fromkeys(
        optimizers(closed), True
    )
    streams = [agent.streams.torch("policy-noise").get_state() for agent in (closed, autograd)]
    assert torch.equal(*streams)


@pytest.mark.parametrize("name", NAMES)
def test_other_networks_are_differentiated_by_autograd(name):
    assert make(name, activation="gelu").closed_form is None


@pytest.mark.parametrize("squash", [True, False])
def test_gaussian_policy(squash):
    """Derivatives of the log-density; a standard deviation at its bound keeps its gradient, one beyond has none."""
    codec = ObservationCodec(gym.spaces.Box(-1, 1, (3,), np.float32))
    shape = {"encoder": "mlp", "hidden": (8,), "activation": "relu", "generator": torch.Generator().manual_seed(0)}
    policy = GaussianPolicy(codec, 3, squash=squash, **shape).double()
    for parameter in policy.parameters():
        parameter.grad = torch.full_like(parameter, 9.0)
    with torch.no_grad():
        policy.log_std.copy_(torch.tensor([0.3, 2.0, 2.5]))
    x, action, by = torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    policy.encoder.codec = type("Double", (), {"vector": staticmethod(lambda x: x)})
    want = policy.log_prob(x, action)
    gradients = torch.autograd.grad(want, list(policy.parameters()), by[:, 0])
    closed = ClosedFormGaussian(policy)
    with torch.no_grad():
        torch.testing.assert_close(closed.log_prob(x, action), want.detach())
        closed.backward(by[:, 0])
    torch.testing.assert_close([parameter.grad for parameter in policy.parameters()], list(gradients))
    assert policy.log_std.grad.bool().tolist() == [True, True, False]


def test_expectile_gradient():
    u = torch.randn(9, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    (want,) = torch.autograd.grad(expectile_loss(u, 0.7), u)
    torch.testing.assert_close(expectile_gradient(u.detach(), 0.7), want)
