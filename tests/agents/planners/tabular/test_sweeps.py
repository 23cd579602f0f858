"""Sweeps of value iteration: the formula, one core and all, exact sums in a fixed order."""

from fractions import Fraction

import numpy as np
import pytest
from numba.core.errors import TypingError

from envzoo.agents.planners.tabular import optimum, sweeps
from envzoo.agents.planners.tabular.large import dense_optimum, sparse_optimum
from envzoo.tabular import random_mdp

widths = pytest.mark.parametrize("width", [1, 2, 3, 4, 6])


def sparse_world(width, states=2 * sweeps.BLOCK + 7, actions=3):
    rng = np.random.default_rng(width)
    following = rng.integers(states, size=(states, actions, width)).astype(np.uint32)
    return following, rng.random((states, actions, width)), rng.random((states, actions)), rng.random(states)


@widths
@pytest.mark.parametrize("far", [0, 10**9])
def test_sparse_sweeps_are_the_formula_on_one_core_and_on_all(width, far, monkeypatch):
    """Also where tables are large enough for memory to be asked for beforehand."""
    monkeypatch.setattr(sweeps, "FAR", far)
    following, weight, r, v = sparse_world(width)
    q = sweeps.sparse_action_values(following, weight, r, v)
    np.testing.assert_allclose(q, r + (weight * v[following]).sum(axis=-1), atol=1e-12)
    for shared in (False, True, None):
        out, choice, alone = np.empty(len(v)), np.empty(len(v), np.int32), np.empty(len(v))
        sweeps.sparse_sweep(following, weight, r, v, out, choice, shared=shared)
        sweeps.sparse_sweep(following, weight, r, v, alone, shared=shared)
        np.testing.assert_array_equal(out, q.max(axis=1))
        np.testing.assert_array_equal(alone, out)
        np.testing.assert_array_equal(choice, q.argmax(axis=1))


@widths
def test_backups_of_a_policy_are_those_of_its_rows(width):
    following, weight, r, v = sparse_world(width)
    states = len(v)
    choice = np.random.default_rng(0).integers(3, size=states).astype(np.int32)
    to, chosen, pays = np.empty((states, width), np.uint32), np.empty((states, width)), np.empty(states)
    sweeps.choose_rows(choice, following, weight, r, to, chosen, pays)
    expected = v
    for _ in range(2):
        expected = sweeps.sparse_action_values(following, weight, r, expected)[np.arange(states), choice]
    found, other = sweeps.sparse_evaluation(to, chosen, pays, v.copy(), np.empty(states), 2)
    np.testing.assert_array_equal(found, expected)
    assert other is not found


@pytest.mark.parametrize("states", [1, 15, 16, 65])
def test_dense_sweeps_are_the_formula_on_one_core_and_on_all(states):
    """Whole blocks of 16 numbers, a rest, and both; 65 states are three blocks of states."""
    rng = np.random.default_rng(states)
    p, r, v = rng.random((states, 2, states)), rng.random((states, 2)), rng.random(states)
    found = []
    for shared in (False, True, None):
        q, out = np.empty(r.shape), np.empty(states)
        sweeps.dense_sweep(p, r, 0.9, v, q, out, shared=shared)
        np.testing.assert_allclose(q, r + 0.9 * p @ v, rtol=1e-12)
        np.testing.assert_array_equal(out, q.max(axis=1))
        found.append(q)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    out, choice = np.empty(states), np.arange(states) % 2
    sweeps.dense_evaluation(p.reshape(-1), r, 0.9, choice, v, out)
    np.testing.assert_array_equal(out, found[0][np.arange(states), choice])


def test_dense_sweeps_read_arrays_of_any_layout_and_kernels_refuse_them():
    rng = np.random.default_rng(0)
    p, r, v = rng.random((20, 2, 40))[:, :, ::2], rng.random((20, 2)), rng.random(40)[::2]
    q, out = np.empty(r.shape), np.empty(20)
    sweeps.dense_sweep(p, r, 0.9, v, q, out)
    np.testing.assert_allclose(q, r + 0.9 * p @ v, rtol=1e-12)
    sweeps.dense_sweep(p.astype(np.float32), r, 0.9, v, q, out)
    np.testing.assert_allclose(q, r + 0.9 * p.astype(np.float32).astype(float) @ v, rtol=1e-12)
    with pytest.raises(TypingError, match="flat contiguous arrays of float64"):
        sweeps.dense_evaluation(p.ravel(), r, 0.9, np.zeros(20, np.int64), v, out)


def test_a_dense_sum_is_rounded_in_its_fixed_order():
    """16 partial sums, number t in sum t % 16, folded half on half, with what is left over added last."""
    rng, size = np.random.default_rng(1), 45
    p, v = rng.random((1, 1, size)), rng.random(size)
    row, products = np.broadcast_to(p, (size, 1, size)).copy(), p[0, 0] * v
    sums = products[:16].copy()
    sums += products[16:32]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    rest = 0.0
    for product in products[32:]:
        rest += product
    q, out = np.empty((size, 1)), np.empty(size)
    sweeps.dense_sweep(row, np.zeros((size, 1)), 1.0, v, q, out)
    assert (q == sums[0] + rest).all()
    exact = sum(Fraction(a) * Fraction(b) for a, b in zip(p[0, 0], v, strict=True))
    assert abs(Fraction(float(q[0, 0])) - exact) < 1e-13


def test_the_optima_are_still_found_under_their_former_names():
    with pytest.warns(DeprecationWarning, match=r"now envzoo\.agents\.planners\.tabular\.large\.dense_optimum"):
        assert optimum.dense_optimum is dense_optimum


def test_the_action_values_of_a_sparse_optimum_are_those_of_its_values():
    model = random_mdp(30, 4, gamma=0.9, seed=3, successors=5)
    found = sparse_optimum(model.joint, 0.9, tolerance=1e-12)
    np.testing.assert_allclose(found.q.max(axis=1), found.v, atol=1e-11)
    np.testing.assert_allclose(found.q, model.r + 0.9 * model.p @ found.v, atol=1e-11)
