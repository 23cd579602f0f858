"""Behavioural cloning and the offline loop."""

import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.loops.episode_streams import EpisodeStreams
from envzoo.agents.loops.replay import Batch
from envzoo.datasets import load_minari
from envzoo.datasets.collector import collect, write
from envzoo.datasets.table import TransitionTable
from envzoo.errors import EnvzooError, UnsupportedSpaceError

GRID = "envzoo/GridCoverage-v0"
SMALL = {"rows": 3, "columns": 3, "radius": 0, "horizon": 6, "start": "random"}
# The expert: an action for each cell and move number, with no pattern to guess.
TABLE = np.random.default_rng(0).integers(0, 5, (9, 7))


def expert(observation, state, start, deterministic):
    return TABLE[observation[:, 0], observation[:, 1]], None


def stay(observation, state, start, deterministic):
    return np.zeros(len(observation), np.int64), None


def linear(observation, state, start, deterministic):
    """A continuous expert within (-2, 2)."""
    return np.clip(observation[:, :1] - observation[:, 2:] / 8, -2, 2).astype(np.float32), None


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory):
    """A Minari root with three small datasets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        rest = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
        chosen = collect(GRID, expert, episodes=60, seed=0, env_kwargs=SMALL)
        write("test/expert-v0", chosen, env_id=GRID, env_kwargs=SMALL, **rest)
        mixed = collect(GRID, stay, episodes=30, seed=0, env_kwargs=SMALL) + chosen[:1]
        write("test/mixed-v0", mixed, env_id=GRID, env_kwargs=SMALL, **rest)
        write("test/pendulum-v0", collect("Pendulum-v1", linear, episodes=5, seed=0), env_id="Pendulum-v1", **rest)
        yield


def make(source="test/expert-v0", **hyperparameters):
    settings = {"hidden": (32,), "batch_size": 64, "learning_rate": 1e-2, "steps_per_iteration": 50}
    return agents.make("BC", source, device="cpu", **(settings | hyperparameters))


def test_recovers_the_experts_table():
    agent = make().learn(800)
    assert agent.num_timesteps == 800
    # On every state of the data, which the deterministic expert visits with one action each.
    rows = agent.data.observation.numpy()
    seen = np.unique(rows, axis=0)
    action, _ = agent.predict(seen)
    assert action.tolist() == TABLE[seen[:, 0], seen[:, 1]].tolist()
    assert agent.predict(seen[0])[0] == action[0]  # one observation, one action
    # It plays like the expert: from the same seeds, the same returns.
    played = [float(b.rewards.sum()) for b in collect(GRID, expert, episodes=20, seed=0, env_kwargs=SMALL)]
    cloned = collect(GRID, agent.predict, episodes=20, seed=0, env_kwargs=SMALL, deterministic=True)
    assert [float(b.rewards.sum()) for b in cloned] == played


def test_evaluates_in_the_datasets_environment():
    result = evaluate(make(), episodes=7)
    assert result.lengths.tolist() == [6] * 7
    assert "coverage" in result.infos
    env = make("test/pendulum-v0").source.evaluation_env(2)
    assert env.num_envs == 2
    assert env.spec is None or env.spec.id == "Pendulum-v1"


def test_top_fraction_keeps_the_best_trajectories():
    every, best = make("test/mixed-v0"), make("test/mixed-v0", top_fraction=0.01)
    assert len(every.data.reward) == 31 * 6
    assert len(best.data.reward) == 6  # at least one trajectory
    assert best.data.reward.sum() == every.data.reward.sum() > 0  # the one that moves


def test_discrete_loss_is_minus_log_likelihood():
    agent = make()
    batch = agent.sample(torch.Generator().manual_seed(0))
    loss, metrics = agent.loss(batch)
    # The first policy is nearly uniform over 5 actions.
    assert loss.item() == pytest.approx(math.log(5), abs=0.02)
    assert float(metrics["policy/entropy"]) == pytest.approx(math.log(5), abs=0.02)
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0, 0.5])
    with torch.no_grad():
        agent.policy.actor_head.weight.zero_()
        agent.policy.actor_head.bias.copy_(logits)
    expected = torch.logsumexp(logits.double(), 0) - logits.double()[batch.action].mean()
    assert agent.loss(batch)[0].item() == pytest.approx(expected.item(), rel=1e-6)


def constant(agent, value):
    with torch.no_grad():
        for parameter in (agent.policy.head if agent.deterministic else agent.policy.actor_head).parameters():
            parameter.zero_()
        bias = (agent.policy.head if agent.deterministic else agent.policy.actor_head).bias
        bias.fill_(value)


def test_box_losses_in_closed_form():
    agent = make("test/pendulum-v0")
    assert agent.deterministic
    batch = agent.sample(torch.Generator().manual_seed(0))
    assert batch.action.abs().max() <= 1  # torques within 2, scaled
    constant(agent, 0.5)
    expected = (math.tanh(0.5) - batch.action.double()).square().mean()
    assert agent.loss(batch)[0].item() == pytest.approx(expected.item(), rel=1e-5)
    assert agent.predict(np.zeros((3, 3), np.float32))[0] == pytest.approx(np.full((3, 1), 2 * math.tanh(0.5)))
    agent = make("test/pendulum-v0", loss="log_prob")
    batch = agent.sample(torch.Generator().manual_seed(0))
    constant(agent, 0.5)
    z = batch.action.double() - 0.5
    expected = (0.5 * z.square() + 0.5 * math.log(2 * math.pi)).mean()
    assert agent.loss(batch)[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_clones_a_continuous_expert():
    agent = make("test/pendulum-v0", activation="tanh").learn(600)
    data = agent.data
    predicted, _ = agent.predict(data.observation.numpy())
    expected = linear(data.observation.numpy(), None, None, True)[0]
    assert np.abs(predicted - expected).mean() < 0.05
    assert gym.make("Pendulum-v1").action_space.contains(predicted[0])


def test_observations_are_normalised_for_the_networks_only():
    agent = make("test/pendulum-v0")
    rows = agent.data.observation
    seen = agent.normalizer(rows)
    assert seen.mean(dim=0).abs().max() < 1e-4
    assert (seen.std(dim=0, correction=0) - 1).abs().max() < 0.01
    raw = make("test/pendulum-v0", normalize_observations=False)
    assert torch.equal(raw.normalizer(rows), rows)
    assert torch.equal(raw.data.observation, rows)
    batch = agent.sample(torch.Generator().manual_seed(3))
    plain = raw.sample(torch.Generator().manual_seed(3))
    assert isinstance(batch, Batch)
    assert torch.equal(batch.next_observation, agent.normalizer(plain.next_observation))


@pytest.mark.parametrize("source", ["test/expert-v0", "test/pendulum-v0"])
def test_goes_on_bit_for_bit_after_saving(source, tmp_path):
    whole = make(source).learn(240)
    half = make(source).learn(120)
    half.save(tmp_path / "half.zip")
    resumed = agents.load(tmp_path / "half.zip", device="cpu").learn(120)
    assert resumed.num_timesteps == whole.num_timesteps == 240
    assert not resumed.notices
    for (name, a), b in zip(whole.policy.state_dict().items(), resumed.policy.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    rows = whole.data.observation[:9].numpy()
    assert np.array_equal(whole.predict(rows)[0], resumed.predict(rows)[0])


def test_resuming_on_other_data_is_noticed(tmp_path):
    make().learn(10).save(tmp_path / "agent.zip")
    resumed = agents.load(tmp_path / "agent.zip", "test/mixed-v0", device="cpu")
    assert len(resumed.notices) == 1
    assert "the dataset differs" in resumed.notices[0]


def test_budgets_are_counted_in_gradient_steps():
    agent = make().learn(70)
    assert (agent.num_timesteps, agent.iteration) == (70, 2)  # 50 and 20


def test_a_part_of_a_dataset_is_a_source():
    part = load_minari("test/mixed-v0").filter_episodes(lambda episode: episode.rewards.sum() > 0)
    assert len(part) == 1
    assert len(make(part).data.reward) == 6


def test_refusals():
    with pytest.raises(UnsupportedSpaceError, match="BC takes a dataset, but"):
        agents.make("BC", GRID)
    with pytest.raises(UnsupportedSpaceError, match="loss='mse' takes Box actions"):
        make(loss="mse")
    for name, value in (("top_fraction", 0.0), ("batch_size", 0), ("learning_rate", 0.0), ("gamma", 2.0)):
        with pytest.raises(EnvzooError, match=f"{name} of BC"):
            make(**{name: value})


# ------------------------------------------------------------------ memory

CARDS = "envzoo/RepeatFirst-v0"


def remember(observation, state, start, deterministic):
    """Name the first card of the episode."""
    first = observation if state is None else np.where(start, observation, state)
    return first, first


@pytest.fixture(scope="module")
def cards():
    found = collect(CARDS, remember, episodes=40, seed=0)
    rest = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    write("test/cards-v0", found, env_id=CARDS, **rest)
    return "test/cards-v0"


def test_a_memory_clones_an_expert_with_one(cards):
    """The first card is one of four suits, and later cards say nothing about it."""
    settings = {"encoder": "lru", "hidden": (32,), "batch_size": 512, "sequence_length": 51}
    agent = make(cards, **settings).learn(300)
    fresh = TransitionTable.from_episodes(
        [
            (e.observations, e.actions, e.rewards, e.terminations, e.truncations)
            for e in collect(CARDS, remember, episodes=20, seed=9)
        ]
    )
    right, state = [], None
    for observation, action, step in zip(fresh.observations, fresh.actions, fresh.step, strict=True):
        chosen, state = agent.predict(observation, None if step == 0 else state)
        right.append(int(chosen) == action)
    assert np.mean(right) > 0.8  # the best of the policies without a memory is right in .27 of the steps


def test_the_memory_between_chunks_is_that_of_the_whole_episode(cards):
    settings = {"encoder": "s4d", "hidden": (8,), "batch_size": 30, "sequence_length": 10, "learning_rate": 1e-30}
    agent = make(cards, **settings, steps_per_iteration=1)
    encoder, streams = agent.policy.actor_encoder, agent.episodes
    for _ in range(13):
        agent.learn(1)
        for b, row in enumerate(streams.row):
            first = streams.first[streams.first < row].max()
            with torch.no_grad():
                _, state = encoder(agent.data.observation[first:row, None], encoder.initial_state(1), None)
            torch.testing.assert_close(streams.state[b : b + 1], state, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("loss", ["mse", "log_prob"])
def test_a_memory_for_continuous_actions(loss):
    agent = make("test/pendulum-v0", loss=loss, encoder="gru", hidden=(16,), batch_size=80, sequence_length=20)
    losses = []
    agent.learn(300, callback=lambda agent, metrics: losses.append(metrics["loss/policy"]))
    assert losses[-1] < losses[0]
    data, state = agent.data, None
    encoder = agent.policy.encoder if loss == "mse" else agent.policy.actor_encoder
    rows = slice(agent.first_rows[1], agent.first_rows[1] + 30)
    with torch.no_grad():
        features, _ = encoder(agent.normalizer(data.observation[rows, None]), None, None)
    policy = agent.policy
    wanted = policy.actions(features) if loss == "mse" else policy.actor_head(features)
    found = []
    for observation in data.observation[rows].numpy():
        action, state = agent.predict(observation, state)
        found.append(action)
    expected = agent.actions.to_environment(wanted[:, 0].detach().numpy())
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-4)


def test_streams_play_whole_episodes_in_order_and_at_random():
    first = np.array([0, 3, 4, 9])
    streams, generator = EpisodeStreams(first, 12, torch.zeros(4, 2)), torch.Generator().manual_seed(0)
    chunks = [streams.draw(steps, generator) for steps in (5, 1, 7, 500)]
    index, start = torch.cat([c[0] for c in chunks]), torch.cat([c[1] for c in chunks])
    assert start[0].all()
    last = torch.tensor([2, 3, 8, 11])
    for b in range(4):
        begun = torch.isin(index[:, b], torch.from_numpy(first))
        assert torch.equal(begun, start[:, b])
        assert torch.equal(index[1:, b][~begun[1:]], index[:-1, b][~begun[1:]] + 1)
        assert torch.isin(index[:-1, b][begun[1:]], last).all()
    share = torch.bincount(index[start], minlength=12)[torch.from_numpy(first)] / start.sum()
    assert (share - 0.25).abs().max() < 0.06


# ------------------------------------------------------------------ masks in the infos

GAME, GAME_KWARGS = "envzoo/CodingGridSmall-v0", {"num_messages": 2}


def last_allowed(observation, state, start, deterministic, action_mask):
    return action_mask.shape[1] - 1 - action_mask[:, ::-1].argmax(axis=1), None


@pytest.fixture(scope="module")
def episodes():
    return collect(GAME, last_allowed, episodes=6, seed=0, env_kwargs=GAME_KWARGS)


def save(name, buffers):
    rest = {"description": "d", "algorithm": "a", "ref_min_score": 0.0, "ref_max_score": 1.0}
    write(name, buffers, env_id=GAME, env_kwargs=GAME_KWARGS, **rest)
    return name


def test_masks_in_the_infos_restrict_the_policy_in_training(episodes):
    agent = make(save("test/game-v0", episodes))
    size, masks = agent.codec.packed_dim, np.concatenate([e.infos["action_mask"][:-1] for e in episodes])
    after = np.concatenate([e.infos["action_mask"][1:] for e in episodes])
    assert (masks.sum(axis=1) < 4).any()
    assert agent.data.observation[:, size:].tolist() == masks.tolist()
    assert agent.data.next_observation[:, size:].tolist() == after.tolist()
    logits = agent.policy.actor_head(agent.policy.actor_encoder.features(agent.data.observation)).double()
    weights = logits.exp() * torch.as_tensor(masks)
    chosen = weights[torch.arange(len(masks)), agent.data.action] / weights.sum(dim=1)
    loss, metrics = agent.loss(agent.data)
    torch.testing.assert_close(loss, -chosen.log().mean().float())
    p = weights / weights.sum(dim=1, keepdim=True)
    torch.testing.assert_close(metrics["policy/entropy"], -torch.special.xlogy(p, p).sum(dim=1).mean().float())
    assert agent.learn(50).num_timesteps == 50


def test_normalised_observations_keep_their_masks_as_they_are():
    agent = make("test/pendulum-v0")
    rows = agent.data.observation[:3]
    masks = torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    wide = agent.normalizer(torch.cat([rows, masks], dim=1))
    assert torch.equal(wide, torch.cat([agent.normalizer(rows), masks], dim=1))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("other", lambda mask: 1 - mask, r"breaks its own action masks: transition \d+ takes action \d, which its"),
        (
            "values",
            lambda mask: 2 * mask,
            r"is damaged \(action_mask of episode 0 has the shape \(\d, 4\)",
        ),
        ("wide", lambda mask: np.repeat(mask, 2, axis=1), r"action_mask has the shape \(\d+, 8\)"),
    ],
)
def test_masks_that_do_not_fit_the_data_are_refused(episodes, name, change, words):
    buffers = [replace(e, infos={**e.infos, "action_mask": change(e.infos["action_mask"])}) for e in episodes]
    with pytest.raises(EnvzooError, match=words) as error:
        make(save(f"test/{name}-v0", buffers))
    assert len(str(error.value).splitlines()) == 1


def test_a_table_selects_its_masks_with_its_rows(episodes):
    table = TransitionTable.from_minari(load_minari(save("test/rows-v0", episodes)))
    lengths = [len(e.rewards) for e in episodes]
    second = table.select_episodes([1])
    assert second.action_masks.tolist() == episodes[1].infos["action_mask"][:-1].astype(bool).tolist()
    assert second.next_action_masks.tolist() == episodes[1].infos["action_mask"][1:].astype(bool).tolist()
    row = table.rows(np.array([lengths[0]]))
    assert row["action_masks"].tolist() == second.action_masks[:1].tolist()
    assert "action_masks" not in TransitionTable.from_minari(load_minari("test/expert-v0")).rows(np.array([0]))
