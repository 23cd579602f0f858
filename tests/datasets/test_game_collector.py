"""Episodes of games: every player's own, equal to a game stepped by hand."""

import numpy as np
import pytest

from envzoo import agents
from envzoo.datasets import collect
from envzoo.errors import EnvzooError
from envzoo.games import games, make_game


def in_turn(observations, state, episode_start, deterministic, action_mask=None):
    """Each player takes its allowed actions in turn."""
    count = 0 if state is None else state
    assert bool(episode_start[0]) == (state is None)
    chosen = {}
    for player in observations:
        allowed = np.flatnonzero(action_mask[player]) if action_mask and player in action_mask else [0]
        chosen[player] = int(allowed[count % len(allowed)])
    return chosen, count + 1


@pytest.mark.parametrize("game_id", sorted(games())[:2])
def test_episodes_are_those_of_the_game(game_id):
    found = collect(in_turn, game_id, 3, seed=5)
    game = make_game(game_id)
    assert set(found) == set(game.possible_agents)
    for number in range(3):
        observations, infos = game.reset(seed=5 + number)
        state, start, rewards, seen = None, np.ones(1, bool), {}, {}
        while game.agents:
            now = {player: observations[player] for player in game.agents}
            masks = {player: infos[player]["action_mask"] for player in now if "action_mask" in infos[player]}
            actions, state = in_turn(now, state, start, False, masks)
            observations, paid, _, _, infos = game.step(actions)
            start = np.zeros(1, bool)
            for player in now:
                rewards.setdefault(player, []).append(paid[player])
                seen.setdefault(player, []).append(actions[player])
        for player, buffers in found.items():
            if player in rewards:
                episode = buffers[number]
                assert episode.rewards.tolist() == pytest.approx(rewards[player])
                assert episode.actions.tolist() == seen[player]
                assert len(episode.terminations) == len(rewards[player])
                assert episode.terminations[-1] or episode.truncations[-1]
                assert not (episode.terminations[:-1] | episode.truncations[:-1]).any()
    game.close()


def test_agents_of_games_are_collected_from():
    game_id = sorted(games())[0]
    found = collect(agents.make("Random", game_id, device="cpu"), game_id, 2)
    assert all(len(buffers) == 2 for buffers in found.values())


def test_refusals():
    game_id = sorted(games())[0]
    with pytest.raises(EnvzooError, match="at least 1 episode"):
        collect(in_turn, game_id, 0)
    with pytest.raises(EnvzooError, match="expected a function"):
        collect(3, game_id, 1)
