"""The transformer over whole sequences: causal, blind to padding, and bounded by its context."""

import pytest
import torch

from envzoo.agents.networks.sequence.closed import CausalTransformer
from envzoo.errors import EnvzooError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def body():
    return CausalTransformer(8, layers=2, heads=2, context=5, tokens=3, generator=generator())


def test_no_token_depends_on_later_ones(body):
    x = torch.randn(1, 4, 3, 8, generator=generator(1), requires_grad=True)
    y = body(x, torch.ones(1, 4, dtype=torch.bool)) * torch.arange(8)  # a sum of normalised features is constant
    for step, token in ((0, 0), (1, 2), (3, 1)):
        (gradient,) = torch.autograd.grad(y[0, step, token].sum(), x, retain_graph=True)
        order = torch.arange(12).reshape(4, 3)
        later = order > order[step, token]
        assert (gradient[0][later] == 0).all()
        assert (gradient[0][~later].abs().sum(dim=1) > 0).all()


def test_padding_changes_nothing(body):
    x = torch.randn(2, 5, 3, 8, generator=generator(1))
    mask = torch.tensor([[False, False, True, True, True], [True] * 5])
    padded = body(x, mask)
    assert torch.isfinite(padded).all()
    other = x.clone()
    other[0, :2] = 7.0
    assert torch.equal(body(other, mask)[mask], padded[mask])
    torch.testing.assert_close(padded[0, 2:], body(x[:1, 2:], mask[:1, 2:])[0])


def test_more_steps_than_the_context_are_refused(body):
    with pytest.raises(EnvzooError, match=r"a sequence of 6 steps is longer than the context of the model, .* 5 steps"):
        body(torch.zeros(1, 6, 3, 8), torch.ones(1, 6, dtype=torch.bool))


def test_tokens_of_one_kind_may_be_alone():
    body = CausalTransformer(4, layers=1, heads=1, context=3, tokens=1, generator=generator())
    assert body(torch.zeros(2, 2, 1, 4), torch.ones(2, 2, dtype=torch.bool)).shape == (2, 2, 1, 4)
