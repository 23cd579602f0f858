"""Encoders with a memory in agents, and encoders of the user's own: contract, files, resume, errors."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.networks import encoders
from envzoo.agents.networks.encoders import MEMORIES, SequenceEncoder, is_recurrent, register_encoder
from envzoo.agents.networks.sequence import S4D, GatedBlock, SequenceLayer
from envzoo.agents.spec import name_of
from envzoo.errors import CheckpointError, EnvzooError, UnknownNameError

SMALL = {"num_envs": 2, "num_steps": 16, "num_epochs": 2, "minibatch_size": 16, "hidden": (8,)}
MAZE = ("envzoo/TMaze-v0", {"length": 3})


class Wide(nn.Module):
    """Without memory; torch's own initial weights."""

    def __init__(self, inputs):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, 7), nn.Tanh())

    def forward(self, x):
        return self.net(x)


class Counter(nn.Module):
    """A memory by `step` alone: the sum of all inputs of the episode, which starts at one."""

    def __init__(self, inputs):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(inputs))

    def initial_state(self, num_envs):
        return torch.ones(num_envs, len(self.scale))

    def step(self, x, state, start):
        if start is not None:
            state = torch.where(start[:, None], 1.0, state)
        state = state + x * self.scale
        return state, state


class Decay(SequenceLayer):
    """A layer as the zoo's own, with `step` and `forward`."""

    def __init__(self, inputs):
        super().__init__()
        self.width = self.state_dim = inputs
        self.rate = nn.Parameter(torch.full((inputs,), 0.5))

    def step(self, x, state, start=None):
        state = state if start is None else state * ~start[:, None]
        state = self.rate * state + x
        return state, state


def s4d_block(width, generator):
    return GatedBlock(S4D(width, 4, "inv", generator=generator), generator)


OWN = {
    "plain": Wide,
    "step": Counter,
    "layer": Decay,
    "settings": partial(SequenceEncoder, layer=s4d_block),
    "function": lambda inputs: Wide(inputs),
}


def make(encoder, seed=0, **changes):
    name, kwargs = MAZE
    return agents.make("PPO", name, env_kwargs=kwargs, seed=seed, device="cpu", encoder=encoder, **(SMALL | changes))


def weights(agent):
    return [parameter.detach().clone() for parameter in agent.policy.parameters()]


def assert_equal_weights(one, other):
    for mine, theirs in zip(weights(one), weights(other), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("encoder", [*MEMORIES, *OWN])
def test_an_agent_learns_and_resumes_exactly_with_every_encoder(encoder, shared, tmp_path):
    own = OWN.get(encoder)
    given = encoder if own is None else own
    whole = make(given, share_encoder=shared).learn(64)
    half = make(given, share_encoder=shared)
    half.learn(64, callback=lambda agent, metrics: False)
    half.save(tmp_path / "a.zip")
    name, kwargs = MAZE
    source = gym.make(name, **kwargs).spec.id
    resumed = agents.load(tmp_path / "a.zip", encoder=own, device="cpu")
    assert resumed.num_timesteps == 32
    assert source == name
    resumed.learn()
    assert_equal_weights(whole, resumed)
    assert resumed.config.encoder is given or resumed.config.encoder == given


@pytest.mark.parametrize("encoder", [*MEMORIES, *OWN])
def test_predict_carries_the_memory_that_training_has(encoder):
    agent = make(OWN.get(encoder, encoder))
    policy, generator = agent.policy, np.random.default_rng(0)
    observations = generator.integers(0, 4, (10, 3))
    starts = generator.random((10, 3)) < 0.3
    starts[0] = True
    state, actions = None, []
    for t in range(10):
        action, state = agent.predict(observations[t], state, starts[t])
        actions.append(action)
    x = torch.from_numpy(agent.codec.pack(observations.reshape(30)).reshape(10, 3, -1))
    action = torch.from_numpy(np.stack(actions))
    memory = policy.initial_state(3) if policy.recurrent else None
    found = policy.evaluate(x, action, memory, torch.from_numpy(starts))
    state = policy.initial_state(3)
    for t in range(10):
        step = policy.act(x[t], state, torch.from_numpy(starts[t]), None, deterministic=True)
        state = step.state
        torch.testing.assert_close(step.log_prob, found.log_prob[t], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(step.value, found.value[t], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ["gru", "s4d", "hopfield"])
def test_a_memory_that_is_not_finite_is_refused(encoder):
    agent = make(encoder)
    _, state = agent.predict(0)
    state[0, -1] = torch.nan
    with pytest.raises(EnvzooError, match="the state holds NaN or infinite numbers"):
        agent.predict(0, state)
    with pytest.raises(EnvzooError, match="the state is of shape"):
        agent.predict(0, state[:, 1:])


def test_own_modules_draw_from_the_agents_seed_alone():
    before = torch.random.get_rng_state()
    one, same, other = make(Wide, seed=1), make(Wide, seed=1), make(Wide, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert_equal_weights(one, same)
    assert not torch.equal(weights(one)[0], weights(other)[0])
    assert not torch.equal(
        one.policy.actor_encoder.module.net[0].weight, one.policy.critic_encoder.module.net[0].weight
    )


def test_the_sum_of_an_own_memory_is_worked_out_by_hand():
    encoder = encoders.make_encoder(Counter, make("mlp").codec, (), "tanh", torch.Generator())
    x = torch.tensor([[1], [0], [0], [3]], dtype=torch.int32)[:, None]
    start = torch.tensor([[True], [False], [True], [False]])
    y, state = encoder(x, encoder.initial_state(1), start)
    assert y[:, 0].tolist() == [[1, 2, 1, 1], [2, 2, 1, 1], [2, 1, 1, 1], [2, 1, 1, 2]]
    assert torch.equal(state, y[-1])


def test_a_file_holds_the_name_of_an_own_encoder_and_asks_for_it_again(tmp_path):
    path = tmp_path / "a.zip"
    make(Wide).save(path)
    assert checkpoint.read_header(path)["config"]["encoder"] == name_of(Wide)
    with pytest.raises(CheckpointError, match="Wide' in encoder, but a file may not import code; give the same class"):
        agents.load(path)
    with pytest.raises(CheckpointError, match=r"was trained with the encoder '.*Wide', not with '.*Counter'"):
        agents.load(path, encoder=Counter)
    with pytest.raises(EnvzooError, match="encoder of load is a class or function of your own, got 'mlp'"):
        agents.load(path, encoder="mlp")
    make("mlp").save(path)
    with pytest.raises(CheckpointError, match="was trained with the encoder 'mlp', not with"):
        agents.load(path, encoder=Wide)


def test_a_registered_encoder_has_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(encoders, "_OWN", {})
    register_encoder("counter", Counter)
    register_encoder("counter", Counter)  # a module that is imported twice
    assert is_recurrent("counter")
    agent = make("counter").learn(32)
    agent.save(tmp_path / "a.zip")
    assert_equal_weights(agents.load(tmp_path / "a.zip"), agent)
    monkeypatch.setattr(encoders, "_OWN", {})
    with pytest.raises(CheckpointError, match="names the encoder 'counter' in encoder"):
        agents.load(tmp_path / "a.zip")
    for name in ("gru", "auto", "two words", 3):
        with pytest.raises(EnvzooError, match="encoder"):
            register_encoder(name, Wide)
    with pytest.raises(EnvzooError, match="an encoder is a class or function"):
        register_encoder("mine", 3)


class Stateless(Counter):
    initial_state = None

    def __getattribute__(self, name):
        if name == "initial_state":
            raise AttributeError(name)
        return super().__getattribute__(name)


class Flat(nn.Module):
    def __init__(self, inputs):
        super().__init__()

    def forward(self, x):
        return x.sum()


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        (lambda inputs: 3, "returned 3; expected a torch.nn.Module"),
        (lambda: Wide(3), "cannot be made from 4 inputs"),
        (Stateless, "has a method step, but no initial_state"),
        (Flat, r"cannot process 4 inputs \(features of 2 observations have the shape \(2, outputs\)\)"),
        (lambda inputs: nn.Linear(inputs + 1, 2), "cannot process 4 inputs"),
        (3, "encoder of PPO expects str, got 3"),
    ],
)
def test_unusable_encoders_get_one_sentence(encoder, sentence):
    with pytest.raises(EnvzooError, match=sentence) as caught:
        make(encoder)
    assert len(str(caught.value).splitlines()) == 1


def test_names_and_agents_without_memory():
    with pytest.raises(UnknownNameError, match="'s4d'"):
        make("s4")
    assert [name for name in encoders.ENCODERS if is_recurrent(name)] == list(MEMORIES)
    assert not is_recurrent(Wide)
    assert is_recurrent(OWN["settings"])
    for encoder in ("s4d", Counter):
        with pytest.raises(EnvzooError, match="must be memoryless"):
            agents.make("AdversarialSurprise", "envzoo/BlockChain-v0", encoder=encoder)


@pytest.mark.parametrize("policy", MEMORIES)
def test_subpo_takes_every_memory(policy):
    grid = {"rows": 3, "columns": 3, "horizon": 4}
    agent = agents.make(
        "SubPO", "envzoo/GridCoverage-v0", env_kwargs=grid, num_envs=4, policy=policy, hidden=(8,), device="cpu"
    )
    before = weights(agent)
    agent.learn(32)
    assert any(not torch.equal(a, b) for a, b in zip(before, weights(agent), strict=True))
