"""Sampling of answers: what is drawn, recorded and measured."""

import itertools

import numpy as np
import pytest
import torch
from reasoning_training import make, train, weights

from envzoo.agents.text import rollouts, sampling
from envzoo.agents.text.models.language import answer_log_probs


@pytest.mark.parametrize("env_id", ["TextSumTo", "TextToolPuzzle"])
def test_sampling_and_training_agree(env_id):
    agent = make(source=(f"envzoo/{env_id}-Tokens-v0", {}), warm_up_updates=5, temperature=1.3)
    agent._warm_up()
    rollout = agent.sample(6)
    logp, _ = answer_log_probs(agent.policy, rollout.prompts, rollout.tokens, 1.3)
    torch.testing.assert_close(logp * rollout.mask, rollout.old_logp, atol=1e-4, rtol=0)
    task = agent.task
    prompts, tokens = rollout.prompts.numpy(), rollout.tokens.numpy()
    assert np.array_equal(rollout.mask.numpy() > 0, task.model_mask(prompts, tokens))
    assert np.array_equal(rollout.reward.numpy(), task.verify(prompts, tokens, (tokens != 0).sum(1)))
    assert task.is_prompt(prompts).all()
    assert rollout.group.tolist() == [g for g in range(6) for _ in range(8)]
    assert agent.num_timesteps == rollout.mask.sum()
    rows = train(agent, 1)
    assert rows[0]["policy/logp_error"] < 1e-4


def test_learning_with_short_numbers():
    agent = make(compute_dtype="bfloat16", num_minibatches=1, warm_up_updates=5)
    (row,) = train(agent, 1)
    assert row["policy/logp_error"] < 0.1
    assert all(p.dtype == torch.float32 for p in agent.policy.parameters())
    long = make(num_minibatches=1, warm_up_updates=5)
    train(long, 1)
    assert not torch.equal(weights(agent), weights(long))  # nor do they share a warmed-up model


def test_replies_of_a_tool_are_written_but_not_learned_from():
    agent = make(source=("envzoo/TextToolPuzzle-Tokens-v0", {}), warm_up_updates=40)
    agent._warm_up()
    rollout = agent.sample(16)
    replies = (rollout.tokens != 0) & (rollout.mask == 0)
    assert replies.any()
    assert (rollout.old_logp[replies] == 0).all()


def test_answers_stop_at_their_end():
    agent = make()
    agent._warm_up()
    rollout = agent.sample(8)
    for row, mask in zip(rollout.tokens.tolist(), rollout.mask.tolist(), strict=True):
        length = row.index(1) + 1 if 1 in row else len(row)
        assert mask == [1.0] * length + [0.0] * (len(row) - length)
        assert row[length:] == [0] * (len(row) - length)


def test_hot_samples_are_recorded_at_the_base_temperature():
    agent = make()
    agent._warm_up()
    hot = agent.answer(agent.task.sample(8), 3.0)
    logp, _ = answer_log_probs(agent.policy, hot.prompts, hot.tokens)
    torch.testing.assert_close(logp * hot.mask, hot.old_logp, atol=1e-4, rtol=0)
    cool = agent.answer(agent.task.sample(8), 0.2)
    assert cool.old_logp.sum() / cool.mask.sum() > hot.old_logp.sum() / hot.mask.sum() + 0.3


@pytest.mark.parametrize("in_kernels", [True, False])
def test_tokens_whose_logit_is_minus_infinity_are_never_drawn(in_kernels):
    logits = torch.tensor([[0.0, np.log(3), -np.inf]], dtype=torch.float32).expand(64, 3)
    of_entropy = None if in_kernels else (lambda entropy: torch.ones_like(entropy))
    params = sampling.SamplingParams(torch.Generator().manual_seed(0), temperature_of=of_entropy)
    token, logp, entropy = sampling._draw(logits, params)
    assert set(token.tolist()) == {0, 1}
    torch.testing.assert_close(logp, torch.tensor([0.25, 0.75]).log()[token])
    torch.testing.assert_close(entropy, torch.full((64,), float(np.log(4) - 0.75 * np.log(3))))


def test_pass_at_k_is_the_chance_of_a_random_subset():
    for n, k in ((5, 2), (6, 3), (4, 4), (7, 1)):
        for c in range(n + 1):
            subsets = list(itertools.combinations(range(n), k))
            share = sum(any(i < c for i in rows) for rows in subsets) / len(subsets)
            assert rollouts.pass_at_k(np.array([c]), n, k).item() == pytest.approx(share)


def test_measures_by_hand():
    tokens = torch.tensor([[2, 1], [2, 1], [3, 1], [4, 1], [2, 1], [2, 1], [3, 1], [3, 0]])
    mask = torch.tensor([[1.0, 1]] * 7 + [[1, 0]])
    reward = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0])
    zero = torch.zeros(8, 2)
    rollout = rollouts.TextRollout(
        tokens, tokens, mask, zero, zero + 0.5, reward, torch.tensor([0] * 4 + [1] * 4), zero, zero
    )
    assert rollouts.measure(rollout, 4) == pytest.approx(
        {"entropy": 0.5, "accuracy": 3 / 8, "distinct_correct": 1.0, "length": 15 / 8,
         "pass_at_2": 0.5, "pass_at_4": 0.5}
    )  # fmt: skip
