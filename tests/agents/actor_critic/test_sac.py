"""SAC: who gets which gradient, spaces, prediction, and the continuous bandit with a known solution."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from helpers import CountedSteps

import envzoo.agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.loops.replay import Batch
from envzoo.agents.networks.layers import EnsembleMLP
from envzoo.agents.networks.scalar_ensemble import ScalarEnsemble
from envzoo.errors import EnvzooError, UnsupportedSpaceError

SMALL = {"hidden": (16, 16), "batch_size": 32, "learning_starts": 50, "device": "cpu"}


class Toy(gym.Env):
    """An endless environment of given spaces."""

    def __init__(self, observation=None, action=None):
        self.observation_space = observation or gym.spaces.Box(-1, 1, (3,), np.float32)
        self.action_space = action or gym.spaces.Box(np.array([-2, 0], np.float32), np.array([2, 10], np.float32))
        self.actions = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.actions.append(action)
        return self.observation_space.sample(), 0.0, False, len(self.actions) % 9 == 0, {}


def make(source="Pendulum-v1", **settings):
    return envzoo.agents.make("SAC", source, **(SMALL | settings))


def snapshot(network):
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(network, before):
    return all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


def random_batch(agent, terminated=0.0, count=16):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, count, agent.codec.packed_dim, generator=generator)
    action = torch.rand(count, agent.actions.dim, generator=generator) * 2 - 1
    reward = torch.randn(count, generator=generator)
    return Batch(rows[0], action, reward, torch.full((count,), terminated), rows[1])


def test_each_loss_moves_its_own_network_only():
    agent = make()
    agent.closed_form = None  # see test_closed_form.py for the other step
    networks = {"actor": agent.actor, "critics": agent.critics}
    before = {name: snapshot(network) for name, network in networks.items()}
    steps = []
    for name, other in (("critic", "actor"), ("actor", "critics")):
        optimizer = getattr(agent, f"{name}_optimizer")
        original = optimizer.step

        def step(loss, original=original, other=other, name=name):
            untouched = snapshot(networks[other])
            gradient = [p.grad.clone() for p in networks[other].parameters()]
            original(loss)
            assert same(networks[other], untouched)
            for p, g in zip(networks[other].parameters(), gradient, strict=True):
                assert torch.equal(p.grad, g)
            steps.append(name)

        optimizer.step = step
    target = agent.target.flat.clone()
    agent.update(random_batch(agent))
    assert steps == ["critic", "actor"]
    assert not any(same(network, before[name]) for name, network in networks.items())
    expected = target + 0.005 * (agent.critic_optimizer.flat.detach() - target)
    torch.testing.assert_close(agent.target.flat, expected)


def test_the_twins_are_two_networks():
    q = make().critics(torch.randn(5, 3), torch.rand(5, 1))
    assert q.shape == (2, 5)
    assert not torch.allclose(q[0], q[1])


@pytest.mark.parametrize("width", [8, ScalarEnsemble.WIDE])
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_scalar_ensemble_agrees_with_the_general_one(width, depth, activation):
    net = ScalarEnsemble(3, 4, (width,) * depth, activation, torch.Generator().manual_seed(0)).double()
    x = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    variables = [x, *net.parameters()]
    results = []
    for forward in (net.forward, lambda x: EnsembleMLP.forward(net, x).squeeze(-1)):
        q = forward(x)
        results.append([q, *torch.autograd.grad(q.sin().sum(), variables)])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("terminated", [0.0, 1.0])
def test_bootstrapping_stops_at_termination_alone(terminated):
    """From one repeated transition: Q goes to r + gamma V where the episode continues, and to r where it ends."""
    agent = make(gamma=0.5, tau=0.5, temperature=1e-3, learning_rate=3e-3, hidden=(32,))
    one = torch.zeros(32, 3)
    batch = Batch(one, torch.zeros(32, 1), torch.ones(32), torch.full((32,), terminated), one)
    for _ in range(250):
        agent.update(batch)
        # The policy stays at the stored action, so that V(s') = Q(s, a).
        with torch.no_grad():
            agent.actor.head.weight.zero_()
            agent.actor.head.bias.copy_(torch.tensor([0.0, -6.0]))
    q = agent.critics(one, batch.action).mean().item()
    assert q == pytest.approx(1.0 if terminated else 2.0, abs=0.05)


def test_truncated_episodes_are_worth_more_than_terminated_ones():
    """Reward 1 for ever, cut every 4 steps: Q = 1 / (1 - gamma) = 5 if cut by a time limit, at most 3 if it ended."""

    class Cut(CountedSteps):
        observation_space = gym.spaces.Box(0, 4, (1,), np.float32)
        action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

        def __init__(self, truncate):
            self.truncate = truncate

        def step(self, action):
            self.time += 1
            end = self.time == 4
            observation = np.full(1, self.time % 4, np.float32)
            return observation, 1.0, end and not self.truncate, end and self.truncate, {}

    values = {}
    for truncate in (True, False):
        agent = make(Cut(truncate), gamma=0.8, tau=0.05, temperature=1e-3, learning_rate=3e-3).learn(900)
        batch = agent.buffer.sample(200, torch.Generator().manual_seed(0))
        last = batch.observation[:, 0] == 3
        q = agent.critics(batch.observation, batch.action).detach().mean(dim=0)
        values[truncate] = (q[last].mean().item(), q[~last].mean().item())
    assert values[True] == pytest.approx((5.0, 5.0), abs=0.4)
    assert values[False][0] == pytest.approx(1.0, abs=0.3)
    assert values[False][1] == pytest.approx(np.mean([1.8, 2.44, 2.952]), abs=0.3)


def test_continuous_bandit_finds_its_temperature():
    agent = make(
        "envzoo/EntropyBanditContinuous-v0",
        num_envs=16,
        gradient_steps=1,
        hidden=(32, 32),
        batch_size=128,
        learning_rate=3e-3,
        temperature_learning_rate=1e-2,
        initial_temperature=0.1,
        learning_starts=512,
    )
    agent.learn(16 * 1000)
    for optimizer in (agent.actor_optimizer, agent.critic_optimizer, agent.temperature.optimizer):
        optimizer.lr = 1e-3
    temperatures = []
    for _ in range(10):
        agent.learn(16 * 20)
        temperatures.append(agent.temperature.value.item())
    mean, log_std = agent.actor(torch.zeros(1, 1, dtype=torch.int32))
    assert 0.013 <= np.mean(temperatures) <= 0.019
    assert log_std.exp().item() == pytest.approx(0.089, rel=0.15)
    assert abs(mean.item()) < 0.05


def test_actions_reach_the_whole_box_and_deterministic_is_the_squashed_mean():
    env = Toy()
    agent = make(env)
    agent.learn(80)
    actions = np.array(env.actions)
    assert (actions >= [-2, 0]).all()
    assert (actions <= [2, 10]).all()
    assert actions[:50, 1].max() > 8
    observation = np.array([0.1, 0.2, 0.3], np.float32)
    action, state = agent.predict(observation, state="kept")
    mean, _ = agent.actor(torch.tensor(observation)[None])
    unit = torch.tanh(mean)[0].detach().numpy()
    np.testing.assert_allclose(action, [2 * unit[0], 5 + 5 * unit[1]], rtol=1e-5)
    assert state == "kept"
    batch, _ = agent.predict(np.stack([observation] * 4))
    np.testing.assert_allclose(batch, np.stack([action] * 4), rtol=1e-5)
    samples, _ = agent.predict(np.stack([observation] * 200), deterministic=False)
    assert samples.std(axis=0).min() > 0.1
    np.testing.assert_allclose(agent.actions.from_environment(action[None])[0], unit, atol=1e-6)


def test_action_spaces_it_cannot_take():
    with pytest.raises(UnsupportedSpaceError, match=r"SAC squashes its actions .* so they must be finite"):
        make(Toy(action=gym.spaces.Box(-np.inf, np.inf, (1,))))
    with pytest.raises(UnsupportedSpaceError, match="SAC takes Box actions, but the action space is Discrete"):
        make("CartPole-v1")


def test_hyperparameters_out_of_range():
    for settings in ({"tau": 0.0}, {"gamma": 1.5}, {"temperature": -1.0}, {"learning_rate": 0.0}):
        with pytest.raises(EnvzooError, match=f"{next(iter(settings))} of SAC"):
            make(**settings)
    with pytest.raises(EnvzooError, match="hyperparameter actor_q of SAC expects one of 'min', 'mean'"):
        make(actor_q="max")


def test_target_entropy_and_fixed_temperature():
    assert make(Toy()).temperature.target == -2.0
    assert make(Toy(), target_entropy=0.5).temperature.target == 0.5
    agent = make(temperature=0.2)
    agent.learn(100)
    assert agent.temperature.value.item() == pytest.approx(0.2)


def test_images_train_separate_encoders():
    space = gym.spaces.Box(0, 255, (12, 12, 3), np.uint8)
    agent = make(Toy(observation=space), hidden=(16,), learning_starts=20)
    agent.learn(24)
    assert agent.buffer.sample(2).observation.dtype == torch.uint8
    encoder = snapshot(agent.critics.encoder)
    agent.critic_optimizer.step = lambda loss: None
    actor = snapshot(agent.actor.encoder)
    agent.update(agent.buffer.sample(8))
    assert same(agent.critics.encoder, encoder)
    assert not same(agent.actor.encoder, actor)


def test_point_multi_goal_is_learned_a_little():
    agent = make("envzoo/PointMultiGoal-v0", hidden=(32, 32), learning_rate=1e-3, num_envs=4, gradient_steps=1, seed=1)
    before = evaluate(agent, episodes=20).returns.mean()
    agent.learn(4000)
    assert evaluate(agent, episodes=20).returns.mean() > before + 50
