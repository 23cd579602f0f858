"""The kernel base, through its environments: single and vector agree, autoreset, capture, errors, streams."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

import envzoo  # noqa: F401  (registers the environments)
from envzoo.errors import (
    EnvzooError,
    InvalidActionError,
    ResetNeededError,
    UnknownNameError,
    UnsupportedSpaceError,
)
from envzoo.kernel import Definition, KernelEnv, stream
from envzoo.kernel.check import ActionCheck
from envzoo.kernel.drawing import tile
from envzoo.kernel.spaces import LimitedMultiBinary

# Short episodes with a random start, ended by time limits and by the environment itself, with and without infos.
CASES = {
    "grid": ("envzoo/GridCoverage-v0", {"rows": 3, "columns": 4, "horizon": 5, "start": "random"}, None),
    "grid-mask": (
        "envzoo/GridCoverage-v0",
        {"rows": 3, "columns": 4, "horizon": 6, "start": "random", "coverage_mask": True},
        4,
    ),
    "goals": ("envzoo/PointMultiGoal-v0", {"goal_radius": 4.4}, 4),
    "bandit": ("envzoo/EntropyBandit-v0", {}, None),
    "continuous": ("envzoo/EntropyBanditContinuous-v0", {}, None),
    "arms": ("envzoo/LSDBandit-v0", {"arms": 3, "rewards": "bernoulli"}, 6),
    "pulls": ("envzoo/LSDBandit-v0", {"arms": 4, "pulls_per_round": 2}, 5),
    "recharging": ("envzoo/RechargingBandit-v0", {}, 7),
    "chain": ("envzoo/BlockChain-Goal-v0", {"rooms": 3, "layout": [0, 1]}, 6),
    "rooms": ("envzoo/SurpriseRooms-Balls-Goal-v0", {"size": 12, "rooms": 2, "p_dark": 0.2, "p_floor": 0.55}, 5),
    "cards": ("envzoo/RepeatPrevious-v0", {"k": 2}, 6),
    "maze": ("envzoo/TMaze-v0", {"length": 3}, None),
    "recall": ("envzoo/AssociativeRecall-v0", {"pairs": 3, "queries": 3}, None),
    "bag": ("envzoo/BitPatternBag-v0", {}, None),
    "pixels": ("envzoo/PixelMatch-v0", {}, 5),
    "glyphs": ("envzoo/SameDifferent-v0", {"size": 16, "distance": 8}, None),
}
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


def make(case, **more):
    name, kwargs, limit = CASES[case]
    return gym.make(name, max_episode_steps=limit, **kwargs, **more)


def make_vec(case, num_envs, **more):
    name, kwargs, limit = CASES[case]
    limited = {} if limit is None else {"max_episode_steps": limit}
    return gym.make_vec(name, num_envs=num_envs, **limited, **kwargs, **more)


def actions_of(space, num_envs, seed):
    if isinstance(space, LimitedMultiBinary):  # a batch of them does not know the limit
        generator = np.random.default_rng(seed)
        while True:
            yield space.draw(num_envs, generator)
    batched = gym.vector.utils.batch_space(space, num_envs)
    batched.seed(seed)
    while True:
        yield batched.sample()


def test_elements_of_a_limited_multi_binary_are_drawn_uniformly():
    space = LimitedMultiBinary(4, 2)
    drawn = space.draw(22_000, np.random.default_rng(0))
    assert drawn.dtype == np.int8
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    assert all(space.contains(element) for element in found)
    assert len(found) == 1 + 4 + 6
    assert np.abs(counts - 2_000).max() < 5 * np.sqrt(2_000)


def same(a, b):
    """Equal in structure, dtype and every bit."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray) and a.dtype == object:
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return np.asarray(a).dtype == np.asarray(b).dtype and np.array_equal(a, b)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_vector_face_equals_sync_vector_env_of_single_faces(case, mode):
    ours = make_vec(case, 5, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: make(case)] * 5, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert same(ours.reset(seed=7), theirs.reset(seed=7))
    for _, actions in zip(range(25), actions_of(ours.single_action_space, 5, 1), strict=False):
        assert same(ours.step(actions), theirs.step(actions))
    # Masked reset, with and without a seed, then on: bit for bit as well.
    mask = np.array([True, False, True, False, False])
    for seed in (None, 3):
        mine, other = {"reset_mask": mask}, {"reset_mask": mask.copy()}
        assert same(ours.reset(seed=seed, options=mine), theirs.reset(seed=seed, options=other))
        assert mine.keys() == {"reset_mask"}
        for _, actions in zip(range(9), actions_of(ours.single_action_space, 5, 2), strict=False):
            assert same(ours.step(actions), theirs.step(actions))


@given(seed=st.integers(0, 2**40), num_envs=st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_results_do_not_depend_on_the_batch_size(seed, num_envs):
    for case in ("grid", "goals"):
        batch, single = make_vec(case, num_envs), make(case)
        slot = num_envs - 1
        observations, _ = batch.reset(seed=seed)
        observation, _ = single.reset(seed=seed + slot)
        over = False
        for _, actions in zip(range(12), actions_of(batch.single_action_space, num_envs, seed), strict=False):
            assert np.array_equal(observations[slot], observation)
            observations, rewards, terminated, truncated, _ = batch.step(actions)
            if over:
                observation, reward, over = single.reset()[0], 0.0, False
            else:
                observation, reward, *ends, _ = single.step(actions[slot])
                over = any(ends)
                assert ends == [terminated[slot], truncated[slot]]
            assert rewards[slot] == reward


def test_seeds_as_list_and_none():
    a, b = make_vec("goals", 3), make_vec("goals", 3)
    first = a.reset(seed=[5, 9, 5])[0]
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(b.reset(seed=9)[0][0], first[1])
    before = a.get_state()["streams"]
    a.reset(seed=[None, 4, None])
    after = a.get_state()["streams"]
    assert np.array_equal(before[[0, 2], 0], after[[0, 2], 0])
    assert before[1, 0] != after[1, 0]
    assert not np.array_equal(a.reset()[0], a.reset()[0])
    fresh = make_vec("goals", 2).reset()[0]
    assert not np.array_equal(fresh[0], fresh[1])
    with pytest.raises(EnvzooError, match="list of 3"):
        a.reset(seed=[1, 2])
    with pytest.raises(EnvzooError, match="at least 0"):
        a.reset(seed=-1)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_mode_strings_and_disabled(mode):
    env = make_vec("bandit", 3, autoreset_mode=mode)
    assert env.metadata["autoreset_mode"] is AutoresetMode(mode)
    env.reset(seed=0)
    env.step([0, 1, 2])
    if mode != "Disabled":
        env.step([0, 1, 2])
        return
    with pytest.raises(ResetNeededError, match="3 episodes have ended"):
        env.step([0, 1, 2])
    env.reset(options={"reset_mask": np.array([True, True, False])})
    with pytest.raises(ResetNeededError, match="number 2"):
        env.step([0, 1, 2])
    env.reset(options={"reset_mask": np.array([False, False, True])})
    env.step([0, 1, 2])


def test_final_observation_needs_no_object_arrays():
    env = make_vec("grid", 4, autoreset_mode="SameStep")
    env.reset(seed=0)
    for step in range(5):
        observations, _, terminated, _, infos = env.step([1, 2, 3, 4])
        if step < 4:
            assert "final_obs" not in infos
            assert np.array_equal(env.final_observation, observations)
    assert terminated.all()
    assert np.array_equal(np.stack(infos["final_obs"]), env.final_observation)
    assert (env.final_observation[:, 1] == 5).all()
    assert (observations[:, 1] == 0).all()


@pytest.mark.parametrize("case", CASES)
def test_returned_arrays_may_be_kept(case):
    env = make_vec(case, 3)
    kept = [env.reset(seed=0)]
    copies = [copy.deepcopy(kept[0])]
    for _, actions in zip(range(8), actions_of(env.single_action_space, 3, 0), strict=False):
        kept.append(env.step(actions))
        copies.append(copy.deepcopy(kept[-1]))
    assert all(same(a, b) for a, b in zip(kept, copies, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_state_round_trip(case):
    def run(env, steps, seed):
        return [env.step(a) for _, a in zip(range(steps), actions_of(env.single_action_space, 4, seed), strict=False)]

    env = make_vec(case, 4)
    env.reset(seed=11)
    run(env, 3, 0)
    state, observation = env.get_state(), env.observation()
    kept = copy.deepcopy(state)
    later = run(env, 12, 1)
    assert same(state, kept)
    other = make_vec(case, 4)
    other.set_state(state)
    assert same(other.observation(), observation)
    assert all(same(a, b) for a, b in zip(run(other, 12, 1), later, strict=True))
    # Part of the batch; and single and vector environments read each other's state.
    env.set_state(env.get_state([2]), [0, 3])
    assert same(env.get_state([0]), env.get_state([2]))
    single = make(case).unwrapped
    single.set_state(env.get_state([3]))
    assert same(single.get_state(), env.get_state([0]))
    env.set_state(single.get_state())
    assert same(env.get_state([1]), env.get_state([2]))


def test_fork_of_a_single_episode_goes_the_same_way():
    env = make("grid").unwrapped
    env.reset(seed=3)
    env.step(1)
    state = env.get_state()
    first = [env.step(a) for a in (1, 2, 2, 1)]
    with pytest.raises(ResetNeededError, match="after the end"):
        env.step(0)
    env.set_state(state)
    assert all(same(a, b) for a, b in zip(first, [env.step(a) for a in (1, 2, 2, 1)], strict=True))


def test_state_errors_change_nothing():
    env = make_vec("grid", 3)
    env.reset(seed=0)
    good = env.get_state()
    for bad, match in [
        ({k: v for k, v in good.items() if k != "covered"}, "no field 'covered'"),
        ({**good, "coverd": good["covered"]}, "did you mean 'covered'"),
        ({**good, "coverage": good["coverage"].astype(np.float32)}, "int64 of shape"),
        ({**good, "covered": good["covered"][:, :3]}, "bool of shape"),
        ({k: v[:2] for k, v in good.items()}, "holds 2 episodes; expected 3"),
        ([1], "expected the dict"),
    ]:
        with pytest.raises(EnvzooError, match=match):
            env.set_state(bad)
        assert same(env.get_state(), good)
    for indices in ([3], [-1], [0.5], [[0]]):
        with pytest.raises(EnvzooError, match="from 0 to 2"):
            env.get_state(indices)


def test_time_limit_truncates_and_never_terminates():
    env = make_vec("goals", 2, autoreset_mode="SameStep")
    env.reset(seed=0, options={"start": (0.0, 0.0)})
    for _ in range(3):
        assert not env.step(np.zeros((2, 2), np.float32))[3].any()
    _, _, terminated, truncated, infos = env.step(np.zeros((2, 2), np.float32))
    assert truncated.all()
    assert not terminated.any()
    assert infos["_final_obs"].all()
    limited = gym.make("envzoo/PointMultiGoal-v0", max_episode_steps=-1).unwrapped
    assert type(limited)(max_episode_steps=1).reset(seed=0)
    single = type(limited)(max_episode_steps=1)
    single.reset(seed=0)
    assert single.step(np.zeros(2, np.float32))[2:4] == (False, True)


def test_actions_are_checked_before_anything_moves():
    env = make_vec("grid", 3)
    env.reset(seed=0)
    state = env.get_state()
    for bad, match in [
        ([0, 5, 1], "action 5 of episode 1 .* the nearest is 4"),
        ([0, 1, -1], "action -1 of episode 2"),
        ([0, 1], "shape"),
        ([0.0, 1.0, 2.0], "expected integers"),
        (np.array([0, 1, 2**64 - 1], np.uint64), "episode 2"),
    ]:
        with pytest.raises(InvalidActionError, match=match):
            env.step(bad)
        assert same(env.get_state(), state)
    env.step(np.array([[0, 1], [2, 3], [4, 0]], np.int8)[:, 0])
    fixed = np.array([0, 1, 2])
    fixed.flags.writeable = False
    env.step(fixed)
    goals = make_vec("goals", 2)
    goals.reset(seed=0)
    for value in (1.5, -1.01, np.nan, np.inf):
        with pytest.raises(InvalidActionError, match="component 1"):
            goals.step(np.array([[0, 0], [0, value]]))
    goals.step([[0, 0], [0, 1]])
    check = ActionCheck(spaces.MultiDiscrete([2, 3]))
    assert check([[1, 2]], 1).dtype == np.int64
    with pytest.raises(InvalidActionError, match="component 0"):
        check([[2, 2]], 1)
    with pytest.raises(UnsupportedSpaceError):
        ActionCheck(spaces.Text(3))


def test_errors_name_the_nearest_choice():
    env = make("grid").unwrapped
    with pytest.raises(ResetNeededError, match="before the first reset"):
        env.step(0)
    with pytest.raises(UnknownNameError, match="did you mean 'start'"):
        env.reset(options={"strat": 0})
    with pytest.raises(UnknownNameError, match="did you mean 'horizon'"):
        type(env)(horizn=3)
    with pytest.raises(UnknownNameError, match="render mode"):
        type(env)(render_mode="rgb")
    vector = make_vec("grid", 2)
    with pytest.raises(ResetNeededError, match="before the first reset"):
        vector.step([0, 0])
    with pytest.raises(ResetNeededError, match="every episode was started"):
        vector.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(UnknownNameError, match="did you mean 'SameStep'"):
        type(vector)(2, autoreset_mode="same_step")
    for mask, match in [([True, False], "bool array"), (np.zeros(2, bool), "marks no"), (np.ones(3, bool), "shape")]:
        with pytest.raises(EnvzooError, match=match):
            vector.reset(options={"reset_mask": mask})
    for number in (0, -3, 2.5, True):
        with pytest.raises(EnvzooError, match="num_envs"):
            type(vector)(number)
        with pytest.raises(EnvzooError, match="max_episode_steps"):
            type(vector)(2, max_episode_steps=number)


def test_definitions_with_unusable_spaces_are_refused():
    class Texts(Definition):
        """Not expressible in arrays."""

        def __init__(self):
            self.observation_space, self.action_space = spaces.Text(3), spaces.Discrete(2)
            self.state = ()

    class TextsEnv(KernelEnv):
        """Single environment."""

        definition_class = Texts

    with pytest.raises(UnsupportedSpaceError, match="observation space"):
        TextsEnv()


def test_streams():
    streams = np.zeros((3, 2), np.uint64)
    streams[:, 0] = stream.keys(np.arange(3, dtype=np.uint64))
    numbers = np.array([[stream.uniform(streams, i) for _ in range(20000)] for i in range(3)])
    assert (streams[:, 1] == 20000).all()
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert abs(numbers.mean() - 0.5) < 0.005
    assert abs(numbers.var() - 1 / 12) < 0.002
    assert np.abs(np.corrcoef(numbers) - np.eye(3)).max() < 0.03
    assert abs(np.corrcoef(numbers[0, 1:], numbers[0, :-1])[0, 1]) < 0.03
    counts = np.bincount([stream.integer(streams, 0, 6) for _ in range(30000)], minlength=6)
    assert counts.size == 6
    assert ((counts - 5000) ** 2 / 5000).sum() < 25  # chi-squared with 5 degrees of freedom: p = 0.0001
    normals = np.array([stream.normal(streams, 1) for _ in range(40000)])
    assert abs(normals.mean()) < 0.02
    assert abs(normals.var() - 1) < 0.03
    assert abs((normals**4).mean() - 3) < 0.2
    # Saved states hold streams, so their numbers are fixed for good (worked out with Python's integers).
    fixed = np.array([[stream.keys(np.array([42], np.uint64))[0], 0]], np.uint64)
    assert [stream.uniform(fixed, 0) for _ in range(2)] == [0.8006564021331005, 0.853977872406269]


@pytest.mark.parametrize("case", CASES)
def test_checkers(case):
    from stable_baselines3.common.env_checker import check_env as check_with_sb3

    check_env(make(case).unwrapped, skip_render_check=True)
    check_with_sb3(make(case, render_mode="rgb_array"), warn=False)
    env = make(case)
    assert data_equivalence(env.reset(seed=1), env.reset(seed=1))


@pytest.mark.parametrize("case", CASES)
def test_rendering(case):
    single = make(case, render_mode="rgb_array")
    single.reset(seed=0)
    image = single.render()
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    pictures = []
    for seed in range(4):
        single.reset(seed=0)
        single.action_space.seed(seed)
        single.step(single.action_space.sample())
        pictures.append(single.render())
    assert any(not np.array_equal(picture, image) for picture in pictures)
    height, width, _ = image.shape
    assert height % 2 == width % 2 == 0
    text = make(case, render_mode="ansi")
    text.reset(seed=0)
    assert isinstance(text.render(), str)
    many = make_vec(case, 20, render_mode="rgb_array")
    with pytest.raises(ResetNeededError, match="render"):
        many.render()
    many.reset(seed=0)
    assert many.render().shape == (4 * (height + 6) + 6, 4 * (width + 6) + 6, 3)
    each = make_vec(case, 3, render_mode="rgb_array_each")
    each.reset(seed=0)
    assert len(each.render()) == 3
    assert np.array_equal(each.render()[0], image)


def test_tile():
    image = np.zeros((4, 6, 3), np.uint8)
    assert tile([image] * 5, gap=1).shape == (2 * 5 + 1, 3 * 7 + 1, 3)
    assert tile([image], gap=0).shape == image.shape
