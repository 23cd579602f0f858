"""The occluded view against Minigrid itself, golden views made by Minigrid, and a slow reference."""

import numpy as np
import pytest

from envzoo.surprise.cells import LAST, pack, unpack, unpack_to
from envzoo.surprise.codes import BALL, BOX, CLOSED, DOOR, EMPTY, FLOOR, GOAL, GREY, OPEN, SWITCH, WALL
from envzoo.surprise.view import look, look_at

KINDS = (EMPTY, WALL, FLOOR, DOOR, BALL, BOX, GOAL)
# What the signs of a drawn grid mean: type, colour, state.
SIGNS = {
    " ": (EMPTY, 0, 0),
    "#": (WALL, GREY, 0),
    ".": (FLOOR, 2, 0),
    "D": (DOOR, 4, CLOSED),
    "/": (DOOR, 4, OPEN),
    "o": (BALL, 0, 0),
    "B": (BOX, 3, 0),
    "G": (GOAL, 1, 0),
}
DRAWN = """
#######
# .#  #
# .D o#
# .#  #
##/####
#  B G#
#######
"""
# Views of DRAWN from (column, row, heading), as Minigrid 3.2 gives them: rows from far to near, one sign per cell, "?"
# for cells out of sight, "_" for empty ones.
GOLDEN = {
    (2, 2, 0): """
?????
?????
?????
##D##
#._./
""",
    (2, 3, 1): """
?????
#####
_B__#
?#/##
?#__#
""",
    (1, 5, 0): """
?#G#?
?#_#?
##B#?
./_#?
?#_#?
""",
    (5, 2, 2): """
?????
?????
##D##
#___#
#___#
""",
    (4, 5, 3): """
.#???
.D???
.#???
/####
_B_G#
""",
}


def grid_of(text):
    lines = text.strip("\n").splitlines()
    return np.array([[SIGNS[line[x]] for line in lines] for x in range(len(lines[0]))], np.uint8)


def ours(grid, x, y, heading, view):
    image = np.full((view, view, 3), 99, np.uint8)
    look(pack(grid), x, y, heading, image)
    return image


def text_of(image):
    names = {code: sign for sign, code in SIGNS.items()} | {(0, 0, 0): "?"}
    size = len(image)
    return "\n".join("".join(names[tuple(image[i, j].tolist())] for i in range(size)) for j in range(size))


def reference(grid, x, y, heading, view):
    """The view in plain Python: turn the grid, mark what is seen cell by cell, then read it."""
    ahead = [(1, 0), (0, 1), (-1, 0), (0, -1)][heading]
    right = (-ahead[1], ahead[0])
    cells = {}
    for i in range(view):
        for j in range(view):
            forward, sideways = view - 1 - j, i - view // 2
            cx, cy = x + ahead[0] * forward + right[0] * sideways, y + ahead[1] * forward + right[1] * sideways
            inside = 0 <= cx < grid.shape[0] and 0 <= cy < grid.shape[1]
            cells[i, j] = tuple(grid[cx, cy].tolist()) if inside else (WALL, GREY, 0)
    clear = {key: kind != WALL and not (kind == DOOR and door != OPEN) for key, (kind, _, door) in cells.items()}
    seen = {(view // 2, view - 1)}
    for j in reversed(range(view)):
        for order, side in ((range(view - 1), 1), (reversed(range(1, view)), -1)):
            for i in order:
                if (i, j) in seen and clear[i, j]:
                    seen |= {(i + side, j), (i + side, j - 1), (i, j - 1)}
    image = np.zeros((view, view, 3), np.uint8)
    for i, j in seen:
        if j >= 0:
            image[i, j] = cells[i, j]
    image[view // 2, view - 1] = (EMPTY, 0, 0)
    return image


def random_grids(number, seed):
    rng = np.random.default_rng(seed)
    for _ in range(number):
        shape = tuple(rng.integers(3, 12, size=2))
        share = rng.uniform(0, 0.6)
        kinds = np.where(rng.random(shape) < share, rng.choice([WALL, DOOR], size=shape), rng.choice(KINDS, size=shape))
        colours = rng.integers(0, 6, size=shape) * (kinds != EMPTY)
        colours[kinds == WALL] = GREY
        colours[kinds == GOAL] = 1
        states = rng.integers(0, 3, size=shape) * (kinds == DOOR)
        x, y = rng.integers(shape[0]), rng.integers(shape[1])
        yield np.stack([kinds, colours, states], axis=-1).astype(np.uint8), int(x), int(y), int(rng.integers(4))


def test_against_the_reference():
    for grid, x, y, heading in random_grids(400, 0):
        for view in (3, 5, 7, 11):
            np.testing.assert_array_equal(ours(grid, x, y, heading, view), reference(grid, x, y, heading, view))


def test_against_minigrid():
    pytest.importorskip("minigrid")
    from minigrid.core.grid import Grid
    from minigrid.envs import EmptyEnv

    for grid, x, y, heading in random_grids(300, 1):
        for view in (3, 5, 7):
            env = EmptyEnv(agent_view_size=view)
            env.see_through_walls = False
            env.reset(seed=0)
            env.grid, _ = Grid.decode(grid)
            env.width, env.height = grid.shape[:2]
            env.agent_pos, env.agent_dir = np.array((x, y)), heading
            image = env.gen_obs()["image"]
            np.testing.assert_array_equal(ours(grid, x, y, heading, view), image)
            assert image.dtype == np.uint8


@pytest.mark.parametrize("place", GOLDEN)
def test_golden_views(place):
    x, y, heading = place
    golden = GOLDEN[place].strip("\n").replace("_", " ")
    assert text_of(ours(grid_of(DRAWN), x, y, heading, 5)) == golden


def test_one_grid_of_many_is_seen_as_if_alone():
    rng = np.random.default_rng(5)
    grids = unpack(pack(np.stack([rng.choice(KINDS, size=(3, 6, 7)), *rng.integers(0, 3, (2, 3, 6, 7))], axis=-1)))
    shown = np.full((3, 5, 5), 99, np.uint8)
    for x, y, heading in ((0, 0, 0), (5, 6, 1), (3, 2, 2), (2, 6, 3)):
        shown[:], shown[1] = 99, 0
        look_at(pack(grids).reshape(-1), 42, 6, 7, x, y, heading, shown.reshape(-1), 25, 5)
        np.testing.assert_array_equal(unpack(shown[1]), ours(grids[1], x, y, heading, 5))
        assert (shown[[0, 2]] == 99).all()


def test_every_cell_has_its_codes():
    cells = np.arange(LAST + 1, dtype=np.uint8)
    codes = unpack(cells)
    np.testing.assert_array_equal(pack(codes), cells)
    assert len(np.unique(codes, axis=0)) == len(cells)
    # All types and colours, and the two further states of a door in all colours.
    assert {tuple(code) for code in codes.tolist()} == {
        *((kind, colour, 0) for kind in range(SWITCH + 1) for colour in range(GREY + 1)),
        *((DOOR, colour, state) for state in (1, 2) for colour in range(GREY + 1)),
    }
    for count in (0, 1, 5, len(cells)):
        numbers = np.full(3 * len(cells) + 2, 99, np.uint8)
        unpack_to(cells, count, numbers, 2)
        np.testing.assert_array_equal(numbers[2 : 2 + 3 * count], codes[:count].ravel())
        assert (numbers[:2] == 99).all()
        assert (numbers[2 + 3 * count :] == 99).all()
