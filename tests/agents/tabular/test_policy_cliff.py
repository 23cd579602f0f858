"""The policy cliff: propositions of arXiv 2507.20150 on worlds where everything can be computed."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners.tabular.brute_force import all_policies
from envzoo.agents.planners.tabular.evaluation import evaluate_policy
from envzoo.agents.planners.tabular.optimum import value_iteration
from envzoo.agents.tabular.policy_cliff import (
    argmax_gap_radius,
    best_arms,
    break_ties,
    change_reward,
    follow,
    optimal_policy,
    policy_tv,
    route_tv,
    soft_bound,
)
from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.tabular import FiniteMDP, random_mdp, soft_policy
from envzoo.tabular.cliff_grid import cliff_grid
from envzoo.tabular.multi_reward_bandit import MultiRewardBanditVectorEnv
from envzoo.tabular.trace_choice import TraceChoiceVectorEnv
from envzoo.wrappers import MultiReward, RewardPerturbation, VectorMultiReward, VectorRewardPerturbation

seeds = st.integers(0, 10**6)


def test_the_grid_has_seventy_routes_that_tie():
    model = cliff_grid(5)
    ties = value_iteration(model).ties
    inner = [s for s in range(25) if s % 5 < 4 and s < 20]
    assert ties[inner].all()
    law = optimal_policy(model)
    np.testing.assert_allclose(law[inner], 0.5)
    pays = value_iteration(model).v[0]
    assert pays == pytest.approx(0.95**7)
    assert follow(model, law, 8)[24] == pytest.approx(1)


@pytest.mark.parametrize(
    ("eps", "alpha", "tv"),
    [(1e-2, 0.01, 0.414), (1e-2, 0.1, 0.0602), (1e-3, 1.0, 0.00078), (1e-6, 0.1, 5.9e-6), (1e-6, 0.0, 1.0)],
)
def test_digits_of_the_table(eps, alpha, tv):
    a, b = (cliff_grid(5, (eps, kind)) for kind in ("right", "down"))
    pi, other = optimal_policy(a, alpha), optimal_policy(b, alpha)
    assert policy_tv(pi, other)[:24].max() == pytest.approx(tv, rel=6e-3)


def test_a_goal_that_ends_the_episode_gives_other_digits():
    a, b = (cliff_grid(5, (1e-2, kind), absorbing=False) for kind in ("right", "down"))
    pi = optimal_policy(a, 0.1)
    assert policy_tv(pi, optimal_policy(b, 0.1))[:24].max() == pytest.approx(0.102, abs=1e-3)
    a = cliff_grid(5, (1e-6, "right"), absorbing=False)
    assert follow(a, optimal_policy(a, 0.1), 8).sum() == pytest.approx(0.807, abs=1e-3)


@settings(deadline=None, max_examples=20)
@given(seeds, st.sampled_from([1e-3, 0.1, 1.0]), st.sampled_from([0.05, 0.5]))
def test_soft_policies_are_lipschitz_and_cost_at_most_their_entropy(seed, eps, alpha):
    model = random_mdp(6, 4, gamma=0.9, seed=seed)
    extra = eps * np.random.default_rng(seed).uniform(-1, 1, (6, 4))
    pi, other = optimal_policy(model, alpha), optimal_policy(change_reward(model, extra), alpha)
    assert policy_tv(pi, other).max() <= soft_bound(np.abs(extra).max(), alpha, 0.9)
    found = value_iteration(model)
    moved = value_iteration(change_reward(model, extra))
    assert np.abs(found.q - moved.q).max() <= np.abs(extra).max() / 0.1 + 1e-9
    lost = found.v - evaluate_policy(model, pi)[0]
    assert (lost <= alpha * np.log(4) / 0.1 + 1e-9).all()


def test_the_bound_is_tight_in_one_state():
    for eps in (1e-1, 1e-3):
        pi, other = soft_policy([1 + eps, 1.0], 0.1), soft_policy([1.0, 1 + eps], 0.1)
        assert policy_tv(pi, other) == pytest.approx(np.tanh(eps / 0.2))


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_optimal_actions_stay_optimal_within_the_radius(seed):
    model = random_mdp(5, 3, gamma=0.8, seed=seed)
    radius = argmax_gap_radius(model).min()
    worst = 0.999 * radius * np.where(value_iteration(model).ties, -1.0, 1.0)
    assert value_iteration(change_reward(model, worst)).ties.tolist() == value_iteration(model).ties.tolist()


@pytest.mark.parametrize("eps", [1e-6, 1e-4, 1e-2])
def test_a_small_reward_breaks_ties_by_its_own_value(eps):
    model = cliff_grid(3, gamma=0.9)
    style = np.zeros((9, 2))
    style[1, 1] = 1.0  # in the upper middle cell, moving down
    ties, _ = break_ties(model, style)
    found = value_iteration(change_reward(model, eps * style)).ties
    assert found.tolist() == ties.tolist()
    best = max(
        evaluate_policy(change_reward(model, eps * style), np.append(policy, [0]))[0][0]
        for policy in all_policies(8, 2)
    )
    assert value_iteration(change_reward(model, eps * style)).v[0] == pytest.approx(best, abs=1e-10)


def test_routes_are_compared_as_a_whole():
    model = cliff_grid(2)
    pi, other = np.full((4, 2), 0.5), np.array([[1.0, 0], [0, 1], [1, 0], [1, 0]])
    # Of the four routes of two moves, `other` takes one; each has probability 1/4 under pi.
    assert route_tv(model, pi, other, 2) == pytest.approx(0.75)
    with pytest.raises(EnvzooError, match="a move of this one is random"):
        route_tv(random_mdp(3, 2), np.full((3, 2), 0.5), np.full((3, 2), 0.5), 1)


def test_the_mixture_switches_at_two_weights():
    w = np.array([0.3999, 0.4, 0.4001, 0.5, 0.5999, 0.6, 0.6001])
    best = best_arms([[1, 0, 0.6], [0, 1, 0.6]], np.stack([w, 1 - w], axis=1))
    assert [np.flatnonzero(row).tolist() for row in best] == [[1], [1, 2], [2], [2], [2], [0, 2], [0]]


def test_wrappers_change_rewards_of_single_and_vector_environments():
    weights = [[1.0, 0.0], [0.25, 0.75]]
    env = MultiReward(gym.make("envzoo/MultiRewardBandit-v0", domains=2), weights)
    many = VectorMultiReward(MultiRewardBanditVectorEnv(2, domains=2), weights)
    for seed in range(4):
        domain, _ = env.reset(seed=seed)
        assert env.step(2)[1] == pytest.approx(0.6)
        domains, _ = many.reset(seed=seed)
        assert domains[0] == domain
        rewards = many.step(np.zeros(2, int))[1]
        np.testing.assert_allclose(rewards, np.where(domains == 0, 1.0, 0.25))
    traces = VectorRewardPerturbation(
        TraceChoiceVectorEnv(4, vocabulary=5, domains=1, autoreset_mode="SameStep"), 0.5, [1, -1, 0, 0], "trace_kind"
    )
    traces.reset(seed=0)
    tokens = np.array([0, 1, 2, 4])
    for _ in range(3):
        assert not traces.step(tokens)[1].any()
    assert traces.step(np.zeros(4, int))[1].tolist() == [1.5, 0.5, 1.0, 0.0]
    cells = RewardPerturbation(gym.make("envzoo/CliffGrid-v0"), 0.1, np.arange(25.0))
    cells.reset(seed=0)
    assert cells.step(1)[1] == pytest.approx(0.5)


REFUSED = {
    "space": (lambda: RewardPerturbation(gym.make("CartPole-v1"), 0.1, [1.0]), "expected Discrete, or a key of info"),
    "direction": (lambda: RewardPerturbation(gym.make("envzoo/CliffGrid-v0"), 0.1, [1.0]), "expected 25 finite"),
    "eps": (lambda: RewardPerturbation(gym.make("envzoo/CliffGrid-v0"), "x", [1.0]), "eps is 'x'; expected a number"),
    "weights": (lambda: MultiReward(gym.make("envzoo/TraceChoice-v0"), "x"), "weights have the shape"),
    "bias": (lambda: cliff_grid(5, 0.1), "reward_bias is 0.1; expected None or a pair"),
    "kind": (lambda: cliff_grid(5, (0.1, "left")), "unknown kind of reward_bias 'left'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, sentence = REFUSED[case]
    with pytest.raises(EnvzooError, match=sentence):
        make()


def test_parts_that_info_lacks_are_named():
    env = MultiReward(gym.make("envzoo/CliffGrid-v0"), [1.0])
    env.reset(seed=0)
    with pytest.raises(UnknownNameError, match="info has no 'rewards'"):
        env.step(0)
    env = MultiReward(gym.make("envzoo/TraceChoice-v0"), [1.0])
    env.reset(seed=0)
    with pytest.raises(EnvzooError, match=r"info\['rewards'\] has the shape \(1, 2\); expected \(1, 1\)"):
        env.step(0)
    assert isinstance(cliff_grid(3), FiniteMDP)
