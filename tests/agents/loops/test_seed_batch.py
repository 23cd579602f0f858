"""Seeds as a batch: every member is what it would be alone, whatever the other members are."""

import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.loops.seed_batch import SeedBatch, can_batch, learn_together
from envzoo.agents.losses.noise import MemberGenerators, normal_like
from envzoo.agents.registry import agent_class, specs
from envzoo.errors import EnvzooError, NonFiniteError
from envzoo.scripts.make_dataset import make_dataset

STRIPED, LAKE = "envzoo/line-world/striped-v0", "envzoo/slip-lake/eps40-v0"
BATCHED = [name for name in specs() if getattr(agent_class(name), "seed_batch", False)]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # products of one and of several seeds round differently


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        for dataset_id in (STRIPED, LAKE):
            make_dataset(dataset_id, quiet=True, episodes=60)
        yield


def make(name, seed=0, source=STRIPED, **more):
    settings = {"hidden": (8, 8), "batch_size": 16, "steps_per_iteration": 4} | more
    agent = agents.make(name, source, seed=seed, device="cpu", threads=1, **settings)
    agent.closed_form = None  # as on a GPU: closed forms take their steps in turn, see the last test
    return agent


def same(one, other):
    """Compare everything that is saved; numbers up to rounding, generators exactly."""

    def compare(a, b, path):
        if isinstance(a, dict):
            assert a.keys() == b.keys(), path
            for key in a:
                compare(a[key], b[key], (*path, key))
        elif isinstance(a, torch.Tensor) and a.is_floating_point():
            torch.testing.assert_close(a, b, **CLOSE, msg=lambda text: f"{path}: {text}")
        else:
            assert np.array_equal(np.asarray(a), np.asarray(b)), path

    compare(one.state_dict(), other.state_dict(), ())


def test_the_baselines_can_be_batched():
    assert set(BATCHED) >= {"TD3", "TD3BC", "IQL", "BC", "FilteredBC"}
    assert "PRDC" not in BATCHED


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("source", [STRIPED, LAKE])
def test_members_are_as_if_alone(name, source):
    if source == LAKE and "discrete" not in specs()[name].actions:
        pytest.skip("takes Box actions")
    rows = [[] for _ in range(3)]
    alone = [make(name, seed, source) for seed in (3, 4, 5)]
    for agent, seen in zip(alone, rows, strict=True):
        agent.learn(10, lambda agent, metrics, seen=seen: seen.append(metrics))
    together, others = [make(name, seed, source) for seed in (3, 4, 5)], [[] for _ in range(3)]
    learn_together(together, [10] * 3, [[lambda agent, metrics, seen=seen: seen.append(metrics)] for seen in others])
    for agent, other in zip(alone, together, strict=True):
        same(agent, other)
    for mine, theirs in zip(rows, others, strict=True):
        assert len(mine) == len(theirs) == 3
        for metrics, more in zip(mine, theirs, strict=True):
            assert metrics.keys() == more.keys()
            for key in metrics.keys() - {"time/steps_per_second"}:
                assert more[key] == pytest.approx(metrics[key], rel=1e-3, abs=1e-5), key
    x = np.stack([together[0].source.observation_space.sample() for _ in range(5)])
    assert np.allclose(alone[1].predict(x)[0], together[1].predict(x)[0], atol=1e-4)


@pytest.mark.parametrize("name", BATCHED)
def test_the_number_of_members_does_not_matter(name):
    two, one = [make(name, seed) for seed in (8, 9)], make(name, 9)
    learn_together(two, [9, 9])
    learn_together([one], [9])
    same(two[1], one)


def test_seeds_differ():
    one, other = make("TD3BC", 0), make("TD3BC", 1)
    learn_together([one, other], [5, 5])
    assert not torch.equal(one.actor_optimizer.flat, other.actor_optimizer.flat)


def test_a_member_is_saved_loaded_and_goes_on_alone(tmp_path):
    members = [make("IQL", seed) for seed in (1, 2)]
    learn_together(members, [8, 8])
    members[1].save(tmp_path / "one.zip")
    loaded = agents.load(tmp_path / "one.zip", STRIPED)
    assert loaded.seed == 2
    alone = make("IQL", 2).learn(8)
    same(loaded, alone)
    same(loaded.learn(6), alone.learn(6))
    members[0].learn(6)  # a former member trains by itself
    same(members[0], make("IQL", 1).learn(8).learn(6))


def test_a_member_that_is_behind_catches_up():
    ahead, behind = make("TD3BC", 1), make("TD3BC", 2)
    ahead.learn(8)
    behind.target_timesteps = 8
    learn_together([ahead, behind], [4, 12])
    assert (ahead.num_timesteps, behind.num_timesteps) == (12, 12)
    alone = make("TD3BC", 1)
    alone.learn(8)
    same(ahead, alone.learn(4))
    same(behind, make("TD3BC", 2).learn(12))


def test_a_member_that_stops_leaves_the_others_alone():
    members = [make("BC", seed) for seed in (1, 2)]
    learn_together(members, [12, 12], [[lambda agent, metrics: agent.num_timesteps < 4], []])
    assert [agent.num_timesteps for agent in members] == [4, 12]
    same(members[1], make("BC", 2).learn(12))


def test_a_member_whose_loss_is_not_finite_is_named():
    members = [make("BC", seed) for seed in (1, 2)]
    with torch.no_grad():
        members[1].optimizer.flat.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match=r"loss/policy became nan in iteration 1 .*of BC"):
        learn_together(members, [12, 12])


def test_refusals():
    with pytest.raises(EnvzooError, match="PRDC with these hyperparameters cannot be trained as a batch of seeds"):
        learn_together([make("PRDC")], [4])
    with pytest.raises(EnvzooError, match="cannot be trained as a batch"):
        SeedBatch([make("TD3BC", activation="tanh")])
    with pytest.raises(EnvzooError, match="one class, device, config and dataset"):
        SeedBatch([make("TD3BC"), make("TD3BC", 1, gamma=0.5)])
    with pytest.raises(EnvzooError, match="one class, device, config and dataset"):
        SeedBatch([make("IQL"), make("BC", 1)])
    with pytest.raises(EnvzooError, match="at least one agent"):
        SeedBatch([])
    assert not can_batch(agent_class("CQL"), agent_class("CQL").Config())


def test_noise_of_several_runs_is_that_of_each():
    generators = MemberGenerators(torch.Generator().manual_seed(seed) for seed in (4, 5))
    x = torch.zeros(2, 3, 7)
    together = torch.func.vmap(lambda row: normal_like(row, generators))(x)
    alone = [normal_like(x[0], torch.Generator().manual_seed(seed)) for seed in (4, 5)]
    assert torch.equal(together, torch.stack(alone))


@pytest.mark.parametrize("name", ["TD3", "TD3BC", "IQL"])
def test_closed_forms_take_their_steps_in_turn(name):
    """Every member is bit for bit what it would be alone."""

    def closed(seed):
        agent = agents.make(name, STRIPED, seed=seed, device="cpu", hidden=(8, 8), batch_size=16, steps_per_iteration=4)
        assert agent.closed_form is not None
        return agent

    together, rows, alone = [closed(seed) for seed in (3, 4)], [[], []], []
    learn_together(together, [10, 10], [[lambda agent, metrics, seen=seen: seen.append(metrics)] for seen in rows])
    for member, seen in zip(together, rows, strict=True):
        learner = closed(member.seed).learn(10, lambda agent, metrics: alone.append(metrics))
        for key, optimizer in vars(learner).items():
            if key.endswith("optimizer"):
                assert torch.equal(optimizer.flat, getattr(member, key).flat), key
        for mine, theirs in zip(seen, alone, strict=True):
            assert mine | {"time/steps_per_second": 0} == theirs | {"time/steps_per_second": 0}
        alone.clear()
    assert together[0].data is together[1].data
