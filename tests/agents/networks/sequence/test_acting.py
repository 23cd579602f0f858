"""Steps without gradients run in kernels; they equal the form in torch, whatever happens to the parameters between."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from envzoo.agents.networks.sequence import S4D, GatedBlock, MambaBlock, lanes
from envzoo.agents.networks.sequence.acting import ParameterArrays
from envzoo.agents.optim import make_optimizer

MAKERS = {
    **{init: (lambda g, init=init: S4D(6, 8, init, generator=g)) for init in ("lin", "inv", "legs", "real", "random")},
    "bilinear": lambda g: S4D(6, 8, discretisation="bilinear", generator=g),
    "block": lambda g: GatedBlock(S4D(6, 8, generator=g), g),
    "mamba": lambda g: MambaBlock(6, generator=g),
    "mamba 11": lambda g: MambaBlock(6, state_size=11, d_conv=2, generator=g),
    "mamba 20": lambda g: MambaBlock(6, state_size=20, generator=g),
    "mamba 3": lambda g: MambaBlock(6, state_size=3, d_conv=1, eig="mixed", generator=g),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_equal_steps(layer, seed=1, starts=(0, 1, 0, 0), scale=1.0):
    """A step with gradients, which is a chunk of one step in torch, and one without them."""
    batch = len(starts)
    x = scale * torch.randn(batch, layer.width, generator=generator(seed), dtype=next(layer.parameters()).dtype)
    state = scale * torch.randn(batch, layer.state_dim, generator=generator(seed + 1), dtype=x.dtype)
    for start in (None, torch.tensor(starts, dtype=torch.bool)):
        kept = state.clone()
        expected = layer.step(x, state, start)
        with torch.no_grad():
            found = layer.step(x, state, start)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other.detach(), atol=1e-5, rtol=1e-5)
        assert torch.equal(state, kept)  # the memory that was given is not changed


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(list(MAKERS)), st.integers(0, 100), st.lists(st.booleans(), min_size=1, max_size=9))
def test_both_forms_of_a_step_are_equal(name, seed, starts):
    assert_equal_steps(MAKERS[name](generator(seed)), seed, starts, scale=3.0)


@pytest.mark.parametrize("name", MAKERS)
def test_changed_parameters_are_noticed(name):
    layer = MAKERS[name](generator())
    assert_equal_steps(layer)
    optimizer = make_optimizer(layer, lr=0.05)  # moves the parameters into one vector
    assert_equal_steps(layer)
    for _ in range(2):
        optimizer.step(layer(torch.ones(3, 2, 6))[0].square().sum())
        assert_equal_steps(layer)
    twin = copy.deepcopy(layer)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(0.9)
    assert_equal_steps(twin)
    assert_equal_steps(layer)
    twin.load_state_dict(layer.state_dict())
    assert_equal_steps(twin)
    for parameter in twin.parameters():
        parameter.data = parameter.data.clone().mul_(1.1)
    assert_equal_steps(twin)
    assert_equal_steps(twin.double())
    assert_equal_steps(twin.float())


@pytest.mark.parametrize("name", ["lin", "mamba"])
def test_inputs_need_not_be_contiguous(name):
    layer = MAKERS[name](generator())
    wide = torch.randn(4, 2 * 6, generator=generator(3))
    memory = torch.randn(layer.state_dim, 4, generator=generator(4)).t()
    with torch.no_grad():
        one = layer.step(wide[:, ::2], memory)
        other = layer.step(wide[:, ::2].contiguous(), memory.contiguous())
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("plus", [False, True])
def test_activations_are_those_of_torch(plus):
    x = np.concatenate([np.linspace(-80, 80, 20_001), [0, 1e-30, -1e-30, -1e30, 1e30, np.inf]]).astype(np.float32)
    found = x.copy()
    lanes.activate(found, plus)
    expected = (F.softplus if plus else F.silu)(torch.from_numpy(x).double()).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-30)
    near = np.abs(x) < 10
    np.testing.assert_allclose(found[near], expected[near], rtol=1e-6)


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 40])
def test_activations_take_any_length_and_keep_nan(plus, size):
    x = np.linspace(-3, 3, size).astype(np.float32)
    alone = x.copy()
    for i in range(size):
        lanes.activate(alone[i : i + 1], plus)
    found = x.copy()
    lanes.activate(found, plus)
    assert (found == alone).all()
    for i in range(size):
        spoiled = x.copy()
        spoiled[i] = np.nan
        lanes.activate(spoiled, plus)
        assert np.isnan(spoiled).nonzero()[0].tolist() == [i]


def test_nan_in_the_memory_stays_in_its_episode_and_ends_with_it():
    layer, x = MAKERS["mamba"](generator()), torch.randn(3, 6, generator=generator(2))
    state = torch.randn(3, layer.state_dim, generator=generator(1))
    state[1] = torch.nan
    with torch.no_grad():
        y, after = layer.step(x, state)
        assert torch.isnan(y).any(dim=1).tolist() == torch.isnan(after).any(dim=1).tolist() == [False, True, False]
        y, after = layer.step(x, state, torch.tensor([False, True, False]))
    assert torch.isfinite(torch.cat([y, after], dim=1)).all()


def test_arrays_share_the_memory_of_parameters_and_follow_them():
    parameter, arrays = torch.nn.Parameter(torch.zeros(3)), ParameterArrays()
    (first,) = arrays.of([parameter])
    with torch.no_grad():
        parameter += 1
    assert (first == 1).all()
    assert arrays.of([parameter])[0] is first
    parameter.data = torch.full((3,), 5.0)
    assert (arrays.of([parameter])[0] == 5).all()
    turned = torch.arange(6.0).reshape(2, 3).t()
    assert (arrays.of([turned])[0] == turned.numpy()).all()
    turned += 1
    assert (arrays.of([turned])[0] == turned.numpy()).all()
