"""BlockChain against hand-worked episodes and the entropies of its enumeration."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo  # noqa: F401
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.kernel.drawing import captioned
from envzoo.surprise.block_chain import BlockChain

LEFT, RIGHT, PRESS, STAY = range(4)


def make(name="BlockChain", **kwargs):
    return gym.make(f"envzoo/{name}-v0", disable_env_checker=True, **kwargs)


@given(
    actions=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    rooms=st.integers(2, 6),
    noisy=st.sets(st.integers(0, 5)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50, deadline=None)
def test_episode_against_plain_python(actions, rooms, noisy, seed):
    noisy = {room for room in noisy if room < rooms}
    env = make(rooms=rooms, layout=sorted(noisy), tiles=3)
    observation, info = env.reset(seed=seed)
    room, stopped, visited = 0, set(), {0}
    for action in [None, *actions]:
        if action is not None:
            observation, reward, terminated, truncated, info = env.step(action)
            assert (reward, terminated, truncated) == (0.0, False, False)
            room = max(room - 1, 0) if action == LEFT else min(room + 1, rooms - 1) if action == RIGHT else room
            visited.add(room)
            if action == PRESS and room in noisy:
                stopped.add(room)
        active = room in noisy - stopped
        assert observation in env.observation_space
        assert observation[0] == room
        assert (observation[1:] > 0).all() if active else not observation[1:].any()
        assert info == {
            "room": room,
            "rooms_visited": len(visited),
            "noisy_rooms": len(noisy),
            "noisy_stopped": len(stopped),
            "noisy_stopped_fraction": len(stopped) / max(len(noisy), 1),
            "room_state": -1 if active else 1 if room in noisy else 0,
            "in_active_noise": active,
        }


def test_layouts():
    assert np.flatnonzero(BlockChain().noisy).tolist() == [1, 3, 5, 7, 9, 11]
    assert np.flatnonzero(BlockChain(layout="tv").noisy).tolist() == [1]
    assert not BlockChain(layout="dark").noisy.any()
    assert np.flatnonzero(BlockChain(rooms=3, layout=[2, 0]).noisy).tolist() == [0, 2]
    assert not BlockChain(layout=[]).noisy.any()


def test_tiles_are_uniform_and_independent():
    env = gym.make_vec("envzoo/BlockChain-v0", num_envs=30_000, layout=[0], tiles=2, colours=3)
    first, _ = env.reset(seed=0)
    second, *_ = env.step(np.full(30_000, STAY))
    # 81 equally likely outcomes of two tiles in two steps.
    joint = np.ravel_multi_index(np.concatenate([first[:, 1:], second[:, 1:]], axis=1).T - 1, (3, 3, 3, 3))
    counts = np.bincount(joint, minlength=81)
    assert ((counts - 30_000 / 81) ** 2 / (30_000 / 81)).sum() < 124  # chi-square, 80 degrees, p = 0.001


def test_time_limit_truncates():
    env = make()
    env.reset(seed=0)
    ends = [env.step(STAY)[2:4] for _ in range(64)]
    assert ends == [(False, False)] * 63 + [(False, True)]


def test_goal_pays_and_terminates():
    env = make("BlockChain-Goal")
    env.reset(seed=0)
    assert not any(env.step(STAY)[1] for _ in range(5))
    results = [env.step(RIGHT) for _ in range(11)]
    assert [(reward, terminated) for _, reward, terminated, *_ in results[:-1]] == [(0.0, False)] * 10
    assert results[-1][1] == pytest.approx(1 - 0.9 * 16 / 64)
    assert results[-1][2:4] == (True, False)
    env = make("BlockChain-Goal", max_episode_steps=1000, rooms=2)
    env.reset(seed=0)
    for _ in range(200):
        env.step(STAY)
    assert env.step(RIGHT)[1] == pytest.approx(0.1)


# ---------------------------------------------------------------------------- entropies


@given(seed=st.integers(0, 10**6), layout=st.sampled_from(["tv", "alternating", "dark"]))
@settings(max_examples=30, deadline=None)
def test_entropy_of_observations_splits(seed, layout):
    chain = BlockChain(rooms=5, layout=layout, tiles=3, colours=4)
    weight = np.random.default_rng(seed).exponential(size=(5, 2)) * np.stack([np.ones(5), chain.noisy], axis=1)
    weight /= weight.sum()
    total = chain.observation_distribution(weight)
    assert total.shape == (5, 5, 5, 5)
    assert total.sum() == pytest.approx(1)
    parts = chain.state_entropy(weight) + chain.emission_entropy(weight)
    assert chain.observation_entropy(weight) == pytest.approx(parts, abs=1e-12)


def test_entropies_by_hand():
    chain = BlockChain()
    noisy = np.zeros((12, 2))
    noisy[1, 1] = 1
    assert chain.state_entropy(noisy) == 0
    assert chain.observation_entropy(noisy) == pytest.approx(7.167, abs=5e-4)  # 4 log 6
    dark = np.zeros((12, 2))
    dark[[0, 2, 4, 6], 0] = 0.25
    assert chain.observation_entropy(dark) == pytest.approx(np.log(4))
    assert chain.emission_entropy(dark) == 0


def test_occupancy_by_hand():
    chain = BlockChain(rooms=3)  # room 1 is noisy
    policy = np.zeros((3, 3, 2, 4))
    policy[0, :, :, RIGHT] = 1
    policy[1, :, :, PRESS] = 0.25
    policy[1, :, :, RIGHT] = 0.75
    policy[2, :, :, LEFT] = 1
    expected = np.zeros((4, 3, 2))
    expected[0, 0, 0] = expected[1, 1, 1] = 1
    expected[2, 1, 0], expected[2, 2, 0] = 0.25, 0.75
    expected[3, 0, 0], expected[3, 1, 1] = 0.25, 0.75
    np.testing.assert_allclose(chain.occupancy(policy), expected)


def test_occupancy_is_what_episodes_show():
    chain = BlockChain(rooms=4)
    rng = np.random.default_rng(0)
    policy = rng.dirichlet(np.ones(4), size=(4, 2))
    number, steps = 20_000, 12
    env = gym.make_vec("envzoo/BlockChain-v0", num_envs=number, rooms=4)
    _, info = env.reset(seed=0)
    exact = chain.occupancy(policy, steps)
    for t in range(steps + 1):
        seen = np.zeros((4, 2))
        np.add.at(seen, (info["room"], info["in_active_noise"].astype(int)), 1 / number)
        assert np.abs(seen - exact[t]).max() < 0.02
        chosen = policy[info["room"], info["in_active_noise"].astype(int)].cumsum(axis=1)
        *_, info = env.step((rng.random((number, 1)) > chosen).sum(axis=1).clip(max=3))


# ---------------------------------------------------------------------------- input and pictures


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rooms": 1}, "rooms is 1; expected a whole number of at least 2"),
        ({"tiles": 0}, "tiles is 0"),
        ({"colours": 1}, "colours is 1"),
        ({"goal_time": 0}, "goal_time is 0"),
        ({"layout": "tvs"}, "unknown layout 'tvs'.*did you mean 'tv'"),
        ({"layout": [12]}, "layout is .*a sequence of rooms from 0 to 11"),
        ({"layout": 3}, "layout is 3"),
        ({"layout": [0.5]}, "layout is"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(EnvzooError, match=message):
        BlockChain(**kwargs)


def test_bad_distributions_and_policies():
    chain = BlockChain(rooms=3)
    with pytest.raises(EnvzooError, match=r"expected probabilities of shape \(3, 2\)"):
        chain.state_entropy(np.ones(3) / 3)
    with pytest.raises(EnvzooError, match="active noise in room 0, which is dark"):
        chain.state_entropy([[0, 1], [0, 0], [0, 0]])
    with pytest.raises(EnvzooError, match="expected fewer tiles or colours"):
        BlockChain(tiles=12).observation_entropy(np.eye(12, 2) * [1, 0])
    with pytest.raises(EnvzooError, match="the policy has shape"):
        chain.occupancy(np.full((3, 2, 4), 0.25))
    with pytest.raises(EnvzooError, match="expected one without a goal"):
        BlockChain(rooms=3, goal=True).occupancy(np.full((3, 2, 4), 0.25), 5)
    with pytest.raises(UnknownNameError, match="argument of BlockChain"):
        make(room=3)


@pytest.mark.parametrize("name", ["BlockChain", "BlockChain-TV", "BlockChain-Goal"])
def test_check_env(name):
    check_env(make(name).unwrapped, skip_render_check=True)


def test_caption_is_a_strip_above_or_below():
    image = np.full((10, 60, 3), 7, np.uint8)
    above, below = captioned(image, "control", (1, 2, 3)), captioned(image, "explore", (1, 2, 3), below=True, height=12)
    assert (above.shape, below.shape) == ((34, 60, 3), (22, 60, 3))
    np.testing.assert_array_equal(above[24:], image)
    np.testing.assert_array_equal(below[:10], image)
    assert above[0, 0].tolist() == below[-1, -1].tolist() == [1, 2, 3]
    assert above[:24].max() > 200  # the letters


@pytest.mark.parametrize("tiles", [1, 4, 5, 9])
def test_pictures_follow_the_state(tiles):
    env = make(render_mode="rgb_array", tiles=tiles)
    env.reset(seed=0)
    pictures = [env.render()]
    for action in (RIGHT, PRESS, RIGHT):
        env.step(action)
        pictures.append(env.render())
    assert pictures[0].dtype == np.uint8
    assert pictures[0].shape == pictures[1].shape
    assert len({picture.tobytes() for picture in pictures}) == 4
    text = make(render_mode="ansi")
    text.reset(seed=0)
    for action in (RIGHT, PRESS, RIGHT):
        text.step(action)
    assert text.render().splitlines()[0] == ".=A~.~.~.~.~"
    assert "visited 3 of 12, stopped 1 of 6" in text.render()
