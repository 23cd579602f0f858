"""Policies: acting, evaluating and valuing agree, for every kind of action, encoder and sharing."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.distributions import Categorical, Independent, Normal

from envzoo.agents.losses import distributions as dist
from envzoo.agents.networks.action import ActionCodec
from envzoo.agents.networks.observation import ObservationCodec
from envzoo.agents.networks.policy import Policy, TabularPolicy
from envzoo.agents.networks.rescaled_actions import UnitActionCodec
from envzoo.errors import UnsupportedSpaceError

BOX = spaces.Box(-1, 1, (3,))
DISCRETE, CONTINUOUS = spaces.Discrete(4, start=2), spaces.Box(-1, 1, (2,))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(actions=DISCRETE, encoder="mlp", **settings):
    policy = Policy(
        ObservationCodec(BOX),
        ActionCodec(actions, "test"),
        encoder=encoder,
        hidden=(6, 5),
        activation="tanh",
        generator=generator(),
        **settings,
    )
    with torch.no_grad():  # a last layer that makes a difference
        policy.actor_head.weight.copy_(torch.randn(policy.actor_head.weight.shape, generator=generator(1)))
    return policy


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("encoder", ["mlp", "gru"])
@pytest.mark.parametrize("actions", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
def test_acting_equals_evaluating_afterwards(actions, encoder, shared):
    policy = build(actions, encoder, shared=shared)
    steps, num_envs = 7, 3
    x = torch.randn(steps, num_envs, 3, generator=generator(2))
    start = torch.rand(steps, num_envs, generator=generator(3)) < 0.3
    first = torch.randn(num_envs, policy.state_dim, generator=generator(4))
    state, noise, taken = first, generator(5), []
    with torch.no_grad():
        for t in range(steps):
            acting = policy.act(x[t], state, start[t], noise)
            assert torch.allclose(policy.value(x[t], state, start[t]), acting.value, atol=1e-5)
            state = acting.state
            taken.append(acting)
    evaluation = policy.evaluate(x, torch.stack([a.action for a in taken]), first, start)
    assert torch.allclose(evaluation.log_prob, torch.stack([a.log_prob for a in taken]), atol=1e-5)
    assert torch.allclose(evaluation.value, torch.stack([a.value for a in taken]), atol=1e-5)
    assert evaluation.entropy.shape == (steps, num_envs)


@pytest.mark.parametrize("actions", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
def test_log_probabilities_and_entropies_equal_those_of_torch(actions):
    policy = build(actions, initial_log_std=-0.3)
    x = torch.randn(50, 3, generator=generator(2))
    acting = policy.act(x, policy.initial_state(50), None, generator(1))
    parameters = policy.actor_head(policy.actor_encoder.features(x))
    if actions is DISCRETE:
        reference = Categorical(logits=parameters)
        assert torch.equal(policy.act(x, policy.initial_state(50), None, None, True).action, parameters.argmax(-1))
    else:
        reference = Independent(Normal(parameters, policy.log_std.exp()), 1)
        assert torch.equal(policy.act(x, policy.initial_state(50), None, None, True).action, parameters)
    evaluation = policy.evaluate(x, acting.action)
    assert torch.allclose(evaluation.log_prob, reference.log_prob(acting.action), atol=1e-5)
    assert torch.allclose(evaluation.entropy, reference.entropy(), atol=1e-5)


def test_samples_follow_the_probabilities():
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0]) + 7
    count = 20_000
    drawn = dist.sample_categorical(logits.expand(count, 4), generator())
    frequency = torch.bincount(drawn, minlength=4) / count
    p = logits.softmax(0)
    assert ((frequency - p).abs() < 5 * (p * (1 - p) / count).sqrt()).all()


def test_impossible_actions_are_never_drawn():
    logits = torch.tensor([0.0, -math.inf, 0.0])
    assert 1 not in dist.sample_categorical(logits.expand(5000, 3), generator())


def test_squashed_samples_have_the_density_of_the_change_of_variables():
    mean, log_std = torch.tensor([0.3, -2.0]), torch.tensor([-0.5, 0.4])
    action, log_prob = dist.sample_squashed_gaussian(mean.expand(200, 2), log_std.expand(200, 2), generator())
    u = torch.atanh(action.double())
    expected = Independent(Normal(mean, log_std.exp()), 1).log_prob(u) - torch.log1p(-(action.double() ** 2)).sum(-1)
    assert torch.allclose(log_prob.double(), expected, atol=2e-3)
    assert torch.allclose(dist.squashed_gaussian_log_prob(mean, log_std, u.float()).double(), expected, atol=2e-3)
    # Far out, where tanh is 1 to the last bit, the logarithm stays exact: log(1 - tanh(u)^2) = log 4 - 2u there.
    assert float(dist.log_tanh_derivative(torch.tensor(30.0))) == pytest.approx(math.log(4) - 60)


def test_separate_critics_do_not_touch_the_actor():
    for shared, touched in ((False, False), (True, True)):
        policy = build(shared=shared)
        policy.value(torch.randn(4, 3), policy.initial_state(4)).sum().backward()
        gradients = [parameter.grad for parameter in policy.actor_encoder.parameters()]
        assert any(g is not None and g.abs().sum() > 0 for g in gradients) == touched


def test_without_a_critic_there_is_no_value():
    policy = build(critic=False)
    x = torch.zeros(2, 3)
    assert policy.act(x, policy.initial_state(2), None, generator()).value is None
    assert policy.evaluate(x, torch.zeros(2, dtype=torch.int64)).value is None
    assert not [name for name, _ in policy.named_parameters() if "critic" in name]


def test_a_fresh_policy_is_near_uniform():
    policy = Policy(
        ObservationCodec(BOX), ActionCodec(DISCRETE, "test"),
        encoder="mlp", hidden=(64, 64), activation="tanh", generator=generator(),
    )  # fmt: skip
    evaluation = policy.evaluate(torch.randn(20, 3, generator=generator(1)), torch.zeros(20, dtype=torch.int64))
    assert torch.allclose(evaluation.entropy, torch.tensor(math.log(4)), atol=1e-3)


# ---------------------------------------------------------------------------- tables


def test_a_table_has_a_row_for_every_observation():
    space = spaces.MultiDiscrete([3, 2], start=[-1, 5])
    codec, actions = ObservationCodec(space), ActionCodec(DISCRETE, "test")
    policy = TabularPolicy(codec, actions, critic=True)
    assert policy.logits.shape == (6, 4)
    with torch.no_grad():
        policy.logits.copy_(torch.randn(6, 4, generator=generator()))
        policy.values.copy_(torch.arange(6.0))
    x = torch.tensor([[a, b] for a in (-1, 0, 1) for b in (5, 6)], dtype=torch.int32)
    assert torch.equal(policy.value(x, policy.initial_state(6)), torch.arange(6.0))
    acting = policy.act(x, policy.initial_state(6), None, None, deterministic=True)
    assert torch.equal(acting.action, policy.logits.argmax(-1))
    evaluation = policy.evaluate(x.reshape(2, 3, 2), acting.action.reshape(2, 3))
    reference = Categorical(logits=policy.logits)
    assert torch.allclose(evaluation.log_prob.flatten(), reference.log_prob(acting.action), atol=1e-6)
    assert torch.allclose(evaluation.entropy.flatten(), reference.entropy(), atol=1e-6)
    assert torch.equal(evaluation.value.flatten(), torch.arange(6.0))
    evaluation.log_prob.sum().backward()
    assert (policy.logits.grad.abs().sum(dim=1) > 0).all()


def test_tables_refuse_what_does_not_fit():
    actions = ActionCodec(DISCRETE, "test")
    with pytest.raises(UnsupportedSpaceError, match="needs Discrete or MultiDiscrete observations"):
        TabularPolicy(ObservationCodec(BOX), actions)
    with pytest.raises(UnsupportedSpaceError, match="would not fit"):
        TabularPolicy(ObservationCodec(spaces.MultiDiscrete([2**16] * 4)), actions)
    with pytest.raises(UnsupportedSpaceError, match="needs Discrete actions"):
        TabularPolicy(ObservationCodec(DISCRETE), ActionCodec(CONTINUOUS, "test"))


# ---------------------------------------------------------------------------- actions


def test_discrete_actions_start_where_the_space_does():
    codec = ActionCodec(DISCRETE, "test")
    assert codec.to_environment(np.arange(4)).tolist() == [2, 3, 4, 5]
    assert codec.from_environment(np.array([2, 5])).tolist() == [0, 3]
    assert codec.from_environment(np.array([[2], [5]])).tolist() == [0, 3]


def test_box_actions_are_clipped_and_shaped():
    codec = ActionCodec(spaces.Box(np.array([[-1.0, 0.0]]), np.array([[1.0, np.inf]]), dtype=np.float64), "test")
    out = codec.to_environment(np.array([[-3.0, -3.0], [0.5, 9.0]], np.float32))
    assert out.dtype == np.float64
    assert out.tolist() == [[[-1.0, 0.0]], [[0.5, 9.0]]]
    assert not codec.bounded
    assert np.array_equal(codec.from_environment(out), np.array([[-1, 0], [0.5, 9]], np.float32))


def test_unit_actions_map_the_bounds_to_one():
    codec = UnitActionCodec(spaces.Box(np.array([-2.0, 3.0], np.float32), np.array([6.0, 3.0], np.float32)), "test")
    unit = np.array([[-1, 0], [0, 0.5], [1, 1]], np.float32)
    out = codec.to_environment(unit)
    assert out.tolist() == [[-2, 3], [2, 3], [6, 3]]
    assert codec.from_environment(out).tolist() == [[-1, 0], [0, 0], [1, 0]]
    with pytest.raises(UnsupportedSpaceError, match="so they must be finite"):
        UnitActionCodec(spaces.Box(-np.inf, np.inf, (2,)), "test")
