"""The trainer of language models: learning, resuming, stages that reduce to others, and bad input."""

import warnings

import numpy as np
import pytest
import torch
from reasoning_training import SUM, make, train, weights

from envzoo import agents
from envzoo.agents.agent import Callback
from envzoo.agents.text.trainer import SILENT_UPDATES
from envzoo.errors import EnvzooError, NonFiniteError, UnknownNameError, UnsupportedSpaceError

# ---------------------------------------------------------------------------- learning


def test_grpo_learns_to_answer():
    agent = make(num_prompts=16, group_size=8, learning_rate=3e-3, num_minibatches=4)
    before = agent.assess(32, 8, "train")
    rows = train(agent, 80)
    after = agent.assess(32, 8, "train")
    # Over seeds the accuracy rises by 0.4 +- 0.07, and the entropy falls from 1.0 to 0.2 +- 0.1.
    assert after["accuracy"] > before["accuracy"] + 0.1
    assert after["entropy"] < 0.7 * before["entropy"]
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
    assert rows[0]["policy/logp_error"] < 1e-4 < rows[3]["policy/stale_logp_difference"]
    assert "policy/stale_logp_difference" not in rows[0]
    assert not any("policy/logp_error" in row for row in rows[1:])


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
    assert plain.counters["silent"] < 3  # there was something to learn
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
    agent.method.progress = lambda: 1.0
    _, metrics = agent.method.select(agent.generate())
    assert (metrics["rows"], metrics["token_fraction"]) == (32, 1.0)


def test_aepo_replaces_rows_by_right_answers_of_weight_one():
    agent = make("AEPOArbitrary", injected=0.25)
    agent._warm_up()
    rollout = agent.generate()
    assert 0 < agent._injected <= 8
    one = (rollout.advantage == 1) & (rollout.mask > 0)
    injected = (one | (rollout.mask == 0)).all(1)
    assert injected.sum() == agent._injected
    assert len(rollout) == 32
    assert (rollout.verifier_reward[injected] == 1).all()
    assert (rollout.advantage[rollout.mask == 0] == 0).all()
    assert agent.method.state["entropy"] == pytest.approx(float(agent.sampled.entropy.sum() / agent.sampled.mask.sum()))


def test_aepo_scores_injected_answers_under_their_own_prompts():
    agent = make("AEPOArbitrary")
    agent._warm_up()
    rollout = agent.generate()
    asked, which = rollout.distinct_prompts()
    assert agent._injected > 0
    assert torch.equal(asked[which], rollout.prompts)
    logp, _ = agent._measure(agent.policy, rollout)
    torch.testing.assert_close(logp, rollout.old_logp, atol=1e-5, rtol=0)
    rows = train(make("AEPOArbitrary"), 6)
    assert sum(row["select/injected"] for row in rows) > 0
    assert max(row["policy/logp_error"] for row in rows) < 1e-5


def test_dynamic_sampling_keeps_prompts_whose_answers_differ():
    agent = make("DAPO")
    agent._warm_up()
    rollout = agent.generate()
    assert len(rollout) == 32
    varies = [rollout.reward[rollout.group == g].unique().numel() > 1 for g in rollout.group.unique()]
    assert all(varies)
    assert len(varies) == 4
    assert agent.counters["prompts"] % 4 == 0


def test_long_answers_pay():
    agent = make(overlong_buffer=2)
    agent._warm_up()
    rollout = agent.sample(8)
    length, longest = (rollout.tokens != 0).sum(1), agent.task.answer_length
    right = torch.as_tensor(agent.task.verify(rollout.prompts.numpy(), rollout.tokens.numpy(), length.numpy()))
    torch.testing.assert_close(rollout.reward, right - ((length - longest + 2) / 2).clamp(0, 1))


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_the_kl_penalty_adds_the_gradient_of_the_divergence_from_the_start(estimator):
    gradients = []
    for coefficient in (0.0, 0.5):
        agent = make(kl_coefficient=coefficient, kl_estimator=estimator, num_minibatches=1, aggregation="token_mean")
        agent._warm_up()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in agent.policy.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        agent.optimizer.apply = lambda: None
        agent.iterate()
        gradients.append(agent.optimizer.flat.grad.clone())
    rollout = agent.sampled
    logp, start = (agent._log_probs(model, rollout)[0] for model in (agent.policy, agent.reference_policy))
    d = (start.detach() - logp)[rollout.mask > 0]
    divergence = {"k2": d**2 / 2, "k3": d.exp() - d - 1}[estimator].mean()
    expected = torch.cat([part.flatten() for part in torch.autograd.grad(divergence, agent.optimizer.parameters)])
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(gradients[1] - gradients[0], 0.5 * expected, atol=1e-5, rtol=1e-4)


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
        assert line.split()[0] == f"{agent.sampled.reward[row]:+.2f}"
        assert line.split()[1].startswith(agent.task.text(agent.sampled.prompts[row].numpy()))
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
