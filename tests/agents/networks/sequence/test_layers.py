"""Every layer: step by step equals a chunk, a chunk equals its halves, an episode does not see the one before it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.networks.sequence import (
    LAYERS,
    LRU,
    LSTM,
    S4D,
    GatedBlock,
    Hopfield,
    HopfieldLayer,
    HopfieldMemory,
    HopfieldPooling,
    MambaBlock,
    TransformerBlock,
    hopfield_energy,
    hopfield_retrieve,
)
from envzoo.agents.networks.sequence.mamba import positive_share
from envzoo.agents.networks.sequence.s4d import hippo_legs, initial_eigenvalues
from envzoo.errors import EnvzooError, UnknownNameError

WIDTH = 8
MAKERS = {
    **{f"stack-{name}": lambda g, make=make: make(WIDTH, g) for name, make in LAYERS.items()},
    **{f"s4d-{i}": lambda g, i=i: S4D(WIDTH, 6, i, generator=g) for i in ("lin", "inv", "legs", "real", "random")},
    "s4d-bilinear": lambda g: S4D(WIDTH, 6, discretisation="bilinear", generator=g),
    "s4d-block": lambda g: GatedBlock(S4D(WIDTH, 6, generator=g), g),
    "lru": lambda g: LRU(WIDTH, 5, generator=g),
    "lstm": lambda g: LSTM(WIDTH, g),
    **{
        f"mamba-{e}": lambda g, e=e: MambaBlock(WIDTH, 4, eig=e, generator=g) for e in ("positive", "mixed", "negative")
    },
    "mamba-no-conv": lambda g: MambaBlock(WIDTH, 4, d_conv=1, generator=g),
    "transformer-short": lambda g: TransformerBlock(WIDTH, 2, window=5, generator=g),
    "transformer-present": lambda g: TransformerBlock(WIDTH, 2, window=1, generator=g),
    "hopfield-short": lambda g: HopfieldMemory(WIDTH, 2, window=4, update_steps=2, generator=g),
}
each_layer = pytest.mark.parametrize("name", MAKERS)


def setting(name, seed, steps=12, batch=3, share=0.2):
    """A layer, a chunk, starts, and a state that an earlier chunk has left."""
    generator = torch.Generator().manual_seed(seed)
    layer = MAKERS[name](generator)
    x = torch.randn(2, steps, batch, WIDTH, generator=generator)
    start = torch.rand(2, steps, batch, generator=generator) < share
    with torch.no_grad():
        _, state = layer(x[0], None, start[0])
    return layer, x[1], state, start[1]


@each_layer
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.2, 0.6]))
@settings(max_examples=8, deadline=None)
def test_step_by_step_equals_a_chunk(name, seed, share):
    layer, x, state, start = setting(name, seed, share=share)
    assert state.shape == (3, layer.state_dim)
    with torch.no_grad():
        y, last = layer(x, state, start)
        steps, now = [], state.clone()
        for t in range(len(x)):
            before = now.clone()
            found, after = layer.step(x[t], now, start[t])
            assert torch.equal(now, before)  # a state that `predict` has returned is never changed
            steps.append(found)
            now = after
    torch.testing.assert_close(torch.stack(steps), y, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(now, last, rtol=1e-5, atol=1e-5)


@each_layer
def test_two_halves_equal_the_whole_and_starts_may_be_left_out(name):
    layer, x, state, start = setting(name, 0)
    with torch.no_grad():
        y, last = layer(x, state, start)
        first, between = layer(x[:5], state, start[:5])
        second, end = layer(x[5:], between, start[5:])
        torch.testing.assert_close(torch.cat([first, second]), y, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(end, last, rtol=1e-5, atol=1e-5)
        none = torch.zeros_like(start)
        torch.testing.assert_close(layer(x, state)[0], layer(x, state, none)[0], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(layer.step(x[0], state)[0], layer(x[:1], state)[0][0], rtol=1e-5, atol=1e-5)


@each_layer
def test_an_episode_equals_one_that_is_run_apart(name):
    layer, x, state, _ = setting(name, 1)
    start = torch.zeros(len(x), 3, dtype=torch.bool)
    start[7] = True
    with torch.no_grad():
        together, last = layer(x, state, start)
        apart, end = layer(x[7:], layer.initial_state(3))
    torch.testing.assert_close(together[7:], apart, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last, end, rtol=1e-5, atol=1e-5)


@each_layer
def test_a_layer_looks_back_but_not_ahead_and_every_weight_gets_a_gradient(name):
    layer, x, state, start = setting(name, 2, share=0)
    x.requires_grad_()
    y, _ = layer(x, state, start)
    reach = torch.autograd.grad(y[6].square().sum(), x, retain_graph=True)[0].abs().sum(dim=(1, 2))
    assert (reach[7:] == 0).all()
    assert reach[6] > 0
    y.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in layer.parameters())


@each_layer
def test_weights_descend_from_the_generator_alone(name):
    before = torch.random.get_rng_state()
    one, other = (MAKERS[name](torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


# ---------------------------------------------------------------------------- S4D


def test_facts_of_hippo_and_the_initialisations():
    size = 64
    a, p = hippo_legs(size)
    normal = a + np.outer(p, p) + np.eye(size) / 2
    np.testing.assert_allclose(normal, -normal.T, atol=1e-10)
    legs = initial_eigenvalues("legs", size)
    np.testing.assert_allclose(legs.real, -0.5)
    np.testing.assert_allclose(legs.imag[:4], [0.264, 0.906, 1.703, 2.626], atol=1e-3)
    assert legs.imag[-1] == pytest.approx(1303.27, abs=0.01)
    expected = np.linalg.eigvals(a + np.outer(p, p))
    np.testing.assert_allclose(np.sort(expected[expected.imag > 0].imag), legs.imag, rtol=1e-8)
    inv = np.sort(initial_eigenvalues("inv", size).imag)
    np.testing.assert_allclose(inv[:4], [0.323, 1.002, 1.726, 2.502], atol=1e-3)
    assert inv[-1] == pytest.approx(1283.43, abs=0.01)
    np.testing.assert_allclose(initial_eigenvalues("lin", 6), -0.5 + 1j * math.pi * np.arange(3))
    np.testing.assert_allclose(initial_eigenvalues("real", 4), [-1, -2, -3, -4])


@pytest.mark.parametrize("name", [name for name in MAKERS if name.startswith("s4d-") and name != "s4d-block"])
def test_recurrence_equals_convolution_equals_its_definition(name):
    layer = MAKERS[name](torch.Generator().manual_seed(0)).double()
    u = torch.randn(50, 2, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y, _ = layer(u)
        torch.testing.assert_close(layer.convolve(u), y, rtol=1e-9, atol=1e-9)
        kernel = layer.kernel(50)
        direct = torch.stack([sum(kernel[t - j] * u[j] for j in range(t + 1)) for t in range(50)]) + layer.d * u
        torch.testing.assert_close(direct, y, rtol=1e-9, atol=1e-9)
        dt, a = layer.log_dt.exp(), -layer.log_a_real.exp() + (0 if layer.is_real else 1j * layer.a_imag)
        z = dt * a
        bilinear = name == "s4d-bilinear"
        abar = (1 + z / 2) / (1 - z / 2) if bilinear else torch.exp(z)
        bbar = dt / (1 - z / 2) if bilinear else (torch.exp(z) - 1) / a
        c = layer.c[0] if layer.is_real else layer.c[0] + 1j * layer.c[1]
        factor = 1 if layer.is_real else 2
        by_hand = torch.stack([factor * (c * bbar * abar**power).sum(dim=0).real for power in range(50)])
        torch.testing.assert_close(by_hand, kernel, rtol=1e-9, atol=1e-9)
        lags = torch.arange(50)[:, None, None]
        bound = factor * ((c * bbar).abs() * abar.abs() ** lags).sum(dim=1)
        assert (kernel.abs() <= bound + 1e-12).all()


@given(seed=st.integers(0, 10**6), discretisation=st.sampled_from(["zoh", "bilinear"]))
@settings(max_examples=30, deadline=None)
def test_s4d_is_stable_for_all_parameters(seed, discretisation):
    generator = torch.Generator().manual_seed(seed)
    layer = S4D(4, 6, discretisation=discretisation, generator=generator).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        abar, _ = layer.discretise()
    assert (abar.square().sum(dim=0) < 1).all()


def test_bad_arguments_of_layers_get_one_sentence():
    with pytest.raises(UnknownNameError, match="'legs'"):
        S4D(4, init="leg")
    with pytest.raises(UnknownNameError, match="'bilinear'"):
        S4D(4, discretisation="bilinea")
    with pytest.raises(EnvzooError, match="state size of S4D is 7; expected an even"):
        S4D(4, 7)
    with pytest.raises(EnvzooError, match="expected 0 < dt_min <= dt_max"):
        S4D(4, dt_min=0.5)
    with pytest.raises(EnvzooError, match="3 heads; expected a divisor"):
        TransformerBlock(4, 3)
    with pytest.raises(EnvzooError, match="3 heads; expected a divisor"):
        Hopfield(4, heads=3)
    with pytest.raises(EnvzooError, match="beta of a Hopfield layer is -1"):
        Hopfield(4, beta=-1)
    with pytest.raises(EnvzooError, match="window of a HopfieldMemory is 0"):
        HopfieldMemory(4, window=0)
    with pytest.raises(UnknownNameError, match="'positive'"):
        MambaBlock(4, eig="positiv")
    with pytest.raises(EnvzooError, match="state size of a Mamba block is 9; expected 1 to its number of channels, 8"):
        MambaBlock(4, 9, eig="mixed")
    with pytest.raises(EnvzooError, match="0 <= r_min < r_max < 1"):
        LRU(4, r_max=1.0)


SIZES = [(S4D, "width"), (LRU, "width"), (LRU, "state_size"), (LSTM, "width")]
SIZES += [(MambaBlock, name) for name in ("width", "state_size", "d_conv", "depth")]
SIZES += [(HopfieldMemory, name) for name in ("width", "window", "heads")]
SIZES += [(TransformerBlock, name) for name in ("width", "window", "heads")]
SIZES += [(Hopfield, name) for name in ("width", "hidden", "heads")]
SIZES += [(HopfieldLayer, "quantity"), (HopfieldPooling, "quantity")]


@pytest.mark.parametrize(("layer", "name"), SIZES)
@pytest.mark.parametrize("size", [0, -2, 2.5, "4", True])
def test_odd_sizes_get_one_sentence(layer, name, size):
    given_sizes = {"width": 4} | ({"quantity": 2} if layer is HopfieldLayer else {}) | {name: size}
    with pytest.raises(EnvzooError, match=f"{name.replace('_', ' ')} of .* is .*; expected a whole number of at least"):
        layer(**given_sizes)


# ---------------------------------------------------------------------------- Mamba


@given(seed=st.integers(0, 10**6), size=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_signs_of_the_eigenvalues(seed, size):
    generator = torch.Generator().manual_seed(seed)
    for eig, expected in (("positive", size), ("negative", 0), ("mixed", (size + 1) // 2)):
        core = MambaBlock(4, size, eig=eig, generator=generator).core
        _, b, c = core.rows()
        values = torch.linalg.eigvalsh((c.t() @ b).double())
        torch.testing.assert_close(c.t() @ b, (c.t() @ b).t(), rtol=1e-5, atol=1e-6)
        assert int((values > 1e-5).sum()) == expected
        assert int((values.abs() > 1e-5).sum()) == size
        assert positive_share(core) == pytest.approx(expected / size)


def test_selective_scan_against_its_recurrence():
    core = MambaBlock(3, 4, generator=torch.Generator().manual_seed(0)).core.double()
    u = torch.randn(9, 2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y, last = core(u, torch.zeros(2, 6, 4, dtype=torch.float64), None)
    rank, n = core.rank, core.size
    for batch in range(2):
        h = torch.zeros(6, n, dtype=torch.float64)
        for t in range(9):
            row = core.project @ u[t, batch]
            delta = torch.log1p(torch.exp(core.dt_weight @ row[:rank] + core.dt_bias))
            h = torch.exp(-delta[:, None] * core.log_a.exp()) * h
            h = h + delta[:, None] * row[rank : rank + n] * u[t, batch][:, None]
            torch.testing.assert_close(h @ row[rank + n :] + core.d * u[t, batch], y[t, batch])
        torch.testing.assert_close(h, last[batch])


# ---------------------------------------------------------------------------- Hopfield


@given(seed=st.integers(0, 10**6), beta=st.floats(0.1, 20), noise=st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_one_update_retrieves_within_the_bound(seed, beta, noise):
    generator = torch.Generator().manual_seed(seed)
    count = 2 + seed % 8
    patterns = torch.randn(count, 12, generator=generator, dtype=torch.float64)
    query = patterns[:1] + noise * torch.randn(1, 12, generator=generator, dtype=torch.float64) * 0.2
    found = hopfield_retrieve(query, patterns, beta)
    largest = patterns.norm(dim=1).max()
    similarity = patterns @ patterns[0]
    separation = similarity[0] - similarity[1:].max()
    distance = (query[0] - patterns[0]).norm()
    bound = 2 * largest * (count - 1) * torch.exp(-beta * (separation - 2 * largest * distance))
    assert (found[0] - patterns[0]).norm() <= bound + 1e-9


@given(seed=st.integers(0, 10**6), beta=st.floats(0.1, 5))
@settings(max_examples=40, deadline=None)
def test_the_energy_never_increases_and_lies_in_its_bounds(seed, beta):
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    largest = patterns.norm(dim=1).max()
    state = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    state = state * (largest / state.norm(dim=1, keepdim=True)).clamp(max=1)
    energy = hopfield_energy(state, patterns, beta)
    for _ in range(5):
        assert (energy >= -1e-9).all()
        assert (energy <= 2 * largest**2 + 1e-9).all()
        state = hopfield_retrieve(state, patterns, beta)
        after = hopfield_energy(state, patterns, beta)
        assert (after <= energy + 1e-9).all()
        energy = after


def test_one_association_is_attention():
    generator = torch.Generator().manual_seed(0)
    layer = Hopfield(6, heads=2, normalize=False, generator=generator)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    state, stored = torch.randn(2, 3, 6, generator=generator), torch.randn(2, 5, 6, generator=generator)
    q, k, v = (
        torch.nn.functional.linear(x, w, b).unflatten(-1, (2, 3)).transpose(1, 2)
        for x, w, b in zip((state, stored, stored), (layer.q, layer.k, layer.v), layer.biases, strict=True)
    )
    expected = layer.leave(torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(state, stored), expected, rtol=1e-5, atol=1e-5)
    order = torch.randperm(5, generator=generator)
    torch.testing.assert_close(layer(state, stored[:, order]), layer(state, stored), rtol=1e-5, atol=1e-5)


def test_a_beta_near_zero_averages_and_masked_patterns_do_not_count():
    generator = torch.Generator().manual_seed(0)
    patterns, query = torch.randn(7, 4, generator=generator), torch.randn(2, 4, generator=generator)
    torch.testing.assert_close(hopfield_retrieve(query, patterns, 1e-9), patterns.mean(dim=0).expand(2, 4))
    pooling, table = HopfieldPooling(4, 2, generator=generator), HopfieldLayer(4, 3, True, generator=generator)
    bag = torch.randn(1, 5, 4, generator=generator)
    ignore = torch.tensor([[False, False, False, True, True]])
    torch.testing.assert_close(pooling(bag, ignore), pooling(bag[:, :3]))
    assert pooling(bag).shape == (1, 8)
    assert table(bag).shape == (1, 5, 4)
    nothing = torch.ones(1, 5, dtype=torch.bool)
    torch.testing.assert_close(pooling(bag, nothing), pooling.hopfield.leave.bias.repeat(2)[None])
