"""The closed-form policy gives what autograd gives: values, and the gradient of every parameter."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo.agents
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.manual_gradients import ClosedFormPolicy
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.policy import Policy, TabularPolicy

ACTIONS = {"discrete": spaces.Discrete(4), "continuous": spaces.Box(-1, 1, (2,))}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(actions="discrete", inputs=3, hidden=(6, 5), activation="tanh", encoder="mlp", space=None, **settings):
    return Policy(
        ObservationCodec(space or spaces.Box(-1, 1, (inputs,))),
        ActionCodec(ACTIONS[actions], "test"),
        encoder=encoder,
        hidden=hidden,
        activation=activation,
        generator=generator(),
        **settings,
    )


@settings(max_examples=60, deadline=None)
@given(
    actions=st.sampled_from(sorted(ACTIONS)),
    inputs=st.sampled_from([1, 3, 16, 17, 40]),
    hidden=st.lists(st.sampled_from([1, 5, 18]), max_size=3).map(tuple),
    activation=st.sampled_from(["tanh", "relu"]),
    rows=st.integers(1, 9),
    with_entropy=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_autograd(actions, inputs, hidden, activation, rows, with_entropy, seed):
    policy = build(actions, inputs, hidden, activation).double()
    draw = generator(seed)
    with torch.no_grad():  # heads and biases that make a difference
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64), alpha=0.5)
    # `ObservationCodec.vector` gives float32, which both sides then see in double precision.
    policy.actor_encoder.codec.vector = policy.critic_encoder.codec.vector = lambda x: x
    x = torch.randn(rows, inputs, generator=draw, dtype=torch.float64)
    sizes = (rows,) if policy.discrete else (rows, 2)
    action = torch.randint(4, sizes, generator=draw) if policy.discrete else torch.randn(sizes, generator=draw).double()
    weights = torch.randn(3, rows, generator=draw, dtype=torch.float64)

    expected = policy.evaluate(x, action)
    terms = [(weights[0] * expected.log_prob).sum(), (weights[1] * expected.value).sum()]
    terms += [(weights[2] * expected.entropy).sum()] if with_entropy else []
    names, parameters = zip(*policy.named_parameters(), strict=True)
    gradients = torch.autograd.grad(sum(terms), parameters)

    for parameter in parameters:  # what lay there before must not matter
        parameter.grad = torch.full_like(parameter, torch.nan)
    assert ClosedFormPolicy.fits(policy)
    closed = ClosedFormPolicy(policy)
    found = closed.evaluate(x, action)
    closed.backward(*weights[: 3 if with_entropy else 2])
    for name, mine, theirs in zip(found._fields, found, expected, strict=True):
        assert not mine.requires_grad, name
        torch.testing.assert_close(mine, theirs.detach())
    for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-9, atol=1e-11), name


VIEW = spaces.Box(np.array([0, 2], np.int64), np.array([3, 4], np.int64), dtype=np.int64)
SYMBOLS = {
    "symbols": VIEW,
    "with numbers": spaces.Dict(a=spaces.Box(-1, 1, (3,)), b=VIEW, c=spaces.Discrete(3), d=spaces.Box(-1, 1, (70,))),
}


@pytest.mark.parametrize("kinds", [2, 300])
@pytest.mark.parametrize("space", sorted(SYMBOLS))
@pytest.mark.parametrize(("actions", "hidden"), [("discrete", (6, 5)), ("continuous", (4,))])
def test_equals_autograd_on_symbols(space, actions, hidden, kinds):
    """300 observations whose rows of 70 numbers are of two kinds, which the encoder notices, or all differ."""
    policy = build(actions, hidden=hidden, encoder="symbols", space=SYMBOLS[space])
    draw, numbers = generator(1), np.random.default_rng(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.3)
    observation = view = np.stack([numbers.integers(0, 4, 300), numbers.integers(2, 5, 300)], axis=1)
    if space != "symbols":
        wide = numbers.uniform(-1, 1, (kinds, 70)).astype(np.float32)[np.arange(300) % kinds]
        short = numbers.uniform(-1, 1, (300, 3)).astype(np.float32)
        observation = {"a": short, "b": view, "c": numbers.integers(0, 3, 300), "d": wide}
    x = torch.from_numpy(policy.actor_encoder.codec.pack(observation))
    found_numbers = policy.actor_encoder.read(x).numbers
    if space != "symbols":
        assert (found_numbers[1][2] is not None) == (kinds == 2)
    sizes = (300,) if policy.discrete else (300, 2)
    action = torch.randint(4, sizes, generator=draw) if policy.discrete else torch.randn(sizes, generator=draw)
    weights = torch.randn(3, 300, generator=draw)

    expected = policy.evaluate(x, action)
    names, parameters = zip(*policy.named_parameters(), strict=True)
    gradients = torch.autograd.grad(
        sum((w * part).sum() for w, part in zip(weights, expected, strict=True)), parameters
    )
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, torch.nan)
    assert ClosedFormPolicy.fits(policy)
    closed = ClosedFormPolicy(policy)
    found = closed.evaluate(x, action)
    closed.backward(weights[0], weights[2], weights[1])
    for name, mine, theirs in zip(found._fields, found, expected, strict=True):
        assert not mine.requires_grad, name
        torch.testing.assert_close(mine, theirs.detach())
    for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-4, msg=name)


def test_only_plain_actor_critics_fit():
    assert ClosedFormPolicy.fits(build())
    assert ClosedFormPolicy.fits(build("continuous", hidden=()))
    assert not ClosedFormPolicy.fits(build(shared=True))
    assert not ClosedFormPolicy.fits(build(critic=False))
    assert not ClosedFormPolicy.fits(build(encoder="gru"))
    assert not ClosedFormPolicy.fits(build(activation="gelu"))
    assert not ClosedFormPolicy.fits(build(space=spaces.Discrete(100)))  # rows of the first layer are looked up
    assert not ClosedFormPolicy.fits(build(space=spaces.Box(0, 255, (12, 12, 3), np.uint8), encoder="cnn"))
    codec = ObservationCodec(spaces.Discrete(5))
    assert not ClosedFormPolicy.fits(TabularPolicy(codec, ActionCodec(ACTIONS["discrete"], "test"), critic=True))


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("entropy_coefficient", [0.0, 0.01])
def test_ppo_learns_the_same_either_way(env_id, entropy_coefficient):
    agents = []
    for closed in (True, False):
        agent = envzoo.agents.make(
            "PPO",
            env_id,
            device="cpu",
            num_envs=3,
            num_steps=20,
            minibatch_size=25,
            num_epochs=3,
            hidden=(8, 8),
            entropy_coefficient=entropy_coefficient,
        )
        assert agent.closed_form is not None
        if not closed:
            agent.closed_form = None
        metrics = agent.update(agent.collect())
        agents.append((agent.optimizer.flat.detach(), metrics))
    (mine, metrics), (theirs, others) = agents
    torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-5)
    assert metrics == pytest.approx(others, rel=1e-3, abs=1e-4)


def test_ppo_falls_back_on_autograd_for_other_networks():
    agent = envzoo.agents.make("PPO", gym.make("CartPole-v1"), device="cpu", num_steps=32, share_encoder=True)
    before = agent.optimizer.flat.detach().clone()
    assert agent.closed_form is None
    agent.learn(32)
    assert not torch.equal(agent.optimizer.flat, before)
