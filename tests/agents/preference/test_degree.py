"""TextTinySummary, degraded copies, and the auxiliary task on degrees."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo import agents
from envzoo.agents.preference.degradation import TfIdf, degrade
from envzoo.agents.preference.degree import degree_loss, ordinal_loss
from envzoo.agents.source import Preferences
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.preference.tiny_summary import TinySummary

SUMMARY = "envzoo/TextTinySummary-v0"
SMALL = {
    "pairs": 24, "batch_size": 8, "sft_updates": 2, "sft_batch": 8, "model_dim": 8, "model_layers": 1, "model_heads": 2,
}  # fmt: skip


def make(name="DPODegree", **changes):
    return agents.make(name, SUMMARY, seed=2, device="cpu", env_kwargs={"fillers": 2}, **{**SMALL, **changes})


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.policy.parameters(), other.policy.parameters(), strict=True))


def plain_quality(post, answer):
    facts = {post[k]: post[k + 1] for k in range(len(post)) if post[k] in "ABCDE"}
    quality, told = -0.05 * len(answer), set()
    for slot, digit in zip(answer, answer[1:], strict=False):  # noqa: RUF007  (the plain way)
        if slot in facts and digit.isdigit():
            if facts[slot] != digit:
                quality -= 0.5
            elif slot not in told:
                told.add(slot)
                quality += 1
    return quality


def test_qualities_are_those_of_plain_python():
    task = TinySummary()
    posts = task.sample(300, "all")
    assert task.is_prompt(posts).all()
    for noise in (0.0, 1.0):
        answers = task.demo(posts, noise, 3)
        found = task.verify(posts, answers)
        expected = [plain_quality(task.text(a), task.text(b)) for a, b in zip(posts, answers, strict=True)]
        assert found == pytest.approx(np.array(expected), abs=1e-5)
    assert task.verify(posts, task.solve(posts)) == pytest.approx(4.5)
    rng = np.random.default_rng(0)
    random = rng.integers(2, task.vocab_size, (300, 17))
    random[np.arange(300), rng.integers(0, 17, 300)] = 1
    texts = [task.text(row) for row in random]
    expected = [plain_quality(task.text(a), b) for a, b in zip(posts, texts, strict=True)]
    assert task.verify(posts, random) == pytest.approx(np.array(expected), abs=1e-5)
    assert task.verify(posts[:1], np.full((1, 17), 5)).tolist() == [-2.0]
    assert not task.is_prompt(np.where(posts == posts[:, :1], 0, posts)).any()


def test_pairs_follow_their_labels():
    task = TinySummary(temperature=0.5)
    data = task.preference_pairs(4000, 1)
    good = np.array([plain_quality(p, c) for p, c in zip(data["prompts"], data["chosen"], strict=True)])
    bad = np.array([plain_quality(p, c) for p, c in zip(data["prompts"], data["rejected"], strict=True)])
    assert np.abs(good - bad) == pytest.approx(data["margin"], abs=1e-5)
    won = 1 / (1 + np.exp(-data["margin"] / 0.5))
    count = (good >= bad).sum()
    assert abs(count - won.sum()) <= 5 * np.sqrt((won * (1 - won)).sum()) + (good == bad).sum()
    assert all(a != b and a and b for a, b in zip(data["chosen"], data["rejected"], strict=True))


def test_key_spans():
    assert TinySummary().key_spans("A3bB7CD1") == [(0, 2), (3, 5), (6, 8)]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 6), st.integers(2, 6), st.integers(0, 10_000))
def test_copies_lose_their_share(facts, levels, seed):
    text = "".join(f"x{slot}{k}" for k, slot in zip(range(facts), "ABCDEA", strict=False)) + "y"
    spans = [(3 * k + 1, 3 * k + 3) for k in range(facts)]
    order = np.random.default_rng(seed).permutation(facts).tolist()
    before = None
    for level, copy in enumerate(degrade(text, spans, levels, order)):
        count = math.floor(level / (levels - 1) * facts + 0.5)
        if copy is None:
            assert count == before
            continue
        before = count
        kept = [k for k in range(facts) if k not in order[:count]]
        assert copy == "".join(f"x{text[3 * k + 1 : 3 * k + 3]}" if k in kept else "x" for k in range(facts)) + "y"
    masked = degrade(text, spans, levels, order, "_")
    assert all(copy is None or len(copy) == len(text) for copy in masked)


def test_tf_idf_finds_what_is_rare_elsewhere():
    extractor = TfIdf(["aaab", "aaac", "aaad"], share=0.25)
    assert extractor("aaab") == [(3, 4)]
    assert TfIdf(["ab"], share=0.5)("ab") == [(0, 1)]  # of equal ones the first


def test_losses_by_hand():
    valid = torch.tensor([[True, True, False], [False, False, False]])
    uniform = torch.zeros(2, 3, 3)
    assert float(degree_loss(uniform, valid)[0]) == pytest.approx(math.log(3))
    scores = torch.tensor([[1.0, 0.5, -9.0], [0.0, 1.0, 2.0]])
    loss, accuracy = ordinal_loss(scores, valid)
    assert float(loss) == pytest.approx(-math.log(1 / (1 + math.exp(-0.5))))
    assert float(accuracy) == 1
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    scores.requires_grad_()
    ordinal_loss(scores, nothing)[0].backward()
    assert not scores.grad.any()


def test_the_probe_and_a_weight_of_zero_leave_dpo_as_it_is():
    plain = make("DPO").learn(32)
    for changes in ({"degree_form": "probe"}, {"degree_coefficient": 0.0}):
        other = make(**changes).learn(32)
        assert same(plain, other)
        assert not torch.equal(other.head.weight, make(**changes).head.weight)  # which has learned
    assert not same(plain, make().learn(32))
    assert not same(plain, make(degree_form="ordinal").learn(32))
    assert not same(plain, make(degree_form="pairs").learn(32))


def test_gradients_of_answers_without_key_content_are_zero():
    data = Preferences(("x", "y"), ("ab", "ba"), ("a", "b"))
    agent = agents.make("DPODegree", data, device="cpu", **{**SMALL, "batch_size": 2})
    agent.valid[:] = False
    agent.learn(2)
    loss = agent.extra_loss(torch.arange(2))
    agent.optimizer.flat.grad.zero_()
    loss.backward(inputs=agent.optimizer.parameters)
    assert not agent.optimizer.flat.grad.any()


def test_copies_are_those_of_the_chosen_answers():
    agent = make(degrees=3, equal_length=True)
    task = agent.task
    for number, text in enumerate(agent.data.chosen):
        spans = task.key_spans(text)
        assert bool(agent.valid[number, 0]) == bool(spans)
        assert agent.policy.text(agent.copies[number, 0].tolist()) == text
        last = agent.policy.text(agent.copies[number, 2].tolist())
        if agent.valid[number, 2]:
            assert len(last) == len(text)
            assert not task.key_spans(last)


def test_final_states_are_those_behind_the_last_token():
    agent = make()
    told = agent.copies[:3]
    found = agent.policy.final_states(agent.prompts[:3], told)
    net = agent.policy.network
    for i in range(3):
        for j in range(told.shape[1]):
            length = int((told[i, j] != 0).sum())
            ids = torch.cat([agent.prompts[i], told[i, j, :length]])
            logits = net(ids[None])[0, -1]
            assert torch.allclose(net.head(found[i, j]) + net.never, logits, atol=1e-5)


def test_acting_token_by_token_is_acting_at_once():
    agent = make("DPO").learn(16)
    task = agent.task
    posts = task.sample(4)
    whole, _ = agent.predict(np.array([task.text(post) for post in posts], object))
    windows = np.concatenate([posts, np.zeros((4, task.answer_length), np.int64)], axis=1)
    for k in range(agent.policy.answer_length - 1):
        tokens, _ = agent.predict(windows)
        running = ~(windows == 1).any(1)
        windows[running, task.prompt_length + k] = tokens[running]
    width = agent.policy.answer_length - 1
    found = [task.text(row[task.prompt_length :])[:width] for row in windows]
    assert found == [text[:width] for text in whole]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: make(degrees=1), EnvzooError, "degrees of DPODegree is at least 2, got 1"),
        (lambda: make(degrees=10**9), EnvzooError, "1000000000 copies of 24 answers would take"),
        (lambda: make(loss="ipo"), EnvzooError, "loss of DPODegree is 'dpo', got 'ipo'"),
        (lambda: make(degree_coefficient=-1.0), EnvzooError, "degree_coefficient of DPODegree is not negative"),
        (lambda: agents.make("DPODegree", "envzoo/DIDTable-v0"), UnsupportedSpaceError, "but the answers are numbers"),
        (
            lambda: agents.make("DPODegree", "envzoo/DIDSeq-v0", pairs=4, extractor="known"),
            UnsupportedSpaceError,
            "key content of envzoo/DIDSeq-v0 is not known",
        ),
        (lambda: degrade("ab", [(0, 1)], 2, [1]), EnvzooError, "expected a permutation"),
        (lambda: TinySummary(fillers=101), EnvzooError, "fillers is 101; expected a whole number from 0 to 100"),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
