"""Replays of other people's environments: exact where they can be, refused with the reason where they cannot."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FrameStackObservation, NormalizeObservation, NormalizeReward, RecordEpisodeStatistics
from gymnasium.wrappers import vector as vector_wrappers

from envzoo.agents import checkpoint
from envzoo.wrappers import ReturnNormalizer, VectorTimeInObservation, register_per_episode, register_state_adapter
from envzoo.wrappers.capture import Capture
from envzoo.wrappers.encoding import encode
from envzoo.wrappers.replay import MAX_ACTIONS, Recorder, ReplayError

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP]


def make(env_id, mode=MODES[0], n=3, wrap=lambda env: env, **kwargs):
    return SyncVectorEnv([lambda: wrap(gym.make(env_id, **kwargs))] * n, autoreset_mode=mode, copy=False)


def of_class(cls, mode=MODES[0], n=2):
    return SyncVectorEnv([cls] * n, autoreset_mode=mode)


def through_file(state, tmp_path):
    checkpoint.save(tmp_path / "state.zip", {}, {"state": state})
    return checkpoint.read(tmp_path / "state.zip")[1]["state"]


def play(env, actions):
    """Return the results of the steps as bytes."""
    rows = []
    for action in actions:
        observation, *rest, infos = env.step(action.copy())
        final = [None if one is None else one for one in infos.get("final_obs", [])]
        rows.append(encode((observation, rest, final)))
    return rows


def resumed(fresh, tmp_path, before=61, after=80, seed=7):
    """Play on in one environment, and in a fresh one that took over its state: (rows, rows, replayed steps)."""
    one, two = fresh(), fresh()
    captures = [Capture(env) for env in (one, two)]
    one.reset(seed=seed)
    two.reset(seed=12345)
    one.action_space.seed(1)
    actions = [copy.deepcopy(one.action_space.sample()) for _ in range(before + after)]
    play(one, actions[:before])
    play(two, actions[5:15])  # the one that takes over need not be untouched
    state = through_file(captures[0].get_state(), tmp_path)
    steps = captures[1].set_state(state)
    return play(one, actions[before:]), play(two, actions[before:]), steps


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("before", [0, 1, 61, 200, 700])
@pytest.mark.parametrize(
    "env_id", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"]
)
def test_replayed_episodes_go_on_bit_for_bit(env_id, mode, before, tmp_path):
    one, two, steps = resumed(lambda: make(env_id, mode), tmp_path, before, 230)
    assert one == two
    assert before == 0 or 0 <= steps <= 3 * before


@pytest.mark.parametrize("env_id", ["MountainCarContinuous-v0", "Blackjack-v1"])
def test_action_and_observation_spaces_of_all_kinds(env_id, tmp_path):
    one, two, _ = resumed(lambda: make(env_id), tmp_path)
    assert one == two


@pytest.mark.parametrize(("env_id", "running"), [("Pendulum-v1", 40), ("Acrobot-v1", 240)])
def test_a_replayed_environment_can_be_saved_and_replayed_again(env_id, running, tmp_path):
    envs = [make(env_id) for _ in range(3)]
    captures = [Capture(env) for env in envs]
    envs[0].reset(seed=3)
    actions = [envs[0].action_space.sample() for _ in range(300)]
    play(envs[0], actions[:240])
    state = captures[0].get_state()
    assert captures[1].set_state(state) == 3 * running
    # Its records are those of the environment it took over.
    again = captures[1].get_state()
    for mine, given in zip(again["base"], state["base"], strict=True):
        for name in ("trouble", "seed", "actions", "digest"):
            assert encode(mine[name]) == encode(given[name])
    play(envs[1], actions[240:245])
    assert captures[2].set_state(through_file(captures[1].get_state(), tmp_path)) == 3 * (running + 5)
    assert play(envs[1], actions[245:]) == play(envs[2], actions[245:])


def test_records_are_small_and_do_not_depend_on_when_they_were_read(tmp_path):
    one, two = make("Pendulum-v1"), make("Pendulum-v1")
    captures = [Capture(env) for env in (one, two)]
    for env in (one, two):
        env.reset(seed=3)
    for _ in range(150):
        action = one.action_space.sample()
        one.step(action)
        two.step(action)
        captures[0].get_state()
    first, second = captures[0].get_state()["base"], captures[1].get_state()["base"]
    assert [encode(record) for record in first] == [encode(record) for record in second]
    assert first[0]["actions"].nbytes == 150 * 4
    assert len(first[0]["digest"]) == 32
    discrete = make("CartPole-v1")
    capture = Capture(discrete)
    discrete.reset(seed=0)
    discrete.step(np.zeros(3, np.int64))
    assert capture.get_state()["base"][0]["actions"].dtype == np.uint8


# ---------------------------------------------------------------------- environments of all characters


class Walk(gym.Env):
    """Sums of what a source of randomness gives; ends after 9 steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.sum = 0, float((options or {}).get("start", 0.0))
        return self.look(), {}

    def draw(self):
        return self.np_random.random()

    def step(self, action):
        self.time += 1
        self.sum += action + self.draw()
        return self.look(), self.sum, False, self.time == 9, {}

    def look(self):
        return np.array([self.sum, self.time])


class OwnGenerator(Walk):
    """Draws from a generator of its own, which nobody seeds alike."""

    def __init__(self):
        self.own = np.random.default_rng()

    def draw(self):
        return self.own.random()


class Hidden(Walk):
    """Draws from a generator that no attribute holds."""

    def __init__(self):
        generator = np.random.default_rng()
        self.draw = lambda: generator.random()


class OldGenerator(OwnGenerator):
    def __init__(self):
        self.own = np.random.RandomState()

    def draw(self):
        return self.own.uniform()


class Counting(Walk):
    """Later episodes pay more."""

    episodes = 0

    def reset(self, *, seed=None, options=None):
        self.episodes += 1
        return super().reset(seed=seed, options=options)

    def draw(self):
        return float(self.episodes)


class Capturing(Counting):
    """The same, with get_state."""

    def get_state(self):
        return {"episodes": self.episodes}

    def set_state(self, state):
        self.episodes = int(state["episodes"])


class Changing(Walk):
    """Writes into its observation and its action."""

    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self):
        self.observation = np.zeros(2)

    def step(self, action):
        total = float(action.sum())
        action[:] = 9
        return super().step(total)

    def look(self):
        self.observation[:] = super().look()
        return self.observation


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cls", [Walk, OwnGenerator, Capturing, Changing])
@pytest.mark.parametrize("before", [3, 9, 31])
def test_environments_that_can_be_replayed(cls, mode, before, tmp_path):
    one, two, steps = resumed(lambda: of_class(cls, mode), tmp_path, before, 40)
    assert one == two
    # Episodes have 9 steps; in NEXT_STEP a tenth resets them.
    assert steps == 2 * (before % 9 if mode == MODES[0] else before if before == 9 else before % 10)


@pytest.mark.parametrize("cls", [Hidden, Counting])
def test_what_the_recorder_cannot_see_is_found_by_the_digest(cls, tmp_path):
    with pytest.raises(ReplayError, match="gave other observations, rewards or ends"):
        resumed(lambda: of_class(cls), tmp_path, 31)


def test_a_generator_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ReplayError, match="keeps a random generator that is not one of NumPy's"):
        resumed(lambda: of_class(OldGenerator), tmp_path)


def test_an_adapter_captures_what_lasts_beyond_episodes(tmp_path):
    class Adapted(Counting):
        pass

    with pytest.raises(ReplayError, match="gave other observations"):
        resumed(lambda: of_class(Adapted), tmp_path, 31)
    register_state_adapter(Adapted, Capturing.get_state, Capturing.set_state)
    one, two, _ = resumed(lambda: of_class(Adapted), tmp_path, 31)
    assert one == two


def test_ours_are_replayed_too_when_they_run_one_by_one(tmp_path):
    def fresh():
        return make("envzoo/GridCoverage-v0", rows=3, columns=4, horizon=5, start="random")

    one, two, _ = resumed(fresh, tmp_path, 33)
    assert one == two


def test_options_of_numbers_are_replayed_and_others_refused():
    captures = [Capture(of_class(Walk)) for _ in range(2)]
    for capture in captures:
        capture.env.reset(seed=0)
    one, two = (capture.env for capture in captures)
    one.reset(options={"start": 5.5})
    captures[1].set_state(captures[0].get_state())
    assert play(one, [np.ones(2, int)] * 4) == play(two, [np.ones(2, int)] * 4)
    one.reset(options={"start": 1, "file": "/etc/passwd"})
    assert captures[0].get_state()["base"][0] == {"trouble": "options"}
    with pytest.raises(ReplayError, match="reset with options other than numbers"):
        captures[1].set_state(captures[0].get_state())


def test_masked_resets_start_records_of_their_own(tmp_path):
    one, two = of_class(Walk, AutoresetMode.DISABLED), of_class(Walk, AutoresetMode.DISABLED)
    captures = [Capture(env) for env in (one, two)]
    one.reset(seed=1)
    two.reset(seed=2)
    actions = [one.action_space.sample() for _ in range(9)]
    play(one, actions[:5])
    one.reset(options={"reset_mask": np.array([True, False])})
    play(one, actions[5:7])
    state = through_file(captures[0].get_state(), tmp_path)
    assert [len(record["actions"]) for record in state["base"]] == [2, 7]
    assert captures[1].set_state(state) == 9
    assert play(one, actions[7:]) == play(two, actions[7:])


# ---------------------------------------------------------------------- wrappers


@pytest.mark.parametrize(
    "wrap",
    [lambda env: FrameStackObservation(env, 3), RecordEpisodeStatistics, ReturnNormalizer],
    ids=["FrameStackObservation", "RecordEpisodeStatistics", "ReturnNormalizer"],
)
def test_wrappers_around_single_environments(wrap, tmp_path):
    one, two, _ = resumed(lambda: make("CartPole-v1", wrap=wrap), tmp_path)
    assert one == two


@pytest.mark.parametrize("wrapper", [NormalizeObservation, NormalizeReward])
def test_wrappers_that_outlast_episodes_are_named(wrapper):
    capture = Capture(make("CartPole-v1", wrap=wrapper))
    capture.env.reset(seed=0)
    assert capture.get_state() is None
    with pytest.raises(ReplayError, match=f"the wrapper {wrapper.__name__} may (keep|hold) state"):
        capture.set_state(None)


def test_unknown_wrappers_are_refused_until_they_are_declared(tmp_path):
    class Bare(gym.Wrapper):
        """Has no attributes of its own in which to keep anything."""

    class Mine(gym.Wrapper):
        def __init__(self, env):
            super().__init__(env)
            self.scale = 2.0

    assert Capture(make("CartPole-v1", wrap=Bare)).obstacle is None
    assert "the wrapper Mine" in Capture(make("CartPole-v1", wrap=Mine)).obstacle
    register_per_episode(Mine)
    assert Capture(make("CartPole-v1", wrap=Mine)).obstacle is None


@pytest.mark.parametrize(
    "wrap",
    [vector_wrappers.RecordEpisodeStatistics, lambda env: vector_wrappers.RescaleObservation(env, -1.0, 1.0)],
    ids=["statistics", "rescaled"],
)
def test_vector_wrappers_that_keep_nothing(wrap, tmp_path):
    one, two, _ = resumed(lambda: wrap(make("MountainCar-v0", MODES[1])), tmp_path)
    assert one == two


def test_our_vector_wrappers_take_part(tmp_path):
    one, two, _ = resumed(lambda: VectorTimeInObservation(make("CartPole-v1")), tmp_path)
    assert one == two


@pytest.mark.parametrize("wrapper", ["NormalizeObservation", "NormalizeReward"])
def test_vector_wrappers_that_outlast_episodes_are_named(wrapper):
    env = getattr(vector_wrappers, wrapper)(make("CartPole-v1", MODES[1]))
    assert f"the wrapper {wrapper}" in Capture(env).obstacle


def test_other_processes_are_out_of_reach():
    env = AsyncVectorEnv([lambda: gym.make("CartPole-v1")])
    try:
        assert "AsyncVectorEnv runs its environments in other processes" in Capture(env).obstacle
    finally:
        env.close()


@pytest.mark.parametrize("before", [1, 60])
def test_the_vectorised_cartpole_is_captured(before, tmp_path):
    one, two, steps = resumed(lambda: gym.make_vec("CartPole-v1", num_envs=4), tmp_path, before, 100)
    assert one == two
    assert steps is None


def test_vector_environments_without_adapter_are_named():
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

    class Another(CartPoleVectorEnv):
        pass

    assert "no state adapter is registered for Another" in Capture(Another(2)).obstacle


# ---------------------------------------------------------------------- limits and hostile files


def test_more_than_the_largest_number_of_actions_are_not_kept(monkeypatch):
    assert MAX_ACTIONS == 100_000
    monkeypatch.setattr("envzoo.wrappers.replay.MAX_ACTIONS", 100)
    captures = [Capture(make("Pendulum-v1")) for _ in range(2)]
    for capture in captures:
        capture.env.reset(seed=0)
    env = captures[0].env
    play(env, [np.zeros((3, 1), np.float32)] * 100)
    assert captures[1].set_state(captures[0].get_state()) == 300
    play(env, [np.zeros((3, 1), np.float32)])
    with pytest.raises(ReplayError, match="more than 100,000 steps"):
        captures[1].set_state(captures[0].get_state())
    play(env, [np.zeros((3, 1), np.float32)] * 100)  # the next episode is recorded again
    assert captures[1].set_state(captures[0].get_state()) == 3


def test_a_step_that_was_interrupted_is_not_passed_over():
    class Failing(Walk):
        def step(self, action):
            if action == 2:
                raise KeyboardInterrupt
            return super().step(action)

    capture = Capture(of_class(Failing))
    capture.env.reset(seed=0)
    play(capture.env, [np.zeros(2, int)])
    with pytest.raises(KeyboardInterrupt):
        capture.env.step(np.array([0, 2]))
    assert capture.get_state()["base"] == [{"trouble": "broken"}] * 2


@pytest.mark.parametrize("mode", MODES)
def test_an_environment_that_resets_itself_is_refused(mode):
    class Endless(Walk):
        def step(self, action):
            result = super().step(action)
            if result[3]:
                self.reset()
            return *result[:3], False, {}

    capture = Capture(of_class(Endless, mode))
    capture.env.reset(seed=0)
    play(capture.env, [np.zeros(2, int)] * 8)
    assert capture.get_state()["base"][0]["trouble"] is None
    play(capture.env, [np.zeros(2, int)] * 4)
    assert capture.get_state()["base"] == [{"trouble": "inside"}] * 2


def test_a_second_capture_shares_the_recorder():
    env = make("CartPole-v1")
    Capture(env)
    step = env.step
    Capture(env)
    assert env.step == step
    assert Recorder.of(env) is step.__self__


HOSTILE = {
    "no digest": (lambda r: r.update(digest=np.zeros(31, np.uint8)), ValueError),
    "digest": (lambda r: r.update(digest=np.zeros(32, np.uint8)), ReplayError),
    "action outside": (lambda r: r.update(actions=np.full(7, 5, np.uint8)), ReplayError),
    "one action more": (lambda r: r.update(actions=np.append(r["actions"], r["actions"][:1])), ReplayError),
    "shape of actions": (lambda r: r.update(actions=np.zeros((7, 2), np.uint8)), ReplayError),
    "too many actions": (lambda r: r.update(actions=np.zeros(100_001, np.uint8)), ValueError),
    "actions no array": (lambda r: r.update(actions="0101"), ValueError),
    "dtype": (lambda r: r.update(dtype="object"), ValueError),
    "float actions": (lambda r: r.update(actions=np.zeros(7)), ValueError),
    "seed": (lambda r: r.update(seed=-1), ValueError),
    "text seed": (lambda r: r.update(seed="1"), ValueError),
    "large seed": (lambda r: r.update(seed=2**70), ValueError),
    "text option": (lambda r: r.update(options={"path": "/etc/passwd"}), ValueError),
    "options no dict": (lambda r: r.update(options=[1]), ValueError),
    "deep options": (lambda r: r.update(options={"a": [[[[[1]]]]]}), ValueError),
    "generator kind": (lambda r: r["generators"]["np_random"].update(bit_generator="MT19937"), ValueError),
    "generator field": (lambda r: r["generators"]["np_random"].pop("uinteger"), ValueError),
    "generator number": (lambda r: r["generators"]["np_random"]["state"].update(state=-5), ValueError),
    "generator size": (lambda r: r["generators"]["np_random"].update(uinteger=2**64), ValueError),
    "unknown generator": (lambda r: r["generators"].update(other={}), ReplayError),
    "generators": (lambda r: r.update(generators=[]), ValueError),
    "own states": (lambda r: r.update(own={"0": {"x": 1}}), ReplayError),
    "trouble": (lambda r: r.update(trouble="\x1b[31mhello"), KeyError),
    "missing": (lambda r: r.pop("actions"), KeyError),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_records_from_strangers_are_checked(case):
    env = of_class(Walk)
    capture = Capture(env)
    env.reset(seed=0)
    play(env, [np.ones(2, int)] * 16)
    state = capture.get_state()
    assert len(state["base"][1]["actions"]) == 7
    change, error = HOSTILE[case]
    change(state["base"][1])
    with pytest.raises(error):
        capture.set_state(state)


@pytest.mark.parametrize("kind", ["MT19937", "Philox"])
def test_positions_in_generators_stay_inside_their_memory(kind):
    from envzoo.wrappers.adapters import generator_state, set_generator_state

    generator = np.random.Generator(getattr(np.random, kind)(3))
    state = generator_state(generator)
    expected = generator.integers(2**32, size=9).tolist()
    set_generator_state(generator, state)
    assert generator.integers(2**32, size=9).tolist() == expected
    bad = copy.deepcopy(state)
    if kind == "MT19937":
        bad["state"]["pos"] = 10**6
    else:
        bad["buffer_pos"] = 10**6
    with pytest.raises(ValueError, match="position 1000000"):
        set_generator_state(generator, bad)


@pytest.mark.parametrize("change", ["shape", "generator", "bounds"])
def test_the_state_of_the_vectorised_cartpole_is_checked(change):
    env = gym.make_vec("CartPole-v1", num_envs=4)
    capture = Capture(env)
    env.reset(seed=0)
    state = capture.get_state()
    if change == "shape":
        state["base"]["steps"] = np.zeros(3, np.int32)
    elif change == "generator":
        state["base"]["generator"]["bit_generator"] = "PCG65"
    else:
        state["base"]["low"] = float("nan")
    with pytest.raises(ValueError):  # noqa: PT011
        capture.set_state(state)
