"""Independent speaker and listener: what each sees, learning by turns, and that they can learn to talk at all."""

import gymnasium as gym
import numpy as np

from envzoo import agents
from envzoo.agents.coding_games.views import MessageBlind, PlayerView
from envzoo.agents.evaluation import evaluate
from envzoo.agents.source import make_vector_env
from envzoo.coding_games.players import SEES

SMALL = "envzoo/CodingGridSmall-v0"
BOTH = {"receiver": "player", "convention": "none"}
TINY = {"num_envs": 4, "num_steps": 9, "num_epochs": 2, "minibatch_size": 12, "hidden": (8,), "listener_hidden": (8,)}


def test_the_listener_does_not_see_the_message_nor_the_speaker_the_guess():
    agent = agents.make("IndependentPPO", SMALL, env_kwargs=BOTH, device="cpu", **TINY)
    speaker, listener = agent.players["sender"], agent.players["receiver"]
    assert set(speaker.source.observation_space.spaces) == {"state", "message"}
    assert set(listener.source.observation_space.spaces) == {"previous", "action", "state", "guessing"}
    assert (speaker.source.action_space.n, listener.source.action_space.n) == (4, 16)
    assert not speaker.policy.recurrent
    assert listener.policy.recurrent


def test_each_learns_and_both_count():
    agent = agents.make("IndependentPPO", SMALL, env_kwargs=BOTH, device="cpu", **TINY)
    before = {player: [p.clone() for p in learner.policy.parameters()] for player, learner in agent.players.items()}
    agent.learn(72)
    assert agent.num_timesteps == sum(learner.num_timesteps for learner in agent.players.values()) == 72
    for player, learner in agent.players.items():
        assert learner.progress() == 1.0
        changed = [not bool((a == b).all()) for a, b in zip(before[player], learner.policy.parameters(), strict=True)]
        assert any(changed)


def test_they_learn_to_talk_when_it_is_easy():
    # Two messages, and nothing else to be paid for: the goal is out of reach in two moves.
    game = {**BOTH, "num_messages": 2, "horizon": 2, "message_priority": 1.0}
    agent = agents.make(
        "IndependentPPO", SMALL, env_kwargs=game, device="cpu", seed=1, num_envs=32, num_steps=24, minibatch_size=256,
        learning_rate=3e-3, entropy_coefficient=0.01, anneal="none", hidden=(16,), listener_hidden=(16,), num_epochs=6,
    )  # fmt: skip
    agent.learn(30_000)
    assert evaluate(agent, episodes=200).infos["correct"].mean() > 0.9


def test_a_view_is_the_game_with_the_partner_inside():
    class Partner:
        def predict(self, observation, state, episode_start, deterministic):
            assert set(observation) == set(SEES["receiver"])
            assert not deterministic
            self.starts = episode_start.copy()
            return np.full(3, 5), None

    env = make_vector_env(SMALL, 3, BOTH)
    twin = make_vector_env(SMALL, 3, BOTH)
    view = PlayerView(env, SEES["sender"], 0, SEES["receiver"])
    view.partner = partner = Partner()
    seen, _ = view.reset(seed=4)
    expected, _ = twin.reset(seed=4)
    rng = np.random.default_rng(0)
    ended = np.ones(3, bool)
    for _ in range(30):
        assert all(np.array_equal(seen[key], expected[key]) for key in SEES["sender"])
        moves = rng.integers(0, 4, 3)
        seen, reward, terminated, _, _ = view.step(moves)
        assert np.array_equal(partner.starts, ended)
        expected, same, over, _, _ = twin.step(np.stack([moves, np.full(3, 5)], axis=1))
        np.testing.assert_array_equal(reward, same)
        np.testing.assert_array_equal(terminated, over)
        ended = over


def test_a_blind_view_shows_states_alone():
    env = make_vector_env(SMALL, 3, {"num_messages": 2, "message_priority": 0.0})
    blind = MessageBlind(env)
    assert blind.single_observation_space == gym.spaces.Discrete(16)
    states, _ = blind.reset(seed=0)
    rewards, rng = 0.0, np.random.default_rng(0)
    for _ in range(50):
        assert states.shape == (3,)
        states, reward, terminated, _, _ = blind.step(rng.integers(1, 3, 3))
        rewards += reward.sum()
        assert set(np.unique(reward)) <= {0.0, 1.0}
        if terminated.any():
            assert (blind.final_observation[terminated] != 0).all()
            assert (states[terminated] == 0).all()
    assert rewards > 0


def test_in_pettingzoo_form():
    agent = agents.make("IndependentPPO", "envzoo/coding_grid_small_v0", device="cpu", **TINY).learn(72)
    result = evaluate(agent, episodes=3)
    assert (result.lengths <= 9).all()
