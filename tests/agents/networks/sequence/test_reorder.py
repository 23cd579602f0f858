"""Reordering of tokens: exact facts of SoftSort, and what a block does with sorted tokens."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo import agents
from envzoo.agents.networks.encoders import SequenceEncoder
from envzoo.agents.networks.sequence import GatedBlock, MambaBlock, Stack, hard_sort, reorder_tokens, soft_sort
from envzoo.agents.networks.sequence.mamba import SelectiveScan
from envzoo.errors import EnvzooError, UnknownNameError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def permutation_of(score):
    return torch.eye(len(score), dtype=score.dtype)[score.argsort(stable=True)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8, unique=True), st.sampled_from([0.5, 1.0, 2.0]))
def test_rows_sum_to_one_and_become_the_permutation(values, power):
    score = torch.tensor(values, dtype=torch.float64)
    relaxed = soft_sort(score, power=power)
    torch.testing.assert_close(relaxed.sum(-1), torch.ones(len(score), dtype=torch.float64))
    # Neighbouring scores differ by 1 at least, so other entries are below exp(-1000).
    assert torch.equal(soft_sort(score, temperature=1e-3, power=power).round(decimals=12), permutation_of(score))
    assert torch.equal(hard_sort(score), permutation_of(score))
    torch.testing.assert_close(hard_sort(score) @ score, score.sort().values)


def test_equal_scores_give_uniform_rows_and_keep_their_order():
    score = torch.full((5,), 0.3)
    torch.testing.assert_close(soft_sort(score), torch.full((5, 5), 0.2))
    assert torch.equal(hard_sort(score), torch.eye(5))


def test_the_hard_form_has_the_gradient_of_the_soft_one():
    score = torch.randn(4, 6, generator=generator(), dtype=torch.float64).requires_grad_()
    weight = torch.randn(4, 6, 6, generator=generator(1), dtype=torch.float64)
    (soft,) = torch.autograd.grad((soft_sort(score) * weight).sum(), score)
    (hard,) = torch.autograd.grad((hard_sort(score) * weight).sum(), score)
    torch.testing.assert_close(soft, hard)
    assert soft.abs().sum() > 0


def core(reorder, seed=0):
    return SelectiveScan(12, 4, 2, generator=generator(seed), reorder=reorder)


@pytest.mark.parametrize("how", ["soft", "hard"])
def test_the_scan_reads_sorted_tokens_whatever_their_order(how):
    scan, plain = core(how), core("none")
    u, h = torch.randn(7, 3, 12, generator=generator(2)), torch.zeros(3, 12, 4)
    with torch.no_grad():
        y, after = scan(u, h, None)
        # It is the plain scan with the same weights, on the sorted tokens.
        expected, last = plain(scan.sort(u), h, None)
        torch.testing.assert_close(y, expected)
        torch.testing.assert_close(after, last)
        order = torch.randperm(7, generator=generator(3))
        shuffled, _ = scan(u[order], h, None)
        torch.testing.assert_close(shuffled, y, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(plain(u[order], h, None)[0], plain(u, h, None)[0], atol=1e-3)


def test_scores_are_the_projected_step_sizes_and_the_least_important_comes_first():
    scan = core("hard")
    u = torch.randn(7, 2, 12, generator=generator(2))
    with torch.no_grad():
        score = (u @ scan.project[:2].t() @ scan.dt_weight.t() + scan.dt_bias) @ scan.importance
        expected = torch.stack([u[score[:, b].argsort(), b] for b in range(2)], dim=1)
        torch.testing.assert_close(scan.sort(u), expected)
        torch.testing.assert_close(reorder_tokens(u, score, "hard"), expected)
        assert reorder_tokens(u, score, "none") is u


def test_the_gate_and_the_residual_keep_their_places():
    """With a scan that forgets which token is which, only these two tell the outputs of equal tokens apart."""
    block = MambaBlock(6, state_size=3, d_conv=1, generator=generator(), reorder="hard")
    x = torch.randn(5, 2, 6, generator=generator(1))
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        y, shuffled = block(x)[0] - x, block(x[order])[0] - x[order]
        block.leave.weight.zero_()
        torch.testing.assert_close(block(x)[0], x)  # the residual
    gate = torch.nn.functional.silu((block.norm(x) @ block.enter.t()).chunk(2, dim=-1)[1])
    assert not torch.allclose(shuffled, y[order], atol=1e-4)
    assert gate.shape == (5, 2, 12)


def test_importance_is_learned():
    for how in ("soft", "hard"):
        block = MambaBlock(6, state_size=3, generator=generator(), reorder=how)
        x = torch.randn(5, 2, 6, generator=generator(1))
        block(x)[0].square().sum().backward()
        assert block.core.importance.grad.abs().sum() > 0


def test_without_reordering_nothing_changes():
    one, other = (MambaBlock(6, generator=generator(4), **extra) for extra in ({}, {"reorder": "none"}))
    assert list(one.state_dict()) == list(other.state_dict())
    assert not hasattr(one.core, "importance")
    soft = MambaBlock(6, generator=generator(4), reorder="soft").state_dict()
    shared = [name for name in one.state_dict() if name not in ("leave.weight", "leave.bias")]
    assert all(torch.equal(soft[name], one.state_dict()[name]) for name in shared)


@pytest.mark.parametrize("how", ["soft", "hard"])
def test_over_time_it_is_refused(how):
    block = MambaBlock(8, reorder=how)
    x = torch.zeros(4, 2, 8)
    for call in (
        lambda: block.step(x[0], torch.zeros(2, block.state_dim)),
        lambda: block.initial_state(2),
        lambda: block(x, torch.zeros(2, block.state_dim)),
        lambda: block(x, None, torch.zeros(4, 2, dtype=torch.bool)),
        lambda: Stack([block])(x),
    ):
        with pytest.raises(EnvzooError, match="sorts the tokens of one observation; over time"):
            call()

    def layer(width, weights):
        return Stack([GatedBlock(MambaBlock(width, generator=weights, reorder=how), weights)])

    with pytest.raises(EnvzooError, match="use reorder='none' in encoders with a memory"):
        agents.make("PPO", "envzoo/TMaze-v0", encoder=partial(SequenceEncoder, layer=layer), device="cpu")


def test_bad_input():
    for make in (partial(MambaBlock, 8), partial(SelectiveScan, 8, 2, 1)):
        with pytest.raises(UnknownNameError, match="'soft'"):
            make(reorder="sof")
    with pytest.raises(UnknownNameError, match="'hard'"):
        reorder_tokens(torch.zeros(2, 1, 1), torch.zeros(2, 1), "hart")
    for bad in ({"temperature": 0.0}, {"power": -1.0}):
        with pytest.raises(EnvzooError, match="expected positive numbers"):
            soft_sort(torch.zeros(3), **bad)
