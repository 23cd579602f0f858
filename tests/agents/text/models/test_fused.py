"""Passes in one kernel against the plain form, autograd, and the passes with torch's products."""

import pytest
import tiny_language_model
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_language_model import ANSWER, PROMPT, check_writing, gradients, plainly

from envzoo.agents.optim import make_optimizer
from envzoo.agents.text.models import fused
from envzoo.agents.text.models import packed_sequences as packed
from envzoo.agents.threads import using_threads
from envzoo.errors import EnvzooError

VOCABULARY = 13


@pytest.fixture(autouse=True)
def one_thread():
    with using_threads(1):
        yield


def make(*shape, vocabulary=VOCABULARY):
    return tiny_language_model.make(*shape, vocabulary=vocabulary)


def batch(lengths, prompts=4, seed=0, vocabulary=VOCABULARY):
    return tiny_language_model.batch(lengths, prompts, seed, vocabulary)


def count_passes(monkeypatch):
    """The names of the passes in one kernel, from now on."""
    seen = []
    for name in ("forward", "backward", "step"):
        function = getattr(fused, name)
        monkeypatch.setattr(fused, name, lambda *a, name=name, function=function: seen.append(name) or function(*a))
    return seen


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, ANSWER), min_size=1, max_size=40).filter(any),
    st.integers(4, 6),
    st.sampled_from([(8, 1, 1), (16, 2, 4), (24, 3, 2), (64, 2, 4)]),
    st.integers(0, 1000),
)
def test_logits_and_gradients_are_those_of_the_plain_form(lengths, prompts, shape, seed):
    with using_threads(1):
        model = make(*shape, seed)
        asked, which, tokens, there = batch(lengths, prompts, seed)
        ours, plain = model.answers(asked, which, tokens), plainly(model, asked, which, tokens)
        mine, theirs = (gradients(model, logits, there, tokens) for logits in (ours, plain))
    with using_threads(2):
        torchs = model.answers(asked, which, tokens)
        others = gradients(model, torchs, there, tokens)
    torch.testing.assert_close(ours[there], plain[there], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-4)
    for own, its, other in zip(mine, theirs, others, strict=True):
        size = float(its.abs().max()) + 1.0
        torch.testing.assert_close(own / size, its / size, rtol=0.0, atol=1e-4)
        torch.testing.assert_close(own / size, other / size, rtol=0.0, atol=2e-5)


def test_a_forward_pass_without_gradient_has_the_same_bits():
    model = make()
    asked, which, tokens, _ = batch([2, 5, 6, 0])
    with torch.no_grad():
        alone = model.answers(asked, which, tokens)
    assert not alone.requires_grad
    assert torch.equal(model.answers(asked, which, tokens).detach(), alone)
    assert len(model.rooms) == 1


@pytest.mark.parametrize("copies", [1, 3])
def test_answers_written_token_by_token_have_the_logits_of_the_whole(copies):
    check_writing(make(), 4, copies, fused.Continuation, VOCABULARY)


@pytest.mark.parametrize(
    ("threads", "prompts", "vocabulary", "expected"),
    [
        (1, 4, 13, ["forward", "backward", "forward", "step"]),
        (2, 4, 13, []),
        (1, packed.LEAST_ROWS - 1, 13, []),
        (1, 4, packed.LEAST_TOKENS - 1, []),
    ],
)
def test_where_passes_are_one_kernel(threads, prompts, vocabulary, expected, monkeypatch):
    seen = count_passes(monkeypatch)
    model = make(vocabulary=vocabulary)
    asked, which, tokens, _ = batch([1, 1], prompts, vocabulary=vocabulary)
    with using_threads(threads):
        model.answers(asked, which, tokens).sum().backward()
        with torch.no_grad():
            logits, cache = model.prefill(asked, 2)
            assert logits.shape == (2 * prompts, vocabulary)
            model.step(torch.ones(2 * prompts, dtype=torch.int64), PROMPT, cache)
    assert seen == expected


def test_weights_in_one_vector_and_apart_give_the_same_bits():
    apart, together = make(), make()
    optimizer = make_optimizer(together, "adamw", lr=1e-3)
    b = batch([2, 5, 6])
    assert not fused.consecutive(packed.weights(apart))
    assert fused.consecutive(packed.weights(together))
    assert torch.equal(apart.answers(*b[:3]), together.answers(*b[:3]))
    apart.answers(*b[:3])[b[3]].square().sum().backward()
    with together.derived_from(optimizer) as leaves:
        together.answers(*b[:3])[b[3]].square().sum().backward(inputs=leaves)
    assert len(leaves) == 1
    for one, other in zip(apart.parameters(), together.parameters(), strict=True):
        assert one.grad.any()
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_leaf_stands_for_all_parameters_in_its_block_alone(threads):
    model = make()
    optimizer = make_optimizer(model, "adamw", lr=1e-3)
    b = batch([2, 5, 6])
    with using_threads(threads):
        model.answers(*b[:3])[b[3]].square().sum().backward(inputs=optimizer.parameters)
        each = optimizer.flat.grad.clone()
        optimizer.flat.grad.zero_()
        with pytest.raises(RuntimeError, match="stop"), model.derived_from(optimizer):
            raise RuntimeError("stop")
        with model.derived_from(optimizer) as leaves:
            model.answers(*b[:3])[b[3]].square().sum().backward(inputs=leaves)
        assert torch.equal(optimizer.flat.grad, each)
        assert len(torch.autograd.grad(model.answers(*b[:3]).sum(), list(model.parameters()))) == 2 + 2 * 12 + 4


def test_the_leaves_of_another_model_are_refused():
    model, other = make(), make()
    optimizer = make_optimizer(other, "adamw", lr=1e-3)
    with pytest.raises(EnvzooError, match="are not those of this optimizer"), model.derived_from(optimizer):
        pass
    model.compute_dtype = torch.bfloat16
    with model.derived_from(optimizer) as leaves:  # torch's own graph, whose leaves are the parameters
        assert leaves is optimizer.parameters


def test_weights_that_change_before_the_backward_pass_are_noticed():
    model = make()
    optimizer = make_optimizer(model, "sgd", lr=1.0)
    b = batch([2, 5, 6])
    with model.derived_from(optimizer) as leaves:
        loss = model.answers(*b[:3])[b[3]].square().sum()
        with torch.no_grad():
            optimizer.flat.mul_(2.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward(inputs=leaves)
