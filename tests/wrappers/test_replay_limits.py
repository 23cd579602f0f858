"""Limits of replays: long or interrupted episodes, and records from untrusted files."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from replaying import MODES, Walk, make, of_class, play

from envzoo.wrappers.capture import Capture
from envzoo.wrappers.replay import MAX_ACTIONS, Recorder, ReplayError


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
