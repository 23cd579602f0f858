"""Beam search against brute force."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import envzoo  # noqa: F401
from envzoo.agents.planners.beam_search import beam_search, planned_returns
from envzoo.errors import EnvzooError, UnsupportedSpaceError

GRID = "envzoo/GridCoverage-v0"
SIGNATURE = ("position", "covered")


def make(num_envs, mode=AutoresetMode.DISABLED, **kwargs):
    env = gym.make_vec(GRID, num_envs=num_envs, autoreset_mode=mode, **kwargs)
    env.reset(seed=0)
    return env


def play(kwargs, actions):
    env = gym.make(GRID, **kwargs)
    env.reset(seed=0)
    return sum(env.step(int(action))[1] for action in actions)


@pytest.mark.parametrize("horizon", [1, 2, 3, 4])
@pytest.mark.parametrize("start", [0, 1, 4])
def test_equals_brute_force_on_a_small_grid(horizon, start):
    kwargs = {"rows": 3, "columns": 3, "radius": 0, "horizon": horizon, "start": start}
    plans = np.array(list(itertools.product(range(5), repeat=horizon)))
    env = make(len(plans), AutoresetMode.SAME_STEP, **kwargs)
    values = sum(env.step(plans[:, t])[1] for t in range(horizon))
    env = make(40, **kwargs)
    state = env.get_state([0])
    for signature in ((), SIGNATURE):
        plan = beam_search(env, state, width=5**horizon, horizon=horizon, signature=signature)
        assert plan.value == values.max() == play(kwargs, plan.actions)
    # Without a signature nothing is dropped, and the first of the best plans is the one that is found.
    exact = beam_search(env, state, width=5**horizon, horizon=horizon)
    assert exact.actions.tolist() == plans[np.argmax(values)].tolist()


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("slots", [1, 7, 1000])
def test_number_of_slots_and_reset_mode_do_not_matter(mode, slots):
    kwargs = {"rows": 4, "columns": 4, "horizon": 5}
    reference = make(500, **kwargs)
    expected = beam_search(reference, reference.get_state([0]), width=30, horizon=5, signature=SIGNATURE)
    env = make(slots, mode, **kwargs)
    plan = beam_search(env, env.get_state([0]), width=30, horizon=5, signature=SIGNATURE)
    assert plan.value == expected.value
    assert plan.actions.tolist() == expected.actions.tolist()


def test_signature_lets_a_narrow_beam_see_further():
    env = make(500)
    state = env.get_state([0])
    values = [
        beam_search(env, state, width=100, horizon=20, signature=signature).value for signature in ((), SIGNATURE)
    ]
    assert values[0] <= values[1] == 59  # at most 3 new cells per move, 2 in the first: 59 is the optimum


def test_a_horizon_beyond_or_within_the_episode():
    env = make(100, horizon=3)
    state = env.get_state([0])
    assert len(beam_search(env, state, width=20, horizon=9, signature=SIGNATURE).actions) == 3
    assert len(beam_search(env, state, width=20, horizon=2, signature=SIGNATURE).actions) == 2


def test_planned_returns_follow_the_start():
    kwargs = {"rows": 3, "columns": 3, "radius": 0, "horizon": 8, "start": "random"}
    settings = {"width": 50, "horizon": 8, "signature": SIGNATURE}
    values = planned_returns(GRID, kwargs, episodes=12, seed=5, **settings)
    assert values.shape == (12,)
    # A 3x3 grid has a path through all cells from a cell of a corner's colour, and misses one from any other.
    env = gym.make_vec(GRID, num_envs=12, **kwargs)
    cells = env.reset(seed=5)[0][:, 0]
    assert values.tolist() == [8.0 if cell % 2 == 0 else 7.0 for cell in cells]
    assert len(set(values)) == 2


def test_refusals():
    env = make(4)
    state = env.get_state([0])
    with pytest.raises(EnvzooError, match="at least 1, got 0 and 3"):
        beam_search(env, state, width=0, horizon=3)
    with pytest.raises(EnvzooError, match="state of one episode, got 2"):
        beam_search(env, env.get_state([0, 1]), width=1, horizon=3)
    with pytest.raises(EnvzooError, match="no field 'place'"):
        beam_search(env, state, width=1, horizon=3, signature=("place",))
    with pytest.raises(UnsupportedSpaceError, match="Discrete actions"):
        beam_search(gym.make_vec("Pendulum-v1", num_envs=1), {}, width=1, horizon=1)
    with pytest.raises(EnvzooError, match="get_state"):
        beam_search(gym.make_vec("CartPole-v1", num_envs=1), {}, width=1, horizon=1)
    with pytest.raises(EnvzooError, match="cannot plan in"):
        planned_returns("CartPole-v1", episodes=1, seed=0, width=1, horizon=1)
