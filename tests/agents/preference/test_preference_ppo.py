"""Classical learning from preferences on texts."""

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.preference.preference_ppo import Answers
from envzoo.errors import EnvzooError, UnsupportedSpaceError

SMALL = {
    "pairs": 24, "batch_size": 8, "sft_updates": 2, "sft_batch": 8, "model_dim": 8, "model_layers": 1, "model_heads": 2,
    "reward_updates": 2, "num_answers": 8, "num_epochs": 1, "minibatch_size": 4,
}  # fmt: skip


def make(**changes):
    settings = {**SMALL, **changes}
    return agents.make(
        "PreferencePPO", "envzoo/TextTinySummary-v0", seed=2, device="cpu", env_kwargs={"fillers": 2}, **settings
    )


@pytest.fixture(scope="module")
def agent():
    return make().learn(8)


def test_rewards_and_advantages_by_hand(agent):
    c = agent.config
    rows = torch.arange(5)
    before = agent.streams.state_dict()
    answers, metrics = agent.write_answers(rows)
    prompts, tokens = answers.prompts, answers.tokens
    advantages, targets = [], []
    for i in range(5):
        length = int((tokens[i] != 0).sum())
        ids = torch.cat([prompts[i], tokens[i, :length]])[None]
        place = prompts.shape[1]
        with torch.no_grad():
            log_prob, reference = (
                torch.log_softmax(model.network(ids[:, :-1], place - 1), -1)[0].gather(1, tokens[i, :length, None])[
                    :, 0
                ]
                for model in (agent.policy, agent.reference)
            )
            score = agent.reward_head(agent.reward_model.final_states(prompts[i : i + 1], tokens[i : i + 1, None]))
            score = (float(score) - float(agent.scale.mean)) / float(agent.scale.std)
            value = agent.value_head(agent.critic.states(prompts[i : i + 1], tokens[i : i + 1]))[0, :length, 0]
        assert torch.allclose(log_prob, answers.log_prob[i, :length], atol=1e-4)
        reward = (-c.kl_coefficient * (log_prob - reference)).tolist()
        reward[-1] += score
        running, found = 0.0, []
        for t in reversed(range(length)):
            following = float(value[t + 1]) if t + 1 < length else 0.0
            running = reward[t] + following - float(value[t]) + c.gae_lambda * running
            found.insert(0, running)
        advantages += found
        targets += [a + float(v) for a, v in zip(found, value, strict=True)]
        assert not answers.target[i, length:].any()
    mask = answers.mask.bool()
    assert answers.target[mask].tolist() == pytest.approx(targets, abs=1e-4)
    spread = (np.array(advantages) - np.mean(advantages)) / np.std(advantages, ddof=1)
    assert answers.advantage[mask].tolist() == pytest.approx(spread.tolist(), abs=1e-3)
    assert metrics["preference/length"] == pytest.approx(float(answers.mask.sum(1).mean()))
    agent.streams.load_state_dict(before)


def test_the_reward_model_is_fitted_to_the_labels_and_scaled():
    trained = make(reward_updates=60, reward_learning_rate=1e-2, reward_weight_decay=0.0, batch_size=24).learn(8)
    assert trained.model_accuracy > make(reward_updates=1, reward_learning_rate=1e-9).learn(8).model_accuracy
    with torch.no_grad():
        found = (trained.rewards(trained.prompts, trained.answers) - trained.scale.mean) / trained.scale.std
    assert float(found.mean()) == pytest.approx(0, abs=1e-5)
    assert float(found.std()) == pytest.approx(1, abs=1e-4)
    assert float(trained.scale.std) > 0.01


def test_the_first_step_raises_what_has_positive_advantage(agent):
    learner = make(num_epochs=1, minibatch_size=8, learning_rate=1e-3).learn(8)
    answers, _ = learner.write_answers(torch.arange(6))
    sign = torch.zeros(answers.mask.shape)
    sign[:3], sign[3:] = 1.0, -1.0
    answers = Answers(*answers[:4], sign * answers.mask, answers.target)
    learner.update(answers)
    with torch.no_grad():
        after = learner.policy.token_log_probs(answers.prompts, answers.tokens[:, None])[:, 0]
    change = ((after - answers.log_prob) * sign * answers.mask).sum()
    assert float(change) > 0


def test_a_large_penalty_keeps_the_policy_and_the_reward_moves_it():
    agent = make(kl_coefficient=0.0).learn(8)
    reward = agent.reward_model.state_dict()
    agent.learn(16)
    assert all(torch.equal(value, agent.reward_model.state_dict()[name]) for name, value in reward.items())
    assert not torch.equal(
        agent.policy.state_dict()["network.head.weight"], agent.reference.state_dict()["network.head.weight"]
    )


def test_a_loaded_agent_continues_exactly(tmp_path):
    whole = make().learn(24)
    half = make().learn(8)
    half.save(tmp_path / "a.zip")
    other = agents.load(tmp_path / "a.zip").learn(16)
    for name in ("policy", "critic", "reward_model", "value_head"):
        pairs = zip(getattr(whole, name).parameters(), getattr(other, name).parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs), name


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: make(kl_coefficient=-1.0), EnvzooError, "kl_coefficient of PreferencePPO is not negative"),
        (lambda: make(num_answers=0), EnvzooError, "num_answers of PreferencePPO is at least 1, got 0"),
        (lambda: make(num_answers=10**9), EnvzooError, "1000000000 answers per update would take"),
        (
            lambda: agents.make("PreferencePPO", "envzoo/DIDTable-v0"),
            UnsupportedSpaceError,
            "PreferencePPO writes texts, but the answers are numbers",
        ),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
