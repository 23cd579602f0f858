"""The agents of paper 36: random trees by enumeration, easy classes, traps, and worlds that are refused."""

import itertools

import numpy as np
import pytest

from envzoo import agents
from envzoo.agents.planners.tabular.evaluation import evaluate_policy
from envzoo.agents.planners.tabular.policy_class import start_values
from envzoo.agents.tabular.class_values import branches, first_level, next_level
from envzoo.errors import UnsupportedSpaceError
from envzoo.tabular import FiniteMDP
from envzoo.tabular.policy_class import PolicyProblem, TablePolicies


def test_trees_are_unbiased_for_all_policies_at_once():
    """All trees of a world with two outcomes per pair, each with its probability."""
    p, pays = np.zeros((3, 2, 3)), np.array([[0.1, 0.2], [0.3, 0.9], [0.5, 0.4]])
    p[0, 0], p[0, 1] = [0, 0.25, 0.75], [0, 0.5, 0.5]
    p[1:, :, 0] = 1.0
    ends = np.zeros(p.shape, bool)
    ends[1:, :, 0] = True
    model = FiniteMDP.from_tables(p, pays, ends)
    policies = TablePolicies(np.array(list(itertools.product(range(2), repeat=3))))
    problem = PolicyProblem(policies, [0, 1, 1], [[1, 0, 0], [0, 0.5, 0.5]])
    table, means = problem.table(), np.zeros(8)
    for left, right in itertools.product((1, 2), repeat=2):
        level = first_level(np.array([0]), 8)
        node, action, pair = branches(level, table)
        assert (node.tolist(), action.tolist()) == ([0, 0], [0, 1])
        returns = pays[0, action][pair].sum(axis=0)
        level = next_level(level, node, pair, np.array([left, right]), np.zeros(2, bool))
        node, action, pair = branches(level, table)
        assert len(node) == 4
        returns = returns + pays[level.state[node], action][pair].sum(axis=0)
        level = next_level(level, node, pair, np.zeros(4, int), np.ones(4, bool))
        assert (level.place == -1).all()
        assert len(branches(level, table)[0]) == 0
        means += p[0, 0, left] * p[0, 1, right] * returns
    np.testing.assert_allclose(means, start_values(model, problem), atol=1e-12)


# ---------------------------------------------------------------------------- agents


def value_of(agent):
    actions = agent.predict(np.arange(agent.states))[0]
    model = agent.env.unwrapped.model()
    return float(model.initial @ evaluate_policy(model, actions)[0])


CASES = {
    "TrajectoryTree": ("envzoo/AgnosticTree-v0", {"depth": 3, "policies": 4, "gap": 0.5}, {"trees_per_iteration": 64}),
    "PSDP": ("envzoo/BlockComboLock-v0", {"layers": 3, "block": 4, "policies": 16}, {"episodes_per_layer": 2_000}),
    "PolicyEmulator": ("envzoo/BlockComboLock-v0", {"layers": 3, "block": 4, "policies": 16}, {"observations": 30}),
}


@pytest.mark.parametrize("name", CASES)
def test_agents_find_the_best_policy_of_an_easy_class(name):
    env, kwargs, more = CASES[name]
    agent = agents.make(name, env, seed=0, device="cpu", env_kwargs=kwargs, num_envs=256, **more)
    agent.learn(20_000)
    assert value_of(agent) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("seed", [1000, 1031])
def test_states_in_which_policies_act_differently_are_not_matched(seed):
    """In these locks two latent states have the same value of each action, and a policy that acts in both alike."""
    agent = agents.make(
        "PolicyEmulator",
        "envzoo/BlockComboLockExogenous-v0",
        seed=seed,
        device="cpu",
        env_kwargs={"world_seed": seed},
        num_envs=1_024,
        observations=40,
        successors=16,
        rollouts=16,
        tests=8,
    )
    agent.learn(5_000_000)
    assert agent.policy.estimates.max() == pytest.approx(1.0)
    assert value_of(agent) == pytest.approx(1.0, abs=1e-9)


def test_popler_makes_petals_special_and_finds_the_planted_policy():
    agent = agents.make(
        "POPLER",
        "envzoo/SingletonRich-v0",
        seed=0,
        device="cpu",
        env_kwargs={"layers": 3, "states": 3, "planted": 0.6},
        num_envs=256,
        top_episodes=1_000,
        petal_episodes=500,
    )
    agent.learn(400_000)
    truth = start_values(agent.env.unwrapped.model(), agent.problem)
    assert agent.policy.finished
    assert len(set(agent.data.node.tolist())) > 2
    assert np.abs(agent.policy.values - truth).max() < 0.15
    assert value_of(agent) == pytest.approx(truth.max(), abs=1e-12)


def test_the_trap_catches_the_agents():
    options = {"seed": 0, "device": "cpu", "num_envs": 256}
    psdp = agents.make("PSDP", "envzoo/PSDPTrap-v0", episodes_per_layer=4_000, **options)
    psdp.learn(20_000)
    assert value_of(psdp) == pytest.approx(0.6)
    for weight, expected in ((0.5, 1.0), (0.0, 0.6)):
        cpi = agents.make("CPI", "envzoo/PSDPTrap-v0", env_kwargs={"weight": weight}, **options)
        cpi.learn(60_000)
        assert value_of(cpi) == pytest.approx(expected)


def test_other_worlds_are_refused():
    with pytest.raises(UnsupportedSpaceError, match="brings no policy class; expected an environment with a method"):
        agents.make("PSDP", "envzoo/RandomMDP-v0", device="cpu")
    with pytest.raises(UnsupportedSpaceError, match=r"POPLER explores with the core of a class, and .* without one"):
        agents.make("POPLER", "envzoo/AgnosticTree-v0", device="cpu")
