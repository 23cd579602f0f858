"""Rollouts: which value stands behind which step, whole episodes, and memory that follows the episodes."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.agents.losses.advantages import generalized_advantages
from envzoo.errors import EnvzooError

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP]
GAMMA = 0.5


class Line(gym.Env):
    """Observation = 100 * episode + step, reward 1; ends at `length`, by time limit or by itself."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,))
    action_space = spaces.Discrete(2)

    def __init__(self, length, truncates):
        self.length, self.truncates, self.episode = length, truncates, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.time = self.episode + 1, 0
        return np.array([100 * self.episode], np.float32), {}

    def step(self, action):
        self.time += 1
        over = self.time == self.length
        observation = np.array([100 * self.episode + self.time], np.float32)
        return observation, 1.0, over and not self.truncates, over and self.truncates, {}


ENDS = ((3, True), (3, False), (2, True))  # length and whether the end is a time limit, for each environment


def lines(mode, ends=ENDS):
    return SyncVectorEnv([lambda end=end: Line(*end) for end in ends], autoreset_mode=mode)


def ppo(source, **changes):
    settings = {"num_steps": 8, "hidden": (4,), "gamma": GAMMA, "gae_lambda": 0.0, "device": "cpu"}
    return agents.make("PPO", source, **{**settings, **changes})


@pytest.fixture
def known_critic(monkeypatch):
    """Give an agent the critic V(s) = s + 1000, so that every value tells which observation it belongs to."""

    def apply(agent):
        policy = agent.policy
        evaluate = policy.evaluate
        monkeypatch.setattr(policy, "value", lambda x, state, start=None: x[:, 0] + 1000)
        monkeypatch.setattr(policy, "evaluate", lambda x, *rest: evaluate(x, *rest)._replace(value=x[..., 0] + 1000))
        return agent

    return apply


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_steps", [2, 3, 8])
def test_values_behind_each_step_are_those_of_the_true_next_observation(mode, num_steps, known_critic):
    agent = known_critic(ppo(lines(mode), num_steps=num_steps))
    seen = set()
    for _ in range(3):
        rollout = agent.collect()
        for t, b in zip(*np.nonzero(rollout.valid), strict=True):
            observation = float(rollout.observation[t, b, 0])
            length, truncates = ENDS[b]
            time = observation % 100
            assert rollout.value[t, b] == observation + 1000
            assert rollout.done[t, b] == (time + 1 == length)
            assert rollout.terminated[t, b] == (rollout.done[t, b] and not truncates)
            assert rollout.start[t, b] == (time == 0)
            if not rollout.terminated[t, b]:
                assert rollout.next_value[t, b] == observation + 1 + 1000
            seen.add((bool(rollout.done[t, b]), bool(rollout.terminated[t, b]), t == num_steps - 1))
    # Every kind of step has occurred, also at the edge of a rollout.
    assert {kind[:2] for kind in seen} == {(False, False), (True, False), (True, True)}
    assert {kind[2] for kind in seen} == {False, True}


@pytest.mark.parametrize("mode", MODES)
def test_truncation_bootstraps_and_termination_does_not(mode, known_critic):
    agent = known_critic(ppo(lines(mode)))
    r = agent.collect()
    advantage = generalized_advantages(r.reward, r.value, r.next_value, r.terminated, r.done, GAMMA, 0.0)
    checked = set()
    for t, b in zip(*np.nonzero(r.valid & r.done), strict=True):
        observation, truncates = float(r.observation[t, b, 0]), ENDS[b][1]
        future = GAMMA * (observation + 1 + 1000) if truncates else 0.0
        assert advantage[t, b] == pytest.approx(1 + future - (observation + 1000))
        checked.add(truncates)
    assert checked == {True, False}


@pytest.mark.parametrize(("truncates", "value"), [(True, 1 / (1 - GAMMA)), (False, 1.0)])
def test_the_critic_learns_a_truncated_future_and_no_terminated_one(truncates, value):
    class One(gym.Env):
        """One step of reward 1, always the same observation."""

        observation_space = spaces.Box(0, 1, (1,))
        action_space = spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.ones(1, np.float32), {}

        def step(self, action):
            return np.ones(1, np.float32), 1.0, not truncates, truncates, {}

    agent = ppo(
        One(), num_steps=16, learning_rate=0.05, num_epochs=10, minibatch_size=16, anneal="none", max_grad_norm=1e9
    )
    agent.learn(16 * 40)
    found = agent.policy.value(torch.ones(1, 1), agent.policy.initial_state(1))
    assert float(found.detach()) == pytest.approx(value, abs=0.1)


@pytest.mark.parametrize("mode", MODES)
def test_invalid_steps_are_neither_counted_nor_learned_from(mode, monkeypatch):
    agent = ppo(lines(mode), num_epochs=1, minibatch_size=5)
    seen = []
    evaluate = agent.closed_form.evaluate  # of minibatches; the rollout itself goes through the policy's own
    monkeypatch.setattr(agent.closed_form, "evaluate", lambda x, a: seen.append(x) or evaluate(x, a))
    agent.learn(1)
    rows = torch.cat(seen)[:, 0]
    assert len(rows) == agent.num_timesteps
    # No final observation was acted on: their steps are 3, 3 and 2.
    kept = sorted(rows.tolist())
    expected = []
    for length, _ in ENDS:
        count = 8 if mode == AutoresetMode.SAME_STEP else 8 - 8 // (length + 1)
        expected += [100 * (i // length) + i % length for i in range(count)]
    assert kept == sorted(expected)


@pytest.mark.parametrize("mode", MODES)
def test_a_recurrent_rollout_evaluates_to_what_was_done(mode):
    agent = ppo(lines(mode), encoder="gru", num_steps=5)
    for _ in range(3):
        rollout = agent.collect()
        start = torch.from_numpy(rollout.start)
        evaluation = agent.policy.evaluate(rollout.observation, rollout.action, rollout.state, start)
        valid = torch.from_numpy(rollout.valid)
        assert torch.allclose(evaluation.log_prob[valid], rollout.log_prob[valid], atol=1e-5)
        assert torch.allclose(evaluation.value[valid], torch.from_numpy(rollout.value)[valid], atol=1e-5)


@pytest.mark.parametrize("truncates", [True, False])
def test_recurrent_values_of_final_observations_know_the_episode(truncates):
    agent = ppo(lines(MODES[0], ((3, truncates),)), encoder="gru", num_steps=6)
    rollout = agent.collect()
    policy, state = agent.policy, agent.policy.initial_state(1)
    with torch.no_grad():
        for t in range(3):
            state = policy.act(torch.tensor([[float(t)]]), state, torch.tensor([t == 0]), None, True).state
        final = policy.value(torch.tensor([[3.0]]), state)
    assert rollout.done[2, 0]
    assert (abs(rollout.next_value[2, 0] - float(final)) < 1e-5) == truncates


# ---------------------------------------------------------------------------- whole episodes


@pytest.mark.parametrize("mode", MODES)
def test_whole_episodes_are_one_of_each_environment(mode):
    agent = agents.make("SubPO", lines(mode), policy="mlp", hidden=(4,), device="cpu")
    for _ in range(2):
        rollout = agent.collect()
        assert rollout.start[0].all()
        assert rollout.valid.sum(axis=0).tolist() == [3, 3, 2]
        assert (rollout.valid & rollout.done).sum(axis=0).tolist() == [1, 1, 1]
        for b, (length, _) in enumerate(ENDS):
            rows = rollout.observation[:, b, 0].numpy()[rollout.valid[:, b]]
            assert (rows % 100).tolist() == list(range(length))
            assert len(set(rows // 100)) == 1
    assert rollout.value is None
    assert rollout.next_value is None
    assert agent.learn(1).num_timesteps == 8


def test_episodes_that_never_end_are_refused(monkeypatch):
    agent = agents.make("SubPO", lines(MODES[0], ((10**9, True),)), policy="mlp", hidden=(4,))
    monkeypatch.setattr(type(agent), "MAX_EPISODE_STEPS", 20)
    with pytest.raises(EnvzooError, match="did not end within 20 steps; give the environment a time limit"):
        agent.learn(1)


def test_a_missing_reward_key_gives_one_sentence():
    agent = agents.make("ModPO", lines(MODES[0]), policy="mlp", hidden=(4,))
    with pytest.raises(EnvzooError, match=r"rewards are to come from info\['modular_reward'\], but .* gives only \[\]"):
        agent.learn(1)
