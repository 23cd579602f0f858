"""The kernels of the small transformer against its plain form and autograd."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_language_model import ANSWER, batch, check_writing, gradients, make, plainly

from envzoo.agents.text.losses.tokens import entropy_of_log_probs
from envzoo.agents.text.models import draw as text_draw
from envzoo.agents.text.models import kernels as text_kernels
from envzoo.agents.text.models import language
from envzoo.agents.text.models import packed_sequences as packed
from envzoo.agents.text.models.language import answer_log_probs


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, ANSWER), min_size=1, max_size=7).filter(any),
    st.integers(1, 4),
    st.sampled_from([(8, 1, 1), (16, 2, 4), (24, 3, 2)]),
    st.integers(0, 1000),
)
def test_logits_and_gradients_are_those_of_the_plain_form(lengths, prompts, shape, seed):
    model = make(*shape, seed)
    asked, which, tokens, there = batch(lengths, prompts, seed)
    ours, plain = model.answers(asked, which, tokens), plainly(model, asked, which, tokens)
    torch.testing.assert_close(ours[there], plain[there], rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(gradients(model, ours, there, tokens), gradients(model, plain, there, tokens), strict=True):
        size = float(theirs.abs().max()) + 1.0
        torch.testing.assert_close(mine / size, theirs / size, rtol=0.0, atol=1e-4)


def test_beyond_the_ends_there_is_no_logit_and_no_gradient():
    model = make()
    asked, which, tokens, there = batch([0, 1, 3, ANSWER])
    logits = model.answers(asked, which, tokens)
    assert not (logits[~there] - model.never).any()
    for gradient in torch.autograd.grad(logits[~there].sum(), list(model.parameters())):
        assert not gradient.any()


def test_several_forwards_before_their_backwards_keep_their_own_memory():
    model = make()
    first, second = batch([2, 5, 6], seed=1), batch([4, 1, 3, 6], seed=2)
    expected = [gradients(model, plainly(model, *b[:3]), b[3], b[2]) for b in (first, second)]
    waiting = [(model.answers(*b[:3]), b) for b in (first, second)]
    assert model.rooms == []
    with torch.no_grad():
        model.answers(*batch([6] * 9, seed=3)[:3])
    for (logits, (_, _, tokens, there)), theirs in reversed(list(zip(waiting, expected, strict=True))):
        for mine, its in zip(gradients(model, logits, there, tokens), theirs, strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-3)


def test_memory_is_used_again_and_changes_nothing():
    model = make()
    large, small = batch([6] * 9, seed=3), batch([2, 5, 6], seed=1)
    alone = make().answers(*small[:3])
    model.answers(*large[:3]).sum().backward()
    after = model.answers(*small[:3])
    assert torch.equal(after, alone)
    del after
    assert len(model.rooms) == 1


def test_rooms_are_not_shared_with_a_copy():
    model = make()
    b = batch([2, 5, 6])
    with torch.no_grad():
        before = model.answers(*b[:3]).clone()
        twin = copy.deepcopy(model)
        for parameter in twin.parameters():
            parameter.mul_(2.0)
        changed = twin.answers(*b[:3])
        assert torch.equal(model.answers(*b[:3]), before)
    assert not torch.equal(changed, before)


@pytest.mark.parametrize("copies", [1, 3])
def test_answers_written_token_by_token_have_the_logits_of_the_whole(copies):
    check_writing(make(), 2, copies, packed.Cache)


def test_elsewhere_torch_alone_does_the_work():
    model = make().double()
    assert not model.packs
    asked, which, tokens, there = batch([2, 5, 6])
    logits = model.answers(asked, which, tokens)
    torch.testing.assert_close(logits, plainly(model, asked, which, tokens))
    ours = make().answers(asked, which, tokens)
    torch.testing.assert_close(ours[there].double(), logits[there], rtol=1e-4, atol=1e-4)


def test_log_probabilities_without_shared_prompts():
    model = make()
    asked, which, tokens, there = batch([2, 5, 6])
    shared = answer_log_probs(model, asked, tokens, which=which)[0]
    single = answer_log_probs(model, asked[which], tokens)[0]
    torch.testing.assert_close(shared[there], single[there], rtol=1e-4, atol=1e-4)


def test_the_exponential_of_the_kernels():
    x = np.linspace(-80.0, 80.0, 20001).astype(np.float32)
    one = np.array([text_kernels.exp(v) for v in x])
    assert np.abs(one / np.exp(x.astype(np.float64)) - 1.0).max() < 3e-7
    assert np.isfinite([text_kernels.exp(np.float32(v)) for v in (-1e9, 1e9)]).all()


def test_padding_ends_an_answer_only_where_nothing_follows():
    model = make()
    asked, which, tokens, there = batch([5, 6])
    tokens[:, 2] = model.pad
    ours, plain = model.answers(asked, which, tokens), plainly(model, asked, which, tokens)
    torch.testing.assert_close(ours[there], plain[there], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("base", "heat"), [(1.0, 1.0), (0.7, 1.6)])
def test_tokens_are_drawn_from_their_probabilities(base, heat):
    rows, size = 200_000, 6
    logits = torch.tensor([[0.3, -1.0, 2.0, language.NEVER, 0.0, -40.0]]).expand(rows, size).contiguous()
    uniform = torch.rand(rows, generator=torch.Generator().manual_seed(0))
    uniform[0], uniform[1] = 0.0, 1.0 - 2**-24
    token, logp, entropy = torch.empty(rows, dtype=torch.int64), torch.empty(rows), torch.empty(rows)
    temperatures, scratch = (np.float32(base), np.float32(heat)), np.empty((2, size), np.float32)
    outputs = (part.numpy() for part in (token, logp, entropy))
    text_draw.draw(logits.numpy(), *temperatures, uniform.numpy(), *scratch, *outputs)
    drawn = torch.bincount(token, minlength=size) / rows
    expected = torch.softmax(logits[0] / heat, -1)
    assert drawn[3] == 0
    assert float((drawn - expected).abs().max()) < 5 * 0.5 / rows**0.5  # five standard errors
    log_prob = torch.log_softmax(logits / base, -1)
    torch.testing.assert_close(logp, log_prob.gather(1, token[:, None])[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(entropy, entropy_of_log_probs(log_prob), atol=1e-5, rtol=1e-5)


def test_numbers_that_are_not_finite_are_not_hidden_by_drawing():
    logits = np.zeros((3, 4), np.float32)
    logits[0, 2], logits[1, 1], logits[2] = np.nan, np.inf, np.nan
    token, logp, entropy = np.zeros(3, np.int64), np.zeros(3, np.float32), np.zeros(3, np.float32)
    uniform, scratch = np.full(3, 0.5, np.float32), np.empty((2, 4), np.float32)
    text_draw.draw(logits, np.float32(1), np.float32(1), uniform, *scratch, token, logp, entropy)
    assert not np.isfinite(entropy).any()
