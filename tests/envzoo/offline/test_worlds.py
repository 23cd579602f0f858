"""The worlds of offline learning: dynamics against numbers worked out by hand, and models against play."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.errors import EnvzooError
from envzoo.offline import specs
from envzoo.offline.darkroom import DarkGrid, DarkKeyToDoor, Darkroom
from envzoo.offline.darkroom_model import dark_room_model
from envzoo.offline.finite_world import FiniteWorld
from envzoo.offline.planning import optimal_return, optimal_values, policy_action_values, policy_return
from envzoo.offline.point_maze_stitch import inside_wall
from envzoo.tabular import FiniteMDP, find_model

FINITE = [row.id for row in specs.ENVIRONMENTS if isinstance(gym.make(row.id).unwrapped.definition, FiniteWorld)]
ROOMS = [row.id for row in specs.ENVIRONMENTS if isinstance(gym.make(row.id).unwrapped.definition, DarkGrid)]


def at(env_id, start, **kwargs):
    env = gym.make(env_id, **kwargs).unwrapped
    env.reset(seed=0, options={"start": start})
    return env


# ---------------------------------------------------------------------------- LineWorld


def test_line_world_moves_by_half_the_action_and_pays_for_time():
    env = at("envzoo/LineWorld-v0", 3.0, noise=0.0)
    observation, reward, terminated, _, _ = env.step(np.array([0.5], np.float32))
    assert observation.tolist() == [3.25]
    assert (reward, terminated) == (-0.01, False)
    env = at("envzoo/LineWorld-v0", 9.25, noise=0.0)
    observation, reward, terminated, _, _ = env.step(np.array([0.5], np.float32))
    assert (observation.tolist(), reward, terminated) == ([9.5], 1.0, True)
    env = at("envzoo/LineWorld-v0", 0.1, noise=0.0)
    assert env.step(np.array([-1.0], np.float32))[0].tolist() == [0.0]


def test_line_world_starts_and_noise():
    for start, most in (("left", 2.0), ("anywhere", 10.0)):
        env = gym.make_vec("envzoo/LineWorld-v0", num_envs=4000, start=start)
        x = env.reset(seed=0)[0][:, 0]
        assert 0 <= x.min() <= 0.01 * most
        assert 0.99 * most <= x.max() <= most
    env = gym.make_vec("envzoo/LineWorld-v0", num_envs=4000)
    before = env.reset(seed=0, options={"start": 5.0})[0]
    after = env.step(np.zeros((4000, 1), np.float32))[0]
    assert abs((after - before).std() - 0.05) < 0.002


@pytest.mark.parametrize("start", [-1, 11, "left", [1.0, 2.0], np.nan])
def test_line_world_refuses_starts(start):
    with pytest.raises(EnvzooError, match="expected a position from 0 to 10"):
        gym.make("envzoo/LineWorld-v0").unwrapped.reset(options={"start": start})


# ---------------------------------------------------------------------------- PointMazeStitch


def test_point_maze_moves_and_walls():
    env = at("envzoo/PointMazeStitch-v0", (1.0, 1.0))
    observation, reward, terminated, _, info = env.step(np.array([1.0, -0.5], np.float32))
    assert observation.tolist() == pytest.approx([1.3, 0.85])
    assert (reward, terminated, info["success"]) == (-1.0, False, False)
    env = at("envzoo/PointMazeStitch-v0", (1.9, 1.5))  # x would end in the wall; y moves
    assert env.step(np.array([1.0, 1.0], np.float32))[0].tolist() == pytest.approx([1.9, 1.8])
    env = at("envzoo/PointMazeStitch-v0", (3.0, 2.1))  # y would end in the wall; x moves
    assert env.step(np.array([1.0, -1.0], np.float32))[0].tolist() == pytest.approx([3.3, 2.1])
    env = at("envzoo/PointMazeStitch-v0", (4.5, 4.5))
    observation, reward, terminated, _, info = env.step(np.array([1.0, 1.0], np.float32))
    assert (reward, terminated, info["success"]) == (0.0, True, True)


def test_the_diagonal_of_the_maze():
    env = gym.make("envzoo/PointMazeStitch-v0").unwrapped
    env.reset(seed=0, options={"start": (1.0, 1.0)})
    total, steps, terminated = 0.0, 0, False
    # Each coordinate has 4 - 0.5 / sqrt(2) to go, 13 steps of 0.3; x waits once at the corner of the lower wall.
    while not terminated:
        _, reward, terminated, _, _ = env.step(np.array([1.0, 1.0], np.float32))
        total, steps = total + reward, steps + 1
    assert (steps, total) == (14, -13.0)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_nobody_enters_a_wall(seed):
    env = gym.make_vec("envzoo/PointMazeStitch-v0", num_envs=64, noise=0.2, start="anywhere")
    observation, _ = env.reset(seed=seed)
    generator = np.random.default_rng(seed)
    for _ in range(20):
        for x, y in observation:
            assert not inside_wall(x, y)
        observation = env.step(generator.uniform(-1, 1, (64, 2)).astype(np.float32))[0].astype(np.float64)


@pytest.mark.parametrize("start", [(3.0, 1.0), (7.0, 1.0), (1.0,), "corner"])
def test_point_maze_refuses_starts(start):
    with pytest.raises(EnvzooError, match="outside the walls"):
        gym.make("envzoo/PointMazeStitch-v0").unwrapped.reset(options={"start": start})


# ---------------------------------------------------------------------------- finite worlds


@pytest.mark.parametrize("env_id", FINITE)
def test_models_agree_with_play(env_id):
    """Transition frequencies and mean rewards of every state and action, within five standard errors."""
    n = 20_000
    env = gym.make_vec(env_id, num_envs=n)
    model = find_model(env)
    generator = np.random.default_rng(0)
    state = generator.integers(model.num_states, size=n)
    action = generator.integers(model.num_actions, size=n)
    env.reset(seed=0, options={"start": state})
    following, reward, terminated, _, _ = env.step(action)
    for s in range(model.num_states):
        for a in range(model.num_actions):
            rows = (state == s) & (action == a)
            count = rows.sum()
            seen = np.bincount(following[rows & ~terminated], minlength=model.num_states) / count
            p = model.p[s, a]
            assert np.all(np.abs(seen - p) <= 5 * np.sqrt(p * (1 - p) / count))
            spread = reward[rows].std() / np.sqrt(count)
            assert abs(reward[rows].mean() - model.r[s, a]) <= 5 * spread + 1e-9
    first = gym.make_vec(env_id, num_envs=n).reset(seed=1)[0]
    law = np.bincount(first, minlength=model.num_states) / n
    assert np.all(np.abs(law - model.initial) <= 5 * np.sqrt(model.initial * (1 - model.initial) / n))


def test_values_of_the_two_states_are_the_feature():
    for k, stay in ((1.2, 0.0), (4.0, 0.5), (0.0, 1.0)):
        env = gym.make("envzoo/TwoStateRealizable-v0", k=k, stay=stay)
        values = policy_action_values(find_model(env), np.ones((2, 1)))
        assert values[:, 0] == pytest.approx([1.0, k], abs=1e-12)
        assert env.reset(options={"start": 1})[1]["phi"].tolist() == [[k]]


def test_baird_star_as_in_the_book():
    env = gym.make("envzoo/BairdStar-v0")
    phi = env.unwrapped.definition.features
    assert phi[2, 0].tolist() == phi[2, 1].tolist() == [0, 0, 2, 0, 0, 0, 0, 1]
    assert phi[6, 0].tolist() == [0, 0, 0, 0, 0, 0, 1, 2]
    p = find_model(env).p
    assert p[3, 1].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert p[6, 0] == pytest.approx([1 / 6] * 6 + [0])


def test_random_features_represent_the_target_policy():
    definition = gym.make("envzoo/RandomFeatureMDP-v0", instance_seed=3).unwrapped.definition
    model = definition.model()
    q = policy_action_values(model, definition.policy)
    assert definition.features[..., 0] == pytest.approx(q, abs=1e-12)
    backup = model.r + model.gamma * model.p @ (definition.policy * q).sum(axis=1)
    assert q == pytest.approx(backup, abs=1e-10)
    other = gym.make("envzoo/RandomFeatureMDP-v0", instance_seed=4).unwrapped.definition
    assert not np.allclose(other.features, definition.features)


def test_finite_worlds_refuse_starts():
    for start in (2, -1, 0.5, [0, 1]):
        with pytest.raises(EnvzooError, match="expected a state from 0 to 1"):
            gym.make("envzoo/TwoStateRealizable-v0").unwrapped.reset(options={"start": start})


# ---------------------------------------------------------------------------- planning


def test_planning_by_hand():
    """Two states: action 1 of state 0 pays 1 and ends, action 0 pays 0.4 and stays."""
    p = np.zeros((1, 2, 1))
    p[0, 0, 0] = 1
    model = FiniteMDP(p, np.array([[0.4, 1.0]]))
    values = optimal_values(model, 3)
    assert values[:, 0].tolist() == pytest.approx(np.array([[0, 0], [0.4, 1.0], [1.4, 1.0], [1.8, 1.0]]))
    assert optimal_return(model, 3) == pytest.approx(1.8)
    assert policy_return(model, np.array([[0.5, 0.5]]), 2) == pytest.approx(0.7 + 0.5 * 0.7)
    with pytest.raises(EnvzooError, match="horizon"):
        optimal_values(model, 0)


# ---------------------------------------------------------------------------- worlds of luck


def test_lucky_bandits_by_hand():
    model = find_model(gym.make("envzoo/LuckyBandit-v0"))
    assert model.r.tolist() == pytest.approx(np.array([[0.1, 0.9]]))
    jackpot = find_model(gym.make("envzoo/LuckyBandit-Jackpot-v0"))
    assert jackpot.r.tolist() == pytest.approx(np.array([[1.0, 5.0]]))
    assert optimal_return(jackpot, 1) == 5.0
    with pytest.raises(EnvzooError, match="one for each arm"):
        gym.make("envzoo/LuckyBandit-v0", probabilities=(0.5,))


def test_the_lucky_tree_by_hand():
    model = find_model(gym.make("envzoo/LuckyTree-v0"))
    values = optimal_values(model, 3)
    assert values[3][0].tolist() == pytest.approx([2.5, 4.0])
    assert optimal_return(model, 3) == pytest.approx(4.0)
    assert policy_return(model, np.full((7, 2), 0.5), 3) == pytest.approx(np.mean([10, 0, 0, 0, 1, 2, 4, 3]))
    env = gym.make("envzoo/LuckyTree-v0")
    env.reset(seed=0)
    path = [env.step(1)[0], env.step(1)[0]]
    _, reward, terminated, _, _ = env.step(0)
    assert (path, reward, terminated) == ([2, 6], 4.0, True)


@pytest.mark.parametrize("name", ["4x4", "8x8"])
def test_slip_lake_is_gymnasiums_lake_at_two_thirds(name):
    ours = find_model(gym.make("envzoo/SlipLake-v0", slip=2 / 3, map=name))
    theirs = gym.make("FrozenLake-v1", map_name=name).unwrapped
    frozen = "".join("".join(map(bytes.decode, row)) for row in theirs.desc)
    for s in range(len(frozen)):
        if frozen[s] in "GH":
            continue
        for a in range(4):
            p, r = np.zeros(len(frozen)), 0.0
            for probability, target, reward, end in theirs.P[s][a]:
                p[target] += 0 if end else probability
                r += probability * reward
            assert ours.p[s, a] == pytest.approx(p)
            assert ours.r[s, a] == pytest.approx(r)


def test_a_lake_that_does_not_slip_is_crossed():
    assert optimal_return(find_model(gym.make("envzoo/SlipLake-v0", slip=0.0)), 6) == 1.0
    assert optimal_return(find_model(gym.make("envzoo/SlipLake-v0", slip=0.0)), 5) == 0.0
    assert 0.5 < optimal_return(find_model(gym.make("envzoo/SlipLake-v0")), 50) < 0.9


# ---------------------------------------------------------------------------- WindyPoint


def test_a_step_in_the_wind_by_hand():
    env = at("envzoo/WindyPoint-v0", (-0.5, 0.5, 0.2, -0.1), noise=0.0)
    observation, reward, terminated, _, _ = env.step(np.array([1.0, -1.0], np.float32))
    expected = [-0.48, 0.49, 0.9 * 0.2 + 0.1, 0.9 * -0.1 - 0.1 - 0.03]
    assert observation.tolist() == pytest.approx(expected, abs=1e-6)
    assert reward == pytest.approx(-np.hypot(1.48, 0.51))
    assert not terminated
    mean, spread = env.definition.dynamics(np.array([[-0.5, 0.5, 0.2, -0.1]]), np.array([[1.0, -1.0]]))
    assert mean[0] == pytest.approx(expected)
    assert spread.tolist() == [[0.0] * 4]


@pytest.mark.parametrize(("place", "noise"), [((-1, -1), 0.01), ((-1, 1), 0.1), ((1, -1), 0.01), ((1, 1), 0.1)])
def test_the_noise_of_the_quadrants(place, noise):
    env = gym.make_vec("envzoo/WindyPoint-v0", num_envs=4000)
    env.reset(seed=0, options={"start": (*place, 0.0, 0.0)})
    after = env.step(np.zeros((4000, 2), np.float32))[0]
    assert after[:, 2:].std(axis=0) == pytest.approx([noise] * 2, rel=0.06)
    mean, spread = env.unwrapped.definition.dynamics(np.array([[*place, 0.0, 0.0]]), np.zeros((1, 2)))
    assert after.mean(axis=0) == pytest.approx(mean[0], abs=5 * noise / np.sqrt(4000) + 1e-6)
    assert spread[0].tolist() == [0, 0, noise, noise]


def test_windy_point_refuses_starts():
    with pytest.raises(EnvzooError, match="within the observation space"):
        gym.make("envzoo/WindyPoint-v0").unwrapped.reset(options={"start": (3.0, 0.0, 0.0, 0.0)})


# ---------------------------------------------------------------------------- dark rooms


def play(env_id, actions, **kwargs):
    env = gym.make(env_id, **kwargs)
    env.reset(seed=0)
    steps = [env.step(action) for action in actions]
    return [s[0].tolist() for s in steps], [s[1] for s in steps]


def test_darkroom_by_hand():
    cells, rewards = play("envzoo/Darkroom-v0", [0, 0, 2, 4, 1], goal=(6, 5))
    assert cells == [[5, 4], [6, 4], [6, 5], [6, 5], [5, 5]]
    assert rewards == [0, 0, 1, 1, 0]
    cells, _ = play("envzoo/Darkroom-Permuted-v0", [0, 1, 2], permutation=(2, 0, 1, 3, 4))
    assert cells == [[0, 1], [1, 1], [0, 1]]
    cells, _ = play("envzoo/Darkroom-v0", [1] * 6)
    assert cells[-1] == [0, 4]  # the wall


@pytest.mark.parametrize(("goal", "most"), [((4, 4), 20), ((4, 6), 19), ((8, 8), 13)])
def test_the_largest_return(goal, most):
    definition = gym.make("envzoo/Darkroom-v0", goal=goal).unwrapped.definition
    assert definition.largest_return(20) == most
    way = [0] * (goal[0] - 4) + [2] * (goal[1] - 4)
    _, rewards = play("envzoo/Darkroom-v0", [*way, *[4] * (20 - len(way))], goal=goal)
    assert sum(rewards) == most


def test_the_door_pays_only_after_the_key():
    kwargs = {"key": (4, 5), "door": (4, 3), "size": 9}
    _, rewards = play("envzoo/DarkKeyToDoor-v0", [3, 2, 2, 2, 3, 3, 3, 2, 3], **kwargs)
    assert rewards == [0, 0, 1, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("env_id", ROOMS)
def test_models_of_dark_rooms_agree_with_play(env_id):
    """Every step of 64 random walks leads to the model's next state, with its reward."""
    places = {"key": (1, 1), "door": (0, 2)} if "Key" in env_id else {"goal": (1, 1)}
    env = gym.make_vec(env_id, num_envs=64, size=3, **places)
    model, generator = find_model(env), np.random.default_rng(0)
    assert model.num_states == (27 if "Key" in env_id else 9)
    env.reset(seed=0)
    state, seen = np.full(64, int(model.initial.argmax())), set()
    for _ in range(19):
        action = generator.integers(5, size=64)
        cells, reward, terminated, _, _ = env.step(action)
        assert not terminated.any()
        assert (model.p[state, action].max(axis=1) == 1).all()
        assert model.r[state, action].tolist() == reward.tolist()
        state = model.p[state, action].argmax(axis=1)
        assert (state % 9).tolist() == (cells[:, 0] * 3 + cells[:, 1]).tolist()
        seen |= set(state.tolist())
    assert len(seen) > model.num_states / 2


@given(st.integers(2, 5), st.data(), st.integers(1, 12), st.permutations(range(5)))
@settings(max_examples=30, deadline=None)
def test_the_best_plans_of_dark_rooms_have_the_largest_return(size, data, horizon, permutation):
    cell = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
    start, goal, door = (data.draw(cell) for _ in range(3))
    room, with_key = Darkroom(size, goal, start, permutation), DarkKeyToDoor(size, goal, door, start, permutation)
    for definition, model in (
        (room, dark_room_model(room.parameters, False)),
        (with_key, dark_room_model(with_key.parameters, True)),
    ):
        assert optimal_return(model, horizon) == pytest.approx(definition.largest_return(horizon))


def test_dark_rooms_refuse():
    with pytest.raises(EnvzooError, match="the model of 2025 states is too large; expected at most 2000"):
        gym.make("envzoo/Darkroom-v0", size=45).unwrapped.model()
    with pytest.raises(EnvzooError, match=r"goal is \(9, 0\); expected \(row, column\) from 0 to 8"):
        gym.make("envzoo/Darkroom-v0", goal=(9, 0))
    with pytest.raises(EnvzooError, match="the numbers 0 to 4, each of them once"):
        gym.make("envzoo/Darkroom-v0", permutation=(0, 0, 1, 2, 3))
