"""A state from a stranger's file cannot lead a compiled kernel outside its arrays."""

import gymnasium as gym
import numpy as np
import pytest

from envzoo.errors import EnvzooError
from envzoo.registration import specs

KERNEL_IDS = [spec.id for spec in specs() if spec.vector_entry_point is not None]


@pytest.fixture(params=KERNEL_IDS)
def env(request):
    env = gym.make(request.param).unwrapped
    env.reset(seed=0)
    return env


def test_every_integer_field_has_limits(env):
    state = env.get_state()
    own = set(env.definition.state._fields) if env.definition.state else set()
    integers = {name for name in own if state[name].dtype.kind in "iu"}
    assert integers <= set(env.definition.limits)


def test_values_outside_the_limits_are_refused_and_nothing_changes(env):
    before = env.get_state()
    for name, limits in env.definition.limits.items():
        for limit, direction in zip(limits, (-1, 1), strict=True):
            state = {key: array.copy() for key, array in before.items()}
            for index in np.ndindex(state[name].shape):
                outside = np.broadcast_to(limit, state[name].shape)[index] + direction
                state[name][index] = outside
                if state[name][index] != outside:
                    continue  # the dtype cannot hold it
                with pytest.raises(EnvzooError, match=f"field '{name}' of the state has values out of range"):
                    env.set_state(state)
                state[name][index] = before[name][index]
    for name, array in env.get_state().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_running_episode_at_its_horizon_is_refused():
    env = gym.make("envzoo/GridCoverage-v0", horizon=3).unwrapped
    env.reset(seed=0)
    state = env.get_state()
    state["position"][0, 1] = 3  # its next move would be written behind the end of the path
    with pytest.raises(EnvzooError, match="field 'position' of the state has values out of range"):
        env.set_state(state)
    state["needs_reset"][:] = True
    env.set_state(state)


def test_negative_step_counts_are_refused():
    env = gym.make("envzoo/PointMultiGoal-v0").unwrapped
    env.reset(seed=0)
    state = env.get_state()
    state["elapsed"][:] = -1
    with pytest.raises(EnvzooError, match="'elapsed' of the state is negative"):
        env.set_state(state)
