"""Adam's step without denormal numbers."""

from __future__ import annotations

import pytest
import torch

from envzoo.agents.optim import make_optimizer
from envzoo.agents.optim.denormals import apply_flushed, flushed_denormals

DENORMAL = 1e-40


def flushes() -> bool:
    """Return whether this thread flushes denormal numbers to zero."""
    return bool((torch.tensor([DENORMAL]) * 0.5 == 0).all())


pytestmark = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot flush denormal numbers"
)


@pytest.mark.parametrize("before", [False, True])
def test_the_setting_is_restored(before):
    torch.set_flush_denormal(before)
    try:
        assert flushes() == before
        with flushed_denormals():
            assert flushes()
        assert flushes() == before
        with pytest.raises(KeyError), flushed_denormals():
            raise KeyError
        assert flushes() == before
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("max_grad_norm", [None, 0.5])
def test_parameters_are_the_same_and_moments_are_not_denormal(max_grad_norm):
    """A unit that is active in the first steps and never again, as under ReLU."""
    results = []
    for apply in (apply_flushed, lambda optimizer: optimizer.apply()):
        net = torch.nn.Linear(4, 3)
        with torch.no_grad():
            for number, parameter in enumerate(net.parameters()):
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter) + number)
        optimizer = make_optimizer(net, lr=1e-3, max_grad_norm=max_grad_norm)
        generator = torch.Generator().manual_seed(0)
        for step in range(1500):
            optimizer.flat.grad.normal_(generator=generator)
            if step > 10:
                optimizer.flat.grad[:8] = 0.0
            apply(optimizer)
        moments = torch.cat([optimizer.optimizer.state[optimizer.flat][name] for name in ("exp_avg", "exp_avg_sq")])
        tiny = (moments != 0) & (moments.abs() < torch.finfo(torch.float32).tiny)
        results.append((optimizer.flat.detach().clone(), bool(tiny.any())))
    (flushed, any_flushed), (plain, any_plain) = results
    assert torch.equal(flushed, plain)
    assert any_plain
    assert not any_flushed
