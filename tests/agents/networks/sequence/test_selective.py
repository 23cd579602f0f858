"""The selective scan against a loop over time and autograd, in both precisions and on random starts of episodes."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

from envzoo.agents.networks.sequence import MambaBlock, mamba
from envzoo.agents.networks.sequence.selective import selective_scan
from envzoo.agents.networks.sequence.selective_kernels import STRETCH
from envzoo.agents.networks.sequence.vectors import load, power_of_two, store
from envzoo.errors import EnvzooError, UnknownNameError


def by_loop(delta, u, a, b, c, start, h):
    """The definition, step by step, with autograd."""
    found = []
    for t in range(len(u)):
        h = torch.exp(delta[t][..., None] * a) * h.masked_fill(start[t][:, None, None], 0)
        h = h + (delta[t] * u[t])[..., None] * b[t][:, None]
        found.append((h * c[t][:, None]).sum(dim=2))
    return torch.stack(found), h


def draw(steps, batch, channels, size, seed=0, dtype=torch.float64, share=0.2):
    """Arguments of `selective_scan`: step sizes are positive, and rates negative except for a few."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, dtype=dtype, generator=generator)

    delta, u = torch.nn.functional.softplus(normal(steps, batch, channels)), normal(steps, batch, channels)
    a, (b, c) = 0.3 - normal(channels, size).abs(), normal(2, steps, batch, size)
    start = torch.rand(steps, batch, generator=generator) < share
    return delta, u, a, b, c, start, normal(batch, channels, size)


def outcome(function, arguments, seed=1, positive=False, **options):
    """The outputs, and the derivatives of a loss that weighs both of them, with positive weights if asked for."""
    leaves = [x.clone().requires_grad_() if x.is_floating_point() else x for x in arguments]
    y, last = function(*leaves, **options)
    generator = torch.Generator().manual_seed(seed)
    weights = (torch.randn(x.shape, dtype=torch.float64, generator=generator).to(x.dtype) for x in (y, last))
    weights = (weight.abs() if positive else weight for weight in weights)
    loss = sum((x * weight).sum() for x, weight in zip((y, last), weights, strict=True))
    gradients = torch.autograd.grad(loss, [x for x in leaves if x.requires_grad], materialize_grads=True)
    return y.detach(), last.detach(), *gradients


shapes = st.tuples(
    st.sampled_from([1, 2, 7, STRETCH - 1, STRETCH, STRETCH + 1, 2 * STRETCH + 3]),
    st.integers(1, 3),
    st.sampled_from([1, 3, 16, 17, 32, 40]),
    st.integers(1, 5),
)
seeds, shares = st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.7])


@given(shape=shapes, seed=seeds, share=shares, method=st.sampled_from(["kernel", "parallel"]))
@settings(max_examples=60, deadline=None)
def test_values_and_gradients_equal_those_of_a_loop(shape, seed, share, method):
    arguments = draw(*shape, seed, share=share)
    found = outcome(selective_scan, arguments, method=method)
    for one, expected in zip(found, outcome(by_loop, arguments), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-9)


@given(shape=shapes, seed=seeds, share=shares)
@example(shape=(33, 3, 1, 2), seed=8614, share=0.0)  # terms of 2,100 in all, of which 4.9 are left
@settings(max_examples=40, deadline=None)
def test_single_precision_is_near_double_precision(shape, seed, share):
    """Rounding is relative to the sum of the sizes of all terms, which is what positive numbers give."""
    arguments = draw(*shape, seed, share=share)
    arguments = [arguments[0], arguments[1], -arguments[2].abs(), *arguments[3:]]
    single = [x.float() if x.is_floating_point() else x for x in arguments]
    double = [x.double() if x.is_floating_point() else x for x in single]
    sizes = [x.abs() if x.is_floating_point() and x is not double[2] else x for x in double]
    results = outcome(selective_scan, single), outcome(by_loop, double), outcome(by_loop, sizes, positive=True)
    for one, expected, size in zip(*results, strict=True):
        assert one.dtype == torch.float32
        assert (one - expected).abs().max() <= 2e-6 * size.max().clamp(min=1)


def test_the_gradient_is_that_of_finite_differences():
    delta, u, a, b, c, start, h0 = draw(STRETCH + 2, 2, 2, 2)
    leaves = [x.requires_grad_() for x in (delta, u, a, b, c, h0)]
    assert torch.autograd.gradcheck(lambda *x: selective_scan(*x[:5], start, x[5], method="kernel"), leaves)


@pytest.mark.parametrize("shape", [(0, 2, 3, 2), (3, 0, 3, 2), (3, 2, 0, 2), (3, 2, 3, 0)])
@pytest.mark.parametrize("method", ["kernel", "parallel"])
def test_any_axis_may_be_empty(shape, method):
    arguments = draw(*shape)
    y, last, *gradients = outcome(selective_scan, arguments, method=method)
    assert y.shape == shape[:3]
    assert last.shape == shape[1:]
    assert [x.shape for x in gradients] == [x.shape for x in arguments if x.is_floating_point()]
    if not shape[0]:
        assert torch.equal(last, arguments[-1])


def test_starts_and_the_first_state_may_be_left_out():
    delta, u, a, b, c, start, h0 = draw(9, 2, 3, 2, share=0)
    whole = selective_scan(delta, u, a, b, c, start, torch.zeros_like(h0))
    assert all(torch.equal(x, y) for x, y in zip(whole, selective_scan(delta, u, a, b, c), strict=True))


@given(steps=st.integers(2, 2 * STRETCH + 5), cut=st.integers(1, 2 * STRETCH), seed=seeds, share=shares)
@settings(max_examples=30, deadline=None)
def test_pieces_give_the_bits_of_the_whole(steps, cut, seed, share):
    *inputs, start, h = draw(steps, 2, 5, 3, seed, torch.float32, share)
    cut = min(cut, steps - 1)
    whole, last = selective_scan(*inputs, start, h)
    pieces = []
    for part in (slice(None, cut), slice(cut, None)):
        delta, u, a, b, c = (x if i == 2 else x[part] for i, x in enumerate(inputs))
        y, h = selective_scan(delta, u, a, b, c, start[part], h)
        pieces.append(y)
    assert torch.equal(torch.cat(pieces), whole)
    assert torch.equal(h, last)


def test_channels_and_episodes_do_not_change_the_bits_of_others():
    arguments = draw(STRETCH + 3, 3, 37, 4, dtype=torch.float32)
    delta, u, a, b, c, start, h0 = arguments
    whole = outcome(selective_scan, arguments)
    few = outcome(selective_scan, (delta[..., :20], u[..., :20], a[:20], b, c, start, h0[:, :20]))
    one = outcome(selective_scan, (delta[:, 1:2], u[:, 1:2], a, b[:, 1:2], c[:, 1:2], start[:, 1:2], h0[1:2]))
    assert torch.equal(few[0], whole[0][..., :20])
    assert torch.equal(one[0], whole[0][:, 1:2])
    assert torch.equal(few[1], whole[1][:, :20])
    assert torch.equal(one[1], whole[1][1:2])


def test_recording_gradients_does_not_change_the_outputs():
    arguments = draw(STRETCH + 3, 2, 16, 4, dtype=torch.float32)
    with torch.no_grad():
        found = selective_scan(*arguments)
    assert all(torch.equal(x, y) for x, y in zip(found, outcome(selective_scan, arguments)[:2], strict=True))


def test_inputs_need_not_be_contiguous():
    arguments = draw(STRETCH + 3, 2, 16, 4, dtype=torch.float32)
    expected = outcome(selective_scan, arguments)
    turned = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in arguments]
    assert not any(x.clone().is_contiguous() for x in turned)
    assert all(torch.equal(x, y) for x, y in zip(outcome(selective_scan, turned), expected, strict=True))
    # The sign of this tensor changes only when it is read.
    negative = torch.complex(arguments[1], -arguments[1]).conj().imag
    assert negative.is_neg()
    found = selective_scan(arguments[0], negative, *arguments[2:])
    assert all(torch.equal(x, y) for x, y in zip(found, expected[:2], strict=True))


def test_no_state_and_no_gradient_crosses_a_start_even_when_it_is_not_finite():
    for value in (torch.inf, torch.nan):
        delta, u, a, b, c, _, h0 = draw(4, 1, 3, 2, dtype=torch.float32)
        start = torch.tensor([False, False, True, False])[:, None]
        h0[0, 1, 0] = value
        y, last, *gradients = outcome(selective_scan, (delta, u, a, b, c, start, h0), method="kernel")
        assert torch.isfinite(y).tolist() == [[[True, False, True]]] * 2 + [[[True] * 3]] * 2
        assert torch.isfinite(last).all()
        assert torch.isfinite(gradients[-1]).all()
        u[3, 0, 1] = value
        c[3] = value
        gradients = outcome(selective_scan, (delta, u, a, b, c, start, torch.zeros_like(h0)), method="kernel")[2:]
        assert all(torch.isfinite(x[:2]).all() for x in (gradients[0], gradients[1], gradients[3], gradients[4]))
        assert torch.isfinite(gradients[-1]).all()


def test_fast_forgetting_and_growth_stay_numbers():
    one = torch.ones(1, 1, 1)
    for dtype, lowest, highest in ((torch.float32, 2.0**-120, 2.0**127), (torch.float64, 2.0**-1000, 2.0**1023)):
        for rate, expected in ((-1e5, lowest), (1e5, highest), (-torch.inf, lowest), (0.0, 1.0)):
            scan = (x.to(dtype) for x in (one, 0 * one, torch.full((1, 1), rate), one, one))
            y, last = selective_scan(*scan, h0=one.to(dtype), method="kernel")
            assert y.item() == last.item() == expected


@njit
def powers(x):
    for i in range(x.size // 16):
        store(x, i, power_of_two(load(x, i)))


@pytest.mark.parametrize(("kind", "bound"), [(np.float32, 2e-7), (np.float64, 4e-16)])
def test_powers_of_two_are_accurate(kind, bound):
    limits = (-119, 126) if kind == np.float32 else (-999, 1022)
    x = np.concatenate([np.linspace(*limits, 15_999), [np.nan]]).astype(kind)
    found = x.copy()
    powers(found)
    assert np.isnan(found[-1])
    expected = np.exp2(x[:-1].astype(np.longdouble))
    assert np.abs(found[:-1] / expected - 1).max() < bound


def test_unfit_arguments_get_one_sentence():
    delta, u, a, b, c, start, h0 = draw(4, 2, 3, 2)
    with pytest.raises(EnvzooError, match=r"u has the shape \(4, 2, 2\); expected \(4, 2, 3\)"):
        selective_scan(delta, u[..., :2], a, b, c)
    with pytest.raises(EnvzooError, match=r"a has the shape \(2, 2\); expected \(3, 2\)"):
        selective_scan(delta, u, a[:2], b, c)
    with pytest.raises(EnvzooError, match=r"delta has the shape \(2, 3\) and a \(3, 2\); expected \(T, B, E\)"):
        selective_scan(delta[0], u, a, b, c)
    with pytest.raises(EnvzooError, match=r"start has the shape \(4,\); expected \(4, 2\)"):
        selective_scan(delta, u, a, b, c, start[:, 0])
    with pytest.raises(EnvzooError, match=r"h0 has the shape \(3, 2\); expected \(2, 3, 2\)"):
        selective_scan(delta, u, a, b, c, start, h0[0])
    with pytest.raises(UnknownNameError, match="'kernel'"):
        selective_scan(delta, u, a, b, c, method="kernels")
    with pytest.raises(EnvzooError, match=r"method='kernel' takes CPU tensors .* torch.float16 on cpu"):
        selective_scan(delta.half(), u, a, b, c, method="kernel")


def test_other_types_take_the_parallel_way():
    arguments = draw(5, 2, 3, 2)
    mixed = [x.float() if i == 1 else x for i, x in enumerate(arguments)]
    for one, expected in zip(selective_scan(*mixed), selective_scan(*arguments), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-5, atol=1e-5, check_dtype=False)


@given(steps=st.integers(1, 30), piece=st.integers(1, 12), seed=seeds, share=st.sampled_from([None, 0.0, 0.3]))
@settings(max_examples=25, deadline=None)
def test_a_block_in_pieces_equals_the_block_in_one(steps, piece, seed, share):
    generator = torch.Generator().manual_seed(seed)
    block = MambaBlock(5, 3, generator=generator)
    x = torch.randn(steps, 2, 5, generator=generator)
    state = torch.randn(2, block.state_dim, generator=generator)
    start = None if share is None else torch.rand(steps, 2, generator=generator) < share
    expected = block(x, state, start)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(mamba, "PIECE", piece * 2 * block.channels)
        found = block(x, state, start)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=1e-5, atol=1e-5)
