"""Every keyword, reset option and state field of every registered environment and game works with bad values, or is
refused in one sentence: never a raw error of Python, NumPy or Numba."""

import inspect
import warnings
from functools import partial
from importlib import import_module

import gymnasium as gym
import helpers
import numpy as np
import pytest

from envzoo.errors import EnvzooError, MissingExtraError
from envzoo.games import games, make_game
from envzoo.registration import specs

pytestmark = pytest.mark.any_arithmetic

NAN, INF = float("nan"), float("inf")
VALUES = (-1, 0, NAN, INF, 1e30, "x", True, None, [])
MORE = (
    *VALUES,
    {},
    2**70,
    0.5,
    b"x",
    [[1]],
    [1, "x"],
    [[1], [1, 2]],
    (1, 2, 3, 4),
    np.zeros(0),
    np.array(["x"]),
    object(),
)
FACE = ("render_mode", "max_episode_steps")


def face(path):
    module, name = path.split(":")
    return getattr(import_module(module), name)


def rows():
    """One row of the table for each class."""
    found = {}
    for row in specs():
        found.setdefault(row.entry_point, row)
    return list(found.values())


def keywords(cls):
    """The environment's own keywords, and those of its environment class."""
    names = inspect.signature(getattr(cls, "definition_class", cls).__init__).parameters
    own = [name for name in names if name not in ("self", "args", "kwargs")]
    return own + [name for name in FACE if hasattr(cls, "definition_class") and name not in own]


accepted = partial(helpers.accepted, (EnvzooError, gym.error.Error))


def go(cls, vector=False, **given):
    env = cls(**given)
    env.reset(seed=0)
    space = env.single_action_space if vector else env.action_space
    space.seed(0)
    env.step(np.stack([space.sample() for _ in range(env.num_envs)]) if vector else space.sample())
    env.close()


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_keywords(row):
    cls = face(row.entry_point)
    assert accepted(go, cls, **row.kwargs)
    refused = 0
    for name in keywords(cls):
        for value in VALUES:
            refused += not accepted(go, cls, **{**row.kwargs, name: value})
    # Keywords exist that a bad value must not pass, unless there are none but flags.
    assert refused or not any(name not in FACE for name in keywords(cls))
    if hasattr(cls, "definition_class"):
        assert not accepted(cls, **row.kwargs, nonsense=1)


@pytest.mark.parametrize("row", [row for row in rows() if row.vector_entry_point], ids=lambda row: row.id)
def test_keywords_of_the_vector_face(row):
    cls = face(row.vector_entry_point)
    for name in ("num_envs", "render_tiles", "autoreset_mode", "render_mode", "max_episode_steps"):
        for value in (*VALUES, 0.5, {}):
            accepted(go, cls, True, **{"num_envs": 2, **row.kwargs, name: value})
    for value in (-1, 0, NAN, INF, 1e30, "x", True, None, []):
        assert not accepted(cls, value, **row.kwargs)
    for value in (-1, 0, NAN, INF, 1e30, "x", True, []):
        assert not accepted(cls, 2, max_episode_steps=value, **row.kwargs)


@pytest.mark.parametrize("vector", [False, True], ids=["single", "vector"])
@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_resets_states_and_actions(row, vector):
    if vector and row.vector_entry_point is None:
        return
    try:
        env = face(row.vector_entry_point)(2, **row.kwargs) if vector else face(row.entry_point)(**row.kwargs)
    except MissingExtraError as error:
        pytest.skip(str(error))
    names = getattr(getattr(env, "definition", None), "option_names", ())
    for value in MORE:
        for name in (*names, "nonsense"):
            works = accepted(env.reset, options={name: value})
            # What Gymnasium's own Ant makes of options that it does not know is its affair.
            assert name in names or not works or not hasattr(env, "definition")
        if not isinstance(value, dict) and value is not None:
            assert not accepted(env.reset, options=value)
        seeded = accepted(env.reset, seed=value)
        assert not seeded or value is None or (isinstance(value, int) and value >= 0 and value is not True), value
        env.reset(seed=0)
        if hasattr(env, "get_state"):
            assert not accepted(env.set_state, value)
            state = env.get_state()
            for field in state:
                accepted(env.set_state, {**state, field: value})
            env.set_state(state)
        accepted(env.step, value)
    env.close()


@pytest.mark.parametrize("game", games())
def test_games(game):
    cls = type(make_game(game).definition)
    names = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def play(**given):
        made = make_game(game, **given)
        made.reset(seed=0)
        made.step({player: made.action_space(player).sample() for player in made.agents})

    for name in (*names, "render_mode"):
        for value in VALUES:
            accepted(play, **{name: value})
    for name in ("receiver", "nonsense"):
        assert not accepted(play, **{name: 1})
    made = make_game(game)
    assert not accepted(made.step, {})  # before the first reset
    for value in MORE:
        made.reset(seed=0)
        assert not accepted(made.step, value)
        assert not accepted(made.step, {"sender": value})
        accepted(made.step, {"sender": value, "receiver": 0})
        accepted(made.step, {"sender": 0, "receiver": value})
        assert not accepted(made.observation_space, value)
        assert not accepted(made.action_space, value)
        assert not accepted(make_game, value)
        if not isinstance(value, dict) and value is not None:
            assert not accepted(made.reset, options=value)


def test_a_negative_length_is_no_length():
    with pytest.raises(EnvzooError, match="rows is -1; expected a whole number of at least 1"):
        gym.make("envzoo/GridCoverage-v0", rows=-1)
