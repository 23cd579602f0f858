"""Planners for many worlds at once: equal to each world alone, at any temperature, over any leading dimensions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners import soft_value_iteration as soft
from envzoo.agents.planners.tabular import batched
from envzoo.agents.planners.tabular.brute_force import best_values
from envzoo.agents.planners.tabular.evaluation import evaluate_policy, occupancy, softmax_gradient
from envzoo.agents.planners.tabular.optimum import policy_iteration, value_iteration
from envzoo.errors import EnvzooError
from envzoo.tabular import FiniteMDP, random_mdp

seeds = st.integers(0, 10**6)
temperatures = st.sampled_from([0.0, 1e-3, 0.2, 5.0])


def random_worlds(seed, count=3, states=4, actions=3):
    """Tables whose episodes may end, with an action that is not available in the first state."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(states), (count, states, actions)) * (1 - 0.2 * rng.random((count, states, actions, 1)))
    r = rng.normal(size=(count, states, actions))
    r[:, 0, 1] = -np.inf
    return p, r


@settings(deadline=None, max_examples=15)
@given(seeds, temperatures)
def test_value_iteration_of_many_worlds_is_that_of_each_to_the_last_bit(seed, alpha):
    p, r = random_worlds(seed)
    gamma = np.array([[0.5], [0.9]])
    found = batched.iterate_values(p, r, gamma, alpha=alpha)
    assert found.v.shape == (2, 3, 4)
    for i, discount in enumerate((0.5, 0.9)):
        for k in range(3):
            model = FiniteMDP(p[k], r[k], discount)
            alone = soft.solve(model, alpha, tolerance=1e-12)
            np.testing.assert_array_equal(found.v[i, k], alone.v)
            np.testing.assert_array_equal(found.q[i, k], alone.q)
            assert found.iterations[i, k] == alone.iterations
            if alpha == 0:
                hard = value_iteration(model)
                np.testing.assert_array_equal(found.ties[i, k], hard.ties)
                np.testing.assert_array_equal(found.policy[i, k], hard.policy)
            else:
                np.testing.assert_allclose(found.policy[i, k], alone.policy, atol=1e-12)


@settings(deadline=None, max_examples=15)
@given(seeds, temperatures)
def test_policy_iteration_at_any_temperature_finds_the_fixed_point(seed, alpha):
    """Of several temperatures at once, against value iteration and, at temperature 0, all policies."""
    p, r = random_worlds(seed)
    both = np.array([alpha, 0.0])[:, None]
    found = batched.iterate_policies(p, r, 0.9, alpha=both)
    expected = batched.iterate_values(p, r, 0.9, alpha=both, tolerance=1e-13)
    np.testing.assert_allclose(found.v, expected.v, atol=1e-10)
    np.testing.assert_allclose(found.policy, expected.policy, atol=1e-6)
    for k in range(3):
        np.testing.assert_allclose(found.v[1, k], best_values(FiniteMDP(p[k], r[k], 0.9)), atol=1e-10)
    assert (found.iterations < 30).all()


def test_one_world_is_a_batch_without_dimensions():
    p, r = random_worlds(7)
    for solve in (batched.iterate_values, batched.iterate_policies):
        one, many = solve(p[1], r[1], 0.9, alpha=0.2), solve(p, r, 0.9, alpha=0.2)
        assert one.v.shape == (4,)
        np.testing.assert_allclose(one.policy, many.policy[1], atol=1e-9)


def test_ties_are_returned_whole():
    p = np.zeros((2, 3, 2))
    p[:, :, 1] = 1.0
    r = np.array([[[1.0, 1.0, 0.5], [0.0, 0.0, 0.0]], [[1.0, 0.0, 0.5], [0.0, 0.0, 0.0]]])
    for solve in (batched.iterate_values, batched.iterate_policies):
        found = solve(p, r, 0.5)
        assert found.ties[:, 0].tolist() == [[True, True, False], [True, False, False]]
        assert found.policy[:, 0].tolist() == [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]


@settings(deadline=None, max_examples=15)
@given(seeds)
def test_evaluation_visits_and_gradients_of_many_policies_are_those_of_each(seed):
    rng, model = np.random.default_rng(seed), random_mdp(4, 3, gamma=0.8, seed=seed)
    logits = rng.normal(size=(5, 4, 3))
    pi = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    v, q = batched.evaluate_policies(model.p, model.r, model.gamma, pi)
    share = batched.visits(model.p, model.initial, model.gamma, pi)
    values, gradients = batched.policy_gradients(model.p, model.r, model.initial, model.gamma, logits)
    for k in range(5):
        alone = evaluate_policy(model, pi[k])
        np.testing.assert_allclose(v[k], alone[0], atol=1e-12)
        np.testing.assert_allclose(q[k], alone[1], atol=1e-12)
        np.testing.assert_allclose(share[k], occupancy(model, pi[k]), atol=1e-12)
        value, gradient = softmax_gradient(model, logits[k])
        assert values[k] == pytest.approx(value)
        np.testing.assert_allclose(gradients[k], gradient, atol=1e-12)
    np.testing.assert_allclose((share * model.r).sum(axis=(1, 2)) / 0.2, v @ model.initial, atol=1e-12)
    actions = rng.integers(3, size=(5, 4))
    v, _ = batched.evaluate_policies(model.p, model.r, model.gamma, actions)
    np.testing.assert_allclose(v[2], evaluate_policy(model, actions[2])[0], atol=1e-12)


def test_the_entropy_of_a_soft_optimum_counts_in_its_evaluation():
    p, r = random_worlds(5)
    found = batched.iterate_values(p, r, 0.9, alpha=0.3)
    v, _ = batched.evaluate_policies(p, r, 0.9, found.policy, alpha=0.3)
    np.testing.assert_allclose(v, found.v, atol=1e-10)


def test_a_table_that_is_shared_is_not_copied_for_each_world(monkeypatch):
    seen = []
    iterate = batched._iterate_all
    monkeypatch.setattr(batched, "_iterate_all", lambda p, *rest: (seen.append(p.shape), iterate(p, *rest)))
    model = random_mdp(4, 3, gamma=0.9, seed=1)
    rewards = np.random.default_rng(0).normal(size=(2, 6, 4, 3))
    found = batched.iterate_values(model.p, rewards, [[0.5], [0.9]])
    assert seen == [(1, 4, 3, 4)]
    alone = policy_iteration(FiniteMDP(model.p, rewards[1, 4], 0.9))
    np.testing.assert_allclose(found.v[1, 4], alone.v, atol=1e-10)


P, R = random_worlds(0)
REFUSED = {
    "shapes": (lambda: batched.iterate_values(P, R[..., :2], 0.9), "expected \\(..., S, A, S\\) and \\(..., S, A\\)"),
    "p": (lambda: batched.iterate_policies(P * 2, R, 0.9), "sum over next states is at most 1"),
    "nan": (lambda: batched.iterate_policies(P, R * np.nan, 0.9), "r is not usable; expected finite rewards"),
    "gamma": (lambda: batched.iterate_values(P, R, [0.5, 0.9, 1.0]), r"gamma lies in \[0, 1\), got \[0.5, 0.9, 1.0\]"),
    "alpha": (
        lambda: batched.iterate_values(P, R, 0.5, alpha=-1.0),
        "alpha is a finite number of at least 0",
    ),
    "leading": (lambda: batched.iterate_values(P, R, [0.5, 0.9]), "do not fit together"),
    "tolerance": (lambda: batched.iterate_values(P, R, 0.9, tolerance=1e-6), "or ties are lost"),
    "limit": (lambda: batched.iterate_values(P, R, 0.9, max_iterations=2), r"world \(0,\) did not reach the tolerance"),
    "policy": (lambda: batched.evaluate_policies(P, R, 0.9, np.zeros((4, 2))), "the policies have the shape"),
    "law": (lambda: batched.evaluate_policies(P, R, 0.9, np.full((4, 3), 0.5)), "row 0 of policy sums to 1.5"),
    "action": (lambda: batched.evaluate_policies(P, R, 0.9, np.full(4, 3)), "actions out of range; expected 0 to 2"),
    "blocked": (lambda: batched.evaluate_policies(P, R, 0.9, np.full(4, 1)), "takes an action that is not available"),
    "initial": (lambda: batched.visits(P, np.zeros(4), 0.9, np.zeros(4, int)), "initial sums to 0; expected"),
    "logits": (lambda: batched.policy_gradients(P, R, np.ones(4) / 4, 0.9, np.zeros((4, 2))), "logits have the shape"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case):
    make, sentence = REFUSED[case]
    with pytest.raises(EnvzooError, match=sentence):
        make()
