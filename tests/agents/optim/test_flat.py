"""The flat optimizer equals torch's optimizers on the same network, with clipping, and survives a round trip."""

import copy
import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from envzoo.agents.optim import FlatOptimizer, make_optimizer
from envzoo.errors import UnknownNameError


def network(seed=0):
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(-0.5, 0.5, generator=generator)
    return net


def batches(count):
    generator = torch.Generator().manual_seed(7)
    for _ in range(count):
        x = torch.randn(16, 3, generator=generator)
        yield x, torch.randn(16, 2, generator=generator) * 5


def loss_of(net, x, y):
    return ((net(x) - y) ** 2).mean()


def assert_close(net, other, atol=1e-6):
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.allclose(a, b, atol=atol, rtol=0)


REFERENCES = {
    "adam": lambda parameters, lr, wd: torch.optim.Adam(parameters, lr=lr, eps=1e-5, weight_decay=wd),
    "adamw": lambda parameters, lr, wd: torch.optim.AdamW(parameters, lr=lr, eps=1e-5, weight_decay=wd),
    "sgd": lambda parameters, lr, wd: torch.optim.SGD(parameters, lr=lr, weight_decay=wd),
}


@pytest.mark.parametrize("max_grad_norm", [None, 0.5, 1e9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", REFERENCES)
def test_many_steps_equal_those_of_torch(name, weight_decay, max_grad_norm):
    ours, theirs = network(), network()
    optimizer = make_optimizer(ours, name, lr=3e-3, eps=1e-5, weight_decay=weight_decay, max_grad_norm=max_grad_norm)
    reference = REFERENCES[name](theirs.parameters(), 3e-3, weight_decay)
    clipped = 0
    for i, (x, y) in enumerate(batches(150)):
        rate = 3e-3 * (1 - i / 150)
        optimizer.lr = reference.param_groups[0]["lr"] = rate
        optimizer.step(loss_of(ours, x, y))
        reference.zero_grad()
        loss_of(theirs, x, y).backward()
        if max_grad_norm is not None:
            clipped += bool(nn.utils.clip_grad_norm_(theirs.parameters(), max_grad_norm) > max_grad_norm)
        reference.step()
        norm = torch.cat([p.grad.flatten() for p in theirs.parameters()]).norm()
        assert optimizer.grad_norm == pytest.approx(float(norm), rel=1e-3, abs=1e-6)
    assert optimizer.lr == rate
    assert (clipped > 100) == (max_grad_norm == 0.5)
    assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_given_gradient_is_applied_bit_for_bit_as_by_torch(name):
    net = network()
    optimizer = make_optimizer(net, name, lr=3e-3, eps=1e-5, weight_decay=0.1)
    reference = nn.Parameter(optimizer.flat.detach().clone())
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    theirs = make([reference], lr=3e-3, eps=1e-5, weight_decay=0.1, fused=True)
    generator = torch.Generator().manual_seed(3)
    for i in range(20):
        optimizer.lr = theirs.param_groups[0]["lr"] = 3e-3 / (i + 1)
        reference.grad = torch.randn(reference.shape, generator=generator)
        optimizer.flat.grad.copy_(reference.grad)
        optimizer.apply()
        theirs.step()
        assert torch.equal(optimizer.flat, reference)
    assert float(optimizer.state_dict()["state"][0]["step"]) == 20


def test_parameters_and_gradients_are_views_of_one_vector():
    net = network()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer = make_optimizer(net, lr=0.1)
    for parameter, old in zip(net.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
        assert parameter.untyped_storage().data_ptr() == optimizer.flat.untyped_storage().data_ptr()
    with torch.no_grad():
        optimizer.flat.zero_()
    assert all((parameter == 0).all() for parameter in net.parameters())
    # Loading weights writes into the vector, so that a loaded network is still optimised.
    net.load_state_dict(network(1).state_dict())
    assert torch.equal(optimizer.flat, torch.cat([p.flatten() for p in network(1).parameters()]))


def test_other_parameters_in_the_graph_get_no_gradient():
    net, other = network(), network(1)
    optimizer = make_optimizer(net, lr=0.1)
    (x, y), *_ = batches(1)
    optimizer.step(loss_of(nn.Sequential(net[0], net[1], net[2], nn.Identity()), x, y) + loss_of(other, x, y))
    assert all(parameter.grad is None for parameter in other.parameters())
    assert_close(other, network(1), 0)


def test_shared_parameters_count_once():
    net = network()
    optimizer = FlatOptimizer([*net.parameters(), *net.parameters()], lr=0.1)
    assert optimizer.flat.numel() == sum(parameter.numel() for parameter in net.parameters())


def test_a_network_chooses_its_trainable_parameters():
    net = network()
    net.trainable_parameters = net[2].parameters
    optimizer = make_optimizer(net, lr=0.1)
    (x, y), *_ = batches(1)
    optimizer.step(loss_of(net, x, y))
    assert torch.equal(net[0].weight, network()[0].weight)
    assert not torch.equal(net[2].weight, network()[2].weight)


@pytest.mark.parametrize("name", REFERENCES)
def test_going_on_from_a_state_gives_the_same_bits(name):
    whole, resumed = network(), network()
    optimizer = make_optimizer(whole, name, lr=3e-3, max_grad_norm=0.5)
    data = list(batches(20))
    for x, y in data[:10]:
        optimizer.step(loss_of(whole, x, y))
    optimizer.lr = 1e-3
    state, weights = copy.deepcopy(optimizer.state_dict()), copy.deepcopy(whole.state_dict())
    again = make_optimizer(resumed, name, lr=3e-3, max_grad_norm=0.5)
    resumed.load_state_dict(weights)
    again.load_state_dict(state)
    assert again.lr == 1e-3
    for x, y in data[10:]:
        optimizer.step(loss_of(whole, x, y))
        again.step(loss_of(resumed, x, y))
    assert_close(whole, resumed, 0)


def test_moments_of_another_shape_are_refused():
    optimizer = make_optimizer(network(), lr=0.1)
    (x, y), *_ = batches(1)
    net = network()
    other = make_optimizer(net, lr=0.1)
    other.step(loss_of(net, x, y))
    for wrong in (torch.zeros(3), torch.zeros(()), other.state_dict()["state"][0]["exp_avg"].double()):
        state = copy.deepcopy(other.state_dict())
        state["state"][0]["exp_avg"] = wrong
        with pytest.raises(ValueError, match="exp_avg of the optimizer has the shape"):
            optimizer.load_state_dict(state)


def test_an_unknown_optimizer():
    with pytest.raises(UnknownNameError, match=r"unknown optimizer 'adamm'.*did you mean 'adam"):
        make_optimizer(network(), "adamm", lr=0.1)


TRAIN = """
import json, sys, torch
if sys.argv[1] == "without":
    del torch._fused_adam_, torch._fused_adamw_
from envzoo import agents
weights = {}
for name in ("adam", "adamw"):
    agent = agents.make("PPO", "CartPole-v1", device="cpu", hidden=(8,), num_envs=2, num_steps=16, optimizer=name)
    agent.learn(96)
    weights[name] = [float(x) for p in agent.policy.parameters() for x in p.detach().flatten()]
print(json.dumps(weights))
"""


def test_a_torch_without_the_fused_kernels_trains_alike():
    weights = {}
    for which in ("with", "without"):
        run = subprocess.run([sys.executable, "-P", "-c", TRAIN, which], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        weights[which] = json.loads(run.stdout)
    for name in ("adam", "adamw"):
        assert weights["with"][name] == pytest.approx(weights["without"][name], rel=0, abs=1e-6)
