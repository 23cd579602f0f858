"""Every agent that takes encoders with a memory, with every one of them: acting, saving, resuming, 8-bit optimizers."""

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents import checkpoint
from envzoo.agents.networks.encoders import MEMORIES
from envzoo.errors import EnvzooError, UnknownNameError
from tests.agents.test_resume import assert_same_state

SHAPE = {"hidden": (8,), "batch_size": 16, "device": "cpu", "seed": 3}
REPLAY = {"sequence_length": 4, "burn_in": 2, "buffer_size": 300, "num_envs": 2, "learning_starts": 30}
REPLAY |= {"train_frequency": 4, "gradient_steps": 1}
WORLDS = {
    "PPO": ("envzoo/TMaze-v0", {"num_envs": 2, "num_steps": 8, "num_epochs": 1, "minibatch_size": 16}),
    "SACDiscrete": ("envzoo/TMaze-v0", REPLAY),
    "DQN": ("envzoo/TMaze-v0", REPLAY),
    "SAC": ("envzoo/PointMultiGoal-v0", REPLAY),
    "BC": ("envzoo/grid-coverage/random-v0", {"sequence_length": 4, "steps_per_iteration": 12}),
}


def make(name, encoder, **changed):
    source, settings = WORLDS[name]
    shape = {key: value for key, value in SHAPE.items() if name != "PPO" or key != "batch_size"}
    return agents.make(name, source, encoder=encoder, **(shape | settings | changed))


def observations(agent, steps, count):
    space = agent.source.observation_space
    space.seed(0)
    return [np.stack([space.sample() for _ in range(count)]) for _ in range(steps)]


@pytest.mark.parametrize("encoder", MEMORIES)
@pytest.mark.parametrize("name", WORLDS)
def test_a_resumed_run_equals_an_uninterrupted_one(name, encoder, tmp_path, datasets_root):
    agent = make(name, encoder, optimizer="adam8bit").learn(60)
    agent.save(tmp_path / "agent.zip")
    agent.learn(24)
    again = agents.load(tmp_path / "agent.zip", device="cpu").learn(24)
    assert_same_state(agent.state_dict(), again.state_dict())


@pytest.mark.parametrize("name", WORLDS)
def test_the_statistics_of_an_8_bit_optimizer_stay_in_8_bits(name, tmp_path, datasets_root):
    agent = make(name, "auto", optimizer="adam8bit", hidden=(72, 72)).learn(60)  # of small tensors they stay exact
    agent.save(tmp_path / "agent.zip")
    for parts in (agent.state_dict()["parts"], checkpoint.read(tmp_path / "agent.zip")[1]["parts"]):
        states = [part["state"] for key, part in parts.items() if "optimizer" in key]
        assert states
        for state in states:
            arrays = [np.asarray(value) for tensor in state.values() for value in tensor.values()]
            assert max(arrays, key=lambda array: array.size).dtype == np.uint8
    again = agents.load(tmp_path / "agent.zip", device="cpu")
    assert_same_state(agent.learn(24).state_dict(), again.learn(24).state_dict())


@pytest.mark.parametrize("staleness", [0, 1])  # a stale policy is known by the steps of its optimizer
def test_a_language_model_learns_with_8_bit_statistics(tmp_path, staleness):
    sizes = {"num_prompts": 16, "group_size": 8, "num_minibatches": 2, "staleness": staleness, "warm_up_updates": 80}
    shape = {"warm_up_batch": 64, "warm_up_cache": False, "seed": 3, "device": "cpu"}
    agent = agents.make("GRPO", "envzoo/TextSumTo-v1", optimizer="adamw8bit", **sizes, **shape).learn(1500)
    agent.save(tmp_path / "agent.zip")
    state = agent.state_dict()["parts"]["optimizer"]["state"]
    tensors = [value for row in state.values() for value in row.values() if isinstance(value, torch.Tensor)]
    assert sum(tensor.numel() for tensor in tensors if tensor.dtype == torch.uint8) > 10_000
    again = agents.load(tmp_path / "agent.zip", device="cpu")
    assert_same_state(agent.learn(600).state_dict(), again.learn(600).state_dict())
    with pytest.raises(UnknownNameError, match="'adamw8bit'"):
        agents.make("GRPO", "envzoo/TextSumTo-v1", optimizer="adamw8bits", device="cpu")


@pytest.mark.parametrize("encoder", MEMORIES)
@pytest.mark.parametrize("name", WORLDS)
def test_the_state_of_predict_is_the_memory_of_the_episode(name, encoder, datasets_root):
    agent = make(name, encoder).learn(40)
    seen = observations(agent, 4, 3)
    # Together, and each episode for itself.
    state, together = None, []
    for t, batch in enumerate(seen):
        action, state = agent.predict(batch, state, np.full(3, t == 0))
        together.append(action)
    for b in range(3):
        own = None
        for t, batch in enumerate(seen):
            action, own = agent.predict(batch[b], own)
            np.testing.assert_allclose(action, together[t][b], atol=1e-5)
    # A start makes the memory that of a new episode; what came before leaves no trace.
    torch.testing.assert_close(
        agent.predict(seen[0], state, np.ones(3, bool))[1], agent.predict(seen[0])[1], atol=1e-6, rtol=1e-5
    )
    assert not torch.equal(agent.predict(seen[0], state, np.zeros(3, bool))[1], agent.predict(seen[0])[1])
    with pytest.raises(EnvzooError, match="NaN or infinite"):
        agent.predict(seen[0], torch.full_like(state, torch.nan), np.zeros(3, bool))
    with pytest.raises(EnvzooError, match="of shape"):
        agent.predict(seen[0][:2], state, np.zeros(2, bool))


@pytest.mark.parametrize("name", WORLDS)
def test_unknown_names_and_encoders_of_other_observations(name, datasets_root):
    with pytest.raises(UnknownNameError, match="'s4d'"):
        make(name, "s4dd")
    with pytest.raises(UnknownNameError, match="'adam8bit'"):
        make(name, "gru", optimizer="adam8bits")
    with pytest.raises(EnvzooError, match="image"):
        make(name, "efficient_vmamba")
    with pytest.raises(EnvzooError, match="image"):
        make(name, "cnn")


TABULAR = [name for name in agents.specs() if agents.spec(name).entry_point.startswith("envzoo.agents.tabular.")]


@pytest.mark.parametrize("name", TABULAR)
def test_tabular_agents_take_no_encoder(name):
    row = agents.spec(name)
    with pytest.raises(UnknownNameError, match=f"unknown hyperparameter of {name} 'encoder'; expected one of"):
        agents.make(name, row.example.source, env_kwargs=row.example.env_kwargs, encoder="s4d", device="cpu")


class Forgetful(torch.nn.Module):
    """A module of a user's own: remembers the last two inputs."""

    def __init__(self, inputs):
        super().__init__()
        self.layer, self.inputs = torch.nn.Linear(2 * inputs, 8), inputs

    def initial_state(self, num_envs):
        return torch.zeros(num_envs, self.inputs)

    def step(self, x, state, start):
        state = state if start is None else state * ~start[:, None]
        return torch.tanh(self.layer(torch.cat([x, state], dim=1))), x


@pytest.mark.parametrize("name", WORLDS)
def test_a_module_of_ones_own_as_the_encoder(name, datasets_root, tmp_path):
    agent = make(name, Forgetful).learn(60)
    agent.save(tmp_path / "agent.zip")
    again = agents.load(tmp_path / "agent.zip", encoder=Forgetful, device="cpu")
    assert_same_state(agent.learn(24).state_dict(), again.learn(24).state_dict())
