"""Closed-form steps of the offline agents against those by autograd."""

import pytest
import torch

from envzoo import agents
from envzoo.agents.networks.closed_form import WIDE
from envzoo.agents.optim import FlatOptimizer

STRIPED = "envzoo/line-world/striped-v0"
NAMES = ["TD3", "TD3BC", "PRDC"]


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
        metrics = [agent.update(agent.sample(own)) for agent, own in zip((closed, autograd), generators, strict=True)]
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
