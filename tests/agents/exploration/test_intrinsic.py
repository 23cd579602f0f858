"""Intrinsic rewards against closed forms."""

import math

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.exploration.apt import neighbour_reward
from envzoo.agents.exploration.base import RunningScale
from envzoo.agents.exploration.count import CountTable, hash_rows
from envzoo.agents.loops.intrinsic import INTRINSICS
from envzoo.errors import UnknownNameError


def make(intrinsic, agent="PPO", **changes):
    settings = {"num_envs": 2, "num_steps": 8, "hidden": (8,), "num_epochs": 1, **changes}
    return agents.make(agent, "envzoo/BlockChain-v0", seed=0, device="cpu", intrinsic=intrinsic, **settings)


def batch(agent):
    rollout = agent.collect()
    valid = torch.from_numpy(rollout.valid)
    return [part[valid] for part in (rollout.observation, rollout.action, rollout.next_observation)]


@pytest.mark.parametrize("name", sorted(INTRINSICS))
def test_ppo_takes_every_intrinsic_reward_by_name(name):
    agent = make(name).learn(16)
    assert agent.iteration == 1
    observation, action, following = batch(agent)
    count = 2 if name == "episodic_count" else len(observation)
    reward = agent.intrinsic.intrinsic(observation[:count], action[:count], following[:count])
    assert reward.shape == (count,)
    assert torch.isfinite(reward).all()


def test_other_on_policy_agents_take_them_too():
    agent = agents.make("SubPO", "envzoo/GridCoverage-v0", seed=0, device="cpu", num_envs=2, intrinsic="count")
    assert agent.learn(40).intrinsic.table.used > 0


def test_an_unknown_intrinsic_reward():
    with pytest.raises(UnknownNameError, match=r"unknown intrinsic reward 'rdn'.*did you mean 'rnd'"):
        make("rdn")


def test_coefficients():
    agent = make("rnd", intrinsic_coefficient=2.0, extrinsic_coefficient=0.0)
    rollout = agent.collect()
    agent.intrinsic.update = lambda rollout: {}
    agent._add_intrinsic(rollout)
    errors = agent.intrinsic.errors(rollout.next_observation.reshape(-1, rollout.next_observation.shape[-1]))
    errors = errors.detach().numpy().reshape(rollout.reward.shape)
    assert np.allclose(rollout.reward, 2 * errors / errors.std(), rtol=1e-4)


def test_a_student_equal_to_its_teacher_is_not_curious():
    agent = make("rnd")
    module = agent.intrinsic
    module.student.load_state_dict(module.target.state_dict())
    observation, action, following = batch(agent)
    assert not module.intrinsic(observation, action, following).any()


def test_rnd_wears_off():
    agent = make("rnd")
    rollout = agent.collect()
    before = agent.intrinsic.errors(rollout.next_observation[:, 0]).mean().item()
    for _ in range(300):
        agent.intrinsic.update(rollout)
    assert agent.intrinsic.errors(rollout.next_observation[:, 0]).mean().item() < 0.2 * before


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4])
def test_distances_of_points_close_together_and_far_from_the_origin(spread):
    generator = torch.Generator().manual_seed(0)
    points = 1.0 + spread * torch.rand(200, 16, generator=generator)
    exact = neighbour_reward(points.double(), 12)
    torch.testing.assert_close(neighbour_reward(points, 12).double(), exact, rtol=1e-5, atol=0)
    same = points[:1].expand(200, 16)
    assert not neighbour_reward(same, 12).any()


def test_nearest_neighbours_by_hand():
    points = torch.tensor([[0.0], [1.0], [3.0]])
    expected = [math.log1p(0.5), math.log1p(0.5), math.log1p(1.0)]  # with the point itself at distance 0
    assert torch.allclose(neighbour_reward(points, 2), torch.tensor(expected))
    assert torch.allclose(neighbour_reward(points, 12)[0], torch.tensor(math.log1p(4 / 3)))


def test_an_undecided_discriminator_pays_nothing():
    agent = make("diayn")
    with torch.no_grad():
        for parameter in agent.intrinsic.network["head"].parameters():
            parameter.zero_()
    assert torch.allclose(agent.intrinsic.intrinsic(*batch(agent)), torch.zeros(1), atol=1e-6)
    with torch.no_grad():
        agent.intrinsic.network["head"].bias[:] = -1e4
        agent.intrinsic.network["head"].bias[3] = 0.0
    observation, action, following = batch(agent)
    observation[:, -16:] = 0
    observation[:, -13] = 1  # skill 3
    assert torch.allclose(agent.intrinsic.intrinsic(observation, action, following), torch.tensor(math.log(16)))


def test_equal_models_do_not_disagree():
    agent = make("disagreement")
    with torch.no_grad():
        for parameter in agent.intrinsic.network["models"].parameters():
            parameter[:] = parameter[:1]
    assert torch.allclose(agent.intrinsic.intrinsic(*batch(agent)), torch.zeros(1), atol=1e-9)


def test_curiosity_is_the_logarithm_of_the_error():
    agent = make("icm")
    observation, action, following = batch(agent)
    with torch.no_grad():
        for name in ("next", "features"):
            for parameter in agent.intrinsic.network[name].parameters():
                parameter.zero_()
        agent.intrinsic.network["next"].bias[:2] = torch.tensor([3.0, 4.0])
    assert torch.allclose(agent.intrinsic.intrinsic(observation, action, following), torch.tensor(math.log(6.0)))


def test_an_adversary_that_is_the_actor_foresees_everything():
    agent = make("agac")
    with torch.no_grad():
        for head in (agent.policy.actor_head, agent.intrinsic.network["head"]):
            head.weight.zero_()
            head.bias[:] = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert torch.allclose(agent.intrinsic.reward(agent.collect()), torch.zeros(1), atol=1e-5)


def test_the_adversary_moves_advantages_and_targets_but_no_rewards(monkeypatch):
    """A' = A + c b and the critic's target V + A + c b, where A comes from the environment's rewards alone."""
    agent = make("agac", intrinsic_coefficient=0.5, extrinsic_coefficient=2.0, gamma=0.9, gae_lambda=1.0)
    rollout, seen = agent.collect(), {}
    rollout.reward[:] = 1.0
    bonus = 0.5 * agent.intrinsic.reward(rollout).numpy()
    assert np.abs(bonus).max() > 1e-4
    agent._add_intrinsic(rollout)
    assert (rollout.reward == 2.0).all()
    monkeypatch.setattr(agent, "_transitions", lambda _, a, r: seen.update(a=a.numpy(), r=r.numpy()) or iter(()))
    with pytest.raises(ZeroDivisionError):  # no minibatch, so no means to log
        agent.update(rollout)
    plain = np.zeros_like(bonus)
    after = np.zeros(2, np.float32)
    for t in reversed(range(len(bonus))):
        after = 2.0 + 0.9 * rollout.next_value[t] - rollout.value[t] + 0.9 * after
        plain[t] = after
    np.testing.assert_allclose(seen["a"], plain + bonus, rtol=1e-5)
    np.testing.assert_allclose(seen["r"], plain + rollout.value + bonus, rtol=1e-5)


def test_without_a_critic_the_adversary_pays_a_reward():
    agent = agents.make("SubPO", "envzoo/GridCoverage-v0", seed=0, device="cpu", num_envs=2, intrinsic="agac")
    rollout = agent.collect()
    rollout.reward[:] = 0.0
    expected = agent.intrinsic.reward(rollout).numpy()
    agent._add_intrinsic(rollout)
    np.testing.assert_allclose(rollout.reward, expected, rtol=1e-6)
    assert rollout.bonus is None


def test_counts_against_a_dictionary():
    generator, table, seen = np.random.default_rng(0), CountTable(16), {}
    for _ in range(20):
        rows = generator.integers(0, 7, (30, 3)).astype(np.int32)
        expected = []
        for row in rows.tolist():
            seen[tuple(row)] = seen.get(tuple(row), 0) + 1
            expected.append(seen[tuple(row)])
        assert table.count(hash_rows(rows)).tolist() == expected
    assert table.used == len(seen)


def test_episodic_counts_begin_anew():
    agent = make("episodic_count", num_steps=70)
    rollout = agent.collect()
    found = agent.intrinsic.reward(rollout).numpy()
    for b in range(2):
        seen = {}
        for t in range(70):
            if rollout.start[t, b]:
                seen = {}
            row = tuple(rollout.next_observation[t, b].tolist())
            seen[row] = seen.get(row, 0) + 1
            assert np.isclose(found[t, b], seen[row] ** -0.5)


def test_running_scale_is_the_deviation_of_everything():
    scale, values = RunningScale(), torch.arange(10.0)
    for part in values.split(3):
        scale.update(part)
    assert math.isclose(scale.std, float(values.numpy().std()), rel_tol=1e-6)
