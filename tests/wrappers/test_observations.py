"""Wrappers that add time, visits and history: spaces, values, single and vector, autoreset modes, capture."""

import importlib

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envzoo  # noqa: F401
from envzoo import wrappers
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.wrappers import GridDiscretiser, HistoryObservation, TimeInObservation, VisitationMask

GRID = "envzoo/GridCoverage-v0"
KWARGS = {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}
CASES = {
    "HistoryObservation": {"length": 4, "key": 0},
    "TimeInObservation": {"horizon": 5},
    "VisitationMask": {"key": 0, "shape": (3, 4)},
}


def flat(observation):
    """Observations as plain lists, to be compared."""
    if isinstance(observation, dict):
        return {name: flat(part) for name, part in observation.items()}
    return np.asarray(observation).tolist()


def row(observation, i):
    return (
        {name: row(part, i) for name, part in observation.items()} if isinstance(observation, dict) else observation[i]
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vector_version_equals_single_version_and_continues_from_a_captured_state(name, mask, mode):
    arguments = dict(CASES[name])
    if mask and "key" in arguments:
        arguments["key"] = ("position", 0)
    kwargs = {**KWARGS, "coverage_mask": mask}
    single, vector = getattr(wrappers, name), getattr(wrappers, "Vector" + name)
    make_one = lambda: single(gym.make(GRID, **kwargs), **arguments)  # noqa: E731
    reference = SyncVectorEnv([make_one] * 6, autoreset_mode=mode)
    make = lambda: vector(gym.make_vec(GRID, num_envs=6, autoreset_mode=mode, **kwargs), **arguments)  # noqa: E731
    env, fork = make(), None
    assert env.single_observation_space == reference.single_observation_space
    assert env.observation_space == reference.observation_space
    expected, got = reference.reset(seed=4)[0], env.reset(seed=4)[0]
    rng, kept = np.random.default_rng(0), []
    for t in range(17):
        assert flat(got) == flat(expected)
        assert got in env.observation_space
        kept.append((got, flat(got)))
        actions = rng.integers(0, 5, 6)
        expected, _, terminated, _, final = reference.step(actions)
        got, *_, infos = env.step(actions)
        if fork is not None:
            assert flat(fork.step(actions)[0]) == flat(got)
        if mode is AutoresetMode.SAME_STEP and terminated.any():
            for i in np.flatnonzero(terminated):
                assert flat(infos["final_obs"][i]) == flat(final["final_obs"][i])
                assert infos["final_obs"][i] in env.single_observation_space
        if t == 7:
            fork = make()
            fork.reset(seed=0)
            fork.set_state(env.get_state())
    assert all(flat(observation) == copy for observation, copy in kept)  # what was returned is never written again


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_gymnasium_accepts_them(name):
    check_env(getattr(wrappers, name)(gym.make(GRID, **KWARGS).unwrapped, **CASES[name]), skip_render_check=True)


def test_mask_of_a_walk():
    env = VisitationMask(gym.make(GRID, rows=1, columns=4, start=1), key=0)
    observation, _ = env.reset(seed=0)
    assert env.observation_space["visited"] == spaces.MultiBinary([4])
    assert observation["visited"].tolist() == [0, 1, 0, 0]
    assert env.step(1)[0]["visited"].tolist() == [0, 1, 1, 0]
    assert env.step(3)[0]["visited"].tolist() == [0, 1, 1, 0]
    assert env.step(3)[0]["visited"].tolist() == [1, 1, 1, 0]
    assert env.reset(seed=0)[0]["visited"].tolist() == [0, 1, 0, 0]


def test_history_of_a_walk():
    inner = gym.make(GRID, rows=1, columns=4, start=1, horizon=5)
    env = HistoryObservation(inner, 3, 0, replace=True)
    assert env.observation_space == spaces.Box(-1, 3, (3,), np.int64)
    assert env.reset(seed=0)[0].tolist() == [1, -1, -1]
    assert [env.step(action)[0].tolist() for action in (1, 1, 0, 3)] == [[1, 2, -1], [1, 2, 3], [2, 3, 3], [3, 3, 2]]
    assert env.reset(seed=0)[0].tolist() == [1, -1, -1]


def test_time_joins_observations_of_its_kind():
    env = TimeInObservation(gym.make("CliffWalking-v1"), 2)
    assert env.observation_space == spaces.MultiDiscrete([48, 3])
    assert env.reset(seed=0)[0].tolist() == [36, 0]
    assert [env.step(0)[0].tolist() for _ in range(3)] == [[24, 1], [12, 2], [0, 2]]
    cart = TimeInObservation(gym.make("CartPole-v1"))  # 500 steps, by its spec
    assert cart.observation_space.shape == (5,)
    cart.reset(seed=0)
    observation = cart.step(0)[0]
    assert observation in cart.observation_space
    assert observation.dtype == np.float32
    assert observation[-1] == np.float32(1 / 500)
    shifted = TimeInObservation(gym.make(GRID, coverage_mask=True), 20)
    assert shifted.observation_space["time"] == spaces.MultiDiscrete([21])
    assert shifted.reset(seed=0)[0]["time"].tolist() == [0]


def test_positions_in_a_box_are_discretised():
    cells = GridDiscretiser([-1.0, 0.0], [1.0, 3.0], (2, 3))
    positions = np.array([[-1.0, 0.0], [-0.01, 3.0], [0.0, 1.0], [1.0, 2.999], [5.0, -5.0]])
    assert cells(positions).tolist() == [0, 2, 4, 5, 3]
    assert int(cells(positions[3])) == 5
    assert cells.size == 6
    env = VisitationMask(gym.make("MountainCar-v0"), 0, GridDiscretiser([-1.2], [0.6], [9]))
    observation, _ = env.reset(seed=0)
    assert observation["visited"].sum() == 1
    assert observation["visited"][int((observation["observation"][0] + 1.2) / 0.2)] == 1
    pairs = VisitationMask(gym.make(GRID, **KWARGS), (0, 1))  # pairs (cell, step)
    observation, _ = pairs.reset(seed=0)
    assert observation["visited"].argmax() == observation["observation"][0] * 6


def test_refusals():
    inner = gym.make(GRID, **KWARGS)
    with pytest.raises(EnvzooError, match="has no max_episode_steps; give horizon"):
        TimeInObservation(inner)
    with pytest.raises(EnvzooError, match="horizon is 0"):
        TimeInObservation(inner, 0)
    with pytest.raises(EnvzooError, match="length is 0"):
        HistoryObservation(inner, 0)
    with pytest.raises(EnvzooError, match="does not hold the 12 elements"):
        VisitationMask(inner, 0, shape=(3, 3))
    with pytest.raises(EnvzooError, match="has an entry 'covered' already"):
        VisitationMask(gym.make(GRID, coverage_mask=True), ("position", 0), entry="covered")
    with pytest.raises(EnvzooError, match="number of elements is not known from what key returned; give size"):
        VisitationMask(inner, lambda observation: 0)
    with pytest.raises(EnvzooError, match="visits element 3 by what key returned; expected 0 to 2"):
        HistoryObservation(inner, 2, lambda observation: 3, size=3).reset(seed=0)
    with pytest.raises(EnvzooError, match="do not span a grid"):
        GridDiscretiser([0.0], [0.0], [3])
    with pytest.raises(UnknownNameError, match="value of outside 'drop'"):
        GridDiscretiser([0.0], [1.0], [3], outside="drop")
    with pytest.raises(EnvzooError, match="lies outside the box"):
        GridDiscretiser([0.0], [1.0], [3], outside="raise")(np.array([[0.5], [1.5]]))
    with pytest.raises(EnvzooError, match=r"expected numbers \(..., 1\)"):
        GridDiscretiser([0.0], [1.0], [3])(np.zeros(2))
    with pytest.raises(EnvzooError, match="not a number"):
        GridDiscretiser([0.0], [1.0], [3])(np.array([np.nan]))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        wrappers.Nothing  # noqa: B018
    assert set(wrappers.__all__) <= set(dir(wrappers))
    assert all(getattr(wrappers, name).__name__.rpartition(".")[2] == name for name in wrappers.__all__)


@pytest.mark.parametrize(
    ("module", "former", "present"),
    [
        ("stateful", "TrackingWrapper", "StatefulWrapper"),
        ("stateful", "VectorTrackingWrapper", "StatefulVectorWrapper"),
        ("augment_observation", "Joiner", "ObservationAugmenter"),
    ],
)
def test_former_names_warn_and_give_the_renamed_class(module, former, present):
    module = importlib.import_module(f"envzoo.wrappers.{module}")
    with pytest.warns(DeprecationWarning, match=rf"{former} is now envzoo\.wrappers\.\w+\.{present}"):
        assert getattr(module, former) is getattr(module, present)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        module.Nothing  # noqa: B018
