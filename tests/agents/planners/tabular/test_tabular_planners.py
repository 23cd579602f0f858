"""Planners of finite worlds against brute force, closed forms and each other."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners.tabular import regret
from envzoo.agents.planners.tabular.belief import first_belief, log_likelihood, update_belief
from envzoo.agents.planners.tabular.brute_force import (
    all_policies,
    best_lmdp_value,
    best_pomdp_value,
    best_values,
    enumerate_history_policies,
)
from envzoo.agents.planners.tabular.evaluation import (
    evaluate_layers,
    evaluate_policy,
    occupancy,
    policy_value,
    softmax_gradient,
)
from envzoo.agents.planners.tabular.finite_horizon import backward_induction, best_in_hindsight
from envzoo.agents.planners.tabular.large import dense_optimum, sparse_optimum
from envzoo.agents.planners.tabular.linear_program import WarmDual, left_inverse_norm, solve_dual
from envzoo.agents.planners.tabular.optimum import action_gap, policy_iteration, tie_set, value_iteration
from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP, FinitePOMDP, LatentMDP, random_lmdp, random_mdp, random_pomdp, read_mdp

seeds = st.integers(0, 10**6)


@settings(deadline=None, max_examples=15)
@given(seeds)
def test_all_ways_to_the_optimum_agree_with_brute_force(seed):
    model = random_mdp(4, 3, gamma=0.8, seed=seed)
    truth = best_values(model)
    for found in (value_iteration(model), policy_iteration(model)):
        np.testing.assert_allclose(found.v, truth, atol=1e-10)
    for evaluations in (0, 5):
        for found in (
            sparse_optimum(model.joint, 0.8, tolerance=1e-11, evaluations=evaluations),
            dense_optimum(model, tolerance=1e-11, evaluations=evaluations),
        ):
            np.testing.assert_allclose(found.v, truth, atol=2e-11)
            np.testing.assert_allclose(found.q, model.r + 0.8 * model.p @ truth, atol=2e-11)
    program = solve_dual(model)
    assert program.value == pytest.approx(truth[0], abs=1e-8)
    assert program.occupancy.sum() == pytest.approx(1 / 0.2)
    assert policy_value(model, policy_iteration(model).first) == pytest.approx(truth[0])


@settings(deadline=None, max_examples=15)
@given(seeds, st.floats(1e-6, 1e-2))
def test_the_bounds_hold_where_episodes_end_and_at_any_tolerance(seed, tolerance):
    rng = np.random.default_rng(seed)
    p, ends = rng.dirichlet(np.ones(5), (5, 2)), rng.random((5, 2, 5)) < rng.choice([0.0, 0.1, 0.6])
    model = FiniteMDP.from_tables(p, rng.normal(size=(5, 2)), ends, gamma=0.9)
    truth = best_values(model)
    for evaluations in (0, 3):
        for found in (
            sparse_optimum(model.joint, 0.9, tolerance=tolerance, evaluations=evaluations),
            dense_optimum(model, tolerance=tolerance, evaluations=evaluations),
        ):
            assert np.abs(found.v - truth).max() <= tolerance * (1 + 1e-6)
            assert np.abs(found.q - (model.r + 0.9 * model.p @ truth)).max() <= tolerance * (1 + 1e-6)


def test_unavailable_actions_are_never_best():
    model = FiniteMDP(np.full((2, 2, 2), 0.5), np.array([[1.0, -np.inf], [-np.inf, 0.0]]), 0.5)
    found = dense_optimum(model, tolerance=1e-11)
    np.testing.assert_allclose(found.v, best_values(model), atol=1e-10)
    assert found.first.tolist() == [0, 1]


def test_ties_are_returned_whole():
    p = np.zeros((2, 3, 2))
    p[:, :, 1] = 1.0
    model = FiniteMDP(p, np.array([[1.0, 1.0, 0.5], [0.0, 0.0, 0.0]]), 0.5)
    found = value_iteration(model)
    assert found.ties.tolist() == [[True, True, False], [True, True, True]]
    assert found.policy[0].tolist() == [0.5, 0.5, 0.0]
    assert policy_iteration(model).ties.tolist() == found.ties.tolist()
    np.testing.assert_allclose(action_gap(found.q), [0.5, np.inf])
    with pytest.raises(EnvzooError, match="ties would be taken for differences"):
        value_iteration(model, tolerance=1e-8)


@pytest.mark.parametrize(("env_id", "value"), [("FrozenLake-v1", 0.8235294117647), ("Taxi-v4", None)])
def test_gymnasiums_worlds_are_solved(env_id, value):
    """FrozenLake's best chance of the goal without discount is 14/17; Taxi's optimum has discount .9 here."""
    if value is None:
        model = read_mdp(env_id, gamma=0.9)
        found = policy_iteration(model)
        np.testing.assert_allclose(found.v, value_iteration(model, tolerance=1e-11).v, atol=1e-9)
        v = found.v
        residual = (model.r + 0.9 * model.p @ v).max(axis=1) - v
        assert np.abs(residual).max() < 1e-10
        return
    model = read_mdp(env_id)
    layers = backward_induction(model.p, model.r, 5_000)
    assert model.initial @ layers.v[0] == pytest.approx(value, abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(seeds)
def test_evaluation_occupancy_and_gradient(seed):
    model = random_mdp(5, 3, gamma=0.9, seed=seed)
    logits = np.random.default_rng(seed).normal(size=(5, 3))
    value, gradient = softmax_gradient(model, logits)
    pi = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    visits = occupancy(model, pi)
    assert visits.sum() == pytest.approx(1)
    assert (visits * model.r).sum() / 0.1 == pytest.approx(value)
    assert policy_value(model, pi) == pytest.approx(value)
    step = np.zeros((5, 3))
    step[2, 1] = 1e-6
    numeric = (softmax_gradient(model, logits + step)[0] - softmax_gradient(model, logits - step)[0]) / 2e-6
    assert gradient[2, 1] == pytest.approx(numeric, abs=1e-6)


@settings(deadline=None, max_examples=10)
@given(seeds, st.sampled_from([0.0, 0.3]))
def test_backward_induction_is_batched_and_equals_a_plain_recursion(seed, alpha):
    worlds = [random_mdp(3, 2, seed=seed + k) for k in range(4)]
    p, r = np.stack([w.p for w in worlds]), np.stack([w.r for w in worlds])
    found = backward_induction(p, r, 3, alpha=alpha)
    for k, world in enumerate(worlds):
        v = np.zeros(3)
        for t in reversed(range(3)):
            q = world.r + world.p @ v
            v = q.max(axis=1) if alpha == 0 else alpha * np.log(np.exp(q / alpha).sum(axis=1))
            np.testing.assert_allclose(found.q[k, t], q, atol=1e-12)
            np.testing.assert_allclose(found.v[k, t], v, atol=1e-12)
    if alpha == 0:
        model = FiniteMDP(p[0], r[0], horizon=3)
        layers = np.eye(2)[found.first[0]]
        np.testing.assert_allclose(evaluate_layers(model, layers), found.v[0], atol=1e-12)
        assert policy_value(model, layers) == pytest.approx(model.initial @ found.v[0, 0])
        assert occupancy(model, layers).sum(axis=(1, 2)) == pytest.approx(np.ones(3))


def test_the_best_policy_in_hindsight_is_the_best_of_all():
    model, rng = random_mdp(2, 2, seed=3), np.random.default_rng(0)
    rewards = rng.normal(size=(7, 2, 2, 2))
    p = np.broadcast_to(model.p, (2, *model.p.shape))
    value, policy = best_in_hindsight(p, model.initial, rewards)
    totals = {}
    for choice in all_policies(4, 2):
        act = choice.reshape(2, 2)
        total = 0.0
        for reward in rewards:
            last = reward[1][np.arange(2), act[1]]
            first = reward[0][np.arange(2), act[0]] + model.p[np.arange(2), act[0]] @ last
            total += model.initial @ first
        totals[tuple(choice)] = total
    assert value == pytest.approx(max(totals.values()))
    assert totals[tuple(policy.ravel())] == pytest.approx(value)


@settings(deadline=None, max_examples=10)
@given(seeds)
def test_warm_programs_are_those_solved_alone(seed):
    """Also with actions that are not available, and after rewards that have nothing to do with those before."""
    rng, model = np.random.default_rng(seed), random_mdp(5, 3, gamma=0.9, seed=seed)
    blocked = np.where(rng.random(model.r.shape) < 0.2, -np.inf, model.r)
    blocked[:, 0] = model.r[:, 0]
    warm = WarmDual(FiniteMDP(model.p, blocked, 0.9))
    for k in range(4):
        rewards = blocked if k == 0 else np.where(np.isinf(blocked), -np.inf, rng.normal(size=blocked.shape))
        alone = FiniteMDP(model.p, rewards, 0.9)
        found = warm.solve(None if k == 0 else np.where(np.isinf(rewards), 7.0, rewards))
        assert found.value == pytest.approx(policy_iteration(alone).v[0], abs=1e-7)
        assert (found.occupancy[np.isinf(blocked)] == 0).all()
        np.testing.assert_allclose(found.occupancy, solve_dual(alone).occupancy, atol=1e-6)


def test_warm_programs_refuse_rewards_that_do_not_fit(monkeypatch):
    warm = WarmDual(random_mdp(3, 2, gamma=0.9))
    for rewards in (np.zeros(3), np.full((3, 2), np.nan)):
        with pytest.raises(EnvzooError, match=r"expected finite rewards \(3, 2\)"):
            warm.solve(rewards)
    with pytest.raises(EnvzooError, match="gamma lies in"):
        WarmDual(random_mdp(3, 2, gamma=1.0))
    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(EnvzooError, match="needs the package highspy; install it with the extra"):
        WarmDual(random_mdp(3, 2, gamma=0.9))


def test_a_program_with_a_budget_spends_it():
    model = random_mdp(4, 2, gamma=0.7, seed=1)
    cost = model.r
    free = solve_dual(model)
    half = solve_dual(model, costs=cost[None], budgets=[0.9 * free.value])
    assert half.value == pytest.approx(0.9 * free.value)
    with pytest.raises(EnvzooError, match="no policy keeps the constraints"):
        solve_dual(model, costs=cost[None], budgets=[-1.0])


def test_left_inverses():
    mixing = np.array([[0.75, 0.25], [0.25, 0.75]])  # its inverse has columns of absolute sum 2
    assert left_inverse_norm(mixing) == pytest.approx(2)
    assert left_inverse_norm(np.eye(3)) == pytest.approx(1)
    assert left_inverse_norm(np.ones((3, 2)) / 3) == np.inf


def test_beliefs_follow_bayes_rule():
    model = random_pomdp(3, 2, 4, seed=5)
    belief, chance = first_belief(model, 1)
    assert chance == pytest.approx(model.emission[0, 1])
    joint = (model.p[0, 1][:, None] * model.emission)[:, 2]
    following, probability = update_belief(model, belief, 1, 2)
    assert probability == pytest.approx(joint.sum())
    np.testing.assert_allclose(following, joint / joint.sum())
    assert log_likelihood(model, [1, 2], [1]) == pytest.approx(np.log(chance * joint.sum()))
    total = sum(np.exp(log_likelihood(model, [a, b, c], [0, 1])) for a in range(4) for b in range(4) for c in range(4))
    assert total == pytest.approx(1)


def test_history_trees_of_partially_observable_and_latent_worlds():
    known = random_mdp(2, 2, seed=4)
    seen = FinitePOMDP(known.p, np.eye(2), [0.0, 1.0], horizon=4)
    pays = np.einsum("sat,t->sa", known.p, seen.reward)
    assert best_pomdp_value(seen) == pytest.approx(backward_induction(known.p, pays, 4).v[0, 0])
    tiny = random_lmdp(2, 2, 2, 2, seed=1)
    assert best_lmdp_value(tiny) == pytest.approx(enumerate_history_policies(tiny))
    single = LatentMDP(known.p[None], known.r, 3)
    assert best_lmdp_value(single) == pytest.approx(backward_induction(known.p, known.r, 3).v[0, 0])


REFUSED = {
    "horizon": (lambda: backward_induction(np.ones((1, 1, 1)), np.ones((1, 1)), 0), "horizon is 0; expected"),
    "policy": (lambda: evaluate_policy(random_mdp(3, 2), np.ones((3, 2))), "expected probabilities that sum to 1"),
    "actions": (lambda: evaluate_policy(random_mdp(3, 2), np.full(3, 2)), "actions out of range; expected 0 to 1"),
    "endless": (lambda: evaluate_policy(random_mdp(3, 2, gamma=1.0), np.zeros(3, int)), "episodes under this policy"),
    "gamma": (lambda: sparse_optimum(random_mdp(3, 2).joint, 1.0), r"gamma lies in \[0, 1\), got 1.0"),
    "too-many": (lambda: next(all_policies(100, 4)), "are too many to try"),
    "observation": (lambda: first_belief(random_pomdp(3, 2, 4), 4), "observation is 4; expected 0 to 3"),
    "slope": (lambda: regret.log_log_slopes([1, 2], [1.0, 0.0]), "a slope in logarithms needs positive numbers"),
    "one-x": (lambda: regret.log_log_slopes([2, 2], [1.0, 1.0]), "with n >= 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case):
    make, sentence = REFUSED[case]
    with pytest.raises(EnvzooError, match=sentence):
        make()


def test_slopes_and_bands():
    x = np.array([10.0, 100.0, 1000.0])
    np.testing.assert_allclose(regret.log_log_slopes(x, np.stack([3 * x**0.5, x])), [0.5, 1.0])
    noisy = 2 * x ** (2 / 3) * np.exp(np.random.default_rng(0).normal(0, 0.1, (200, 3)))
    found = regret.slope_of_means(x, noisy)
    assert found.low < 2 / 3 < found.high
    assert found.high - found.low < 0.05
    mean, low, high = regret.confidence_band(np.array([[1.0, 2.0], [3.0, 2.0]]))
    np.testing.assert_allclose(mean, [2, 2])
    np.testing.assert_allclose(high - low, [2 * 12.706204736 * np.sqrt(2) / np.sqrt(2), 0])
    assert tie_set(np.array([1.0, 1.0 - 1e-10, 0.0])).tolist() == [True, True, False]


def test_programs_print_nothing():
    """In a process of its own, because some versions of highspy print a banner with the first program only."""
    code = (
        "from envzoo.agents.planners.tabular.linear_program import WarmDual\n"
        "from envzoo.tabular import random_mdp\n"
        "WarmDual(random_mdp(3, 2, gamma=0.9)).solve()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
