"""SurpriseRooms: layouts, the rules of doors, boxes, switches, balls and televisions, goals, input and pictures."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo  # noqa: F401
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.registration import specs
from envzoo.surprise.cells import pack, unpack
from envzoo.surprise.codes import (
    BALL,
    BALLS,
    BOX,
    CLOSED,
    DARK,
    DOOR,
    EMPTY,
    FLICKERING,
    FLOOR,
    GOAL,
    GREY,
    OPEN,
    SWITCH,
    TELEVISION,
    WALL,
)
from envzoo.surprise.surprise_rooms import SurpriseRooms

LEFT, RIGHT, FORWARD, TOGGLE, STAY = range(5)
EAST, SOUTH, WEST, NORTH = range(4)
IDS = [row.id for row in specs() if row.entry_point.endswith("SurpriseRoomsEnv")]
SIGNS = {"#": WALL, " ": EMPTY, ".": FLOOR, "D": DOOR, "o": BALL, "B": BOX, "G": GOAL, "S": SWITCH}


def make(name="SurpriseRooms", **kwargs):
    return gym.make(f"envzoo/{name}-v0", disable_env_checker=True, **kwargs)


def layouts(name, number, seed=0, **kwargs):
    env = gym.make_vec(f"envzoo/{name}-v0", num_envs=number, **kwargs)
    env.reset(seed=seed)
    return env.get_state(), env


def staged(text, rooms, kinds, pose, **kwargs):
    """A single environment put into a drawn world; all doors are closed."""
    env = make(**{"size": 9, "rooms": len(rooms), "most_side": 4, **kwargs}).unwrapped
    env.reset(seed=0)
    state = env.get_state()
    lines = text.strip("\n").splitlines()
    grid = np.zeros((9, 9, 3), np.uint8)
    grid[..., 0] = EMPTY
    for y, line in enumerate(lines):
        for x, sign in enumerate(line):
            grid[x, y] = (SIGNS[sign], GREY if sign == "#" else 0, CLOSED if sign == "D" else 0)
    state["grid"][0], state["rooms"][0], state["kind"][0], state["pose"][0] = pack(grid), rooms, kinds, pose
    state["balls"][0] = (0, 0, -1)
    balls = np.argwhere(grid[..., 0] == BALL)
    for k, (x, y) in enumerate(balls if BALLS in kinds else []):
        state["balls"][0, k] = (x, y, kinds.index(BALLS))
    env.set_state(state)
    return env


TWO_ROOMS = """
#######
#  #..#
#  D.B#
#  #..#
#######
"""
CHAIN = [(0, 0, 3, 4), (3, 0, 6, 4)]


# ---------------------------------------------------------------------------- the generator


@given(
    seed=st.integers(0, 10**6),
    rooms=st.integers(2, 5),
    sides=st.tuples(st.integers(4, 6), st.integers(0, 3)),
    density=st.floats(0.05, 1),
    kinds=st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.3, 0.3, 0.4)]),
    paper_layout=st.booleans(),
    goal=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_layouts(seed, rooms, sides, density, kinds, paper_layout, goal):
    least, most = sides[0], sum(sides)
    given_kinds = dict(zip(("p_dark", "p_floor", "p_ball"), kinds, strict=True))
    options = {"size": 30, "rooms": rooms, "least_side": least, "most_side": most, "density": density}
    states, _ = layouts("SurpriseRooms", 3, seed, **options, **given_kinds, paper_layout=paper_layout, goal=goal)
    for e in range(3):
        grid = unpack(states["grid"][e])
        doors = np.argwhere(grid[..., 0] == DOOR)
        assert len(doors) == rooms - 1
        assert (grid[grid[..., 0] == DOOR][:, 2] == CLOSED).all()
        inside = np.zeros((30, 30), int)
        for number, (x0, y0, x1, y1) in enumerate(states["rooms"][e]):
            assert least <= x1 - x0 + 1 <= most
            assert least <= y1 - y0 + 1 <= most
            assert min(x0, y0) >= 0
            assert max(x1, y1) < 30
            inside[x0 + 1 : x1, y0 + 1 : y1] += 1
            border = np.ones((x1 - x0 + 1, y1 - y0 + 1), bool)
            border[1:-1, 1:-1] = False
            assert np.isin(grid[x0 : x1 + 1, y0 : y1 + 1, 0][border], [WALL, DOOR]).all()
            room = grid[x0 + 1 : x1, y0 + 1 : y1, 0]
            check_contents(room, states["kind"][e, number], density, goal and number == rooms - 1)
        assert inside.max() == 1  # no two rooms share a cell
        assert ((grid[..., 0] == EMPTY) | (grid[..., 0] == WALL) | (grid[..., 0] == DOOR))[inside == 0].all()
        check_connected(states, e, doors, paper_layout)
        x, y, _ = states["pose"][e]
        x0, y0, x1, y1 = states["rooms"][e, 0]
        assert x0 < x < x1
        assert y0 < y < y1
        assert grid[x, y, 0] in (EMPTY, FLOOR)


def check_contents(room, kind, density, goal):
    count = {name: int((room == code).sum()) for name, code in SIGNS.items()}
    cells = room.size
    assert count["G"] == goal
    assert count["B"] == (kind == FLICKERING)
    assert count["S"] == (kind == BALLS)
    tiles = min(int(density * cells), cells - 1) if kind == FLICKERING else 0
    assert tiles - goal <= count["."] <= tiles
    assert count["o"] == (min(int(density * cells), cells - 2) if kind == BALLS else 0)


def check_connected(states, e, doors, paper_layout):
    """Each room is joined to the next by one door; nothing stands in front of it unless `paper_layout`."""
    grid, rooms = unpack(states["grid"][e]), states["rooms"][e]
    joined = set()
    for x, y in doors:
        around = [(x + dx, y + dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        numbers = sorted(
            number
            for number, (x0, y0, x1, y1) in enumerate(rooms)
            if any(x0 < cx < x1 and y0 < cy < y1 for cx, cy in around)
        )
        assert len(numbers) == 2
        joined.add(tuple(numbers))
        assert paper_layout or not any(grid[cell][0] == BOX for cell in around)
    assert joined == {(number, number + 1) for number in range(len(rooms) - 1)}


def test_kinds_sides_doors_and_colours_are_drawn_as_asked():
    states, env = layouts("SurpriseRooms", 4000)
    noisy = (states["kind"] == FLICKERING).mean()
    assert noisy == pytest.approx(0.5, abs=0.02)  # 16 000 draws
    assert set(np.unique(states["kind"])) == {DARK, FLICKERING}
    assert np.bincount(states["pose"][:, 2], minlength=4) / 4000 == pytest.approx(0.25, abs=0.03)
    sides = states["rooms"][:, 0, 2] - states["rooms"][:, 0, 0] + 1
    assert set(np.unique(sides)) == {4, 5, 6}
    for grid, rooms in zip(unpack(states["grid"][:200]), states["rooms"][:200], strict=True):
        colours = [
            grid[x, y, 1]
            for number in range(1, 4)
            for x, y in np.argwhere(grid[..., 0] == DOOR)
            if all(rooms[k][0] <= x <= rooms[k][2] and rooms[k][1] <= y <= rooms[k][3] for k in (number - 1, number))
        ]
        assert len(colours) == 3
        assert colours[0] != colours[1] != colours[2]
    assert not np.array_equal(env.reset()[0], env.reset()[0])  # a new layout for every episode


# ---------------------------------------------------------------------------- the rules


def test_doors_and_boxes():
    env = staged(TWO_ROOMS, CHAIN, [DARK, FLICKERING], (2, 2, EAST))
    assert env.step(FORWARD)[4]["room"] == 0  # the door is closed
    assert env.get_state()["pose"][0].tolist() == [2, 2, EAST]
    env.step(TOGGLE)
    assert unpack(env.get_state()["grid"])[0, 3, 2].tolist() == [DOOR, 0, OPEN]
    info = env.step(FORWARD)[4]
    assert (info["room"], info["rooms_visited"], info["room_state"]) == (0, 1, 0)  # in the door: still the room before
    info = env.step(FORWARD)[4]
    assert (info["room"], info["rooms_visited"], info["room_state"], info["in_active_noise"]) == (1, 2, -1, True)
    info = env.step(FORWARD)[4]
    assert env.get_state()["pose"][0].tolist() == [4, 2, EAST]  # the box stands in the way
    info = env.step(TOGGLE)[4]
    expected = {"noisy_rooms": 1, "noisy_stopped": 1, "noisy_stopped_fraction": 1.0, "room_state": 1}
    assert {name: info[name] for name in expected} == expected
    assert not info["in_active_noise"]
    assert unpack(env.get_state()["grid"])[0, 5, 2].tolist() == [EMPTY, 0, 0]
    still = env.get_state()["grid"].copy()
    for action in (FORWARD, LEFT, STAY, TOGGLE):
        env.step(action)
    np.testing.assert_array_equal(env.get_state()["grid"], still)
    assert env.get_state()["pose"][0].tolist() == [5, 2, NORTH]


def test_a_door_can_be_shut_again_and_hides_what_is_behind():
    env = staged(TWO_ROOMS, CHAIN, [DARK, FLICKERING], (2, 2, EAST))
    closed = env.observation()
    opened = env.step(TOGGLE)[0]
    assert (closed[:, :3] == 0).all()
    assert opened[2, 2, 0] == FLOOR
    assert opened[2, 3].tolist() == [DOOR, 0, OPEN]
    np.testing.assert_array_equal(env.step(TOGGLE)[0], closed)


def test_turns():
    env = staged(TWO_ROOMS, CHAIN, [DARK, DARK], (1, 2, EAST))
    for action, heading in ((RIGHT, SOUTH), (RIGHT, WEST), (RIGHT, NORTH), (RIGHT, EAST), (LEFT, NORTH)):
        env.step(action)
        assert env.get_state()["pose"][0].tolist() == [1, 2, heading]
    env.step(FORWARD)
    env.step(FORWARD)  # against the wall
    assert env.get_state()["pose"][0].tolist() == [1, 1, NORTH]


def test_recolouring_is_uniform_and_independent_and_stops_with_the_box():
    states, env = layouts("SurpriseRooms", 3000, p_dark=0.0, p_floor=1.0)
    tiles = unpack(states["grid"])[..., 0] == FLOOR
    env.step(np.full(3000, STAY))
    first = unpack(env.get_state()["grid"])[..., 1][tiles]
    env.step(np.full(3000, STAY))
    second = unpack(env.get_state()["grid"])[..., 1][tiles]
    pairs = np.bincount(6 * first.astype(int) + second, minlength=36)
    even = first.size / 36
    assert ((pairs - even) ** 2 / even).sum() < 66.6  # chi-square, 35 degrees, p = 0.001
    neighbours = np.bincount(6 * first[:-1:2].astype(int) + first[1::2], minlength=36)
    even = first[1::2].size / 36
    assert ((neighbours - even) ** 2 / even).sum() < 66.6
    # Everything else of the grid stays as it was, and stopped rooms keep their colours.
    state = env.get_state()
    np.testing.assert_array_equal(state["grid"][~tiles], states["grid"][~tiles])
    state["stopped"][:] = True
    env.set_state(state)
    env.step(np.full(3000, STAY))
    np.testing.assert_array_equal(env.get_state()["grid"], state["grid"])


def test_balls_wander_until_the_switch_is_stepped_on():
    world = """
#######
#  #  #
#  D o#
#  #S #
#######
"""
    env = staged(world, CHAIN, [DARK, BALLS], (4, 2, SOUTH), size=9, p_dark=0.5, p_floor=0.0, p_ball=0.5)
    seen = set()
    for _ in range(200):
        env.step(STAY)
        state = env.get_state()
        grid = unpack(state["grid"][0])
        balls = np.argwhere(grid[..., 0] == BALL)
        assert len(balls) == 1  # no ball is lost or doubled
        assert state["balls"][0, 0].tolist() == [*balls[0].tolist(), 1]
        seen.add(tuple(balls[0].tolist()))
    assert seen == {(4, 1), (5, 1), (5, 2), (5, 3)}  # neither the agent's cell nor the switch
    info = env.step(FORWARD)[4]
    assert (info["room_state"], info["noisy_stopped"]) == (1, 1)
    assert env.get_state()["pose"][0].tolist() == [4, 3, SOUTH]
    grid = env.get_state()["grid"].copy()
    for _ in range(20):
        env.step(STAY)
    np.testing.assert_array_equal(env.get_state()["grid"], grid)


def test_each_ball_tries_one_uniform_step():
    world = """
#######
#  #  #
#  D  #
#  #  #
#######
"""
    env = staged(world.replace("D  #", "D o#"), CHAIN, [DARK, BALLS], (1, 1, EAST), p_dark=0, p_floor=0, p_ball=1)
    start = env.get_state()
    vector = gym.make_vec(
        "envzoo/SurpriseRooms-v0", num_envs=8000, size=9, rooms=2, most_side=4, p_dark=0, p_floor=0, p_ball=1
    )
    vector.reset(seed=0)
    states = vector.get_state()
    for name, array in start.items():
        if name != "streams":
            states[name][:] = array
    vector.set_state(states)
    vector.step(np.full(8000, STAY))
    places = vector.get_state()["balls"][:, 0, :2]
    shares = {place: (places == place).all(axis=1).mean() for place in ((4, 2), (5, 1), (5, 3), (5, 2))}
    assert list(shares.values()) == pytest.approx([0.25] * 4, abs=0.025)  # east is a wall: there it stays


def test_television_changes_only_at_the_drop_action():
    states, env = layouts("NoisyTVRooms", 2000)
    assert (states["kind"] == [TELEVISION, *[DARK] * 6]).all()
    before = unpack(states["grid"])
    tv = before[..., 0] == BALL
    assert (tv.sum(axis=(1, 2)) == 1).all()
    for action in (0, 1, 3, 6):  # turns, pick up, done
        env.step(np.full(2000, action))
    np.testing.assert_array_equal(env.get_state()["grid"], states["grid"])
    infos = env.step(np.full(2000, 4))[4]
    after = unpack(env.get_state()["grid"])
    pairs = np.bincount(6 * before[tv][:, 1].astype(int) + after[tv][:, 1], minlength=36)
    assert ((pairs - 2000 / 36) ** 2 / (2000 / 36)).sum() < 66.6
    np.testing.assert_array_equal(after[~tv], before[~tv])
    assert (infos["noisy_rooms"] == 1).all()
    assert (infos["room_state"] == -1).all()


@pytest.mark.parametrize("name", ["SurpriseRooms-Goal", "DarkRooms-Goal", "NoisyTVRooms-Goal"])
def test_goal_pays_once_and_ends(name):
    env = make(name).unwrapped
    env.reset(seed=1)
    state = env.get_state()
    grid = unpack(state["grid"][0])
    (goal,) = np.argwhere(grid[..., 0] == GOAL)
    x0, y0, x1, y1 = state["rooms"][0, -1]
    assert x0 < goal[0] < x1
    assert y0 < goal[1] < y1
    # Stand beside it, facing it.
    x, y, heading = goal[0] - 1, goal[1], EAST
    if grid[x, y, 0] not in (EMPTY, FLOOR):
        x, heading = goal[0] + 1, WEST
    state["pose"][0] = (x, y, heading)
    env.set_state(state)
    assert env.step(0)[1:4] == (0.0, False, False)
    env.step(1)
    _, reward, terminated, truncated, info = env.step(FORWARD)
    limit = gym.spec(f"envzoo/{name}-v0").max_episode_steps
    assert reward == pytest.approx(1 - 0.9 * 3 / limit)
    assert (terminated, truncated) == (True, False)
    assert info["room"] == len(state["rooms"][0]) - 1


@pytest.mark.parametrize(
    ("name", "steps"), [("SurpriseRooms", 64), ("SurpriseRooms-Paper", 128), ("NoisyTVRooms", 140)]
)
def test_time_limits_truncate(name, steps):
    env = make(name)
    env.reset(seed=0)
    ends = [env.step(0)[1:4] for _ in range(steps)]
    assert ends == [(0.0, False, False)] * (steps - 1) + [(0.0, False, True)]


def test_registered_settings():
    assert make("SurpriseRooms").observation_space.shape == (5, 5, 3)
    assert make("SurpriseRooms-Paper").observation_space.shape == (7, 7, 3)
    assert make("SurpriseRooms-Paper").action_space.n == 7
    paper = make("SurpriseRooms-Paper").unwrapped.definition.parameters.layout
    assert (paper.size, paper.rooms, paper.least_side, paper.most_side, paper.density) == (25, 4, 4, 8, 1.0)
    assert paper.anywhere
    states, _ = layouts("SurpriseRooms-Balls", 3000)
    shares = np.bincount(states["kind"].ravel(), minlength=3) / states["kind"].size
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.02)
    states, _ = layouts("DarkRooms", 50)
    assert not states["kind"].any()


@pytest.mark.parametrize("name", IDS)
def test_check_env_and_random_play(name):
    env = gym.make(name)
    check_env(env.unwrapped, skip_render_check=True)
    vector = gym.make_vec(name, num_envs=16)
    observation, _ = vector.reset(seed=0)
    rng = np.random.default_rng(0)
    most = np.zeros(16)
    for _ in range(300):
        observation, *_, info = vector.step(rng.integers(vector.single_action_space.n, size=16))
        assert observation in vector.observation_space
        assert set(np.unique(info["room_state"])) <= {-1, 0, 1}
        assert (info["noisy_stopped"] <= info["noisy_rooms"]).all()
        most = np.maximum(most, info["rooms_visited"])
    assert 1 < most.max() <= len(vector.get_state()["rooms"][0])


# ---------------------------------------------------------------------------- input and pictures


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"view": 4}, "view is 4; expected an odd number from 3 to 31"),
        ({"view": 33}, "view is 33; expected an odd number"),
        ({"view": 1}, "view is 1; expected a whole number of at least 3"),
        ({"rooms": 1}, "rooms is 1; expected a whole number of at least 2"),
        ({"least_side": 3}, "least_side is 3"),
        ({"least_side": 6, "most_side": 5}, "most_side is 5; expected a whole number of at least 6"),
        ({"p_dark": 1.5}, "p_dark is 1.5; expected a number of at least 0 and at most 1"),
        ({"p_dark": 0.3}, "is 0.8; expected probabilities that sum to 1"),
        ({"density": 0}, "density is 0; expected a number above 0"),
        ({"goal_time": 0}, "goal_time is 0"),
        ({"actions": "sevn"}, "unknown actions 'sevn'"),
        ({"size": 9, "rooms": 8}, "a chain of 8 rooms .* does not fit in a grid of 9"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(EnvzooError, match=message):
        SurpriseRooms(**kwargs)


def test_unknown_argument_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'view'"):
        make(veiw=5)


def test_pictures():
    env = staged(TWO_ROOMS, CHAIN, [DARK, FLICKERING], (2, 2, EAST), render_mode="rgb_array")
    before = env.render()
    assert before.dtype == np.uint8
    assert before.shape == (9 * 24 + 24, 9 * 24, 3)
    tile = before[2 * 24 + 12, 12]  # the wall to the left of the agent, behind it: not highlighted
    assert tile.tolist() == [100, 100, 100]
    assert before[2 * 24 + 2, 2 * 24 + 20].tolist() == [76, 76, 76]  # its own cell: black, highlighted
    env.step(TOGGLE)
    assert not np.array_equal(env.render(), before)
    text = staged(TWO_ROOMS, CHAIN, [DARK, FLICKERING], (2, 2, EAST), render_mode="ansi")
    assert text.render().splitlines()[:5] == ["#######", "#  #..#", "# >D.B#", "#  #..#", "#######"]
    assert text.render().endswith("room 0 (dark), visited 1 of 2, stopped 0 of 1")
