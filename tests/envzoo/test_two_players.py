"""The form of worlds for two players: whose turn it is, what each sees, and how they are paid."""

import numpy as np
import pytest

from envzoo.errors import EnvzooError, UnknownNameError, UnsupportedSpaceError
from envzoo.games import games, make_game
from envzoo.two_players import TwoPlayer, TwoPlayerForm, find_form
from envzoo.wrappers import adversarial_surprise_v0


@pytest.mark.parametrize("game_id", [name for name, row in games().items() if row.family == "coding_games"])
def test_coding_games_are_simultaneous_and_common(game_id):
    game = make_game(game_id)
    form = find_form(game)
    assert isinstance(game, TwoPlayer)
    assert form.simultaneous
    assert not form.zero_sum
    assert list(form.players) == game.possible_agents
    assert form.acting({}, 3).all()
    together = game.definition.observation_space
    sample = together.sample()
    for player in form.players:
        seen = form.observation_of(player, sample)
        assert set(seen) == set(game.observation_space(player))
    observations, _ = game.reset(seed=0)
    _, rewards, *_ = game.step({player: game.action_space(player).sample() for player in observations})
    assert len(set(rewards.values())) == 1


@pytest.mark.parametrize("explore_first", [True, False])
def test_adversarial_surprise_takes_turns_and_is_zero_sum(explore_first):
    game = adversarial_surprise_v0.parallel_env(
        "envzoo/BlockChain-v0", rounds=4, round_length=2, explore_first=explore_first
    )
    form = find_form(game)
    assert not form.simultaneous
    assert form.zero_sum
    observations, infos = game.reset(seed=0)
    turns = []
    for _ in range(8):
        acting = form.acting(infos["explore"])
        assert acting.shape == (1, 2)
        turns.append(form.players[int(acting[0].argmax())])
        assert turns[-1] == game.player
        assert form.observation_of("control", observations["control"]) is observations["control"]
        actions = {player: game.action_space(player).sample() for player in form.players}
        observations, rewards, _, _, infos = game.step(actions)
        assert sum(rewards.values()) == 0
    first, second = form.players if explore_first else form.players[::-1]
    assert turns == [first, first, second, second] * 2


def test_turns_of_many_episodes():
    form = TwoPlayerForm(("a", "b"), zero_sum=True, turn_key="player")
    np.testing.assert_array_equal(
        form.acting({"player": np.array([0, 1, 1])}, 3), [[True, False], [False, True], [False, True]]
    )
    assert form.other("a") == "b"
    assert form.other("b") == "a"


def test_wrong_use_is_one_sentence():
    form = TwoPlayerForm(("a", "b"), zero_sum=True, turn_key="player", sees={"a": ("x",), "b": ("y",)})
    with pytest.raises(EnvzooError, match="expected two different names"):
        TwoPlayerForm(("a", "a"), zero_sum=True)
    with pytest.raises(EnvzooError, match="sees names the players"):
        TwoPlayerForm(("a", "b"), zero_sum=True, sees={"a": ()})
    with pytest.raises(EnvzooError, match="infos do not say whose turn it is; expected the key 'player'"):
        form.acting({})
    with pytest.raises(UnknownNameError, match="unknown player 'c'"):
        form.other("c")
    with pytest.raises(UnsupportedSpaceError, match="a sees x; expected a Dict observation"):
        form.observation_of("a", {"y": 1})
    with pytest.raises(UnsupportedSpaceError, match="is no world for two players"):
        find_form(object())
