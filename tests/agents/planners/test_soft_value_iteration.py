"""Soft value iteration against the numbers of paper 19, its limits, and the contraction it rests on."""

import numpy as np
import pytest

from envzoo.agents.planners.soft_value_iteration import soft_backup, soft_policy, soft_value_iteration
from envzoo.errors import EnvzooError

TWO_STATES = np.zeros((2, 2, 2))
TWO_STATES[:, 0, 0] = TWO_STATES[:, 1, 1] = 1
TWO_REWARDS = np.array([[0.0, 0.0], [0.2, 1.0]])
ARMS = np.array([[1.0, 0.5, 0.0, -1.0]])


def random_process(seed, states=6, actions=3):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(states), (states, actions)), rng.normal(size=(states, actions))


def test_two_state_process_of_paper_19():
    warm = soft_value_iteration(TWO_STATES, TWO_REWARDS, 0.9, 1.0)
    np.testing.assert_allclose(warm.q, [[10.05689, 10.77814], [10.25689, 11.77814]], atol=1e-4)
    np.testing.assert_allclose(warm.v, [11.17432, 11.97571], atol=1e-4)
    np.testing.assert_allclose(warm.policy[:, 1], [0.67288, 0.82072], atol=1e-4)
    cool = soft_value_iteration(TWO_STATES, TWO_REWARDS, 0.9, 0.1)
    np.testing.assert_allclose(cool.v, [9.00001, 10.0], atol=1e-4)
    hard = soft_value_iteration(TWO_STATES, TWO_REWARDS, 0.9, 0.0)
    np.testing.assert_allclose(hard.v, [9.0, 10.0], atol=1e-9)
    np.testing.assert_array_equal(hard.policy, [[0, 1], [0, 1]])


def test_one_state_bandit_of_paper_19():
    # Rows that sum to 0 terminate, so the value is that of one step.
    solution = soft_value_iteration(np.zeros((1, 4, 1)), ARMS, 0.99, 0.5)
    policy = solution.policy[0]
    assert solution.v[0] == pytest.approx(1.20986, abs=1e-5)
    assert -(policy * np.log(policy)).sum() == pytest.approx(0.88754, abs=1e-5)
    np.testing.assert_allclose(policy, soft_policy(ARMS, 0.5)[0])


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 0.3, 10.0])
def test_solution_is_the_fixed_point(alpha):
    p, r = random_process(0)
    solution = soft_value_iteration(p, r, 0.95, alpha)
    np.testing.assert_allclose(soft_backup(p, r, solution.v, 0.95, alpha), solution.v, atol=1e-10)
    np.testing.assert_allclose(r + 0.95 * p @ solution.v, solution.q, atol=1e-9)
    # The value of the policy found, evaluated exactly, is the value found.
    pi = solution.policy
    entropy = -(pi * np.log(np.where(pi > 0, pi, 1))).sum(axis=1)
    transition = np.einsum("sa,sat->st", pi, p)
    exact = np.linalg.solve(np.eye(len(p)) - 0.95 * transition, (pi * r).sum(axis=1) + alpha * entropy)
    np.testing.assert_allclose(exact, solution.v, atol=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.05, 1.0, 50.0])
@pytest.mark.parametrize("seed", range(5))
def test_backup_is_a_contraction(alpha, seed):
    p, r = random_process(seed)
    rng = np.random.default_rng(100 + seed)
    for gamma in (0.3, 0.9, 0.999):
        v, w = rng.normal(size=(2, 6)) * 10 ** rng.uniform(-2, 3)
        distance = np.abs(soft_backup(p, r, v, gamma, alpha) - soft_backup(p, r, w, gamma, alpha)).max()
        assert distance <= gamma * np.abs(v - w).max() * (1 + 1e-12)


def test_values_rise_with_temperature_and_huge_rewards_do_not_overflow():
    p, r = random_process(3)
    values = [soft_value_iteration(p, r, 0.9, alpha).v for alpha in (0.0, 0.1, 1.0)]
    assert (np.diff(values, axis=0) > 0).all()
    assert np.isfinite(soft_value_iteration(p, r * 1e6, 0.99, 1e-3).q).all()
    np.testing.assert_allclose(soft_policy(np.array([1.0, 1.0, 0.0]), 0.0), [0.5, 0.5, 0.0])


def test_bad_input_is_one_sentence():
    p, r = random_process(1)
    for arguments, sentence in (
        ((p[:, :, :5], r, 0.9, 1.0), "have the shapes"),
        ((p * 2, r, 0.9, 1.0), "sum over next states is at most 1"),
        ((p, r, 1.0, 1.0), "gamma lies in"),
        ((p, r, 0.9, -1.0), "alpha is a finite number"),
    ):
        with pytest.raises(EnvzooError, match=sentence):
            soft_value_iteration(*arguments)
    with pytest.raises(EnvzooError, match="within 3 backups"):
        soft_value_iteration(p, r, 0.99, 1.0, max_iterations=3)
