"""BestOfN in text and other environments, and the policy gradient with a KL penalty."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.agent import Agent
from envzoo.agents.preference.best_of_n_law import best_of_n_law
from envzoo.agents.preference.kl_policy_gradient import leave_one_out
from envzoo.agents.preference.tilting import tilt
from envzoo.errors import EnvzooError, UnsupportedSpaceError

ALIGN = "envzoo/MemorylessAlign-v0"


class Scripted(Agent):
    """Answers from a fixed list in turn."""

    def __init__(self, source, answers):
        super().__init__(source, None)
        self.answers, self.calls = answers, []

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        self.calls.append((list(observation), deterministic))
        return [self.answers[i % len(self.answers)] for i in range(len(observation))], None


def text_chooser(answers, n):
    chooser = agents.make("BestOfN", "envzoo/TextTilt-v0", device="cpu", env_kwargs={"length": 3}, n=n)
    return chooser.draw_from(Scripted(chooser.source, answers))


def test_the_best_answer_is_chosen_for_each_prompt():
    chooser = text_chooser(["aaa", "abc", "aba", "abcd"], 4)
    found, _ = chooser.predict(np.array(["a", "b"], object))
    assert found == ["abc", "abc"]
    assert chooser.base.calls == [(["a"] * 4 + ["b"] * 4, False)]
    assert chooser.predict("c")[0] == "abc"
    # Of one candidate, nothing is chosen; of equal ones, the first.
    assert text_chooser(["aaa", "abc"], 1).predict("a")[0] == "aaa"
    assert text_chooser(["abc", "cba"], 2).predict("a")[0] == "abc"


def test_another_reward_decides():
    chooser = text_chooser(["aaa", "abc", "cccc"], 3).judge_by(lambda prompts, answers: [a.count("c") for a in answers])
    assert chooser.predict("a")[0] == "cccc"
    with pytest.raises(EnvzooError, match="expected a finite one each"):
        chooser.judge_by(lambda prompts, answers: [0.0]).predict("a")


@pytest.mark.parametrize("single", [True, False])
def test_episodes_repeat_their_best_candidate(single):
    source = ALIGN
    chooser = agents.make("BestOfN", source, seed=3, device="cpu", env_kwargs={"length": 6}, n=8, base="Random")
    env = gym.make(source, length=6) if single else gym.make_vec(source, num_envs=5, length=6)
    chooser.set_env(env)
    seen = []
    play = chooser._play

    def watch(*given):
        found = play(*given)
        seen.append(found[0])
        return found

    chooser._play = watch
    observation, _ = env.reset(seed=0)
    total, memory = 0.0, None
    for _ in range(6):
        action, memory = chooser.predict(observation, memory)
        observation, reward, *_ = env.step(action)
        total = total + reward
    assert len(seen) == 8  # one plan for each episode
    assert total == pytest.approx(np.max(seen, axis=0) if not single else np.max(seen))


def test_candidates_have_the_law_of_best_of_n():
    agent = agents.make("KLPolicyGradient", ALIGN, device="cpu", env_kwargs={"length": 3}, num_envs=2)
    chooser = agents.make("BestOfN", ALIGN, seed=0, device="cpu", env_kwargs={"length": 3}, n=4).draw_from(agent)
    env = gym.make_vec(ALIGN, num_envs=4000, length=3)
    chooser.set_env(env)
    observation, _ = env.reset(seed=0)
    action, memory = chooser.predict(observation, deterministic=False)
    rewards = np.array((0.0, 1.0, 2.5))
    totals = np.array(
        [rewards[[int(a), *map(int, plan)]].sum() for a, plan in zip(action, memory.actions, strict=True)]
    )
    law = best_of_n_law((0.5, 0.3, 0.2), rewards, 4, 3)
    counts = np.array([(np.abs(totals - value) < 1e-6).sum() for value in law.value])
    assert counts.sum() == 4000
    # Five standard deviations of a binomial count.
    assert (np.abs(counts - 4000 * law.probability) <= 5 * np.sqrt(4000 * law.probability) + 1).all()


def test_the_reference_policy_is_where_the_table_begins():
    agent = agents.make("KLPolicyGradient", ALIGN, device="cpu", num_envs=2)
    start = torch.softmax(agent.policy.logits.detach(), -1)
    assert start.numpy() == pytest.approx(np.tile((0.5, 0.3, 0.2), (21, 1)))
    other = agents.make("KLPolicyGradient", "envzoo/EntropyBandit-v0", device="cpu", num_envs=2)
    assert other.start is not None


def test_the_tilt_is_a_fixed_point_without_noise():
    """At the optimum reward less penalty is the same for all sequences, so every advantage vanishes."""
    best = tilt((0.5, 0.3, 0.2), (0.0, 1.0, 2.5), 0.1)
    coefficient = 1 / best.multiplier
    agent = agents.make("KLPolicyGradient", ALIGN, device="cpu", num_envs=8, kl_coefficient=coefficient)
    with torch.no_grad():
        agent.policy.logits.copy_(torch.log(torch.as_tensor(best.probability)).expand(21, 3))
    agent.update(agent.collect())
    assert float(agent.optimizer.flat.grad.abs().max()) < 1e-6
    with torch.no_grad():
        agent.policy.logits.zero_()
    agent.update(agent.collect())
    assert float(agent.optimizer.flat.grad.abs().max()) > 1e-3


def test_leave_one_out():
    credit = np.array([[1.0, 2.0, 6.0], [3.0, 5.0, 9.0]])
    valid = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    assert leave_one_out(credit, valid).tolist() == [[-3.0, -1.5, 4.5], [-2.0, 2.0, 0.0]]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: agents.make("BestOfN", ALIGN, n=0), EnvzooError, "n of BestOfN is at least 1, got 0"),
        (lambda: agents.make("BestOfN", ALIGN, base="BestOfN"), EnvzooError, "base of BestOfN is another agent"),
        (
            lambda: agents.make("BestOfN", ALIGN, base="no.zip"),
            EnvzooError,
            "base is the name of an agent, or a",
        ),
        (lambda: agents.make("BestOfN", ALIGN).predict(0), EnvzooError, "no agent to draw candidates from"),
        (
            lambda: agents.make("BestOfN", ALIGN).draw_from(agents.make("PPO", "CartPole-v1")),
            UnsupportedSpaceError,
            r"PPO acts in Discrete\(2\), but envzoo/MemorylessAlign-v0 takes Discrete\(3\)",
        ),
        (
            lambda: agents.make("BestOfN", "CartPole-v1").set_env(gym.make("CartPole-v1")),
            UnsupportedSpaceError,
            "cannot capture its state",
        ),
        (
            lambda: agents.make("KLPolicyGradient", ALIGN, kl_coefficient=-1),
            EnvzooError,
            "kl_coefficient of KLPolicyGradient is not negative, got -1.0",
        ),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
