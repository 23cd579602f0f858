"""Branch and bound against every plan there is, and as the truth for beam search and SubPO."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import envzoo  # noqa: F401
from envzoo import agents
from envzoo.agents.evaluation import evaluate
from envzoo.agents.planners.beam_search import beam_search
from envzoo.agents.planners.branch_and_bound import branch_and_bound, submodular_bound
from envzoo.coverage.set_functions import Coverage, FacilityLocation, LogDeterminant, WeightedCoverage
from envzoo.errors import EnvzooError, UnsupportedSpaceError
from envzoo.wrappers import SubmodularReward, VectorSubmodularReward

GRID = "envzoo/GridCoverage-v0"
SIGNATURE = ("position", "covered")
RNG = np.random.default_rng(0)
FUNCTIONS = {
    "weighted coverage": WeightedCoverage.on_grid(3, 3, RNG.random((3, 3))),
    "facility location": FacilityLocation(RNG.random((9, 4))),
    "information gain": LogDeterminant.information_gain(0.9 ** np.abs(np.arange(9)[:, None] - np.arange(9)), 0.5),
}


def make(num_envs, mode=AutoresetMode.DISABLED, **kwargs):
    env = gym.make_vec(GRID, num_envs=num_envs, autoreset_mode=mode, **kwargs)
    env.reset(seed=0)
    return env


def every_return(env, plans):
    """The return of each plan (P, T) in a vector environment of P episodes that was just reset."""
    return sum(env.step(plans[:, t])[1] for t in range(plans.shape[1]))


def total(env, actions):
    env.reset(seed=0)
    return sum(env.step(int(action))[1] for action in actions)


@pytest.mark.parametrize("horizon", [1, 2, 3, 4])
@pytest.mark.parametrize(("start", "radius"), [(0, 0), (1, 1), (4, 0)])
def test_equals_enumeration(horizon, start, radius):
    kwargs = {"rows": 3, "columns": 3, "radius": radius, "horizon": horizon, "start": start}
    plans = np.array(list(itertools.product(range(5), repeat=horizon)))
    truth = every_return(make(len(plans), AutoresetMode.SAME_STEP, **kwargs), plans).max()
    bound = submodular_bound(Coverage.on_grid(3, 3, radius=radius), "path")
    vector, single = make(5, **kwargs), gym.make(GRID, **kwargs)
    single.reset(seed=0)
    state, nodes = vector.get_state([0]), []
    for settings in (
        {},
        {"bound": float((2 * radius + 1) ** 2)},
        {"bound": bound},
        {"bound": bound, "signature": SIGNATURE},
    ):
        plan = branch_and_bound(vector, state, horizon=horizon, **settings)
        assert plan.value == truth == total(gym.make(GRID, **kwargs), plan.actions)
        assert len(plan.actions) == horizon
        alone = branch_and_bound(single, single.unwrapped.get_state(), horizon=horizon, **settings)
        single.reset(seed=0)
        assert (alone.actions.tolist(), alone.value, alone.nodes) == (plan.actions.tolist(), plan.value, plan.nodes)
        nodes.append(plan.nodes)
    assert nodes[0] == sum(5**depth for depth in range(horizon))  # without a bound, every plan
    assert max(nodes) == nodes[0]
    assert horizon < 4 or max(nodes[2:]) < nodes[0] / 3
    assert beam_search(vector, state, width=2, horizon=horizon).value <= truth


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrapped_environments_are_searched_with_their_sets(name):
    function, horizon = FUNCTIONS[name], 4
    kwargs = {"rows": 3, "columns": 3, "horizon": horizon, "start": 0}
    plans = np.array(list(itertools.product(range(5), repeat=horizon)))
    everything = VectorSubmodularReward(gym.make_vec(GRID, num_envs=len(plans), **kwargs), function, 0, capacity=5)
    everything.reset(seed=0)
    truth = every_return(everything, plans).max()
    single = SubmodularReward(gym.make(GRID, **kwargs), function, 0, capacity=5)
    single.reset(seed=0)
    vector = VectorSubmodularReward(gym.make_vec(GRID, num_envs=7, **kwargs), function, 0, capacity=5)
    vector.reset(seed=0)
    free = branch_and_bound(vector, vector.get_state([0]), horizon=horizon)
    vector.reset(seed=0)
    for env, state in ((single, single.get_state()), (vector, vector.get_state([0]))):
        for bound in (submodular_bound(function), submodular_bound(function, "path")):
            plan = branch_and_bound(env, state, horizon=horizon, bound=bound)
            assert plan.value == pytest.approx(truth, abs=1e-9)
            assert total(SubmodularReward(gym.make(GRID, **kwargs), function, 0), plan.actions) == pytest.approx(truth)
            assert plan.nodes < free.nodes
        assert beam_search(env, state, width=2, horizon=horizon).value <= truth + 1e-9
        assert beam_search(env, state, width=625, horizon=horizon).value == pytest.approx(truth)


def test_the_bound_is_never_too_small():
    kwargs = {"rows": 3, "columns": 3, "horizon": 4, "start": 4}
    for name, function in FUNCTIONS.items():
        env = SubmodularReward(gym.make(GRID, **kwargs), function, 0, capacity=5)
        rng = np.random.default_rng(1)
        for _ in range(30):
            env.reset(seed=0)
            steps = [(env.get_state(), env.step(int(a))[1]) for a in rng.integers(0, 5, 4)]
            for t, (state, _) in enumerate(steps):
                later = sum(reward for _, reward in steps[t:])
                assert submodular_bound(function)(state, 4 - t)[0] >= later - 1e-12, name


@pytest.mark.parametrize("start", [0, 4])
def test_nothing_learned_exceeds_the_optimum(start):
    kwargs = {"rows": 3, "columns": 3, "horizon": 4, "start": start, "radius": 0}
    env = make(5, **kwargs)
    bound = submodular_bound(Coverage.on_grid(3, 3, radius=0), "path")
    best = branch_and_bound(env, env.get_state([0]), horizon=4, bound=bound, signature=SIGNATURE)
    assert best.value == 4
    agent = agents.make("SubPO", GRID, env_kwargs=kwargs, num_envs=64).learn(64 * 4 * 60)
    returns = evaluate(agent, episodes=100, deterministic=False).returns
    assert returns.max() <= best.value
    assert returns.mean() >= 0.8 * best.value


def test_stops_where_episodes_end():
    env = make(5, rows=3, columns=3, horizon=2)
    plan = branch_and_bound(env, env.get_state([0]), horizon=9)
    assert len(plan.actions) == 2
    assert plan.nodes == 6


def test_refusals():
    env = make(5)
    state = env.get_state([0])
    with pytest.raises(EnvzooError, match="horizon of at least 1, got 0"):
        branch_and_bound(env, state, horizon=0)
    with pytest.raises(EnvzooError, match="branch and bound starts from the state of one episode, got 2"):
        branch_and_bound(env, env.get_state([0, 1]), horizon=3)
    with pytest.raises(EnvzooError, match="no field 'place' for the signature"):
        branch_and_bound(env, state, horizon=3, signature=("place",))
    with pytest.raises(EnvzooError, match="no field 'SubmodularReward/covered' for the bound"):
        branch_and_bound(env, state, horizon=3, bound=submodular_bound(Coverage.on_grid(10, 10)))
    with pytest.raises(EnvzooError, match="did not finish within 20 extended plans"):
        branch_and_bound(env, state, horizon=20, max_nodes=20)
    with pytest.raises(UnsupportedSpaceError, match="branch and bound takes Discrete actions"):
        branch_and_bound(gym.make("Pendulum-v1"), {}, horizon=1)
    with pytest.raises(EnvzooError, match="branch and bound needs get_state"):
        branch_and_bound(gym.make("CartPole-v1"), {}, horizon=1)
