"""SubPO and ModPO against enumeration, brute force and hand-worked numbers (arXiv 2307.13372)."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.loops.on_policy import Rollout
from envzoo.errors import EnvzooError, UnsupportedSpaceError

TINY = {"rows": 2, "columns": 2, "horizon": 2, "radius": 0, "start": 0}


def every_path(env_kwargs, horizon, num_actions=5, reward_key=None):
    """A rollout that plays every action sequence once, and the return of each."""
    paths = np.array(list(itertools.product(range(num_actions), repeat=horizon)))
    env = gym.make_vec("envzoo/GridCoverage-v0", num_envs=len(paths), autoreset_mode="SameStep", **env_kwargs)
    observation, _ = env.reset(seed=0)
    observations, rewards, dones = [], [], []
    for t in range(horizon):
        observations.append(observation)
        observation, reward, terminated, truncated, infos = env.step(paths[:, t])
        done = terminated | truncated
        if reward_key:
            reward = (
                np.where(done, infos["final_info"][reward_key], infos[reward_key]) if done.any() else infos[reward_key]
            )
        rewards.append(reward.astype(np.float32))
        dones.append(done)
    start = np.zeros((horizon, len(paths)), bool)
    start[0] = True
    done = np.stack(dones)
    assert done[-1].all()
    rollout = Rollout(
        observation=torch.from_numpy(np.stack(observations).astype(np.int32)),
        action=torch.from_numpy(paths.T.copy()),
        log_prob=torch.zeros(horizon, len(paths)),
        value=None,
        next_value=None,
        reward=np.stack(rewards),
        terminated=done,
        done=done,
        start=start,
        valid=np.ones((horizon, len(paths)), bool),
        state=torch.zeros(len(paths), 0),
    )
    return rollout, rollout.reward.sum(axis=0)


def random_logits(agent, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        agent.policy.logits.copy_(torch.randn(agent.policy.logits.shape, generator=generator))


def exact_gradient(agent, rollout, returns):
    """Gradient of J(theta) = sum over paths of P(path) F(path), by differentiating the enumeration."""
    log_prob = agent.policy.evaluate(rollout.observation, rollout.action).log_prob.sum(dim=0)
    objective = (log_prob.exp() * torch.from_numpy(returns)).sum()
    return torch.autograd.grad(objective, agent.policy.logits)[0], log_prob.exp().detach()


@pytest.mark.parametrize("seed", range(3))
def test_expected_estimate_is_the_exact_gradient(seed):
    agent = agents.make("SubPO", "envzoo/GridCoverage-v0", env_kwargs=TINY, num_envs=4, baseline="none")
    random_logits(agent, seed)
    rollout, returns = every_path(TINY, horizon=2)
    exact, probability = exact_gradient(agent, rollout, returns)
    scale = 2 * (2 + 2)  # MAX_Ret = 2 (H + 1) with H = 3 states
    credit = torch.from_numpy(agent.advantages(rollout)) * scale
    log_prob = agent.policy.evaluate(rollout.observation, rollout.action).log_prob
    expected = torch.autograd.grad((probability * (log_prob * credit).sum(dim=0)).sum(), agent.policy.logits)[0]
    torch.testing.assert_close(expected, exact, atol=1e-6, rtol=1e-5)
    assert exact.abs().max() > 1e-3


def test_a_baseline_that_depends_on_time_alone_keeps_the_expectation():
    agent = agents.make("SubPO", "envzoo/GridCoverage-v0", env_kwargs=TINY, num_envs=4)
    random_logits(agent, 0)
    rollout, returns = every_path(TINY, horizon=2)
    exact, probability = exact_gradient(agent, rollout, returns)
    credit = torch.from_numpy(agent.advantages(rollout)) * 8
    log_prob = agent.policy.evaluate(rollout.observation, rollout.action).log_prob
    expected = torch.autograd.grad((probability * (log_prob * credit).sum(dim=0)).sum(), agent.policy.logits)[0]
    torch.testing.assert_close(expected, exact, atol=1e-6, rtol=1e-5)


def test_cumulative_credit_is_not_the_gradient():
    agent = agents.make(
        "SubPO", "envzoo/GridCoverage-v0", env_kwargs=TINY, num_envs=4, baseline="none", credit="cumulative"
    )
    random_logits(agent, 0)
    rollout, returns = every_path(TINY, horizon=2)
    np.testing.assert_allclose(agent.advantages(rollout) * 8, np.cumsum(rollout.reward, axis=0), atol=1e-6)
    exact, probability = exact_gradient(agent, rollout, returns)
    log_prob = agent.policy.evaluate(rollout.observation, rollout.action).log_prob
    credit = torch.from_numpy(agent.advantages(rollout)) * 8
    expected = torch.autograd.grad((probability * (log_prob * credit).sum(dim=0)).sum(), agent.policy.logits)[0]
    assert (expected - exact).abs().max() > 1e-3  # far above the 1e-6 to which the true estimate agrees


@pytest.mark.parametrize("start", [0, 4])
def test_within_five_percent_of_brute_force_on_a_small_grid(start):
    kwargs = {"rows": 3, "columns": 3, "horizon": 4, "radius": 0, "start": start}
    _, returns = every_path(kwargs, horizon=4)
    agent = agents.make("SubPO", "envzoo/GridCoverage-v0", env_kwargs=kwargs, num_envs=64).learn(64 * 4 * 150)
    score = evaluate(agent, episodes=200, deterministic=False).returns.mean()
    assert score >= 0.95 * returns.max()


def test_modpo_learns_from_the_additive_reward():
    kwargs = {"rows": 1, "columns": 3, "horizon": 2, "start": 0}
    rollout, returns = every_path(kwargs, horizon=2, reward_key="modular_reward")
    by_path = {tuple(path): value for path, value in zip(rollout.action.T.tolist(), returns.tolist(), strict=True)}
    assert by_path[(1, 0)] == 6  # right, stay: 3 + 3
    assert by_path[(0, 0)] == 4  # stay, stay: 2 + 2
    modular = agents.make("ModPO", "envzoo/GridCoverage-v0", env_kwargs=kwargs, num_envs=8)
    np.testing.assert_array_equal(
        np.unique(modular.collect().reward), np.unique([2.0, 3.0])
    )  # the centre's disc has 3 cells, a corner's 2
    submodular = agents.make("SubPO", "envzoo/GridCoverage-v0", env_kwargs=kwargs, num_envs=8)
    assert set(np.unique(submodular.collect().reward)) <= {0.0, 1.0}


def test_recurrent_policy_remembers_the_path():
    agent = agents.make("SubPO", "envzoo/GridCoverage-v0", num_envs=4, policy="gru", hidden=(8, 8))
    observation = np.array([[7, 3]])
    _, left = agent.predict(np.array([[6, 2]]))
    _, right = agent.predict(np.array([[8, 2]]))
    _, after_left = agent.predict(observation, left)
    _, after_right = agent.predict(observation, right)
    assert not torch.equal(after_left, after_right)
    _, fresh = agent.predict(observation, left, episode_start=np.array([True]))
    _, first = agent.predict(observation)
    assert torch.equal(fresh, first)


def test_clear_refusals():
    with pytest.raises(EnvzooError, match=r"needs Discrete or MultiDiscrete observations.*use policy='mlp'"):
        agents.make("SubPO", "CartPole-v1")
    with pytest.raises(UnsupportedSpaceError, match="SubPO takes Discrete actions"):
        agents.make("SubPO", "Pendulum-v1", policy="mlp")
    with pytest.raises(EnvzooError, match=r"info\['modular_reward'\]"):
        agents.make("ModPO", "CartPole-v1", policy="mlp").learn(10)
