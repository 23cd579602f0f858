"""Replay of sequences: what is recalled equals what acting would have seen, for every memory and both autoresets."""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envzoo import agents
from envzoo.agents.loops.sequence_replay import SequenceReplay
from envzoo.agents.networks.encoders import MEMORIES
from envzoo.errors import EnvzooError

SHAPE = {"hidden": (8,), "batch_size": 32, "sequence_length": 4, "burn_in": 3, "buffer_size": 200, "device": "cpu"}


class Numbered(gym.Env):
    """Observes (episode, step), so that a stored observation says where it comes from; each episode ends in its way."""

    observation_space = spaces.Box(0, np.inf, (2,), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(self):
        self.episode = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode += 1
        self.time = 0
        return self.observe(), {}

    def observe(self):
        return np.array([self.episode, self.time], np.float32)

    def step(self, action):
        self.time += 1
        end = self.time == 2 + self.episode % 5
        truncated = end and self.episode % 2 == 0
        return self.observe(), float(10 * self.episode + self.time), end and not truncated, truncated, {}


def numbered(mode, name="DQN", **settings):
    env = SyncVectorEnv([Numbered, Numbered, Numbered], autoreset_mode=mode)
    return agents.make(name, env, **({"learning_starts": 10**6} | SHAPE | settings))


def every_sequence(buffer):
    first, found = buffer.complete()
    for env in range(buffer.num_envs):
        for number in range(first[env], first[env] + found[env]):
            batch = buffer.sequences(torch.tensor([number]), torch.tensor([env]))
            if batch is not None:
                yield batch


@torch.no_grad()
def expected(encoder, episode, time):
    """Features after all observations of an episode up to a step, one at a time."""
    state = encoder.initial_state(1)
    for t in range(time + 1):
        features, state = encoder.step(torch.tensor([[episode, t]], dtype=torch.float32), state, None)
    return features[0]


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("encoder", MEMORIES)
def test_recalled_features_are_those_of_the_whole_episode(encoder, mode):
    agent = numbered(mode, encoder=encoder).learn(150)
    network = agent.network.encoder
    seen = {}
    for batch in every_sequence(agent.buffer):
        with torch.no_grad():
            now, following = batch.observation.features(network, slice(None)), batch.next_observation
            after = following.features(network, slice(None))
        rows = zip(batch.observation.packed, following.packed, batch.reward, batch.terminated, now, after, strict=True)
        for (episode, time), (later, then), reward, terminated, feature, next_feature in rows:
            episode, time = int(episode), int(time)
            # A step leads to the next observation of its own episode, whatever the next row belongs to.
            assert reward == 10 * episode + time + 1
            assert terminated == (time + 1 == 2 + episode % 5 and episode % 2 == 1)
            torch.testing.assert_close(feature, expected(network, episode, time), atol=1e-5, rtol=1e-5)
            if not terminated:
                assert (int(later), int(then)) == (episode, time + 1)
                torch.testing.assert_close(next_feature, expected(network, episode, time + 1), atol=1e-5, rtol=1e-5)
            seen[episode, time] = seen.get((episode, time), 0) + 1
    # All steps of whole episodes are learned from: every ending of an episode is among them.
    assert {episode % 5 for episode, time in seen if time == 1 + episode % 5} == set(range(5))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_the_ring_overwrites_the_oldest_and_keeps_the_memories_that_belong_to_the_rest(mode):
    agent = numbered(mode, encoder="gru", buffer_size=36).learn(400)
    network, episodes = agent.network.encoder, []
    for batch in every_sequence(agent.buffer):
        with torch.no_grad():
            now = batch.observation.features(network, slice(None))
        for (episode, time), feature in zip(batch.observation.packed, now, strict=True):
            torch.testing.assert_close(feature, expected(network, int(episode), int(time)), atol=1e-5, rtol=1e-5)
            episodes.append(int(episode))
    assert len(agent.buffer) == 36
    assert min(episodes) > 10


def test_a_step_is_not_learned_from_if_the_next_row_is_of_another_episode():
    replay = SequenceReplay(12, 1, 1, np.float32, None, 1, length=2, burn_in=0)
    for t in range(6):  # an episode is broken off after step 2, as by a resume that cannot go on
        row = np.array([[t]], np.float32)
        start = np.array([t in (0, 3)])
        no, yes = np.zeros(1, bool), np.ones(1, bool)
        replay.add(row, np.array([0]), np.array([t], np.float32), no, start, yes, torch.zeros(1, 1))
    learned = [int(x) for batch in every_sequence(replay) for x in batch.observation.packed]
    assert learned == [0, 1, 3]


def test_sampling_gives_every_complete_sequence_the_same_chance():
    agent = numbered(AutoresetMode.NEXT_STEP, encoder="gru").learn(100)
    buffer = agent.buffer
    number = int(buffer.complete()[1].sum())
    batch = buffer.sample(4 * 3000 * number, torch.Generator().manual_seed(0))
    first = batch.observation.start.shape[1]
    assert first == 3000 * number
    rows, counts = np.unique(batch.observation.rows[0].numpy(), axis=0, return_counts=True)
    assert counts.sum() == first
    assert all(abs(count / 3000 - round(count / 3000)) < 0.15 for count in counts), (rows, counts)


def test_nothing_is_sampled_before_a_sequence_is_complete():
    agent = numbered(AutoresetMode.SAME_STEP, encoder="gru", learning_starts=0)
    agent.learn(9)  # 3 rows in each environment; a sequence takes 8
    assert agent.pace.updates == 0
    assert agent.buffer.sample(4) is None
    agent.learn(30)
    assert agent.pace.updates > 0


def test_a_state_that_does_not_fit_is_refused():
    agent = numbered(AutoresetMode.NEXT_STEP, encoder="gru").learn(60)
    state = agent.buffer.state_dict()
    for change in (
        {"counts": state["counts"][:2]},
        {"counts": state["counts"] + 4},
        {"memories": state["memories"][:, :, 1:]},
        {"rows": state["rows"] | {"reward": state["rows"]["reward"].double()}},
    ):
        with pytest.raises(ValueError, match="of a replay buffer"):
            agent.buffer.load_state_dict(state | change)
    agent.buffer.load_state_dict(state)


def test_a_buffer_that_holds_no_sequence_is_refused():
    with pytest.raises(EnvzooError, match="buffer_size is 10; sequences of 4 steps after a burn-in of 3, in 3"):
        numbered(AutoresetMode.NEXT_STEP, encoder="gru", buffer_size=10)
    with pytest.raises(EnvzooError, match="n_steps of DQN is 1 with a memory"):
        numbered(AutoresetMode.NEXT_STEP, encoder="gru", n_steps=3)
    for name, value in (("sequence_length", 0), ("burn_in", -1)):
        with pytest.raises(EnvzooError, match=f"{name} is at least"):
            numbered(AutoresetMode.NEXT_STEP, encoder="gru", **{name: value})


# ---------------------------------------------------------------------------- learning


@dataclass
class Recall(gym.Env):
    """Shows one of four cues, then nothing; the answer to the second observation is the cue, and pays 1."""

    continuous: bool = False
    cue: int = 0
    CUES = (-0.75, -0.25, 0.25, 0.75)

    def __post_init__(self):
        self.observation_space = spaces.Box(0, 1, (5,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32) if self.continuous else spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue, self.time = int(self.np_random.integers(4)), 0
        return self.observe(), {}

    def observe(self):
        return np.eye(5, dtype=np.float32)[self.cue if self.time == 0 else 4]

    def step(self, action):
        if self.time == 0:
            self.time = 1
            return self.observe(), 0.0, False, False, {}
        right = 1 - abs(float(action[0]) - self.CUES[self.cue]) if self.continuous else float(action == self.cue)
        return self.observe(), right, True, False, {}


def answers(agent):
    """Return the agent's answer to each cue."""
    cues, blank = np.eye(5, dtype=np.float32)[:4], np.eye(5, dtype=np.float32)[[4] * 4]
    _, state = agent.predict(cues, None, np.ones(4, bool))
    return agent.predict(blank, state, np.zeros(4, bool))[0]


@pytest.mark.parametrize(
    ("name", "steps", "settings"),
    [
        ("SACDiscrete", 1500, {"target_entropy_ratio": 0.1, "tau": 0.05}),
        ("DQN", 1500, {"exploration_steps": 800, "target_update_interval": 20, "tau": 1.0, "anneal": False}),
        ("SAC", 2500, {"target_entropy": -3.0, "tau": 0.05}),
    ],
)
def test_a_memory_answers_what_no_policy_without_one_can(name, steps, settings):
    """Without a memory the four answers are equal, so that one is right at most; by chance 1 of 256 maps is right."""
    continuous = name == "SAC"
    env = SyncVectorEnv([lambda: Recall(continuous)] * 8, autoreset_mode=AutoresetMode.SAME_STEP)
    shape = {"hidden": (32,), "batch_size": 128, "sequence_length": 8, "burn_in": 2, "buffer_size": 4000}
    rest = {"learning_starts": 200, "gradient_steps": 2, "learning_rate": 3e-3, "gamma": 0.9}
    agent = agents.make(name, env, encoder="gru", seed=1, device="cpu", **shape, **rest, **settings).learn(steps)
    found = answers(agent)
    if continuous:
        np.testing.assert_allclose(found[:, 0], Recall.CUES, atol=0.25)
    else:
        assert found.tolist() == [0, 1, 2, 3]
