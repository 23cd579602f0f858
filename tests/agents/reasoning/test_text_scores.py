"""The check before the first update of a rollout, and rewards of the verifier kept apart from what is learned from."""

import pytest
import torch
from reasoning_training import SMALL, train, weights

from envzoo import agents
from envzoo.agents.reasoning import aepo_arbitrary
from envzoo.errors import EnvzooError

SUM = "envzoo/TextSumTo-Tokens-v0"


def make(name="GRPO", terms=2, **changes):
    settings = {**SMALL, "warm_up_updates": 100, **changes}
    return agents.make(name, SUM, seed=0, device="cpu", env_kwargs={"terms": terms}, **settings)


def change_rollouts(agent, change):
    """Let every rollout go through `change` between sampling and learning."""
    generate = agent.generate
    agent.generate = lambda: change(generate())


def put(values, row, value):
    values = values.clone()
    values[row] = value
    return values


def wrong_prompt(agent, row, group):
    """A rollout with another prompt in one row."""

    def change(rollout):
        others = torch.as_tensor(agent.task.sample(16))
        other = next(p for p in others if not (rollout.prompts == p).all(1).any())
        return rollout.replace(
            prompts=put(rollout.prompts, row, other),
            group=rollout.group if group is None else put(rollout.group, row, group),
        )

    return change


# ------------------------------------------------------------ scored as written


@pytest.mark.parametrize("row", [0, 13, 31])
@pytest.mark.parametrize("changes", [{}, {"micro_batch": 3}, {"num_minibatches": 1}])
def test_an_answer_under_a_wrong_prompt_stops_the_run(row, changes):
    agent = make(**{"num_minibatches": 4, **changes})
    agent._warm_up()
    before = weights(agent)
    change_rollouts(agent, wrong_prompt(agent, row, group=4))
    with pytest.raises(EnvzooError, match=rf"^answer {row} of the rollout, to '.+', holds a token whose log-prob"):
        train(agent, 1)
    assert torch.equal(weights(agent), before)


@pytest.mark.parametrize("staleness", [0, 1])
def test_an_answer_in_the_group_of_another_prompt_stops_the_run(staleness):
    agent = make(staleness=staleness)
    agent._warm_up()
    before = weights(agent)
    change_rollouts(agent, wrong_prompt(agent, 13, group=None))
    with pytest.raises(EnvzooError, match=r"^answer \d+ of the rollout, to '.+', is in one group with answer \d+"):
        train(agent, 1)
    assert torch.equal(weights(agent), before)


def test_injected_rows_in_the_groups_of_their_hosts_stop_the_run(monkeypatch):
    inject = aepo_arbitrary._inject
    monkeypatch.setattr(
        aepo_arbitrary, "_inject", lambda rollout, *rest: inject(rollout, *rest).replace(group=rollout.group)
    )
    with pytest.raises(EnvzooError, match="answers of a group have the same prompt"):
        train(make("AEPOArbitrary"), 6)


@pytest.mark.parametrize("field", ["tokens", "old_logp", "temperature"])
def test_other_mistakes_are_found_as_well(field):
    agent = make()
    agent._warm_up()
    before = weights(agent)

    def change(rollout):
        if field == "temperature":  # probabilities of another temperature than that which is learned at
            hot, _ = agent._measure(agent.policy, rollout)
            return rollout.replace(old_logp=hot * 0.8)
        return rollout.replace(**{field: getattr(rollout, field).flip(0)})

    change_rollouts(agent, change)
    with pytest.raises(EnvzooError, match=r"differs by .+ expected at most 0\.001"):
        train(agent, 1)
    assert torch.equal(weights(agent), before)


def test_short_numbers_may_differ_more():
    agent = make(compute_dtype="bfloat16")
    agent._warm_up()
    change_rollouts(agent, lambda rollout: rollout.replace(old_logp=rollout.old_logp - 0.3 * rollout.mask))
    assert train(agent, 1)[0]["policy/logp_error"] == pytest.approx(0.3, abs=0.15)
    agent = make(compute_dtype="bfloat16")
    change_rollouts(agent, lambda rollout: rollout.replace(old_logp=rollout.old_logp - 0.8 * rollout.mask))
    with pytest.raises(EnvzooError, match=r"expected at most 0\.5"):
        train(agent, 1)


@pytest.mark.parametrize("name", ["GRPO", "HAPO", "D3S", "DAPO", "AEPOArbitrary"])
def test_all_answers_are_scored_and_agree(name):
    agent = make(name)
    for row in train(agent, 3):
        assert row["policy/logp_error"] < 1e-5
    scored = []
    score = agent._log_probs
    agent._log_probs = lambda model, batch: scored.append(len(batch)) or score(model, batch)
    agent.reference_policy = None  # whose divergence takes forward passes too
    train(agent, 1)
    assert sum(scored) == 32 + 32 - 16 if name != "D3S" else sum(scored) < 32  # all once more but a minibatch


def test_tokens_of_earlier_policies_are_told_apart():
    agent = make("BAPO", terms=3, partial_rollout=2, num_epochs=1)
    rows = train(agent, 6)
    assert all(row["policy/logp_error"] < 1e-4 for row in rows if "policy/logp_error" in row)
    assert sum("policy/logp_error" in row for row in rows) > 1
    assert max(row.get("policy/stale_logp_difference", 0.0) for row in rows) > 1e-2
    assert (agent.sampled.written_by[agent.sampled.mask > 0] >= 0).all()


# ------------------------------------------------- the verifier and other terms


def judged(agent, rollout):
    prompts, tokens = rollout.prompts.numpy(), rollout.tokens.numpy()
    return torch.as_tensor(agent.task.verify(prompts, tokens, (tokens != 0).sum(1)))


def test_accuracy_is_what_the_verifier_says():
    agent = make(overlong_buffer=4)  # answers of all lengths are punished, so that hardly a reward is above 0.5
    row = train(agent, 1)[0]
    right = judged(agent, agent.sampled)
    assert right.any()
    assert torch.equal(agent.sampled.verifier_reward, right)
    assert torch.equal(agent.sampled.correct, right > 0.5)
    assert (agent.sampled.reward < right).any()
    assert row["rollout/accuracy"] == pytest.approx(float(right.mean()))


def test_dynamic_sampling_goes_by_the_verifier():
    agent = make("DAPO", overlong_buffer=2)
    agent._warm_up()
    sample = agent.sample

    def one_hopeless_prompt(count):  # to which all answers are wrong, and punished one more than the other
        rollout = sample(count)
        right = (torch.arange(32) % 2).float() * (rollout.group > 0)
        return rollout.replace(verifier_reward=right, reward=right - torch.arange(32) / 100)

    agent.sample = one_hopeless_prompt
    rollout = agent.generate()
    assert len(rollout) == 32
    assert [float(rollout.verifier_reward[rollout.group == g].sum()) for g in rollout.group.unique()] == [4.0] * 4
    expected, _ = agent.method.advantages(rollout)  # of the rewards with the penalty
    assert torch.equal(rollout.advantage, expected)
    assert rollout.advantage[:, 0].unique().numel() > 2


def test_only_right_answers_are_injected_whatever_is_added_to_rewards():
    agent = make("AEPOArbitrary", overlong_buffer=4, high_temperature=3.0, warm_up_updates=60)
    agent._warm_up()
    count = 0
    for _ in range(6):
        rollout = agent.generate()
        one = ((rollout.advantage == 1) | (rollout.mask == 0)).all(1)
        count += agent._injected
        assert (judged(agent, rollout)[one] == 1).all()
    assert count > 0
