"""The memory worlds against their rules, written down a second time in plain Python, and against POPGym's own."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo  # noqa: F401  (registers the environments)
from envzoo.errors import EnvzooError
from envzoo.memory.pixel_match import corner_cell


def make(name, **kwargs):
    return gym.make(f"envzoo/{name}-v0", disable_env_checker=True, **kwargs).unwrapped


def play(env, actions, seed=0, options=None):
    """Observations, rewards and the step of the end (None without one)."""
    observation, _ = env.reset(seed=seed, options=options)
    observations, rewards = [observation], []
    for time, action in enumerate(actions, start=1):
        observation, reward, terminated, truncated, _ = env.step(action)
        assert not truncated
        observations.append(observation)
        rewards.append(reward)
        if terminated:
            return observations, rewards, time
    return observations, rewards, None


def cards_of(env, seed):
    env.reset(seed=seed)
    return env.get_state()["cards"][0].astype(int)


# ---------------------------------------------------------------------------- cards


@given(seed=st.integers(0, 10**6), k=st.integers(1, 51), decks=st.integers(1, 2))
@settings(max_examples=25, deadline=None)
def test_repeat_previous_asks_for_the_kth_most_recent_card(seed, k, decks):
    env, cards = make("RepeatPrevious", k=k, decks=decks), 52 * decks
    actions = np.random.default_rng(seed).integers(0, 4, cards).tolist()
    observations, rewards, end = play(env, actions, seed)
    assert end == cards - 1
    assert sorted(observations) == sorted(list(range(4)) * (cards // 4))
    for step, reward in enumerate(rewards):  # step + 1 cards were in view when the action was chosen
        seen = observations[: step + 1]
        if len(seen) < k:
            assert reward == 0
        else:
            assert reward == (1 if actions[step] == seen[-k] else -1) / (cards - k)
    _, best, _ = play(env, [observations[max(0, step + 1 - k)] for step in range(cards - 1)], seed)
    assert sum(best) == pytest.approx(1)


@pytest.mark.parametrize(("level", "k", "decks"), [("Easy", 4, 1), ("Medium", 32, 2), ("Hard", 64, 3)])
def test_levels_of_repeat_previous_are_those_of_popgym(level, k, decks):
    definition = make(f"RepeatPrevious-{level}").definition
    assert (definition.k, definition.num_cards) == (k, 52 * decks)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_repeat_first_asks_for_the_first_card(seed):
    env = make("RepeatFirst")
    actions = np.random.default_rng(seed).integers(0, 4, 52).tolist()
    observations, rewards, end = play(env, actions, seed)
    assert end == 51
    assert rewards == [(1 if action == observations[0] else -1) / 51 for action in actions[:51]]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_autoencode_asks_for_the_cards_in_reverse_order(seed):
    env = make("Autoencode")
    cards = cards_of(env, seed)
    actions = np.random.default_rng(seed).integers(0, 4, 103).tolist()
    observations, rewards, end = play(env, actions, seed)
    assert end == 103
    assert [o.tolist() for o in observations[:52]] == [[int(t < 51), cards[t]] for t in range(52)]
    assert all(o.tolist() == [0, 0] for o in observations[52:])
    assert rewards[:51] == [0] * 51
    assert rewards[51:] == [(1 if a == c else -1) / 52 for a, c in zip(actions[51:], cards[::-1], strict=True)]


def test_every_card_is_equally_likely_to_be_first():
    env = gym.make_vec("envzoo/RepeatFirst-v0", num_envs=20_000)
    observation, _ = env.reset(seed=0)
    assert np.abs(np.bincount(observation) / 20_000 - 0.25).max() < 5 * np.sqrt(3 / 16 / 20_000)


def test_cards_can_be_given():
    suits = np.arange(52) % 3
    env = make("RepeatPrevious")
    observations, _, _ = play(env, [0] * 51, options={"cards": suits})
    assert observations == suits.tolist()
    for wrong in (suits[:5], suits + 2, suits / 2, "hearts"):
        with pytest.raises(EnvzooError, match="reset option cards"):
            env.reset(options={"cards": wrong})
    with pytest.raises(EnvzooError, match="k is 52; expected a whole number from 1 to 51"):
        make("RepeatPrevious", k=52)


POPGYM = {"RepeatPrevious": ("repeat_previous", 2), "RepeatFirst": ("repeat_first", 1), "Autoencode": ("autoencode", 1)}


@pytest.mark.parametrize("name", POPGYM)
def test_popgym_gives_the_same_rewards_for_the_same_cards(name):
    module = pytest.importorskip(f"popgym.envs.{POPGYM[name][0]}")
    theirs, ours = getattr(module, name)(num_decks=POPGYM[name][1]), make(name, decks=POPGYM[name][1])
    generator = np.random.default_rng(0)
    for episode in range(3):
        observation, _ = theirs.reset(seed=episode)
        cards = [np.ravel(observation)[-1]]
        while len(cards) < ours.definition.num_cards:
            cards.append(np.ravel(theirs.step(0)[0])[-1])
        observation, _ = theirs.reset(seed=episode)  # the same cards again
        mine, _ = ours.reset(options={"cards": np.array(cards)})
        ended = False
        while not ended:
            assert np.ravel(observation).tolist() == np.ravel(mine).tolist()
            action = int(generator.integers(4))
            observation, reward, terminated, truncated, _ = theirs.step(action)
            mine, paid, ended, cut, _ = ours.step(action)
            assert paid == pytest.approx(reward)
            assert (ended, cut) == (terminated or truncated, False)


# ---------------------------------------------------------------------------- T-maze


@pytest.mark.parametrize("length", [1, 10, 50])
@pytest.mark.parametrize("cue", [1, 2])
def test_the_way_through_the_t_maze(length, cue):
    env = make("TMaze", length=length)
    observations, rewards, end = play(env, [0] * length + [cue], options={"cue": cue})
    assert observations[:-1] == [cue] + [0] * (length - 1) + [3]
    assert rewards == [0] * length + [4]
    assert end == length + 1
    _, rewards, _ = play(env, [0] * length + [3 - cue], options={"cue": cue})
    assert rewards == [0] * length + [-0.1]


def test_walls_of_the_t_maze():
    env = make("TMaze", length=3)
    observations, rewards, end = play(env, [1, 2, 0, 0, 0], options={"cue": 2})
    assert (observations, rewards, end) == ([2, 0, 0, 0, 0, 3], [-0.1, -0.1, 0, 0, 0], 5)  # no step is left to choose
    observations, rewards, end = play(env, [0, 0, 0, 0, 2], options={"cue": 2})
    assert (observations[:-1], rewards, end) == ([2, 0, 0, 3, 3], [0, 0, 0, -0.1, 4], 5)
    with pytest.raises(EnvzooError, match="reset option cue is 3; expected 1"):
        env.reset(options={"cue": 3})


def test_the_cue_is_a_fair_coin_and_blind_policies_get_the_stated_return():
    env = gym.make_vec("envzoo/TMaze-v0", num_envs=20_000, length=1)
    observation, _ = env.reset(seed=0)
    ups = (observation == 1).mean()
    assert abs(ups - 0.5) < 5 * np.sqrt(0.25 / 20_000)
    env.step(np.zeros(20_000, int))
    _, reward, *_ = env.step(np.ones(20_000, int))
    assert reward.mean() == pytest.approx(ups * 4 - (1 - ups) * 0.1)


# ---------------------------------------------------------------------------- sets and images


@given(seed=st.integers(0, 10**6), pairs=st.integers(1, 16), queries=st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_associative_recall(seed, pairs, queries):
    env = make("AssociativeRecall", pairs=pairs, queries=queries)
    actions = np.random.default_rng(seed).integers(0, 8, pairs + queries).tolist()
    observations, rewards, end = play(env, actions, seed)
    assert end == pairs + queries
    shown = {int(key): int(value) for key, value, _ in observations[:pairs]}
    assert len(shown) == pairs  # no key twice
    assert all(phase == 0 and value < 8 for _, value, phase in observations[:pairs])
    assert all(phase == 1 and value == 8 and key in shown for key, value, phase in observations[pairs:])
    assert rewards[:pairs] == [0] * pairs
    for (key, _, _), action, reward in zip(observations[pairs:-1], actions[pairs:], rewards[pairs:], strict=True):
        assert reward == (1 if action == shown[int(key)] else -1) / queries


@given(seed=st.integers(0, 10**6), length=st.integers(2, 60), answer=st.integers(0, 1))
@settings(max_examples=25, deadline=None)
def test_latch(seed, length, answer):
    observations, rewards, end = play(make("Latch", length=length), [1 - answer] * (length - 1) + [answer], seed)
    assert end == length
    assert observations[0] in (0, 1)
    assert all(2 <= symbol < 20 for symbol in observations[1:])
    assert rewards == [0] * (length - 1) + [1 if answer == observations[0] else -1]


def test_bit_pattern_bag():
    env = gym.make_vec("envzoo/BitPatternBag-v0", num_envs=4000)
    bags, _ = env.reset(seed=0)
    signals = {tuple(row) for row in env.unwrapped.definition.parameters.signals.tolist()}
    assert len(signals) == 8
    labels = np.array([sum(tuple(row) in signals for row in bag) for bag in bags.tolist()])
    assert set(labels.tolist()) == {0, 1}  # never two signals in a bag
    assert abs(labels.mean() - 0.5) < 5 * np.sqrt(0.25 / 4000)
    assert bags.any(axis=2).all()
    _, reward, terminated, _, _ = env.step(np.ones(4000, int))
    assert terminated.all()
    np.testing.assert_array_equal(reward, 2.0 * labels - 1)
    with pytest.raises(EnvzooError, match="patterns is 2; expected at most half of the 3"):
        make("BitPatternBag", bits=2, patterns=2)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_pixel_match(seed):
    env = make("PixelMatch")
    image, _ = env.reset(seed=seed)
    state = {name: array[0] for name, array in env.get_state().items()}
    cells = image.reshape(8, 3, 8, 3, 3).transpose(0, 2, 1, 3, 4).reshape(64, 27)
    agent, goals, cue = int(state["agent"]), state["goals"], int(corner_cell(int(state["corner"])))
    assert cue in (0, 7, 56, 63)
    assert len({agent, *goals.tolist(), cue}) == 4
    assert {agent, *goals.tolist(), cue} == set(np.flatnonzero(cells.any(axis=1)).tolist())
    rows, columns = np.divmod(goals, 8)
    assert abs(np.diff(rows)[0]) + abs(np.diff(columns)[0]) >= 7
    assert len(np.unique(cells[[*goals, cue, agent]], axis=0)) == 4
    pays = int(state["colour"] if state["shape"] == 0 else 1 - state["colour"])
    for goal in range(2):
        # Around the other goal where it is in the way: rows first or columns first.
        for columns_first in (False, True):
            env.reset(seed=seed)
            (row, column), (top, left) = divmod(agent, 8), divmod(int(goals[goal]), 8)
            down, right = [1 if top > row else 3] * abs(top - row), [0 if left > column else 2] * abs(left - column)
            moves = right + down if columns_first else down + right
            _, rewards, end = play(env, moves, seed)
            if end == len(moves) and env.get_state()["reached"][0] == goal:
                expected = [-0.01] * (end - 1) + [-0.01 + (1 if goal == pays else -1)]
                np.testing.assert_allclose(rewards, expected)
    _, rewards, end = play(env, [3] * 24, seed)
    assert end <= 24


def test_pixel_match_ends_at_its_horizon():
    env = make("PixelMatch", horizon=2)
    env.reset(seed=0)
    state = env.get_state()
    state["agent"][:], state["goals"][:] = 0, [[20, 60]]
    env.set_state(state)
    assert env.step(3)[1:3] == (-0.01, False)
    assert env.step(2)[1:3] == (-0.01, True)


def test_same_different_draws_every_glyph_and_keeps_its_distance():
    env = gym.make_vec("envzoo/SameDifferent-v0", num_envs=4000, size=20, distance=12)
    images, _ = env.reset(seed=0)
    state = env.unwrapped.get_state()
    glyphs, places = state["glyphs"], state["places"]
    assert np.linalg.norm(places[:, 0] - places[:, 1], axis=1).min() >= 12
    bits = glyphs[..., None] >> np.arange(9) & 1
    assert bits[..., :3].any(axis=-1).all()
    assert bits[..., ::3].any(axis=-1).all()
    assert len(np.unique(glyphs)) == 400
    same = glyphs[:, 0] == glyphs[:, 1]
    assert abs(same.mean() - 0.5) < 0.04
    assert (images.reshape(4000, -1) > 0).sum(axis=1).tolist() == bits.sum(axis=(1, 2)).tolist()
    assert set(np.unique(images)) == {0, 255}
    _, rewards, terminated, _, _ = env.step(np.zeros(4000, np.int64))
    assert np.array_equal(rewards, np.where(same, -1.0, 1.0))
    assert terminated.all()
    with pytest.raises(EnvzooError, match="expected at most 17 in an image of 20 pixels"):
        make("SameDifferent", size=20, distance=18)
    with pytest.raises(EnvzooError, match="size is 7"):
        make("SameDifferent", size=7)
