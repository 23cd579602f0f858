"""SACDiscrete: a bandit and a two-state process with known solutions, and its own edges."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch

import envzoo.agents
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses import soft
from envzoo.agents.planners.soft_value_iteration import soft_value_iteration
from envzoo.errors import EnvzooError, UnsupportedSpaceError

SMALL = {"hidden": (32, 32), "batch_size": 64, "learning_starts": 64, "device": "cpu"}


class TwoStates(gym.Env):
    """Action a leads to state a; rewards [[0, 0], [0.2, 1]]; endless but for a time limit, which is a truncation."""

    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)
    rewards = np.array([[0.0, 0.0], [0.2, 1.0]])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.steps = int(self.np_random.integers(2)), 0
        return self.state, {}

    def step(self, action):
        reward = self.rewards[self.state, action]
        self.state, self.steps = int(action), self.steps + 1
        return self.state, float(reward), False, self.steps == 5, {}


def make(source, **settings):
    return envzoo.agents.make("SACDiscrete", source, **(SMALL | settings))


def anneal(agent, lr):
    for optimizer in (agent.actor_optimizer, agent.critic_optimizer, agent.temperature.optimizer):
        if optimizer is not None:
            optimizer.lr = lr


def test_bandit_finds_temperature_policy_and_values():
    agent = make("envzoo/EntropyBandit-v0", num_envs=16, gradient_steps=1, learning_rate=1e-2)
    agent.learn(16 * 600)
    anneal(agent, 1e-3)
    agent.learn(16 * 400)
    x = torch.zeros(1, 1, dtype=torch.int32)
    assert agent.temperature.target == pytest.approx(0.5 * math.log(4))
    assert agent.temperature.value.item() == pytest.approx(0.3645, rel=0.05)
    policy = agent.actor(x).exp()[0].detach().numpy()
    np.testing.assert_allclose(policy, [0.7563, 0.1919, 0.0487, 0.0031], atol=0.02)
    np.testing.assert_allclose(agent.critics(x).detach().numpy().mean(axis=0)[0], [1, 0.5, 0, -1], atol=0.05)


@pytest.mark.parametrize("alpha", [1.0, 0.1])
def test_two_state_process_agrees_with_soft_value_iteration(alpha):
    """Within 0.2 of the exact Q. With the time limit taken for an end the values would be below half of that."""
    transition = np.zeros((2, 2, 2))
    transition[:, 0, 0] = transition[:, 1, 1] = 1
    exact = soft_value_iteration(transition, TwoStates.rewards, 0.9, alpha)
    agent = make(TwoStates(), temperature=alpha, gamma=0.9, tau=0.1, learning_rate=1e-2, learning_starts=200)
    agent.learn(1000)
    anneal(agent, 1e-3)
    agent.learn(400)
    x = torch.tensor([[0], [1]], dtype=torch.int32)
    q = agent.critics(x).detach().numpy().mean(axis=0)
    # At alpha 0.1 the replayed actions of the worse arm come from the warm-up alone, but they are there.
    np.testing.assert_allclose(q, exact.q, atol=0.2)
    np.testing.assert_allclose(agent.actor(x).exp().detach().numpy(), exact.policy, atol=0.03)


def test_each_loss_moves_its_own_network_only():
    agent = make(TwoStates())
    batch = Batch(
        torch.tensor([[0], [1]], dtype=torch.int32),
        torch.tensor([1, 0]),
        torch.ones(2),
        torch.zeros(2),
        torch.tensor([[1], [0]], dtype=torch.int32),
    )
    critics = agent.critic_optimizer.flat.detach().clone()
    agent.critic_optimizer.step = lambda loss: None
    actor = agent.actor_optimizer.flat.detach().clone()
    agent.update(batch)
    assert torch.equal(agent.critic_optimizer.flat, critics)
    assert not torch.equal(agent.actor_optimizer.flat, actor)


def test_only_the_chosen_action_is_regressed():
    agent = make(TwoStates(), learning_rate=1e-2, temperature=0.1)
    zeros = torch.zeros(64, 1, dtype=torch.int32)
    batch = Batch(zeros, torch.ones(64, dtype=torch.int64), torch.full((64,), 3.0), torch.ones(64), zeros)
    for _ in range(200):
        agent.update(batch)
    q = agent.critics(zeros[:1]).detach().mean(dim=0)[0]
    assert q[1].item() == pytest.approx(3.0, abs=0.05)
    assert abs(q[0].item() - 3.0) > 0.5


def test_temperature_is_capped():
    agent = make(
        "envzoo/EntropyBandit-v0", target_entropy_ratio=0.999, temperature_learning_rate=0.5, learning_starts=1
    )
    agent.learn(200)
    assert agent.temperature.value.item() <= 10.0 + 1e-4


def test_prediction_and_offsets():
    class Shifted(TwoStates):
        action_space = gym.spaces.Discrete(2, start=5)

        def step(self, action):
            assert action in (5, 6)
            return super().step(action - 5)

    agent = make(Shifted())
    agent.learn(80)
    action, _ = agent.predict(0)
    assert action in (5, 6)
    sampled, _ = agent.predict(np.zeros(100, np.int64), deterministic=False)
    assert set(sampled) == {5, 6}


def test_bad_input_is_one_sentence():
    with pytest.raises(UnsupportedSpaceError, match="SACDiscrete takes Discrete actions"):
        make("Pendulum-v1")
    with pytest.raises(UnsupportedSpaceError, match="at least 2 actions"):
        make("envzoo/EntropyBandit-v0", env_kwargs={"rewards": (1.0,)})
    with pytest.raises(EnvzooError, match="target_entropy_ratio of SACDiscrete lies between 0 and 1"):
        make(TwoStates(), target_entropy_ratio=1.0)
    with pytest.raises(EnvzooError, match=r"initial_temperature of SACDiscrete .* at most max_temperature"):
        make(TwoStates(), initial_temperature=20.0)


def test_discrete_losses_match_sums_written_out():
    log_probs = torch.randn(3, 4).log_softmax(-1)
    q = torch.randn(2, 3, 4)
    expected = 0.0
    for n in range(3):
        for a in range(4):
            expected += math.exp(log_probs[n, a]) * (min(q[0, n, a], q[1, n, a]) - 0.7 * log_probs[n, a])
    torch.testing.assert_close(soft.discrete_soft_value(q, log_probs, 0.7).sum(), torch.as_tensor(expected))
    torch.testing.assert_close(soft.discrete_actor_loss(q, log_probs, 0.7), -torch.as_tensor(expected) / 3)
