"""Learners of bandits: estimates, exploration, blocks, and that they learn."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from envzoo import agents
from envzoo.agents.bandits.comb_ucb1 import plan_block
from envzoo.agents.bandits.estimates import exploration_rounds, isotonic_means, monotone_upper_bounds, upper_bound
from envzoo.agents.bandits.fill import choose_fill, simulated_value
from envzoo.agents.bandits.lsd import lsd_lp
from envzoo.agents.bandits.lsd_rounding import new_streams
from envzoo.bandits.model import transitions
from envzoo.errors import EnvzooError

SMALL = {"instance": "bait", "arms": 3, "satiation": 2, "deprivation": 3, "threshold": 3}


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_isotonic_means_are_scipys(seed):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 9, (2, 7))
    sums = counts * generator.random((2, 7))
    table = np.empty((2, 7))
    isotonic_means(counts, sums, table)
    for arm in range(2):
        expected = isotonic_regression(sums[arm] / counts[arm], weights=counts[arm]).x
        np.testing.assert_allclose(table[arm], expected, atol=1e-12)


def test_states_never_seen_take_the_estimate_below():
    table = np.empty((1, 4))
    isotonic_means(np.array([[0, 2, 0, 1]]), np.array([[0.0, 1.0, 0.0, 0.25]]), table)
    np.testing.assert_allclose(table, [[0.0, 1.25 / 3, 1.25 / 3, 1.25 / 3]])


def test_upper_bounds():
    for mean, x in itertools.product(np.linspace(0, 1, 21), (0.001, 0.05, 0.5)):
        hoeffding, chernoff = upper_bound(mean, x, False), upper_bound(mean, x, True)
        assert mean <= chernoff <= hoeffding <= 1
        if mean < chernoff < 1:  # never below the exact bound: the divergence reaches x there
            p = mean
            divergence = (p * np.log(p / chernoff) if p > 0 else 0) + (1 - p) * np.log((1 - p) / (1 - chernoff))
            assert divergence >= x - 1e-9
    counts, sums, table = np.array([[4, 4, 0]]), np.array([[2.0, 2.0, 0.0]]), np.empty((1, 3))
    monotone_upper_bounds(counts, sums, 0.8, False, True, table)
    np.testing.assert_allclose(table, [[0.5 + np.sqrt(0.05), 0.5 + np.sqrt(0.1), 1.0]])
    monotone_upper_bounds(counts, sums, 0.8, False, False, table)
    np.testing.assert_allclose(table, [[0.5 + np.sqrt(0.1), 0.5 + np.sqrt(0.1), 1.0]])


@pytest.mark.parametrize(("arms", "satiation", "deprivation", "k"), [(1, 1, 1, 1), (2, 2, 3, 1), (4, 3, 5, 2)])
def test_exploration_visits_every_state(arms, satiation, deprivation, k):
    states = satiation + deprivation
    for quota in (1, 3):
        rounds = exploration_rounds(arms, states, satiation, k, quota)
        assert rounds >= -(-arms * states * quota // k)
        one_by_one = arms * (deprivation * (deprivation + 1) // 2 + deprivation * (satiation + 1)) * quota
        assert rounds <= one_by_one


def test_exploration_and_recovery_of_the_table():
    kwargs = {**SMALL, "rewards": "deterministic", "max_episode_steps": 10_000}
    agent = agents.make("LSDExploreCommit", "envzoo/LSDBandit-v0", env_kwargs=kwargs, num_envs=3, visits=2)
    rounds = exploration_rounds(3, 5, 2, 1, 2)
    agent.learn(3 * rounds)
    assert (agent.policy.counts >= 2).all()
    assert (agent.policy.counts.sum(axis=(1, 2)) <= rounds).all()
    agent.learn(3)
    assert agent.policy.committed.all()
    for table in agent.policy.table:
        np.testing.assert_allclose(table, agent.model.payoffs)


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=30, deadline=None)
def test_blocks_are_the_best_ones(seed, blind):
    generator = np.random.default_rng(seed)
    index, columns = generator.random((3, 4)), generator.integers(0, 4, 3)
    block = np.zeros(4, np.int64)
    plan_block(index, 2, columns, blind, 27, block)
    after = transitions(2, 2)

    def value(sequence):
        at, seen, total = columns.copy(), set(), 0.0
        for arm in sequence:
            first = blind and arm not in seen
            total += 0.0 if first else index[arm, at[arm]]
            pulled = 1 if first else after[1, at[arm]]
            at = after[0, at]
            at[arm] = pulled
            seen.add(arm)
        return total

    assert value(block) == pytest.approx(max(map(value, itertools.product(range(3), repeat=4))))


def reward(name, rounds=4000, **hyperparameters):
    kwargs = {**SMALL, "max_episode_steps": rounds}
    agent = agents.make(name, "envzoo/LSDBandit-v0", seed=1, env_kwargs=kwargs, num_envs=8, **hyperparameters)
    agent.learn(8 * rounds)
    return float((agent.runs.expected / rounds).mean())


def test_learners_beat_the_constant_arm():
    assert reward("LSDExploreCommit") > 0.34
    assert reward("LSDUCB") > 0.34


@pytest.mark.parametrize("name", ["LSDExploreCommit", "LSDUCB"])
def test_several_pulls(name):
    kwargs = {"arms": 4, "satiation": 2, "deprivation": 3, "pulls_per_round": 2, "max_episode_steps": 100}
    agent = agents.make(name, "envzoo/LSDBandit-v0", env_kwargs=kwargs, num_envs=2).learn(2 * 200)
    pulls = agent.policy.counts.sum(axis=(1, 2))
    assert (pulls > 200).all()
    assert (pulls <= 400).all()


PLENTY = {
    "two arms, two pulls": {"instance": "bait", "arms": 2, "satiation": 2, "deprivation": 3, "pulls_per_round": 2},
    "one arm": {"payoffs": [[0.0, 0.01, 0.02, 1.0]], "satiation": 1},
    "five arms, three pulls": {"instance": "bait", "arms": 5, "satiation": 2, "deprivation": 3, "pulls_per_round": 3},
}


@pytest.mark.parametrize("name", ["LSDExploreCommit", "LSDUCB"])
@pytest.mark.parametrize("case", PLENTY)
def test_free_pulls_are_left_where_pulls_are_not_scarce(name, case):
    kwargs = {**PLENTY[case], "max_episode_steps": 4000}
    agent = agents.make(name, "envzoo/LSDBandit-v0", seed=1, env_kwargs=kwargs, num_envs=8).learn(8 * 4000)
    model = agent.model
    value = lsd_lp(model.payoffs, model.satiation, pulls_per_round=model.pulls_per_round).value
    assert not agent.policy.fill.any()
    assert (agent.runs.expected / 4000).mean() > 0.9 * value


def test_free_pulls_are_filled_where_that_earns_more():
    """The bait of one pull: exactly what resync earns, as all numbers drawn in play are the same."""
    found = {fill: reward("LSDExploreCommit", fill=fill) for fill in ("best", "resync", "none")}
    assert found["best"] == found["resync"] > found["none"] + 0.03


@given(st.integers(0, 10**6), st.integers(1, 3), st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_fill_that_earned_more_in_trials_is_chosen(seed, k, by_real):
    generator = np.random.default_rng(seed)
    table = np.sort(generator.random((1, 3, 5)) ** generator.choice([0.3, 1.0, 4.0]), axis=2)
    plan = lsd_lp(table[0], 2, pulls_per_round=k)
    plans = (table, plan.activation[None], plan.stationary[None], 2, k, by_real)
    first = new_streams(seed, 1)
    values = [simulated_value(*plans, np.array([fill]), first.copy()) for fill in (False, True)]
    chosen = np.ones(1, bool)
    choose_fill(*plans, np.ones(1, bool), first.copy(), chosen)
    assert chosen[0] == (k < 3 and values[1] > values[0])
    untouched = np.ones(1, bool)
    choose_fill(*plans, np.zeros(1, bool), first.copy(), untouched)
    assert untouched[0]


def test_refusals():
    with pytest.raises(EnvzooError, match="CombUCB1 plans one pull per round, but the bandit has 2"):
        agents.make("CombUCB1", "envzoo/LSDBandit-v0", env_kwargs={"pulls_per_round": 2})
    with pytest.raises(EnvzooError, match="LSDUCB learns bandits whose states it can read"):
        agents.make("LSDUCB", "CartPole-v1")
    kwargs = {"payoffs": [[0.5, 3.0]], "satiation": 1, "rewards": "deterministic"}
    with pytest.raises(EnvzooError, match="a pull paid 3; the learner expects 0 to 1"):
        agents.make("LSDUCB", "envzoo/LSDBandit-v0", env_kwargs=kwargs).learn(64)


@pytest.mark.parametrize("fill", ["none", "resync"])
def test_a_state_of_the_first_release_knows_no_fills_and_is_taken_over(fill):
    def make():
        return agents.make("LSDUCB", "envzoo/LSDBandit-v0", seed=1, env_kwargs=SMALL, num_envs=2, fill=fill)

    whole = make().learn(40)
    state = whole.state_dict()
    for name in ("fill", "trials"):
        del state["parts"]["policy"][name]
    resumed = make()
    resumed.load_state_dict(state)
    for agent in (whole, resumed):
        agent.learn(40)
    for name, array in vars(whole.policy).items():
        np.testing.assert_array_equal(vars(resumed.policy)[name], array, err_msg=name)
