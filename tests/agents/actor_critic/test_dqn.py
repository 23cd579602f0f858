"""DQN: n-step windows against their definition, targets against hand-worked numbers, and a world with known values."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo import agents
from envzoo.agents.loops.n_step import NStepWindow
from envzoo.agents.loops.replay import Batch
from envzoo.agents.losses.td import greedy_value, huber_loss
from envzoo.errors import EnvzooError

CHAIN = "envzoo-tests/Chain-v0"


class Chain(gym.Env):
    """Four cells in a row: 1 moves right, 0 moves left; the last pays 1 and ends the episode, a move costs 0.1."""

    observation_space = gym.spaces.Discrete(4)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = int(self.np_random.integers(3))
        return self.cell, {}

    def step(self, action):
        self.cell = max(0, self.cell + (1 if action else -1))
        return self.cell, (1.0 if self.cell == 3 else 0.0) - 0.1, self.cell == 3, False, {}


@pytest.fixture(scope="module", autouse=True)
def registered():
    gym.register(CHAIN, Chain, max_episode_steps=30)
    yield
    del gym.registry[CHAIN]


# ---------------------------------------------------------------------------- n-step transitions


def expected(episode, n, gamma, truncated):
    """(first observation, action, return, 1 - c, last observation) of each step of an episode, by the definition."""
    rows = []
    for t in range(len(episode)):
        steps = episode[t : t + n]
        total = sum(gamma**k * reward for k, (*_, reward, _) in enumerate(steps))
        ended = t + n >= len(episode)
        weight = gamma ** (len(steps) - n) if not ended or truncated else 0.0
        rows.append((steps[0][0], steps[0][1], total, 1.0 - weight, steps[-1][3]))
    return rows


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5), st.sampled_from([1.0, 0.9, 0.5]), st.integers(1, 4), st.integers(0, 10**6))
def test_every_step_begins_one_transition(n, gamma, num_envs, seed):
    rng = np.random.default_rng(seed)
    lengths = [list(rng.integers(1, 9, size=4)) for _ in range(num_envs)]
    window = NStepWindow(n, gamma, np.zeros((num_envs, 1), np.int32), np.zeros(num_envs, np.int64))
    running, truths, got = [[] for _ in range(num_envs)], [[] for _ in range(num_envs)], [[] for _ in range(num_envs)]
    count = 0
    start = np.ones(num_envs, bool)
    while any(lengths):
        valid = np.array([bool(left) for left in lengths]) & (rng.random(num_envs) < 0.8)
        observation, following = np.arange(count, count + num_envs), np.arange(count, count + num_envs) + 10**6
        count += num_envs
        action, reward = rng.integers(5, size=num_envs), rng.normal(size=num_envs)
        ends, cut = np.zeros(num_envs, bool), rng.random(num_envs) < 0.5
        for i in np.flatnonzero(valid):
            running[i].append((observation[i], action[i], reward[i], following[i]))
            if len(running[i]) == lengths[i][0]:
                ends[i] = True
                truths[i] += expected(running[i], n, gamma, cut[i])
                running[i], lengths[i] = [], lengths[i][1:]
        found = window.add(
            *(observation[:, None].astype(np.int32), action, reward, ends & ~cut, ends),
            *(following[:, None].astype(np.int32), start & valid, valid),
        )
        start = np.where(valid, ends, start)
        for row in zip(*found, strict=True):
            i = int(row[0][0]) % num_envs  # observations count upwards by the environment
            got[i].append((row[0][0], row[1], row[2], row[3], row[4][0]))
    for truth, rows in zip(truths, got, strict=True):
        assert len(truth) == len(rows)
        for a, b in zip(sorted(truth), sorted(rows), strict=True):
            assert a == pytest.approx(b, rel=1e-5, abs=1e-5)


def test_a_window_is_saved_and_refuses_what_does_not_fit():
    def make(n=3):
        return NStepWindow(n, 0.5, np.zeros((2, 1), np.int32), np.zeros(2, np.int64))

    one, no = np.zeros((2, 1), np.int32), np.zeros(2, bool)
    window = make()
    window.add(one, np.ones(2, np.int64), np.ones(2), no, no, one, ~no, ~no)
    other = make()
    other.load_state_dict(window.state_dict())
    a, b = (w.add(one, np.zeros(2, np.int64), np.ones(2), ~no, ~no, one, no, ~no) for w in (window, other))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.reward.tolist() == [1.5, 1.5, 1.0, 1.0]
    with pytest.raises(ValueError, match="observation is int32 of shape"):
        make(2).load_state_dict(window.state_dict())
    with pytest.raises(ValueError, match="counts of a window"):
        make().load_state_dict({**window.state_dict(), "count": np.array([4, 0])})


# ---------------------------------------------------------------------------- targets and losses


def test_values_of_greedy_actions():
    online, target = torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[5.0, 7.0, 9.0]])
    assert greedy_value(target, target).tolist() == [9.0]  # DQN: the greatest of the target network
    assert greedy_value(target, online).tolist() == [7.0]  # double: the target's value of the online choice
    masked = torch.tensor([[1.0, -torch.inf, 2.0]])
    assert greedy_value(target, masked).tolist() == [9.0]


def test_huber_loss_by_hand():
    q, y = torch.tensor([0.0, 0.0]), torch.tensor([0.5, 3.0])
    assert float(huber_loss(q, y, 1.0)) == pytest.approx((0.125 + 2.5) / 2)
    assert float(huber_loss(q, y, None)) == pytest.approx((0.125 + 4.5) / 2)


@pytest.mark.parametrize(("double", "n_steps"), [(True, 1), (False, 1), (True, 3)])
def test_one_update_by_hand(double, n_steps):
    settings = {"hidden": (), "gamma": 0.5, "huber_delta": None, "max_grad_norm": None, "learning_rate": 1e-9}
    agent = agents.make(
        "DQN", CHAIN, device="cpu", double=double, n_steps=n_steps, target_update_interval=1, tau=1.0, **settings
    )
    with torch.no_grad():
        agent.network.head.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]]))
        agent.network.head.bias.zero_()
        agent.target.network.head.weight.copy_(10 * torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]]))
        agent.target.network.head.bias.zero_()
    batch = Batch(
        observation=torch.tensor([[0], [1]], dtype=torch.int32),
        action=torch.tensor([1, 0]),
        reward=torch.tensor([1.0, 2.0]),
        terminated=torch.tensor([0.0, 1.0]),
        next_observation=torch.tensor([[2], [3]], dtype=torch.int32),
    )
    metrics = agent.update(batch)
    # Q(2, .) = (3, 2) chooses action 0, where Q' is 20; Q'(2, .) = (20, 30) itself chooses 30.
    following = 20.0 if double else 30.0
    targets = [1.0 + 0.5**n_steps * following, 2.0]
    values = [4.0, 2.0]
    assert float(metrics["value/target"]) == pytest.approx(np.mean(targets))
    assert float(metrics["value/q"]) == pytest.approx(np.mean(values))
    assert float(metrics["loss/critic"]) == pytest.approx(0.5 * np.mean(np.square(np.subtract(values, targets))))
    assert torch.equal(agent.target.network.head.weight, agent.network.head.weight)  # its update was due


def test_epsilon_decreases_linearly_and_stays():
    agent = agents.make("DQN", CHAIN, device="cpu", exploration_steps=100, initial_epsilon=0.9, final_epsilon=0.1)
    found = []
    for agent.num_timesteps in (0, 50, 100, 1000):
        found.append(agent.epsilon)
    assert found == pytest.approx([0.9, 0.5, 0.1, 0.1])


def test_random_and_greedy_actions_have_their_shares():
    agent = agents.make("DQN", CHAIN, device="cpu", hidden=(), initial_epsilon=0.4, final_epsilon=0.4)
    x = torch.zeros(40_000, 1, dtype=torch.int32)
    generator = torch.Generator().manual_seed(0)
    greedy = int(agent.act(x[:1], None, deterministic=True))
    share = float((agent.act(x, generator) != greedy).float().mean())
    assert share == pytest.approx(0.2, abs=0.02)  # ten standard deviations


# ---------------------------------------------------------------------------- learning


def test_the_learning_rate_falls_linearly_over_the_budget():
    agent = agents.make("DQN", CHAIN, device="cpu", hidden=(), learning_starts=8, learning_rate=0.1)
    seen = []

    def note(agent, metrics):
        seen.append((agent.num_timesteps, agent.optimizer.lr))
        return len(seen) < 2

    agent.learn(1000, note)
    for steps, rate in seen:  # the last update of an iteration comes before its last steps are counted
        assert 0.1 * (1 - steps / 1000) <= rate <= 0.1 * (1 - (steps - 2 * agent.config.num_envs) / 1000)
    constant = agents.make("DQN", CHAIN, device="cpu", hidden=(), learning_starts=8, learning_rate=0.1, anneal=False)
    assert constant.learn(500).optimizer.lr == 0.1


@pytest.mark.parametrize(
    "settings", [{"n_steps": 1}, {"n_steps": 3, "exploration_steps": 300}, {"n_steps": 1, "double": False}]
)
def test_values_of_a_chain_are_learned(settings):
    """Q* is known: from cell 2, moving right is worth 0.9; one cell further, 0.8 x 0.9 - 0.1, and so on."""
    given = {"hidden": (), "gamma": 0.8, "learning_rate": 0.02, "learning_starts": 100, "huber_delta": None}
    rest = {"batch_size": 64, "target_update_interval": 20, "tau": 1.0, "num_envs": 4, "max_grad_norm": None}
    rest |= {"gradient_steps": 4, "anneal": False}
    agent = agents.make("DQN", CHAIN, seed=0, device="cpu", **given, **rest, **settings)
    agent.learn(5000)
    with torch.no_grad():
        q = agent.network(torch.arange(4, dtype=torch.int32)[:, None]).numpy()[:3]
    assert q.argmax(axis=1).tolist() == [1, 1, 1]
    if settings["n_steps"] == 1:  # n-step targets follow the exploring policy, so only one step is exact
        right = [0.8 * (0.8 * 0.9 - 0.1) - 0.1, 0.8 * 0.9 - 0.1, 0.9]
        np.testing.assert_allclose(q[:, 1], right, atol=0.05)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("n_steps", 0, "n_steps of DQN is at least 1, got 0"),
        ("gamma", 0.0, r"gamma of DQN lies in \(0, 1\], got 0"),
        ("final_epsilon", 1.5, r"final_epsilon of DQN lies in \[0, 1\], got 1.5"),
        ("huber_delta", 0.0, "huber_delta of DQN is positive, got 0"),
    ],
)
def test_bad_settings(setting, value, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        agents.make("DQN", CHAIN, device="cpu", **{setting: value})


def test_targets_have_three_rewards_and_one_with_a_memory():
    assert agents.make("DQN", CHAIN, device="cpu").n_steps == 3
    assert agents.make("DQN", CHAIN, device="cpu", encoder="gru", hidden=(8,)).n_steps == 1
    with pytest.raises(EnvzooError, match="n_steps of DQN is 1 with a memory, got 3"):
        agents.make("DQN", CHAIN, device="cpu", encoder="gru", hidden=(8,), n_steps=3)


def test_continuous_actions_are_refused():
    with pytest.raises(EnvzooError, match="DQN"):
        agents.make("DQN", "Pendulum-v1", device="cpu")
