"""Closed-form passes of perceptrons against autograd, in double precision."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo.agents.networks import perceptron_gradients
from envzoo.agents.networks.basic_encoders import MLPEncoder
from envzoo.agents.networks.encoders import CNNEncoder
from envzoo.agents.networks.layers import EnsembleMLP, linear
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.perceptron_gradients import WIDE, ClosedFormEnsemble, ClosedFormMLP, product, write_product
from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble
from envzoo.agents.optim import make_optimizer

SHAPES = [(), (8,), (8, 6), (WIDE, WIDE)]
CODEC = ObservationCodec(gym.spaces.Box(-1, 1, (3,), np.float32))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


class NoGrad:
    """A closed form whose methods run as an update runs them."""

    def __init__(self, closed):
        self.closed = closed

    def __getattr__(self, name):
        return torch.no_grad()(getattr(self.closed, name))


def make_mlp(hidden, activation, dtype=torch.float64):
    encoder = MLPEncoder(CODEC, hidden, activation, generator())
    net = torch.nn.ModuleList([encoder, linear(encoder.out_dim, 4, generator(1))]).to(dtype)
    return net, NoGrad(ClosedFormMLP(*net)), make_optimizer(net, lr=1e-3)


def make_ensemble(hidden, activation, dtype=torch.float64, members=2):
    net = ScalarEnsemble(members, 5, hidden, activation, generator()).to(dtype)
    return net, NoGrad(ClosedFormEnsemble(net)), make_optimizer(net, lr=1e-3)


@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_mlp_agrees_with_autograd(hidden, activation):
    net, closed, optimizer = make_mlp(hidden, activation)
    x, by_output = draw(7, 3), draw(7, 4, seed=1)
    expected = net[1](net[0].net(x))
    assert torch.equal(closed.forward(x), closed.forward(x))
    torch.testing.assert_close(closed.forward(x), expected.detach())
    want = torch.autograd.grad(expected, list(net.parameters()), by_output)
    optimizer.flat.grad.fill_(9.0)  # what was there before has no part in the result
    closed.backward(by_output)
    torch.testing.assert_close([parameter.grad for parameter in net.parameters()], list(want))


def test_rows_without_a_part_in_the_loss():
    net, closed, _ = make_mlp((8, 6), "relu")
    x, by_output = draw(7, 3), draw(4, 4, seed=1)
    want = torch.autograd.grad(net[1](net[0].net(x[:4])), list(net.parameters()), by_output)
    closed.forward(x)
    closed.backward(by_output)
    torch.testing.assert_close([parameter.grad for parameter in net.parameters()], list(want))


@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("members", [1, 2, 3])
def test_ensemble_agrees_with_autograd(hidden, activation, members):
    net, closed, optimizer = make_ensemble(hidden, activation, members=members)
    x, by_value = draw(7, 5).requires_grad_(), draw(members, 7, seed=1)
    expected = net(x)
    got = closed.forward(x.detach())
    torch.testing.assert_close(got, expected.detach())
    by_x, *want = torch.autograd.grad(expected, [x, *net.parameters()], by_value)
    optimizer.flat.grad.fill_(9.0)
    torch.testing.assert_close(closed.by_input(by_value, 2), by_x[:, -2:])
    assert (optimizer.flat.grad == 9).all()
    closed.forward(x.detach())
    closed.backward(by_value)
    torch.testing.assert_close([parameter.grad for parameter in net.parameters()], want)


@pytest.mark.parametrize("hidden", SHAPES)
def test_the_first_member_alone(hidden):
    net, closed, _ = make_ensemble(hidden, "relu")
    x, by_value = draw(7, 5).requires_grad_(), draw(7, seed=1)
    expected = net.member(x, 0)
    torch.testing.assert_close(closed.forward(x.detach(), 1), expected.detach()[None])
    (want,) = torch.autograd.grad(expected, x, by_value)
    torch.testing.assert_close(closed.by_input(by_value[None], 3), want[:, -3:])


@pytest.mark.parametrize("width", [8, WIDE, 2 * WIDE])
@pytest.mark.parametrize("make", [make_mlp, make_ensemble])
@pytest.mark.parametrize("library", [None, getattr(torch.ops.mkldnn, "_linear_pointwise", None)])
def test_single_precision_is_close_to_double(width, make, library, monkeypatch):
    """Wide layers have products of oneDNN in single precision alone."""
    monkeypatch.setattr(perceptron_gradients, "_ONEDNN", library)
    results = []
    for dtype in (torch.float32, torch.float64):
        net, closed, optimizer = make((width, width), "relu", dtype)
        x = draw(40, net[0].net.layers[0].in_features if make is make_mlp else 5, dtype=torch.float32).to(dtype)
        output = closed.forward(x)
        closed.backward(output.clone())
        results.append([output.double(), optimizer.flat.grad.double()])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5 * float(results[1][1].abs().max()))


@pytest.mark.parametrize(("k", "o"), [(3, 5), (WIDE, 2 * WIDE), (WIDE, 4)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("library", [None, getattr(torch.ops.mkldnn, "_linear_pointwise", None)])
def test_products(k, o, transposed, library, monkeypatch):
    """Weights of both orientations, with torch's own product and with oneDNN's."""
    monkeypatch.setattr(perceptron_gradients, "_ONEDNN", library)
    x, weight, bias = (draw(*shape, dtype=torch.float32) for shape in ((11, k), (k, o), (o,)))
    stored = weight.t().contiguous().t() if transposed else weight
    want = x.double() @ weight.double()
    torch.testing.assert_close(product(x, stored).double(), want, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(product(x, stored, bias).double(), want + bias.double(), rtol=1e-4, atol=1e-4)
    out, by = torch.full_like(stored, 9.0), draw(11, o, seed=2, dtype=torch.float32)
    assert out.is_contiguous() != transposed
    write_product(x, by, out)
    torch.testing.assert_close(out.double(), x.double().t() @ by.double(), rtol=1e-4, atol=1e-4)


def test_what_fits():
    def encoder(activation="relu", space=CODEC):
        return MLPEncoder(space, (8,), activation, generator())

    class Own(MLPEncoder):
        pass

    assert ClosedFormMLP.fits(encoder())
    assert ClosedFormMLP.fits(encoder("tanh"))
    assert not ClosedFormMLP.fits(encoder("gelu"))
    assert not ClosedFormMLP.fits(Own(CODEC, (8,), "relu", generator()))
    looked_up = encoder(space=ObservationCodec(gym.spaces.Discrete(500)))
    assert looked_up.lookup
    assert not ClosedFormMLP.fits(looked_up)
    image = ObservationCodec(gym.spaces.Box(0, 255, (12, 12, 3), np.uint8))
    assert not ClosedFormMLP.fits(CNNEncoder(image, (8,), "relu", generator()))
    assert ClosedFormEnsemble.fits(make_ensemble((8,), "tanh")[0])
    assert not ClosedFormEnsemble.fits(make_ensemble((8,), "silu")[0])
    assert not ClosedFormEnsemble.fits(EnsembleMLP(2, 5, (8,), 1, "relu", generator()))
