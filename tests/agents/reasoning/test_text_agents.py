"""The trainer of language models: sampling, warm-up, resuming, stages that reduce to others, and bad input."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from reasoning_training import SMALL, train, weights

from envzoo import agents
from envzoo.agents.agent import Callback
from envzoo.agents.loops import rollouts, warm_up
from envzoo.agents.loops.text import SILENT_UPDATES
from envzoo.agents.networks.language import answer_log_probs
from envzoo.errors import EnvzooError, NonFiniteError, UnknownNameError, UnsupportedSpaceError

SUM = ("envzoo/TextSumTo-Tokens-v0", {"terms": 2})


def make(name="GRPO", source=SUM, seed=0, **changes):
    env_id, env_kwargs = source
    settings = {**SMALL, "warm_up_updates": 100, **changes}
    return agents.make(name, env_id, seed=seed, device="cpu", env_kwargs=env_kwargs, **settings)


# ---------------------------------------------------------------------------- sampling


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
    rollout = rollouts.Rollout(
        tokens, tokens, mask, zero, zero + 0.5, zero, reward, torch.tensor([0] * 4 + [1] * 4), zero, zero
    )
    assert rollouts.measure(rollout, 4) == pytest.approx(
        {"entropy": 0.5, "accuracy": 3 / 8, "distinct_correct": 1.0, "length": 15 / 8,
         "pass_at_2": 0.5, "pass_at_4": 0.5}
    )  # fmt: skip


# ---------------------------------------------------------------------------- warm-up


def demonstrated(agent):
    """Mean log-probability of the tokens of 64 demonstrations without flaws."""
    prompts = agent.task.sample(64, "train", 0, 0)
    answers, mask = agent.codec.demonstrations(prompts, agent.task.demo(prompts, 0.0, 0, 0))
    asked, answers, mask = (torch.as_tensor(part) for part in (agent.codec.encode(prompts), answers, mask))
    with torch.no_grad():
        logp, _ = answer_log_probs(agent.policy, asked, answers)
    return float(logp[mask].mean())


def test_the_warm_up_imitates_and_is_shared_by_all_methods(monkeypatch):
    calls = []
    imitate = warm_up.imitate
    monkeypatch.setattr(warm_up, "imitate", lambda *a, **k: calls.append(1) or imitate(*a, **k))
    settings = {"warm_up_noise": 0.0}
    first, second = make("GRPO", **settings), make("KLCov", **settings)
    before = weights(first)
    assert torch.equal(before, weights(second))
    first._warm_up()
    second._warm_up()
    assert len(calls) == 1
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), before)
    assert demonstrated(first) > demonstrated(make(warm_up_updates=0)) + 0.5
    for changes in ({"seed": 1}, {"warm_up_updates": 101}, {"warm_up_noise": 0.1}, {"source": (SUM[0], {"terms": 3})}):
        make(**{**settings, **changes})._warm_up()
    assert len(calls) == 5
    fresh = make(**settings, warm_up_cache=False)
    fresh._warm_up()
    assert torch.equal(weights(fresh), weights(first))


def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ENVZOO_CACHE", str(tmp_path))
    agent = make(warm_up_updates=3)
    agent._warm_up()
    for file in warm_up.cache_folder().iterdir():
        file.write_bytes(b"no model")
    again = make(warm_up_updates=3)
    with pytest.warns(UserWarning, match=r"warm_up/\w+\.safetensors cannot be read \(.+\); it is made again$"):
        again._warm_up()
    assert torch.equal(weights(agent), weights(again))


# ---------------------------------------------------------------------------- learning


def test_grpo_learns_to_answer():
    agent = make(num_prompts=16, group_size=8, learning_rate=3e-3, num_minibatches=4)
    before = agent.assess(32, 8, "train")
    rows = train(agent, 40)
    after = agent.assess(32, 8, "train")
    assert after["accuracy"] > before["accuracy"] + 0.2
    assert after["entropy"] < before["entropy"]
    assert abs(rows[0]["policy/kl_to_start"]) < 1e-6 < rows[-1]["policy/kl_to_start"]


@pytest.mark.parametrize("name", ["GRPO", "HAPO", "BAPO", "LpReg", "AEPOArbitrary", "D3S", "ClipCov", "DAPO"])
def test_a_run_that_was_interrupted_gives_the_same_numbers(name, tmp_path):
    changes = {"staleness": 2} if name == "BAPO" else {}
    whole = make(name, **changes)
    whole.learn(2500)
    part = make(name, **changes)
    part.target_timesteps = 2500

    class Stop(Callback):
        def on_iteration(self, agent, metrics):
            return agent.iteration < 3

    part.learn(2500, Stop())
    part.save(tmp_path / "agent.zip")
    resumed = agents.load(tmp_path / "agent.zip", device="cpu")
    resumed.learn()
    assert resumed.iteration == whole.iteration > 3
    assert torch.equal(weights(resumed), weights(whole))


def test_stale_rollouts_come_from_older_policies():
    agent = make("GRPO", staleness=2)
    rows = train(agent, 4)
    assert len(agent.queue.items) == 2
    assert rows[0]["policy/logp_error"] < 1e-4 < rows[3]["policy/logp_error"]


@pytest.mark.parametrize(
    ("name", "changes", "reference"),
    [
        ("D3S", {"first_rows": 1.0, "first_tokens": 1.0}, {}),
        ("LpReg", {"rho": 0.0}, {"eps_low": 1.0, "eps_high": 9.0}),
        (
            "HAPO",
            {"adaptive_temperature": False, "token_advantage": False, "redistribution": False,
             "adaptive_clipping": False},
            {"eps_high": 0.28, "dual_clip": 10.0},
        ),
        ("STEER", {"smallest_weight": 1.0}, {"eps_high": 0.28, "dual_clip": 10.0}),
        ("AEPOArbitrary", {"injected": 0.0}, {"dual_clip": 3.0}),
        ("BAPO", {"target": 0.0, "num_epochs": 2}, {"eps_low": 0.4, "num_epochs": 2}),
        ("ForkTokens", {"share": 1.0}, {}),
        ("KLCov", {"beta": 0.0}, {"eps_low": 1.0, "eps_high": 1e9}),
        ("ClipCov", {"fraction": 0.0, "low": 98.0, "high": 99.0, "low_quantile": None},
         {"eps_low": 1.0, "eps_high": 1.0}),
        ("EntropyBonus", {"entropy_coefficient": 0.0}, {}),
        ("DAPO", {"dynamic_sampling": False}, {"eps_high": 0.28, "dual_clip": 10.0}),
        ("ClipHigher", {}, {"eps_high": 0.28}),
        ("ReinforcePlusPlus", {"advantage": "grpo"}, {}),
    ],
)  # fmt: skip
def test_without_what_is_special_a_method_is_grpo(name, changes, reference):
    special, plain = make(name, **changes), make("GRPO", **reference)
    train(special, 3)
    train(plain, 3)
    assert plain.memory["silent"] < 3  # there was something to learn
    torch.testing.assert_close(weights(special), weights(plain), atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", ["ClipCov", "KLCov", "STEER", "HAPO", "D3S", "LpReg", "AEPOArbitrary", "ForkTokens",
                                  "EntropyBonus", "CISPO", "GSPO", "RLOO", "DrGRPO", "BAPO"])  # fmt: skip
def test_every_method_learns_something_else_than_grpo(name):
    special, plain = make(name), make("GRPO")
    train(special, 3)
    train(plain, 3)
    assert torch.isfinite(weights(special)).all()
    assert not torch.allclose(weights(special), weights(plain), atol=1e-5)


def test_d3s_saves_tokens_and_ends_with_all():
    agent = make("D3S")
    rows = train(agent, 2)
    assert rows[0]["select/rows"] == 8
    assert rows[0]["select/token_fraction"] < 0.2
    assert rows[0]["policy/trained_tokens"] < 0.25 * rows[0]["select/token_fraction"] * 32 * 6 + 32
    agent.progress = lambda: 1.0
    _, metrics = agent.select(agent.generate())
    assert (metrics["rows"], metrics["token_fraction"]) == (32, 1.0)


def test_aepo_replaces_rows_by_right_answers_of_weight_one():
    agent = make("AEPOArbitrary", injected=0.25)
    agent._warm_up()
    rollout = agent.generate()
    assert 0 < agent._count <= 8
    one = (rollout.advantage == 1) & (rollout.mask > 0)
    injected = (one | (rollout.mask == 0)).all(1)
    assert injected.sum() == agent._count
    assert len(rollout) == 32
    assert (rollout.reward[injected] == 1).all()
    assert (rollout.advantage[rollout.mask == 0] == 0).all()
    assert agent.memory["entropy"] == pytest.approx(float(agent.seen.entropy.sum() / agent.seen.mask.sum()))


def test_dynamic_sampling_keeps_prompts_whose_answers_differ():
    agent = make("DAPO")
    agent._warm_up()
    rollout = agent.generate()
    assert len(rollout) == 32
    varies = [rollout.reward[rollout.group == g].unique().numel() > 1 for g in rollout.group.unique()]
    assert all(varies)
    assert len(varies) == 4
    assert agent.memory["prompts"] % 4 == 0


def test_long_answers_pay():
    agent = make(overlong_buffer=2)
    agent._warm_up()
    rollout = agent.sample(8)
    length, longest = (rollout.tokens != 0).sum(1), agent.task.answer_length
    right = torch.as_tensor(agent.task.verify(rollout.prompts.numpy(), rollout.tokens.numpy(), length.numpy()))
    torch.testing.assert_close(rollout.reward, right - ((length - longest + 2) / 2).clamp(0, 1))


def test_the_kl_penalty_holds_the_policy_at_its_start():
    free = make(learning_rate=3e-3)
    held = make(learning_rate=3e-3, kl_coefficient=10.0, kl_estimator="k2")
    assert train(held, 10)[-1]["policy/kl_to_start"] < 0.5 * train(free, 10)[-1]["policy/kl_to_start"]


def test_assessing_does_not_disturb_learning():
    one, two = make(), make()
    train(one, 1)
    assert one.assess(4, 4) == one.assess(4, 4)
    train(two, 1)
    train(one, 2)
    train(two, 2)
    assert torch.equal(weights(one), weights(two))


def test_transcripts_stand_in_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from envzoo.agents.callbacks import TensorBoard

    agent = make()
    assert agent.texts() == {}
    agent.learn(200, TensorBoard(tmp_path))
    lines = agent.texts()["rollout/transcripts"].splitlines()
    assert len(lines) == 8
    for row, line in zip(range(0, 32, 4), lines, strict=True):
        assert line.split()[0] == f"{agent.seen.reward[row]:+.2f}"
        assert line.split()[1].startswith(agent.task.text(agent.seen.prompts[row].numpy()))
    events = EventAccumulator(str(tmp_path)).Reload()
    stored = events.Tensors("rollout/transcripts/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert stored.splitlines() == lines


# ---------------------------------------------------------------------------- acting


def test_acting_in_both_faces_gives_the_greedy_answer():
    import gymnasium as gym

    agent = make()
    agent._warm_up()
    tokens = gym.make(SUM[0], **SUM[1])
    text = gym.make(SUM[0].replace("-Tokens", ""), **SUM[1])
    for seed in range(3):
        window, _ = tokens.reset(seed=seed)
        prompt, _ = text.reset(seed=seed)
        done, reward = False, 0.0
        while not done:
            action, _ = agent.predict(window)
            window, reward, done, _, _ = tokens.step(int(action))
        answer, _ = agent.predict(prompt)
        _, other, _, _, _ = text.step(answer)
        assert agent.task.text(window[agent.task.prompt_length :]) == answer
        assert reward == other
    assert agent.predict(np.array([prompt, prompt]))[0] == [answer, answer]
    tool = make(source=("envzoo/TextToolPuzzle-Tokens-v0", {}), warm_up_updates=0)
    with pytest.raises(EnvzooError, match="token by token"):
        tool.predict("a prompt")


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("GRPO", {"group_size": 1}, "so group_size is at least 2, got 1"),
        ("HAPO", {"group_size": 1, "advantage": "opo"}, "HAPO compares answers.*group_size is at least 2"),
        ("GRPO", {"num_minibatches": 5}, r"num_minibatches of GRPO divides num_prompts \* group_size = 32, got 5"),
        ("GRPO", {"model": "tinny"}, "unknown model 'tinny'"),
        ("GRPO", {"advantage": "grop"}, "unknown advantage 'grop'.*did you mean"),
        ("GRPO", {"aggregation": "token_maen"}, "unknown aggregation"),
        ("GRPO", {"kl_estimator": "k4"}, "unknown kl_estimator 'k4'"),
        ("GRPO", {"model_heads": 3}, "model_heads of GRPO divides model_dim"),
        ("GRPO", {"temperature": 0.0}, "temperature of GRPO is positive"),
        ("GRPO", {"staleness": -1}, "staleness of GRPO is not negative"),
        ("GRPO", {"warm_up_noise": 1.5}, r"warm_up_noise of GRPO lies in \[0, 1\]"),
        ("GRPO", {"overlong_buffer": 99}, "overlong_buffer of GRPO is at most"),
        ("GRPO", {"dual_clip": 0.5}, "dual_clip of GRPO is above 1"),
        ("STEER", {"smallest_weight": 0.0}, r"smallest_weight of STEER lies in \(0, 1\]"),
        ("D3S", {"first_rows": 0.01}, "D3S keeps 0 answers at the fewest"),
        ("BAPO", {"low_last": 1.5}, "bounds of BAPO are in order around 1"),
        ("KLCov", {"penalty": "k9"}, "unknown penalty 'k9'"),
        ("ClipCov", {"low": 9.0}, "low of ClipCov is below high"),
        ("LpReg", {"rho": 2.0}, r"rho of LpReg lies in \[0, 1\]"),
        ("AEPOArbitrary", {"injected": 2.0}, r"injected of AEPOArbitrary lies in \[0, 1\]"),
        ("ForkTokens", {"share": 0.0}, r"share of ForkTokens lies in \(0, 1\]"),
    ],
)
def test_bad_hyperparameters_get_one_sentence(name, changes, words):
    with pytest.raises(EnvzooError, match=words):
        make(name, **changes)


def test_other_environments_are_refused():
    with pytest.raises(UnsupportedSpaceError, match="GRPO learns verifiable puzzles, but CartPole-v1 is none"):
        make(source=("CartPole-v1", {}))
    with pytest.raises(UnknownNameError, match="TextSumTo"):
        make(source=("envzoo/TextSumTwo-Tokens-v0", {}))
    pytest.importorskip("reasoning_gym")
    with pytest.raises(UnsupportedSpaceError, match=r"train on it in TRL, by envzoo.agents.reasoning.trl"):
        make(source=("envzoo/ReasoningGym-v0", {}))


def test_logits_that_are_not_finite_stop_the_run():
    agent = make()
    agent._warm_up()
    with torch.no_grad():
        agent.policy.head.bias.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="logits became NaN or infinite"):
        agent.learn(100)


def test_rewards_that_never_differ_get_a_warning():
    agent = make(warm_up_updates=0, num_prompts=1, group_size=2, num_minibatches=1)
    agent.task._verify = lambda prompts, answers, ends: np.zeros(len(prompts), np.float32)
    before = weights(agent)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(agent, SILENT_UPDATES + 2)
    assert [w for w in caught if "had the same reward for" in str(w.message)]
    assert any("make the task easier or harder" in notice for notice in agent.notices)
    assert torch.equal(weights(agent), before)  # and nothing moved
