"""Kernels called with arguments of fixed types: the same results, from copies and in other layouts as well."""

import copy
import pickle
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from numba import njit

from envzoo.kernel.fixed_call import FixedCall


class Pair(NamedTuple):
    a: np.ndarray
    b: int


@njit
def _add(pair, target):
    for i in range(target.size):
        target[i] += pair.a[i] * pair.b
    return target.size


def test_the_compiled_version_is_found_once_and_gives_the_same():
    call, pair = FixedCall(_add), Pair(np.arange(3.0), 2)
    for times in (1, 2, 3):
        target = np.zeros(3)
        for _ in range(times):
            assert call(pair, target) == 3
        assert np.array_equal(target, times * 2 * np.arange(3.0))
    assert call._compiled is not _add


def test_other_parameters_are_looked_up_again():
    call, target = FixedCall(_add), np.zeros(3)
    call(Pair(np.arange(3.0), 2), target)
    call(Pair(np.arange(3), 1), target)  # integers: another version
    assert np.array_equal(target, 3 * np.arange(3.0))


def test_a_python_function_is_called_as_it_is():
    call = FixedCall(lambda parameters, x: (parameters, x))
    assert [call(None, 1), call(None, 2), call("p", 3)] == [(None, 1), (None, 2), ("p", 3)]


def test_copies_find_their_own_version():
    call, pair = FixedCall(_add), Pair(np.ones(2), 1)
    call(pair, np.zeros(2))
    for twin in (copy.deepcopy(call), copy.copy(call)):
        target = np.zeros(2)
        twin(pair, target)
        assert np.array_equal(target, np.ones(2))
    envs = gym.make_vec("envzoo/GridCoverage-v0", num_envs=2).unwrapped
    envs.reset(seed=0)
    envs.step(np.array([1, 1]))
    again = pickle.loads(pickle.dumps(copy.deepcopy(envs._batch)))
    assert np.array_equal(again.observe(), envs.observation())


@pytest.mark.parametrize("layout", ["strided", "readonly", "misaligned", "swapped", "int32", "list"])
def test_actions_of_any_layout_take_the_same_step(layout):
    actions = np.array([0, 1, 2, 3])
    given = {
        "strided": lambda: np.repeat(actions, 2)[::2],
        "readonly": lambda: np.broadcast_to(actions, (1, 4))[0],
        "misaligned": lambda: np.frombuffer(bytearray(b"x" + actions.tobytes()), np.int64, offset=1),
        "swapped": lambda: actions.astype(">i8"),
        "int32": lambda: actions.astype(np.int32),
        "list": actions.tolist,
    }[layout]()
    results = []
    for chosen in (actions, given):
        envs = gym.make_vec("envzoo/GridCoverage-v0", num_envs=4)
        envs.reset(seed=0)
        for _ in range(3):
            step = envs.step(chosen)
        results.append(step)
    for one, other in zip(results[0][:4], results[1][:4], strict=True):
        assert np.array_equal(one, other)
