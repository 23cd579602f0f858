"""The linear recurrences against a loop over time and against autograd, on random starts of episodes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.losses.advantages import reward_to_go
from envzoo.agents.networks.sequence.scan import diagonal_scan, segmented_scan
from envzoo.errors import EnvzooError, UnknownNameError


def by_loop(a, b, start, x0):
    """The definition, step by step, with autograd."""
    x, found = x0, []
    for t in range(len(b)):
        keep = (~start[t]).reshape(-1, *[1] * (b.dim() - 2))
        x = (a[t] if a.dim() == b.dim() else a) * (x * keep) + b[t]
        found.append(x)
    return torch.stack(found)


def draw(shape, dtype, generator):
    return torch.randn(shape, dtype=dtype, generator=generator)


shapes = st.tuples(st.integers(1, 20), st.integers(1, 3), st.integers(1, 5))


@given(
    shape=shapes,
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.0, 0.2, 0.7]),
    varies=st.booleans(),
    complex_numbers=st.booleans(),
    method=st.sampled_from(["kernel", "parallel"]),
)
@settings(max_examples=80, deadline=None)
def test_values_and_gradients_equal_those_of_a_loop(shape, seed, share, varies, complex_numbers, method):
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.complex128 if complex_numbers else torch.float64
    a = (0.5 * draw(shape if varies else shape[2:], dtype, generator)).requires_grad_()
    b, x0 = (draw(s, dtype, generator).requires_grad_() for s in (shape, shape[1:]))
    start = torch.rand(shape[:2], generator=generator) < share
    weight = draw(shape, dtype, generator)
    results = []
    for x in (by_loop(a, b, start, x0), segmented_scan(a, b, start, x0, method=method)):
        loss = (x * weight).real.sum() + (x.abs() ** 2).sum()
        results.append((x.detach(), *torch.autograd.grad(loss, (a, b, x0))))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_both_methods_agree_in_single_precision(seed):
    generator = torch.Generator().manual_seed(seed)
    a = torch.rand(64, 4, 8, generator=generator)
    b, x0 = draw((64, 4, 8), torch.float32, generator), draw((4, 8), torch.float32, generator)
    start = torch.rand(64, 4, generator=generator) < 0.05
    kernel, parallel = (segmented_scan(a, b, start, x0, method=m) for m in ("kernel", "parallel"))
    torch.testing.assert_close(kernel, parallel, rtol=1e-5, atol=1e-5)


def test_no_state_crosses_a_start_even_when_it_is_not_finite():
    b, x0 = torch.ones(3, 1, 1), torch.tensor([[torch.inf]])
    start = torch.tensor([[False], [True], [False]])
    x = segmented_scan(torch.tensor([0.5]), b, start, x0, method="kernel")
    assert x[:, 0, 0].tolist() == [torch.inf, 1.0, 1.5]


def test_discounted_returns_are_a_scan_backwards():
    generator = np.random.default_rng(0)
    reward = generator.normal(size=(30, 3)).astype(np.float32)
    done = generator.random((30, 3)) < 0.2
    # Backwards in time, an episode starts at its end.
    x = segmented_scan(
        torch.tensor(0.9, dtype=torch.float64),
        torch.from_numpy(reward[::-1].copy()).double(),
        torch.from_numpy(done[::-1].copy()),
    )
    np.testing.assert_allclose(x.numpy()[::-1], reward_to_go(reward, done, 0.9), rtol=1e-5, atol=1e-5)


@given(shape=shapes, seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.3]), modes=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_diagonal_scan_and_its_gradient_equal_the_general_one(shape, seed, share, modes):
    generator = torch.Generator().manual_seed(seed)
    steps, batch, width = shape
    u = draw(shape, torch.float64, generator).requires_grad_()
    a, w = (0.5 * draw((2, modes, width), torch.float64, generator) for _ in range(2))
    x0 = draw((batch, 2, modes, width), torch.float64, generator)
    for tensor in (a, w, x0):
        tensor.requires_grad_()
    start = torch.rand(steps, batch, generator=generator) < share
    weights = draw(shape, torch.float64, generator), draw(x0.shape, torch.float64, generator)
    results = []
    for method in ("parallel", "auto"):
        y, last = diagonal_scan(u, a, w, start, x0, method=method)
        loss = (y * weights[0]).sum() + (last * weights[1]).sum()
        results.append((y.detach(), last.detach(), *torch.autograd.grad(loss, (u, a, w, x0))))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_unfit_arguments_get_one_sentence():
    a, b = torch.ones(4, 2, 3), torch.ones(5, 2, 3)
    with pytest.raises(EnvzooError, match=r"a has the shape \(4, 2, 3\) and b \(5, 2, 3\)"):
        segmented_scan(a, b)
    with pytest.raises(EnvzooError, match=r"start has the shape \(4,\); expected \(4, 2\)"):
        segmented_scan(a, a, torch.zeros(4, dtype=torch.bool))
    with pytest.raises(EnvzooError, match=r"x0 has the shape \(3,\)"):
        segmented_scan(a, a, x0=torch.zeros(3))
    with pytest.raises(UnknownNameError, match="'kernel'"):
        segmented_scan(a, a, method="kernels")
    with pytest.raises(EnvzooError, match="method='kernel' takes CPU tensors"):
        segmented_scan(a.half(), a.half(), method="kernel")
