"""SAC's closed-form step against the one by autograd."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.actor_critic.closed_form import ClosedFormActor, reduction_gradient
from envzoo.agents.actor_critic.soft_networks import SquashedGaussianActor
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.soft import reduce_critics
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.perceptron_gradients import WIDE


def make(source="Pendulum-v1", **settings):
    return agents.make("SAC", source, seed=4, device="cpu", **{"hidden": (8, 8)} | settings)


def draw_batch(agent, seed, size=32):
    generator = torch.Generator().manual_seed(seed)
    observation, following = (torch.randn(size, agent.codec.packed_dim, generator=generator) for _ in range(2))
    action = torch.rand(size, agent.actions.dim, generator=generator) * 2 - 1
    terminated = (torch.rand(size, generator=generator) < 0.3).float()
    return Batch(observation, action, torch.randn(size, generator=generator), terminated, following)


def assert_close(one, other, **tolerance):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key], **tolerance)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, **tolerance)
    else:
        assert one == other


@pytest.mark.parametrize("settings", [{}, {"activation": "tanh"}, {"actor_q": "mean"}, {"hidden": (WIDE, WIDE)}])
def test_a_step_is_that_of_autograd(settings):
    """One update, whose gradients remain; then two more, whose results are close."""
    closed, autograd = make(**settings), make(**settings)
    assert closed.closed_form is not None
    autograd.closed_form = None
    for number in range(3):
        batch = draw_batch(closed, number)
        metrics = closed.update(batch)
        assert_close(metrics, autograd.update(batch), rtol=1e-4, atol=1e-5)
        for name in ("actor_optimizer", "critic_optimizer"):
            gradients = [getattr(agent, name).flat.grad for agent in (closed, autograd)]
            torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5 * float(gradients[1].abs().max()))
        # The rest is compared from equal weights on, since Adam enlarges the rounding of the smallest gradients.
        assert_close(closed.temperature.state_dict(), autograd.temperature.state_dict(), rtol=1e-5, atol=1e-6)
        for name in ("actor_optimizer", "critic_optimizer"):
            with torch.no_grad():
                getattr(autograd, name).flat.copy_(getattr(closed, name).flat)
        with torch.no_grad():
            autograd.target.flat.copy_(closed.target.flat)
    states = [agent.streams.torch("policy-noise").get_state() for agent in (closed, autograd)]
    assert torch.equal(*states)


def test_a_step_changes_its_own_networks_alone():
    agent = make()
    batch, steps = draw_batch(agent, 0), []
    networks = {"critic": agent.critics, "actor": agent.actor}
    before = {name: copy.deepcopy(network.state_dict()) for name, network in networks.items()}
    for name, other in (("critic", "actor"), ("actor", "critic")):
        optimizer = getattr(agent, f"{name}_optimizer")
        original = optimizer.apply

        def apply(original=original, name=name, other=other):
            untouched = copy.deepcopy(networks[other].state_dict())
            original()
            assert_close(networks[other].state_dict(), untouched, rtol=0, atol=0)
            steps.append(name)

        optimizer.apply = apply
    agent.update(batch)
    assert steps == ["critic", "actor"]
    for name, network in networks.items():
        assert any(
            not torch.equal(a, b) for a, b in zip(network.state_dict().values(), before[name].values(), strict=False)
        )


def test_a_clamped_standard_deviation_has_no_gradient():
    codec = ObservationCodec(gym.spaces.Box(-1, 1, (3,), np.float32))
    generator = torch.Generator().manual_seed(0)
    actor = SquashedGaussianActor(codec, 2, encoder="mlp", hidden=(8,), activation="relu", generator=generator).double()
    for parameter in actor.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        actor.head.bias[2:] = torch.tensor([5.0, 0.0])  # the first log standard deviation lies above its bound
    closed = ClosedFormActor(actor)
    closed.codec = type("Double", (), {"vector": staticmethod(lambda x: x)})
    actor.encoder.codec = closed.codec
    x, by_action, by_log_prob = torch.randn(6, 3).double(), torch.randn(4, 2).double(), torch.randn(4).double()
    with torch.no_grad():
        closed.evaluate(x)
        got = closed.sample(slice(4), torch.Generator().manual_seed(1))
        closed.backward(by_action, by_log_prob)
    want = actor.sample(x[:4], torch.Generator().manual_seed(1))
    torch.testing.assert_close(got, tuple(part.detach() for part in want))
    gradients = torch.autograd.grad(want, list(actor.parameters()), (by_action, by_log_prob))
    torch.testing.assert_close([parameter.grad for parameter in actor.parameters()], list(gradients))
    assert not actor.head.bias.grad[2]
    assert actor.head.bias.grad[3]


@pytest.mark.parametrize("how", ["min", "mean"])
def test_reduction_gradient(how):
    q = torch.randn(2, 9, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    (want,) = torch.autograd.grad(reduce_critics(q, how).sum(), q)
    assert torch.equal(reduction_gradient(q.detach(), how), want)


class Own(torch.nn.Linear):
    def __init__(self, inputs):
        super().__init__(inputs, 8)


@pytest.mark.parametrize("settings", [{"activation": "gelu"}, {"encoder": "gru"}, {"encoder": Own}])
def test_other_networks_are_differentiated_by_autograd(settings):
    agent = make(**settings)
    assert agent.closed_form is None
    assert agents.make("SACDiscrete", "CartPole-v1", device="cpu", hidden=(8,)).closed_form is None
