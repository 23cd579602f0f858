"""Online fine-tuning of every agent that can go on in an environment after a dataset."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.checkpoint import _encode
from envzoo.agents.loops.fine_tuning import FineTunableAgent
from envzoo.agents.registry import agent_class
from envzoo.errors import CheckpointError, EnvzooError, UnknownNameError, UnsupportedSpaceError

_spec = spec_from_file_location("contract", Path(__file__).parents[1] / "test_contract.py")
contract = module_from_spec(_spec)
_spec.loader.exec_module(contract)
dataset = contract.dataset
FINE_TUNABLE = [name for name in agents.specs() if issubclass(agent_class(name), FineTunableAgent)]
each = pytest.mark.parametrize("name", FINE_TUNABLE)
LINE = "envzoo/LineWorld-v0"


def environment(name):
    return contract.GRID if "discrete" in agents.spec(name).actions else (LINE, {})


def online(name, dataset, num_envs=1, updates_per_step=1, **changes):
    """An agent after a few gradient steps on its dataset, in its environment."""
    agent = contract.make_example(name, dataset, **changes).learn(4)
    env_id, keywords = environment(name)
    return agent.set_source(env_id, env_kwargs=keywords, num_envs=num_envs, updates_per_step=updates_per_step)


def leaves(agent):
    arrays = {}
    return repr(_encode(agent.state_dict(), arrays)), [array.tobytes() for array in arrays.values()]


def test_every_actor_critic_can_go_on():
    assert {"TD3", "TD3BC", "PRDC", "IQL", "CQL", "AWAC", "ODICE", "MOPO"} <= set(FINE_TUNABLE)


@each
def test_steps_in_the_environment_follow_the_dataset(name, dataset):
    agent = online(name, dataset)
    logged, updates = len(agent.data.reward), []
    agent.learn(10, callback=lambda agent, metrics: updates.append(metrics))
    assert agent.num_timesteps == 14
    assert len(agent.replay) == 10
    assert len(agent.data.reward) == logged
    assert updates[-1]["replay/size"] == 10
    assert any(metric.startswith("loss/") for metric in updates[-1])
    assert all(torch.isfinite(column.float()).all() for column in agent.replay.rows(torch.arange(10)))


@each
def test_resume_is_exact(name, dataset, tmp_path):
    whole, part = online(name, dataset), online(name, dataset)
    whole.learn(12)
    before = part.iteration
    part.learn(12, callback=lambda agent, metrics: agent.iteration < before + 2)
    part.save(tmp_path / "agent.zip")
    assert part.num_timesteps < whole.num_timesteps
    again = agents.load(tmp_path / "agent.zip", contract.stand_in(name, dataset), device="cpu")
    again.learn()
    assert leaves(again) == leaves(whole)


@each
def test_several_environments(name, dataset):
    agent = online(name, dataset, num_envs=3)
    agent.learn(6)
    assert len(agent.replay) == 6
    assert agent.num_timesteps == 10


def test_batches_hold_both(dataset):
    agent = online("IQL", dataset, batch_size=4000).learn(8)
    logged, new = len(agent.data.reward), len(agent.replay)
    agent.replay._arrays.reward[:new] = 1e6
    share = float((agent.sample(torch.Generator().manual_seed(0)).reward == 1e6).float().mean())
    assert share == pytest.approx(new / (new + logged), abs=0.1)
    assert 0 < share < 1


def test_observations_of_new_transitions_are_normalised_like_the_data(dataset):
    agent = online("TD3", dataset, batch_size=2000).learn(20)
    agent.data = agent.data._make(column[:1] for column in agent.data)
    batch = agent.sample(torch.Generator().manual_seed(0))
    seen = torch.cat([agent.data.observation, agent.replay.rows(torch.arange(20)).observation])
    assert set(batch.observation.flatten().tolist()) == set(agent.normalizer(seen).flatten().tolist())


def test_rewards_of_the_environment_are_shaped(dataset):
    plain = online("TD3BC", dataset, policy_noise=0.0).learn(1)
    shaped = online("TD3BC", dataset, policy_noise=0.0, reward_scale=10.0, reward_shift=-2.0).learn(1)
    row = torch.tensor([0])
    assert torch.allclose(shaped.replay.rows(row).reward, 10 * plain.replay.rows(row).reward - 2)


def test_updates_per_step(dataset):
    agent = online("TD3", dataset, updates_per_step=3)
    before = agent.count.updates
    agent.learn(5)
    assert agent.count.updates == before + 15


class TwoMoves(gym.Wrapper):
    """At every step two of the five actions are allowed."""

    def mask(self):
        mask = np.zeros(5, np.int8)
        mask[[self.time % 5, (self.time + 2) % 5]] = 1
        return mask

    def reset(self, **keywords):
        self.time = 0
        observation, info = self.env.reset(**keywords)
        return observation, info | {"action_mask": self.mask()}

    def step(self, action):
        assert self.mask()[action]
        self.time += 1
        observation, *rest, info = self.env.step(action)
        return observation, *rest, info | {"action_mask": self.mask()}


@pytest.mark.parametrize("name", ["CQL", "IQL", "AWAC", "ODICE"])
def test_masks_of_the_environment_are_kept_and_respected(name, dataset):
    """The dataset has no masks, the environment gives them: logged rows allow everything."""
    agent = contract.make_example(name, dataset).learn(4)
    agent.set_source(lambda: TwoMoves(gym.make(contract.GRID[0], **contract.GRID[1])))
    columns = agent.data.observation.shape[1] - agent.codec.packed_dim
    assert columns == 5
    assert (agent.data.observation[:, -columns:] == 1).all()
    agent.learn(12)
    rows = agent.replay.rows(torch.arange(12))
    masks = rows.observation[:, -columns:]
    assert (masks.sum(dim=1) == 2).all()
    assert (masks.gather(1, rows.action[:, None]) == 1).all()
    assert (rows.next_observation[:, -columns:].sum(dim=1) == 2).all()


def test_td3_explores_with_noise(dataset):
    agent = online("TD3", dataset)
    x = agent.normalizer(agent.data.observation[:1]).expand(4000, -1)
    action = agent.explore(x, torch.Generator().manual_seed(0)).detach()
    inside = action[action.abs() < 1]
    mean = float(agent.actor(x[:1]).detach())
    assert abs(mean) < 0.5
    assert float((inside - mean).std()) == pytest.approx(0.1, abs=0.02)
    assert action.abs().max() <= 1


def test_a_model_is_left_alone_online(dataset):
    agent = online("MOPO", dataset)
    epochs, blocks = agent.model.facts.epochs, len(agent.imagined)
    agent.learn(10)
    assert (agent.model.facts.epochs, len(agent.imagined)) == (epochs, blocks)
    assert float(agent.batch_penalty) == 0


def test_a_second_environment_keeps_the_transitions(dataset):
    agent = online("IQL", dataset).learn(5)
    env_id, keywords = environment("IQL")
    agent.set_source(env_id, env_kwargs=keywords).learn(5)
    assert len(agent.replay) == 10


def test_refusals(dataset, tmp_path):
    agent = contract.make_example("TD3", dataset)
    with pytest.raises(UnsupportedSpaceError, match=r"PointMazeStitch-v0 has the observation space .*, but dataset"):
        agent.set_source("envzoo/PointMazeStitch-v0")
    with pytest.raises(UnsupportedSpaceError, match="TD3 takes an environment"):
        agent.set_source(dataset["continuous"])
    with pytest.raises(UnknownNameError, match="did you mean"):
        agent.set_source("envzoo/LineWrld-v0")
    for name in ("num_envs", "updates_per_step", "buffer_size"):
        with pytest.raises(EnvzooError, match=f"{name} is 0; expected a whole number"):
            agent.set_source(LINE, **{name: 0})
    assert agent.experience is None
    agent.set_source(lambda: gym.make(LINE)).learn(2)
    agent.save(tmp_path / "agent.zip")
    with pytest.raises(CheckpointError, match="an environment without an id"):
        agents.load(tmp_path / "agent.zip", dataset["continuous"], device="cpu")


def test_prdc_finds_neighbours_of_new_transitions(dataset):
    agent = online("PRDC", dataset).learn(6)
    rows = agent.replay.rows(torch.arange(6))
    far = rows._replace(observation=agent.normalizer(rows.observation) + 50.0)
    anchor = agent.anchor(far, torch.zeros_like(rows.action))
    assert np.isin(anchor.numpy(), agent.data.action.numpy()).all()


@pytest.mark.parametrize(
    "name", [n for n, row in agents.specs().items() if row.sources == ("dataset",) and "discrete" in row.actions]
)
def test_agents_of_datasets_take_allowed_actions_only(name, dataset):
    """Whatever the mask, at the same observations."""
    agent = contract.make_example(name, dataset)
    observation = agent.source.observation_space.sample()
    rows = np.stack([observation] * 5)
    for deterministic in (True, False):
        action, _ = agent.predict(rows, action_mask=np.eye(5, dtype=np.int8), deterministic=deterministic)
        assert action.tolist() == [0, 1, 2, 3, 4]


def test_conservative_values_are_over_allowed_actions(dataset):
    agent = contract.make_example("CQL", dataset)
    batch = agent.sample(torch.Generator().manual_seed(0))
    batch = batch._replace(action=batch.action % 2)
    mask = torch.zeros(len(batch.reward), 5)
    mask[:, :2] = 1
    masked = batch._replace(
        observation=torch.cat([batch.observation, mask], dim=1),
        next_observation=torch.cat([batch.next_observation, mask], dim=1),
    )
    best = agent.target(batch.next_observation).min(dim=0).values[:, :2].max(dim=1).values
    expected = batch.reward + agent.config.gamma * (1 - batch.terminated) * best
    assert torch.allclose(agent.target_values(masked), expected)
    values = agent.critics(batch.observation).detach()
    logged = values.gather(-1, batch.action.expand(2, -1)[..., None])[..., 0]
    expected = float((values[..., :2].logsumexp(dim=-1) - logged).mean(dim=1).sum())
    assert float(agent.update(masked)["loss/conservative"]) == pytest.approx(expected, rel=1e-5)
