"""Contract of the coverage environments: single and vector agree, gains telescope, F is monotone and submodular."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import SyncVectorEnv
from helpers import check_same_vectors

import envzoo  # noqa: F401  (registers the environments)
from envzoo import registration
from envzoo.errors import EnvzooError

_SMALL = {"rows": 4, "columns": 5, "horizon": 6, "start": "random", "stochasticity": 0.3}
_SEEN = {"field_visible": True, "coverage_mask": True}
# Each observation, fields that are given, fixed by a seed and drawn anew.
GRIDS = {
    "grid": ("GridCoverage", {**_SMALL, "coverage_mask": True}),
    "bimodal": ("BimodalCoverage", {**_SMALL, **_SEEN}),
    "rooms": ("TwoRoomsCoverage", {"horizon": 6, "start": "random", "stochasticity": 0.3, "coverage_mask": True}),
    "planning": ("InformativePathPlanning", {**_SMALL, **_SEEN}),
    "planning-fixed": ("InformativePathPlanning", {**_SMALL, "field_seed": 3, "disc": "paper_large"}),
    "biodiversity": ("Biodiversity", {**_SMALL, "field_visible": True, "disc": "paper"}),
    "items": ("ItemCollection", {"horizon": 8, "stochasticity": 0.3, "items_visible": True}),
    "items-mask": ("ItemCollection", {"placement_seed": 1, "items_visible": True, "coverage_mask": True}),
    "items-fixed": ("ItemCollection", {"start": "random", "placement_seed": 1, "coverage_mask": True}),
    "design": ("BayesianExperimentDesign", {**_SMALL, "coverage_mask": True}),
}
CASES = {
    **GRIDS,
    "point": ("PointCoverage", {"horizon": 8, "cells": 20, "noise": 0.2, "start": "random"}),
    "point-mask": ("PointCoverage", {"horizon": 8, "cells": 20, "radius": 2.0, "coverage_mask": True}),
    "track": ("RacetrackCoverage", {"horizon": 8, "noise": 0.2, "start": "random"}),
    "track-mask": ("RacetrackCoverage", {"horizon": 8, "coverage_mask": True}),
}

each_case = pytest.mark.parametrize("case", CASES)
each_grid = pytest.mark.parametrize("case", GRIDS)


def make(case, **more):
    name, kwargs = CASES[case]
    return gym.make(f"envzoo/{name}-v0", disable_env_checker=True, **{**kwargs, **more})


def set_function(env):
    """F of this episode: a function of a list of cells."""
    definition, state = env.unwrapped.definition, env.unwrapped.get_state()
    for field in ("field", "items"):
        if state.get(field, np.zeros((1, 1))).shape[1] > 1:
            return lambda cells: definition.value(cells, state[field][0])
    return definition.value


def position(observation):
    return observation["position"] if isinstance(observation, dict) else observation


@each_case
def test_vector_face_equals_sync_vector_env_of_single_faces(case):
    name, kwargs = CASES[case]
    ours = gym.make_vec(f"envzoo/{name}-v0", num_envs=3, **kwargs)
    theirs = SyncVectorEnv([lambda: make(case)] * 3)
    check_same_vectors(ours, theirs, steps=20)


@each_case
@pytest.mark.filterwarnings("ignore:.*render_mode.*")
def test_checker_passes(case):
    check_env(make(case).unwrapped, skip_render_check=True)


@each_case
def test_captured_state_goes_on_the_same_way(case):
    env, other = make(case).unwrapped, make(case).unwrapped
    env.reset(seed=1)
    env.action_space.seed(0)
    env.step(env.action_space.sample())
    other.set_state(env.get_state())
    for _ in range(4):
        action = env.action_space.sample()
        assert data_equivalence(env.step(action), other.step(action), exact=True)


@each_case
def test_pictures(case):
    env = make(case, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.action_space.seed(0)
    for _ in range(3):
        env.step(env.action_space.sample())
    assert first.dtype == np.uint8
    assert first.shape == env.render().shape
    assert first.shape[0] % 2 == first.shape[1] % 2 == 0
    assert not np.array_equal(first, env.render())
    text = make(case, render_mode="ansi")
    text.reset(seed=0)
    assert "move 0 of" in text.render()


@each_grid
def test_gains_telescope_and_infos_are_the_set_function(case):
    env = make(case)
    for seed in range(4):
        observation, info = env.reset(seed=seed)
        f = set_function(env)
        cells = [int(position(observation)[0])]
        assert info == {"coverage": pytest.approx(f(cells)), "modular_reward": 0.0}
        env.action_space.seed(seed)
        terminated, rewards = False, []
        while not terminated:
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            cells.append(int(position(observation)[0]))
            rewards.append(reward)
            assert reward == pytest.approx(f(cells) - f(cells[:-1]))
            assert info["coverage"] == pytest.approx(f(cells))
            assert observation in env.observation_space
            assert not truncated
            if case.startswith("items"):
                state = env.unwrapped.get_state()
                assert info["modular_reward"] == (state["items"][0, cells[-1]] >= 0)
            else:
                assert info["modular_reward"] == pytest.approx(f(cells[-1:]))
        assert len(rewards) == env.unwrapped.definition.horizon
        assert sum(rewards) == pytest.approx(f(cells) - f(cells[:1]))


@each_grid
def test_set_functions_are_monotone_and_submodular(case):
    env = make(case)
    env.reset(seed=0)
    f, definition = set_function(env), env.unwrapped.definition
    rng = np.random.default_rng(0)
    for _ in range(100):
        large = rng.choice(definition.cells, size=rng.integers(1, 9), replace=False).tolist()
        small = large[: rng.integers(0, len(large) + 1)]
        extra = int(rng.integers(definition.cells))
        assert f(small) <= f(large) + 1e-9
        assert f([*small, extra]) - f(small) >= f([*large, extra]) - f(large) - 1e-9
    assert f([]) == 0


@each_grid
def test_stochastic_moves(case):
    name, kwargs = CASES[case]
    wild = {**kwargs, "stochasticity": 1.0, "horizon": 5}
    vector = gym.make_vec(f"envzoo/{name}-v0", num_envs=4000, **wild)
    start = 16 if case == "rooms" or case.startswith("items") else 6  # an inner cell, open on all sides
    before = position(vector.reset(seed=0, options={"start": start})[0])[:, 0]
    actions = np.zeros(4000, np.int64)
    after = position(vector.step(actions)[0])[:, 0]
    shares = np.unique(after - before, return_counts=True)[1] / 4000
    assert len(shares) == 5
    np.testing.assert_allclose(shares, 0.2, atol=0.03)
    assert not actions.any()  # the caller's array is left alone
    calm = make(case, stochasticity=0.0)
    calm.reset(seed=0)
    streams = calm.unwrapped.get_state()["streams"]
    calm.step(0)
    assert np.array_equal(streams, calm.unwrapped.get_state()["streams"])


@each_grid
def test_masks_show_what_is_covered(case):
    env = make(case)
    observation, _ = env.reset(seed=0)
    env.step(1)
    observation, *_ = env.step(2)
    state = env.unwrapped.get_state()
    if isinstance(observation, dict) and "covered" in observation:
        assert np.array_equal(observation["covered"].ravel(), state["covered"][0])
    if isinstance(observation, dict) and "field" in observation:
        field = env.unwrapped.definition.field_of(env.unwrapped._batch.episode(0))
        np.testing.assert_array_equal(observation["field"].ravel(), field.astype(np.float32))


@pytest.mark.parametrize("name", [row.id for row in registration.specs() if row.id.endswith("-Paper-v0")])
def test_paper_settings_are_fixed_worlds(name):
    spec = registration.spec(name)
    if spec.family != "coverage":
        pytest.skip("of another family")
    env = gym.make(name)
    observation, _ = env.reset(seed=0)
    assert position(observation)[0] == 34
    before = env.unwrapped.get_state()
    env.reset(seed=1)
    after = env.unwrapped.get_state()
    assert all(np.array_equal(before[key], after[key]) for key in before if key != "streams")
    states = 80 if "Grid" in name else 40
    assert env.observation_space.nvec.tolist() == [np.prod([env.unwrapped.definition.cells]), states]


@each_grid
@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"stochasticity": 1.5}, "stochasticity is 1.5; expected a number of at least 0 and at most 1"),
        ({"stochasticity": float("nan")}, "stochasticity is nan"),
        ({"horizon": 0}, "horizon is 0"),
        ({"start": "center"}, "did you mean 'centre'"),
        ({"start": 10**4}, "start is 10000; expected 'corner'"),
    ],
)
def test_unusable_arguments(case, kwargs, match):
    with pytest.raises(EnvzooError, match=match):
        make(case, **kwargs)
