"""Coding games in PettingZoo's form: its own tests, what each player sees, other processes, refusals."""

import importlib

import numpy as np
import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.coding_games import coding_grid_small_v0, coding_grid_v0
from envzoo.coding_games.mdp import from_gymnasium
from envzoo.coding_games.players import MarkovCodingGame
from envzoo.errors import EnvzooError, InvalidActionError, ResetNeededError, UnknownNameError
from envzoo.games import games, make_game

MODULES = [importlib.import_module(spec.module) for spec in games().values()]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
@pytest.mark.filterwarnings("ignore::UserWarning")  # about the names of players and the like
def test_pettingzoo_accepts_the_games(module):
    for kwargs in ({}, {"num_messages": [3, 4]}):
        api_test(module.env(**kwargs), num_cycles=60)
        parallel_api_test(module.parallel_env(**kwargs), num_cycles=60)
        seed_test(lambda kwargs=kwargs: module.env(**kwargs), num_cycles=30)
        parallel_seed_test(lambda kwargs=kwargs: module.parallel_env(**kwargs), num_cycles=30)
    api_test(module.raw_env(), num_cycles=60)


@pytest.mark.parametrize("name", ["FrozenLake-v1", "Taxi-v4"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_games_on_gymnasium_tables(name):
    game = MarkovCodingGame(from_gymnasium(name), 8, temperature=0.1, horizon=20, render_mode="rgb_array")
    parallel_api_test(game, num_cycles=50)
    game.reset(seed=0)
    assert game.render().shape == (320, 680, 3)
    result = evaluate(agents.make("Random", game), game, episodes=20)
    assert result.lengths.max() <= 21
    table = game.definition.mdp
    # A random walk through the game moves as the table allows.
    observations, _ = game.reset(seed=1)
    rng = np.random.default_rng(0)
    while game.agents:
        observations, rewards, *_ = game.step({"sender": int(rng.integers(table.num_actions)), "receiver": 0})
        seen = observations["receiver"]
        assert seen["state"] == observations["sender"]["state"]
        assert table.transition[seen["previous"], seen["action"], seen["state"]] > 0
        if not seen["guessing"]:
            assert rewards["sender"] == table.reward[seen["previous"], seen["action"], seen["state"]]


def test_the_receiver_sees_nothing_of_the_message():
    """The same moves on the same stream under two messages: all that the receiver gets is the same to the last bit."""
    games = [coding_grid_v0.parallel_env(num_messages=16, horizon=12) for _ in range(2)]
    for seed in range(5):
        given = [game.reset(seed=seed, options={"message": m}) for game, m in zip(games, (2, 9), strict=True)]
        actions = np.random.default_rng(seed).integers(4, size=20)
        for action in actions.tolist():
            first, second = ((observations["receiver"], infos["receiver"]) for observations, infos in given)
            assert first == second
            steps = [game.step({"sender": action, "receiver": 0}) for game in games]
            if not games[0].agents:
                break
            assert steps[0][1] == steps[1][1]
            given = [(observations, infos) for observations, *_, infos in steps]
        assert given[0][0]["sender"]["message"] == 2
        assert given[1][0]["sender"]["message"] == 9


def test_a_game_from_beginning_to_end():
    game = coding_grid_small_v0.parallel_env(num_messages=8, message_priority=5.0)
    observations, infos = game.reset(seed=0, options={"message": 6})
    assert observations["sender"] == {"state": 0, "message": 6}
    assert observations["receiver"] == {"previous": 0, "action": 4, "state": 0, "guessing": 0}
    assert infos["sender"]["action_mask"].tolist() == [0, 1, 1, 0]
    assert set(infos["receiver"]) == {"discounted_return", "belief_entropy", "rate_limit"}
    for action in (1, 2, 1, 2, 1, 2):
        assert game.agents == ["sender", "receiver"]
        observations, rewards, terminations, truncations, infos = game.step({"sender": action, "receiver": 6})
    assert rewards == {"sender": 1.0, "receiver": 1.0}
    assert observations["receiver"] == {"previous": 11, "action": 2, "state": 15, "guessing": 1}
    assert not any(terminations.values())
    assert "correct" not in infos["receiver"]
    before = game.get_state()
    _, rewards, terminations, truncations, infos = game.step({"sender": 0, "receiver": 6})
    assert rewards == {"sender": 5.0, "receiver": 5.0}
    assert all(terminations.values())
    assert not any(truncations.values())
    assert game.agents == []
    assert infos["receiver"] == {
        **infos["receiver"],
        "correct": True,
        "guess": 6,
        "message": 6,
        "discounted_return": pytest.approx(0.95**6),
    }
    game.set_state(before)
    assert game.agents == ["sender", "receiver"]
    assert game.step({"sender": 0, "receiver": 2})[1]["receiver"] == 0.0


def test_the_sender_moves_first_in_turns():
    game = coding_grid_v0.env(num_messages=4, horizon=2)
    game.reset(seed=0)
    order = []
    for player in game.agent_iter():
        observation, _, terminated, truncated, _ = game.last()
        assert observation in game.observation_space(player)
        order.append(player)
        game.step(None if terminated or truncated else 0)
    assert order[:6] == ["sender", "receiver"] * 3  # two moves and the guess
    assert sorted(order[6:]) == ["receiver", "sender"]  # both are told that it is over


def test_refusals():
    game = coding_grid_v0.parallel_env()
    with pytest.raises(ResetNeededError, match="step was called without a running game"):
        game.step({"sender": 0, "receiver": 0})
    with pytest.raises(ResetNeededError, match="render was called before the first reset"):
        coding_grid_v0.parallel_env(render_mode="ansi").render()
    game.reset(seed=0)
    with pytest.raises(InvalidActionError, match="the action of receiver is missing"):
        game.step({"sender": 0})
    with pytest.raises(InvalidActionError, match=r"action 64 of receiver lies outside Discrete\(64\)"):
        game.step({"sender": 0, "receiver": 64})
    with pytest.raises(UnknownNameError, match="unknown player 'listener'"):
        game.observation_space("listener")
    with pytest.raises(EnvzooError, match="message 64 is out of range; expected 0 to 63"):
        game.reset(options={"message": 64})
    with pytest.raises(EnvzooError, match="rate is -1; expected a finite number of at least 0"):
        coding_grid_v0.parallel_env(rate=-1)
    with pytest.raises(EnvzooError, match="receiver is not an argument of a two-player game"):
        coding_grid_v0.parallel_env(receiver="bayes")
    with pytest.raises(UnknownNameError, match="unknown argument of CodingGrid 'noize'"):
        coding_grid_v0.parallel_env(noize=0.1)
    with pytest.raises(UnknownNameError, match="unknown render mode 'human'"):
        coding_grid_v0.parallel_env(render_mode="human")
    with pytest.raises(
        UnknownNameError, match=r"unknown game 'envzoo/coding_grid'.*did you mean 'envzoo/coding_grid_v0'"
    ):
        make_game("envzoo/coding_grid")


def test_agents_take_games_by_id_and_by_object(tmp_path):
    agent = agents.make("Random", "envzoo/coding_grid_v0", env_kwargs={"num_messages": 4, "horizon": 6})
    assert agent.source.kind == "game"
    result, again = evaluate(agent, episodes=300), evaluate(agent, episodes=3)
    assert result.lengths.max() == 7
    assert abs(result.scores("correct").mean() - 0.25) < 0.13  # five standard errors
    assert np.array_equal(result.scores("return_sender"), result.returns)
    assert len(again.returns) == 3
    agent.save(tmp_path / "agent.zip")
    loaded = agents.load(tmp_path / "agent.zip")
    assert loaded.source.env_kwargs == {"num_messages": 4, "horizon": 6}
    game = coding_grid_v0.parallel_env(num_messages=4)
    assert agents.make("Random", game).source.id == "envzoo/coding_grid_v0"
    with pytest.raises(EnvzooError, match="is no registered game to make a copy of; give a game to evaluate in"):
        evaluate(agents.make("Random", MarkovCodingGame(game.definition.mdp, 4)), episodes=1)
    with pytest.raises(UnknownNameError, match=r"unknown source 'envzoo/coding_gird_v0'.*did you mean"):
        agents.make("Random", "envzoo/coding_gird_v0")
    with pytest.raises(EnvzooError, match="PPO takes an environment, but envzoo/coding_grid_v0 is a game"):
        agents.make("PPO", "envzoo/coding_grid_v0")
