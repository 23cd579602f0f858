"""The small transformer: causality, the cache against the whole sequence, and where its random numbers come from."""

import pytest
import torch

from envzoo.agents.text.models import language
from envzoo.agents.text.models.language import CharacterTransformer, answer_log_probs
from envzoo.errors import EnvzooError


def model(seed=0, **changes):
    network = CharacterTransformer(
        13, 12, **{"dim": 16, "heads": 2, **changes}, generator=torch.Generator().manual_seed(seed)
    )
    with torch.no_grad():  # far from the almost uniform start
        for parameter in network.parameters():
            parameter.mul_(5)
    return network


def ids(rows, width, seed=1):
    return torch.randint(1, 13, (rows, width), generator=torch.Generator().manual_seed(seed))


def test_the_default_has_about_a_tenth_of_a_million_parameters():
    network = CharacterTransformer(15, 12, generator=torch.Generator())
    assert 90_000 < sum(p.numel() for p in network.parameters()) < 115_000


def test_a_token_does_not_see_what_comes_after():
    network, x = model(), ids(3, 9)
    changed = x.clone()
    changed[:, 5:] = 1 + x[:, 5:] % 12
    assert torch.equal(network(x)[:, :5], network(changed)[:, :5])
    assert not torch.allclose(network(x)[:, 5], network(changed)[:, 5])
    torch.testing.assert_close(network(x, 4), network(x)[:, 4:])


@pytest.mark.parametrize("copies", [1, 3])
def test_the_cache_gives_what_the_whole_sequence_gives(copies):
    network, prompts, answers = model(), ids(4, 5), ids(4 * copies, 7, seed=2)
    whole = network(torch.cat([prompts.repeat_interleave(copies, 0), answers], 1), 4)
    with torch.no_grad():
        logits, cache = network.prefill(prompts, copies)
        steps = [logits]
        for k in range(7):
            steps.append(network.step(answers[:, k], 5 + k, cache))
    torch.testing.assert_close(torch.stack(steps, 1), whole, atol=1e-4, rtol=1e-4)


def test_padding_is_never_written():
    log_prob = torch.log_softmax(model()(ids(2, 4)), -1)
    assert (log_prob[..., 0].exp() == 0).all()
    assert torch.isfinite(log_prob).all()


def test_log_probs_of_answers():
    network, prompts, answers = model(), ids(4, 5), ids(4, 3, seed=2)
    logp, every = answer_log_probs(network, prompts, answers, temperature=2.0)
    logits = network(torch.cat([prompts, answers], 1))
    for k in range(3):
        expected = torch.log_softmax(logits[:, 4 + k] / 2.0, -1)
        torch.testing.assert_close(every[:, k], expected)
        torch.testing.assert_close(logp[:, k], expected[torch.arange(4), answers[:, k]])


def test_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    one, same, other = (model(seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_heads_divide_the_width():
    with pytest.raises(EnvzooError, match="3 heads do not divide a width of 16"):
        model(heads=3)


def test_short_numbers_compute_and_long_ones_remain():
    network, x = model(), ids(4, 9)
    plain = network(x).detach()
    network.compute_dtype = torch.bfloat16
    assert not network.packs
    logits = network(x)
    assert logits.dtype == torch.float32
    assert 1e-4 < float((logits.detach() - plain)[..., 1:].abs().max()) < 0.05 * float(plain[..., 1:].abs().max())
    logits[..., 1:].square().sum().backward()
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in network.parameters())
    with torch.no_grad():
        first, cache = network.prefill(x[:, :5], 2)
        second = network.step(x[:, 5].repeat_interleave(2), 5, cache)
    assert cache[0][0].dtype == torch.bfloat16
    for k, found in ((4, first), (5, second)):
        close = float((found - plain[:, k].repeat_interleave(2, 0))[:, 1:].abs().max())
        assert close < 0.05 * float(plain[..., 1:].abs().max())


def test_very_many_sequences_at_once(monkeypatch):
    network, x = model().double(), ids(4, 9)
    plain = network(x)
    monkeypatch.setattr(language, "MOST_SEQUENCES", 3)
    torch.testing.assert_close(network(x), plain)
