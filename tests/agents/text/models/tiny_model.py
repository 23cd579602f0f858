"""Small transformers over characters, batches of answers, and what torch alone computes for them."""

import torch

from envzoo.agents.text.models.language import CharacterTransformer

PROMPT, ANSWER, VOCABULARY = 5, 6, 11


def make(dim=16, layers=2, heads=4, seed=0, vocabulary=VOCABULARY):
    """A model whose weights are large enough that attention is not uniform."""
    generator = torch.Generator().manual_seed(seed)
    model = CharacterTransformer(vocabulary, PROMPT + ANSWER, dim, layers, heads, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def batch(lengths, prompts=3, seed=0, vocabulary=VOCABULARY):
    """Draw prompts, the prompt of each answer, answers of the given lengths, and the mask of their tokens."""
    generator = torch.Generator().manual_seed(seed)
    asked = torch.randint(1, vocabulary, (prompts, PROMPT), generator=generator)
    which = torch.randint(0, prompts, (len(lengths),), generator=generator)
    tokens = torch.randint(1, vocabulary, (len(lengths), ANSWER), generator=generator)
    there = torch.arange(ANSWER) < torch.tensor(lengths)[:, None]
    return asked, which, torch.where(there, tokens, 0), there


def plainly(model, asked, which, tokens):
    """The logits by torch alone."""
    return model(torch.cat([asked[which], tokens[:, :-1]], 1), PROMPT - 1)


def gradients(model, logits, there, tokens):
    """Of the sum of the squared log-probabilities of all tokens there are."""
    logp = torch.log_softmax(logits, -1)[..., 1:]
    return torch.autograd.grad((logp[there] ** 2).sum(), list(model.parameters()))


def check_writing(model, prompts, copies, kind, vocabulary=VOCABULARY):
    """Answers written token by token have the logits of the whole; `kind` is the class of the cache."""
    asked, _, tokens, _ = batch([ANSWER] * prompts * copies, prompts, vocabulary=vocabulary)
    which = torch.arange(prompts).repeat_interleave(copies)
    whole = plainly(model, asked, which, tokens).detach()
    with torch.no_grad():
        logits, cache = model.prefill(asked, copies)
        assert isinstance(cache, kind)
        for k in range(ANSWER):
            torch.testing.assert_close(logits, whole[:, k], rtol=1e-4, atol=1e-4)
            if k + 1 < ANSWER:
                logits = model.step(tokens[:, k], PROMPT + k, cache)
