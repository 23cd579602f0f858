"""GridCoverage against the definition of its set function, hand-worked numbers and the paper's settings."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo  # noqa: F401
from envzoo.coverage.grid import covered_cells, disc_table, move_table, next_cells
from envzoo.coverage.grid_coverage import GridCoverage
from envzoo.errors import EnvzooError, UnknownNameError

paths = st.lists(st.integers(0, 4), min_size=1, max_size=12)


def make(**kwargs):
    return gym.make("envzoo/GridCoverage-v0", disable_env_checker=True, **kwargs).unwrapped


def walk(env, actions, seed=0, options=None):
    """Rewards and infos of one episode, and the cells visited, the start first."""
    observation, info = env.reset(seed=seed, options=options)
    cells, rewards, infos = [int(observation[0])], [], [info]
    for action in actions:
        observation, reward, *_, info = env.step(action)
        cells.append(int(observation[0]))
        rewards.append(reward)
        infos.append(info)
    return cells, rewards, infos


def brute_force_disc(cell, rows, columns, radius):
    y, x = divmod(cell, columns)
    return {
        r * columns + c for r in range(rows) for c in range(columns) if abs(r - y) <= radius and abs(c - x) <= radius
    }


@given(
    actions=paths,
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    radius=st.integers(0, 2),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_episode_against_python_sets(actions, rows, columns, radius, seed):
    env = make(rows=rows, columns=columns, radius=radius, horizon=len(actions), start="random", coverage_mask=True)
    observation, info = env.reset(seed=seed)
    cell = int(observation["position"][0])
    covered, modular = brute_force_disc(cell, rows, columns, radius), 0.0
    first, total = len(covered), 0.0
    for move, action in enumerate(actions, start=1):
        assert observation in env.observation_space
        assert set(np.flatnonzero(observation["covered"])) == covered
        assert info == {"coverage": len(covered), "modular_reward": modular}
        y, x = divmod(cell, columns)
        dy, dx = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)][action]
        if 0 <= y + dy < rows and 0 <= x + dx < columns:
            cell = (y + dy) * columns + x + dx
        disc = brute_force_disc(cell, rows, columns, radius)
        gain, modular = len(disc - covered), len(disc)
        covered |= disc
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward
        assert observation["position"].tolist() == [cell, move]
        assert reward == gain
        assert terminated == (move == len(actions))
        assert not truncated
    assert total == len(covered) - first  # telescoping
    assert len(covered) <= env.definition.upper_bound


@given(actions=paths, disc=st.sampled_from(["square", "paper", "paper_large"]))
@settings(max_examples=40, deadline=None)
def test_return_telescopes_for_every_disc(actions, disc):
    env = make(rows=6, columns=5, disc=disc, horizon=12, start=(3, 2))
    cells, rewards, infos = walk(env, actions)
    f = env.definition.value
    assert sum(rewards) == f(cells) - f(cells[:1])
    assert [info["coverage"] for info in infos] == [f(cells[: k + 1]) for k in range(len(cells))]
    assert [info["modular_reward"] for info in infos[1:]] == [f([cell]) for cell in cells[1:]]


def test_coverage_is_monotone_and_submodular():
    rng = np.random.default_rng(0)
    for disc in ("square", "paper", "paper_large"):
        f = GridCoverage(rows=6, columns=7, disc=disc).value
        for _ in range(100):
            large = rng.choice(42, size=rng.integers(1, 12), replace=False).tolist()
            small = large[: rng.integers(0, len(large) + 1)]
            extra = int(rng.integers(42))
            assert f(small) <= f(large)
            assert f([*small, extra]) - f(small) >= f([*large, extra]) - f(large)
    assert GridCoverage().value([]) == 0


def test_hand_check_on_three_cells():
    env = make(rows=1, columns=3, horizon=2)
    f = env.definition.value
    assert (f([0]), f([0, 1]), f([0, 1, 2])) == (2, 3, 3)
    for actions, gains, modular in [
        ((1, 0), [1, 0], [3, 3]),
        ((1, 1), [1, 0], [3, 2]),
        ((0, 1), [0, 1], [2, 3]),
        ((0, 0), [0, 0], [2, 2]),
    ]:
        _, rewards, infos = walk(env, actions)
        assert rewards == gains
        assert [info["modular_reward"] for info in infos[1:]] == modular


def test_upper_bounds():
    assert make().definition.upper_bound == 64
    assert make(start="centre").definition.upper_bound == 69
    assert make(start="random").definition.upper_bound == 69
    assert make(horizon=200).definition.upper_bound == 100
    assert make(disc="paper", rows=30, columns=30, horizon=79, start=34).definition.upper_bound == 4 + 79 * 2
    # A path that goes through fresh ground all the time reaches the bound.
    env = make(rows=3, columns=9, horizon=4, start=(1, 1))
    assert walk(env, [1, 1, 1, 1])[2][-1]["coverage"] == env.definition.upper_bound == 9 + 4 * 3


def test_tables():
    assert next_cells(2, 2).tolist() == [[0, 1, 2, 0, 0], [1, 1, 3, 0, 1], [2, 3, 2, 2, 0], [3, 3, 3, 2, 1]]
    table, sizes = disc_table(3, 3, "paper", None)
    assert sizes.tolist() == [4, 4, 2, 4, 4, 2, 2, 2, 1]
    assert sorted(table[4]) == [4, 5, 7, 8]
    assert set(table[8]) == {8}
    assert covered_cells(table, [0, 4]).reshape(3, 3).astype(int).tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    # "paper_large" is the paper's map applied twice.
    large, large_sizes = disc_table(5, 4, "paper_large", None)
    small, _ = disc_table(5, 4, "paper", None)
    for cell in range(20):
        twice = {int(second) for first in small[cell] for second in small[first]}
        assert set(large[cell, : large_sizes[cell]]) == twice


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([0, 1, 2, 7, "paper", "paper_large"]), st.data())
def test_tables_against_their_definition(rows, columns, shape, data):
    everywhere = range(rows * columns)
    walls = np.array(data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns)))
    disc, radius = (shape, None) if isinstance(shape, str) else ("square", shape)
    low, high = {"paper": (0, 1), "paper_large": (0, 2)}[shape] if radius is None else (-radius, radius)

    def covers(cell, other):
        (row, column), (other_row, other_column) = divmod(cell, columns), divmod(other, columns)
        near = low <= other_row - row <= high and low <= other_column - column <= high
        return near and (other == cell or not walls[other])

    discs = [[other for other in everywhere if covers(cell, other)] for cell in everywhere]
    table, sizes = disc_table(rows, columns, disc, radius, walls)
    assert sizes.tolist() == [len(cells) for cells in discs]
    assert table.tolist() == [cells + [cell] * (max(sizes) - len(cells)) for cell, cells in enumerate(discs)]
    moves = next_cells(rows, columns, walls)
    newly = [[[x for x in discs[after] if x not in discs[cell]] for after in moves[cell]] for cell in everywhere]
    found, most = move_table(rows, columns, table, walls)
    assert found.dtype == np.uint32
    assert most == max(len(cells) for row in newly for cells in row)
    for cell in everywhere:
        for action, after in enumerate(moves[cell]):
            expected = [after, *newly[cell][action]]
            assert found[cell, action].tolist() == expected + [after] * (1 + most - len(expected))


def test_starts():
    def first(start, **kwargs):
        return int(make(start=start, **kwargs).reset(seed=0)[0][0])

    assert [first(s) for s in ("corner", "centre", 34, (1, 4))] == [0, 55, 34, 14]
    assert first("centre", rows=3, columns=5) == 7
    env = make(start="random")
    seen = {int(env.reset(seed=0 if k == 0 else None)[0][0]) for k in range(1500)}
    assert seen == set(range(100))
    assert env.reset(options={"start": 5})[0][0] == 5
    assert env.reset(options={"start": "centre"})[0][0] == 55
    vector = gym.make_vec("envzoo/GridCoverage-v0", num_envs=3)
    assert vector.reset(options={"start": np.array([4, 5, 6])})[0][:, 0].tolist() == [4, 5, 6]
    assert vector.reset(options={"start": 9})[0][:, 0].tolist() == [9, 9, 9]
    assert vector.reset()[0][:, 0].tolist() == [0, 0, 0]


def test_paper_settings():
    env = gym.make("envzoo/GridCoverage-Paper-v0").unwrapped
    assert env.observation_space.nvec.tolist() == [900, 80]
    observation, info = env.reset(seed=0)
    assert observation.tolist() == [34, 0]
    assert info["coverage"] == 4
    steps = 1
    while not env.step(1)[2]:
        steps += 1
    assert steps == 79
    assert gym.make("envzoo/GridCoverage-PaperLarge-v0").reset(seed=0)[1]["coverage"] == 9


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"rows": 0}, "rows is 0"),
        ({"columns": 2.5}, "columns is 2.5"),
        ({"horizon": -1}, "horizon is -1"),
        ({"radius": -1}, "radius is -1"),
        ({"radius": 2, "disc": "paper"}, "fixed size"),
        ({"disc": "papr"}, "did you mean 'paper'"),
        ({"start": "center"}, "did you mean 'centre'"),
        ({"start": 100}, "a cell from 0 to 99"),
        ({"start": (10, 0)}, "row below 10"),
        ({"start": 1.5}, "expected 'corner'"),
    ],
)
def test_unusable_arguments(kwargs, match):
    with pytest.raises(EnvzooError, match=match):
        GridCoverage(**kwargs)


def test_unusable_options():
    env = make()
    for start in (100, -1, 1.5, [1, 2], None):
        with pytest.raises(EnvzooError, match="reset option start"):
            env.reset(options={"start": start})
    with pytest.raises(UnknownNameError, match="unknown start"):
        env.reset(options={"start": "middle"})


def test_text_picture():
    env = gym.make("envzoo/GridCoverage-v0", rows=2, columns=5, horizon=3, render_mode="ansi")
    env.reset(seed=0)
    env.step(1)
    env.step(1)
    assert env.render() == "S o A + .\n+ + + + .\nmove 2 of 3, covered 8 of 10"
