"""Micro-batches, which change nothing but memory, and partial rollouts, whose answers several policies write."""

import numpy as np
import pytest
import torch
from reasoning_training import SMALL, train, weights

from envzoo import agents
from envzoo.agents.optim import make_optimizer
from envzoo.agents.text.warm_up import imitate
from envzoo.errors import EnvzooError

SUM = ("envzoo/TextSumTo-Tokens-v0", {"terms": 3})


def make(name="GRPO", source=SUM, seed=0, **changes):
    env_id, env_kwargs = source
    settings = {**SMALL, "warm_up_updates": 60, **changes}
    return agents.make(name, env_id, seed=seed, device="cpu", env_kwargs=env_kwargs, **settings)


# ------------------------------------------------------------------ micro-batches


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["GRPO", "ClipCov", "KLCov", "STEER", "HAPO", "BAPO", "LpReg", "EntropyBonus", "GSPO",
                                  "ForkTokens", "DrGRPO"])  # fmt: skip
def test_a_split_minibatch_has_the_same_gradient(name, dtype):
    changes = {"kl_coefficient": 0.1, "num_minibatches": 1} if name == "GRPO" else {"num_minibatches": 1}
    whole, split = make(name, **changes), make(name, micro_batch=5, **changes)
    whole._warm_up()
    for agent in (whole, split):
        agent.policy.load_state_dict(whole.policy.state_dict())  # a warm-up in pieces has other rounding errors
        agent.reference_policy.load_state_dict(whole.reference_policy.state_dict())
        agent.policy.to(dtype)
        agent.reference_policy.to(dtype)
        agent.optimizer = make_optimizer(agent.policy, lr=1e-3)
        agent.optimizer.apply = lambda: None
        agent.task._verify = lambda prompts, answers, ends: (answers[:, 0] % 2).astype(np.float32)  # answers differ
        batch = agent.generate()
        generator = torch.Generator().manual_seed(0)
        moved = 0.3 * torch.randn(batch.old_logp.shape, generator=generator)  # so that ratios are clipped
        batch = batch.replace(old_logp=(batch.old_logp + moved) * batch.mask, ref_logp=batch.old_logp)
        agent.found = agent._minibatch(batch, True)
    gradient, other = whole.optimizer.flat.grad, split.optimizer.flat.grad
    largest = gradient.abs().max().item()
    assert largest > 1e-3
    # HAPO divides by sums that nearly cancel, which makes a few hundred rounding errors of one.
    tolerance = 1e-10 if dtype == torch.float64 else 1e-3
    torch.testing.assert_close(other, gradient, atol=tolerance * largest, rtol=0)
    assert whole.found.keys() == split.found.keys()
    for key, value in whole.found.items():
        assert float(split.found[key]) == pytest.approx(float(value), rel=1e-3, abs=1e-5), key


def test_a_split_warm_up_is_the_same():
    agent = make()
    settings = {"updates": 5, "batch": 30, "learning_rate": 1e-3, "noise": 0.5, "seed": 1}
    whole, split = (imitate(agent.policy, agent.codec, **settings, micro_batch=size) for size in (None, 7))
    for name, value in whole.items():
        torch.testing.assert_close(split[name], value, atol=1e-5, rtol=0)


def test_micro_batches_that_hold_a_minibatch_are_none():
    one, other = make(micro_batch=16, warm_up_batch=16), make(warm_up_batch=16)
    train(one)
    train(other)
    assert torch.equal(weights(one), weights(other))


# --------------------------------------------------------------- partial rollouts


@pytest.mark.parametrize(("name", "changes"), [("BAPO", {"num_epochs": 2}), ("GRPO", {"staleness": 1}), ("DAPO", {}),
                                               ("HAPO", {}), ("AEPOArbitrary", {"overlong_buffer": 1})])  # fmt: skip
def test_room_for_whole_answers_is_the_ordinary_run(name, changes):
    partial, ordinary = make(name, partial_rollout=8, **changes), make(name, **changes)
    assert ordinary.task.answer_length <= 8
    rows, others = train(partial), train(ordinary)
    assert torch.equal(weights(partial), weights(ordinary))
    for row, other in zip(rows, others, strict=True):
        assert (row.pop("rollout/age"), row.pop("rollout/waiting")) == (0, 0)
        assert {k: v for k, v in row.items() if "time/" not in k} == {
            k: v for k, v in other.items() if "time/" not in k
        }


def test_each_policy_answers_for_what_it_wrote():
    agent = make("BAPO", partial_rollout=2, warm_up_updates=0)
    agent._warm_up()
    agent.counters["warm"] = True
    old = agent.policy
    first = agent.sample(2)
    waiting = agent.partial
    rows = waiting.completions.alive.nonzero().squeeze(1)
    groups = waiting.prompts.copy()
    assert len(rows)
    written = waiting.written[rows.numpy()]
    kept = waiting.completions.tokens[rows].clone()
    with torch.no_grad():
        before = {name: value.clone() for name, value in old.state_dict().items()}
        for parameter in agent.policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    agent.iteration = 1
    second = agent.sample(2)
    # Rows of the second rollout whose prompts had been waiting: the first part from the old policy, the rest from the
    # new one.
    new_logp, _ = agent._measure(agent.policy, second)
    agent.policy.load_state_dict(before)
    old_logp, _ = agent._measure(agent.policy, second)
    mixed = 0
    for row in range(len(second)):
        match = [
            k for k in range(len(rows))
            if np.array_equal(groups[rows[k] // 8], second.prompts[row].numpy())
            and torch.equal(kept[k, : written[k]], second.tokens[row, : written[k]])
        ]  # fmt: skip
        if not match:
            continue
        width = int(written[match[0]])
        mixed += 1
        torch.testing.assert_close(second.old_logp[row, :width], old_logp[row, :width], atol=1e-4, rtol=0)
        torch.testing.assert_close(second.old_logp[row, width:], new_logp[row, width:], atol=1e-4, rtol=0)
    assert mixed > 3
    assert not torch.allclose(old_logp, new_logp, atol=0.1)
    assert agent._age > 0
    assert len(first) == len(second) == 16


def test_answers_of_a_prompt_are_learned_from_together():
    agent = make("BAPO", partial_rollout=2, num_epochs=1)
    rows = train(agent, 6)
    assert max(row["rollout/age"] for row in rows) > 0
    assert max(row["rollout/waiting"] for row in rows) > 0
    assert all(row["rollout/waiting"] % 8 == 0 for row in rows)
    rollout = agent.sampled
    assert rollout.group.tolist() == [g for g in range(4) for _ in range(8)]
    assert all(len(rollout.prompts[rollout.group == g].unique(dim=0)) == 1 for g in range(4))
    task, tokens = agent.task, rollout.tokens.numpy()
    assert np.array_equal(rollout.reward.numpy(), task.verify(rollout.prompts.numpy(), tokens, (tokens != 0).sum(1)))
    assert ((tokens == 1).any(1) | ((tokens != 0).sum(1) == task.answer_length)).all()
    waiting = float(agent.partial.completions.mask.sum())
    assert agent.num_timesteps == agent.counters["generated"]
    learned = sum(row["policy/trained_tokens"] for row in rows)
    assert agent.num_timesteps == learned + waiting


@pytest.mark.parametrize("name", ["BAPO", "HAPO", "DAPO"])
def test_a_partial_run_that_was_interrupted_gives_the_same_numbers(name, tmp_path):
    whole, part = (make(name, partial_rollout=2, staleness=1) for _ in range(2))
    train(whole, 6)
    train(part, 3)
    assert len(part.partial.prompts)
    part.save(tmp_path / "agent.zip")
    resumed = agents.load(tmp_path / "agent.zip", device="cpu")
    train(resumed, 3)
    assert resumed.num_timesteps == whole.num_timesteps
    assert torch.equal(weights(resumed), weights(whole))


# ---------------------------------------------------------------------- bad input


def test_bad_settings_get_one_sentence():
    with pytest.raises(EnvzooError, match="micro_batch of GRPO is at least 1, got 0"):
        make(micro_batch=0)
    with pytest.raises(EnvzooError, match="partial_rollout of GRPO is at least 1, got 0"):
        make(partial_rollout=0)
    with pytest.raises(EnvzooError, match="partial_rollout of BAPO goes with answers in one turn"):
        make("BAPO", ("envzoo/TextToolPuzzle-Tokens-v0", {}), partial_rollout=4)
