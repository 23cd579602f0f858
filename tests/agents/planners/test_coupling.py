"""Couplings: numbers worked by hand, exhaustive search on small sources, and properties of random marginals."""

import itertools
import math

import numpy as np
import pytest
from helpers import refused
from hypothesis import example, given, settings
from hypothesis import strategies as st

from envzoo.agents.planners import coupling
from envzoo.agents.planners.coupling import (
    ebim,
    entropy,
    greedy_mec,
    greedy_mec_cells,
    joint_with_code,
    majorization_lower_bound,
    mec_bottleneck,
    mutual_information,
    uniform_quantizer,
)
from envzoo.errors import UnknownNameError

HALVES = [0.7, 0.2, 0.1]
UNIFORM = np.full(8, 1 / 8)


def distributions(largest=12):
    """Marginals with zeros, ties, tiny masses and ordinary ones."""
    mass = st.one_of(
        st.sampled_from([0.0, 1e-300, 1e-100, 1e-20, 1e-12, 1.0, 2.0]), st.floats(1e-3, 1.0), st.integers(0, 4)
    )
    masses = st.lists(mass, min_size=1, max_size=largest).filter(lambda values: sum(values) >= 1e-3)
    return masses.map(lambda values: np.array(values, float) / np.sum(np.array(values, float)))


def partitions(n):
    """All maps of n symbols to codes that count from 0 in the order of their first symbols."""

    def extend(labels):
        if len(labels) == n:
            yield tuple(labels)
            return
        for code in range(max(labels) + 2):
            yield from extend([*labels, code])

    return list(extend([0]))


def binary_entropy(p):
    return float(entropy([p, 1 - p]))


# ---------------------------------------------------------------------------- entropies


def test_entropies_worked_by_hand():
    assert entropy([0.5, 0.25, 0.25]) == 1.5
    assert entropy([1.0, 0.0]) == 0.0
    assert entropy(HALVES) == pytest.approx(1.1568, abs=5e-5)
    np.testing.assert_array_equal(entropy([[0.5, 0.5], [1.0, 0.0]]), [1.0, 0.0])
    assert mutual_information(np.diag([0.25] * 4)) == 2.0
    assert mutual_information(np.outer([0.3, 0.7], [0.2, 0.8])) == pytest.approx(0.0, abs=1e-12)


# ---------------------------------------------------------------------------- greedy coupling


@pytest.mark.parametrize(
    ("p", "q", "cells", "bits"),
    [
        ([0.5, 0.3, 0.2], [0.6, 0.4], {(0, 0): 0.5, (1, 1): 0.3, (2, 0): 0.1, (2, 1): 0.1}, 1.6855),
        # What is left of the first row ties with the second, and goes first, to the first of the equal columns.
        (HALVES, [0.5, 0.25, 0.25], {(0, 0): 0.5, (0, 1): 0.2, (1, 2): 0.2, (2, 1): 0.05, (2, 2): 0.05}, 1.8610),
        # Of the three equal rows the first goes first, and each time to the first of the largest columns.
        ([1 / 3] * 3, [1 / 3] * 3, {(0, 0): 1 / 3, (1, 1): 1 / 3, (2, 2): 1 / 3}, math.log2(3)),
        ([0.25] * 4, [0.5, 0.5], {(0, 0): 0.25, (1, 1): 0.25, (2, 0): 0.25, (3, 1): 0.25}, 2.0),
        ([1.0], [0.75, 0.0, 0.25], {(0, 0): 0.75, (0, 2): 0.25}, 0.8113),
    ],
)
def test_greedy_couplings_worked_by_hand(p, q, cells, bits):
    joint = greedy_mec(p, q)
    expected = np.zeros((len(p), len(q)))
    for cell, mass in cells.items():
        expected[cell] = mass
    np.testing.assert_allclose(joint, expected, atol=1e-15)
    assert entropy(joint.reshape(-1)) == pytest.approx(bits, abs=5e-5)
    assert mutual_information(joint) == pytest.approx(entropy(p) + entropy(q) - bits, abs=1e-4)


def slow_greedy(p, q):
    """The greedy coupling as it is defined: look for the largest masses anew each time."""
    a, b, joint = np.array(p, float), np.array(q, float), np.zeros((len(p), len(q)))
    while a.max() > 1e-13 and b.max() > 1e-13:
        i, j = a.argmax(), b.argmax()
        mass = min(a[i], b[j])
        joint[i, j] += mass
        a[i] -= mass
        b[j] -= mass
    return joint


@given(distributions(), distributions())
@settings(max_examples=200)
@example(np.array([1.0]), np.array([1.0]))
@example(np.array([1.0, 1e-100]), np.array([1.0]))
@example(np.array([1.0, 1e-100]), np.array([1e-100, 1e-300, 1.0]))
def test_properties_of_the_greedy_coupling(p, q):
    joint = greedy_mec(p, q)
    np.testing.assert_allclose(joint.sum(axis=1), p, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(joint.sum(axis=0), q, rtol=1e-9, atol=1e-14)
    assert (joint >= 0).all()
    assert ((joint.sum(axis=1) > 0) == (p > 0)).all()  # however little the mass, it is somewhere
    assert ((joint.sum(axis=0) > 0) == (q > 0)).all()
    assert np.count_nonzero(joint) <= np.count_nonzero(p) + np.count_nonzero(q) - 1
    bits, bound = entropy(joint.reshape(-1)), majorization_lower_bound(p, q)
    assert bound - 1e-9 <= bits <= bound + math.log2(math.e)
    assert bits <= entropy(p) + entropy(q) + 1e-9
    assert bound >= max(entropy(p), entropy(q)) - 1e-9
    cells = greedy_mec_cells(p, q)
    dense = np.zeros_like(joint)
    np.add.at(dense, (cells.rows, cells.columns), cells.masses)
    np.testing.assert_array_equal(dense, joint)
    assert len(set(zip(cells.rows, cells.columns, strict=True))) == len(cells.masses)


@pytest.mark.parametrize("seed", range(20))
def test_the_greedy_coupling_is_the_one_defined(seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(rng.integers(1, 40))), rng.dirichlet(np.ones(rng.integers(1, 40)))
    np.testing.assert_allclose(greedy_mec(p, q), slow_greedy(p, q), atol=1e-12)


def test_greedy_couplings_of_a_batch_are_those_of_its_members():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(5), (2, 3)), rng.dirichlet(np.ones(4), 3)
    joint = greedy_mec(p, q)
    assert joint.shape == (2, 3, 5, 4)
    for i, j in itertools.product(range(2), range(3)):
        np.testing.assert_array_equal(joint[i, j], greedy_mec(p[i, j], q[j]))


def test_single_precision_marginals_are_taken():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(100)).astype(np.float32)
    assert greedy_mec(p, [0.5, 0.5]).sum() == pytest.approx(1.0, abs=1e-14)


def exact_least_entropy(p, q):
    """Least entropy over the vertices of the transport polytope (the entropy is concave), by spanning sets of cells."""
    n, k = len(p), len(q)
    equations = np.zeros((n + k, n * k))
    for i, j in itertools.product(range(n), range(k)):
        equations[i, i * k + j] = equations[n + j, i * k + j] = 1
    wanted = np.concatenate([p, q])
    best = np.inf
    for basis in itertools.combinations(range(n * k), n + k - 1):
        part = equations[:-1, basis]
        if abs(np.linalg.det(part)) < 0.5:  # such matrices have determinants -1, 0 or 1
            continue
        masses = np.linalg.solve(part, wanted[:-1])
        if masses.min() > -1e-12:
            best = min(best, float(entropy(np.maximum(masses, 0) / np.maximum(masses, 0).sum())))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_bounds_hold_against_the_exact_minimum(seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3))
    exact = exact_least_entropy(p, q)
    bits = float(entropy(greedy_mec(p, q).reshape(-1)))
    assert majorization_lower_bound(p, q) - 1e-9 <= exact <= bits + 1e-9
    assert bits <= exact + math.log2(math.e) / math.e


def test_majorization_bound_worked_by_hand():
    # Sorted cumulative sums .5 .8 1 and .6 1 1: the smaller are .5 .8 1.
    assert majorization_lower_bound([0.2, 0.5, 0.3], [0.4, 0.6]) == pytest.approx(entropy([0.5, 0.3, 0.2]))
    # .6 .8 1 and .5 1 1: .5 .8 1.
    assert majorization_lower_bound([0.6, 0.2, 0.2], [0.5, 0.5]) == pytest.approx(entropy([0.5, 0.3, 0.2]))


# ---------------------------------------------------------------------------- encoders


@pytest.mark.parametrize(
    ("rate", "labels", "bits"),
    [
        (2.0, [0, 1, 2], 1.1568),
        (1.15678, [0, 1, 2], 1.1568),
        (0.9, [0, 1, 1], 0.8813),
        (0.8813, [0, 1, 1], 0.8813),
        (0.88, [0, 0, 1], 0.4690),
        (0.8, [0, 0, 1], 0.4690),  # greedy: {1, 3}, {2} would have 0.7219
        (0.47, [0, 0, 1], 0.4690),
        (0.3, [0, 0, 0], 0.0),
        (0.0, [0, 0, 0], 0.0),
    ],
)
def test_codes_worked_by_hand(rate, labels, bits):
    found = ebim(HALVES, rate)
    np.testing.assert_array_equal(found, labels)
    assert entropy(np.bincount(found, HALVES)) == pytest.approx(bits, abs=5e-5)


@pytest.mark.parametrize(
    ("rate", "sizes", "bits"),
    [(3.0, [1] * 8, 3.0), (2.5, [1, 1, 1, 1, 2, 2], 2.5), (2.0, [1, 1, 1, 1, 4], 2.0), (1.0, [2, 6], 0.8113)],
)
def test_codes_of_eight_equal_symbols(rate, sizes, bits):
    sizes_found = np.bincount(ebim(UNIFORM, rate))
    if rate == 2.5:  # two merged largest (entropy 2.75) and two merged smallest
        assert entropy(sizes_found / 8) == 2.5
    assert sorted(sizes_found) == sizes
    assert entropy(sizes_found / 8) == pytest.approx(bits, abs=5e-5)


def defined_ebim(p, rate):
    """Algorithm 1 step by step, on lists of groups."""

    def bits(groups):
        masses = [sum(p[i] for i in group) for group in groups]
        return -sum(mass * math.log2(mass) for mass in masses)

    groups = [[i] for i in range(len(p)) if p[i] > 0]
    if bits(groups) <= rate + 1e-12:
        return groups
    while len(groups) > 1:
        groups.sort(key=lambda group: (-sum(p[i] for i in group), min(group)))
        for merged in ([*groups[:-2], groups[-2] + groups[-1]], [groups[0] + groups[1], *groups[2:]]):
            if bits(merged) <= rate + 1e-12:
                return merged
        groups = merged
    return groups


@given(distributions(), st.floats(0, 4))
@settings(max_examples=200)
@example(np.full(8, 1 / 8), 3.0)
@example(np.array([0.5, 0.5]), 0.0)
def test_properties_of_the_code(p, rate):
    labels = ebim(p, rate)
    assert ((labels == -1) == (p == 0)).all()
    joint = joint_with_code(p, labels)
    code = joint.sum(axis=0)
    bits = float(entropy(code))
    assert bits <= rate + 1e-9
    assert mutual_information(joint) == pytest.approx(bits, abs=1e-9)
    # Codes are numbered in the order of their first symbols, and none is left out.
    first = [int(np.flatnonzero(labels == t)[0]) for t in range(labels.max() + 1)]
    assert first == sorted(first)
    if bits < entropy(p) - 1e-9:
        assert rate - bits <= binary_entropy(np.sort(p)[-2]) + 1e-9
    np.testing.assert_array_equal(ebim(p, entropy(p)), ebim(p, np.inf))


@pytest.mark.parametrize("seed", range(40))
def test_the_code_is_that_of_the_algorithm_step_by_step(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 10))
    p = rng.multinomial(16, np.full(n, 1 / n)) / 16 if seed % 2 else rng.dirichlet(np.ones(n))
    for rate in np.linspace(0, np.log2(n), 6):
        labels = ebim(p, rate)
        found = sorted(sorted(np.flatnonzero(labels == t).tolist()) for t in range(labels.max() + 1))
        assert found == sorted(sorted(group) for group in defined_ebim(p, rate))


def test_the_code_against_all_codes():
    rng = np.random.default_rng(0)
    shortfalls = []
    for _ in range(60):
        n = int(rng.integers(2, 7))
        p, rate = rng.dirichlet(np.ones(n)), rng.random() * 2
        values = [float(entropy(np.bincount(labels, p))) for labels in partitions(n)]
        best = max(value for value in values if value <= rate + 1e-12)
        found = float(entropy(np.bincount(ebim(p, rate), p)))
        assert any(abs(found - value) < 1e-12 for value in values)
        assert found <= best + 1e-12
        shortfalls.append(best - found)
    assert 0.01 < np.mean(shortfalls) < 0.2  # near the best of all codes, but not always it
    assert np.median(shortfalls) < 0.05


def test_codes_of_a_batch_with_rates_of_their_own():
    rng = np.random.default_rng(0)
    p, rates = rng.dirichlet(np.ones(6), 4), np.array([0.0, 0.7, 1.5, 9.0])
    labels, blocks = ebim(p, rates), uniform_quantizer(p, rates)
    for i in range(4):
        np.testing.assert_array_equal(labels[i], ebim(p[i], rates[i]))
        np.testing.assert_array_equal(blocks[i], uniform_quantizer(p[i], rates[i]))


@pytest.mark.parametrize(
    ("n", "rate", "blocks"),
    [
        (64, 6.0, 64),
        (64, 4.5, 22),
        (64, 3.0, 8),
        (64, 1.5, 2),
        (64, 0.9, 1),
        (512, 0.5 * 9.0, 22),
        (5, math.log2(5), 5),
    ],
)
def test_blocks_of_the_quantizer(n, rate, blocks):
    labels = uniform_quantizer(np.full(n, 1 / n), rate)
    assert (np.diff(labels) >= 0).all()
    assert labels.max() + 1 == blocks
    assert np.bincount(labels).max() == math.ceil(n / max(1, math.floor(2**rate + 1e-9)))
    assert entropy(np.bincount(labels) / n) <= rate + 1e-9


def test_the_quantizer_keeps_its_blocks_whatever_the_masses():
    np.testing.assert_array_equal(uniform_quantizer([0.0, 0.5, 0.0, 0.0, 0.25, 0.25], 1.0), [-1, 0, -1, -1, 1, 1])


# ---------------------------------------------------------------------------- with a bottleneck


@pytest.mark.parametrize(("rate", "bits"), [(9.0, 0.7958), (0.9, 0.7008), (0.5, 0.2263), (0.0, 0.0)])
def test_information_through_a_bottleneck_worked_by_hand(rate, bits):
    joint = mec_bottleneck(HALVES, [0.5, 0.25, 0.25], rate)
    assert mutual_information(joint) == pytest.approx(bits, abs=5e-5)


@pytest.mark.parametrize(("rate", "bits"), [(3.0, 2.0), (2.5, 2.0), (2.0, 1.5), (1.0, 0.8113)])
def test_eight_equal_symbols_to_four(rate, bits):
    assert mutual_information(mec_bottleneck(UNIFORM, np.full(4, 1 / 4), rate)) == pytest.approx(bits, abs=5e-5)


@given(distributions(), distributions(), st.floats(0, 4), st.sampled_from(["ebim", "quantizer", "none"]))
@settings(max_examples=100)
def test_properties_of_the_bottleneck(p_x, p_y, rate, encoder):
    joint = mec_bottleneck(p_x, p_y, rate, encoder)
    np.testing.assert_allclose(joint.sum(axis=1), p_x, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(joint.sum(axis=0), p_y, rtol=1e-9, atol=1e-14)
    if encoder == "none":
        np.testing.assert_allclose(joint, greedy_mec(p_x, p_y), rtol=1e-9, atol=1e-300)
        return
    labels = ebim(p_x, rate) if encoder == "ebim" else uniform_quantizer(p_x, rate)
    code = joint_with_code(p_x, labels).sum(axis=0)
    assert mutual_information(joint) <= min(rate, float(entropy(p_y))) + 1e-9
    # The decomposition: I(X;Y) = I(T;Y) for a deterministic code, and at least I(X;T) + I(T;Y) - R.
    through = greedy_mec(code, p_y)
    assert mutual_information(joint) == pytest.approx(float(mutual_information(through)), abs=1e-9)
    assert mutual_information(joint) >= entropy(code) + mutual_information(through) - rate - 1e-9


def test_bottlenecks_of_a_batch():
    rng = np.random.default_rng(0)
    p_x, p_y = rng.dirichlet(np.ones(6), (3, 1)), rng.dirichlet(np.ones(4), 2)
    joint = mec_bottleneck(p_x, p_y, 1.5)
    assert joint.shape == (3, 2, 6, 4)
    np.testing.assert_array_equal(joint[2, 1], mec_bottleneck(p_x[2, 0], p_y[1], 1.5))


# ---------------------------------------------------------------------------- bad input

WRONG = {
    "sum": (lambda: greedy_mec([0.5, 0.4], [1.0]), "p sums to 0.9, expected 1"),
    "second": (lambda: greedy_mec([1.0], [[0.5, 0.5], [0.5, 0.6]]), "q sums to 1.1, expected 1"),
    "negative": (lambda: ebim([1.2, -0.2], 1.0), "p holds the negative probability -0.2"),
    "nan": (lambda: entropy([0.5, np.nan]), "p holds nan, expected finite probabilities"),
    "infinite": (lambda: majorization_lower_bound([1.0], [np.inf]), "q holds inf"),
    "empty": (lambda: greedy_mec([], [1.0]), r"p needs at least one probability, got an array of the shape \(0,\)"),
    "number": (lambda: greedy_mec(1.0, [1.0]), r"p needs at least one probability, got an array of the shape \(\)"),
    "words": (lambda: ebim(["a"], 1.0), "p holds probabilities, got"),
    "zeros": (lambda: mec_bottleneck([1.0], [0.0, 0.0], 1.0), "p_y is zero everywhere"),
    "rate": (lambda: ebim([1.0], -0.5), "a rate is a number of bits of at least 0, got -0.5"),
    "no rate": (lambda: mec_bottleneck([1.0], [1.0], np.nan), "a rate is a number of bits of at least 0, got nan"),
    "rate words": (lambda: uniform_quantizer([1.0], "much"), "a rate is a number of bits, got 'much'"),
    "rates": (lambda: ebim([0.5, 0.5], [1.0, 2.0]), "rates .* do not fit a batch of sources"),
    "batches": (lambda: greedy_mec(np.ones((2, 1)), np.ones((3, 1))), "batches of p .* do not fit together"),
    "cells": (lambda: greedy_mec_cells(np.ones((2, 1)), [1.0]), "cells are of one pair of marginals"),
    "joint": (lambda: mutual_information([0.5, 0.5]), "a joint distribution has the shape"),
    "labels": (lambda: joint_with_code([0.5, 0.5], [0]), "labels are integers of the shape"),
    "no code": (lambda: joint_with_code([0.5, 0.5], [0, -1]), "every symbol with mass needs a label"),
    "gap rates": (lambda: coupling.ebim_gap_fill(np.ones((2, 1)), [1.0] * 3), "rates .* do not fit a batch"),
    "gap maps": (lambda: coupling.ebim_gap_fill([0.5, 0.5], 1.0, [[0, 5]]), "maps hold a label from 0 to 1"),
    "gap shape": (lambda: coupling.ebim_gap_fill([0.5, 0.5], 1.0, [[0]]), r"maps have the shape \(m, 2\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gives_one_sentence(case):
    refused(*WRONG[case])


def test_an_unknown_encoder_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'quantizer'"):
        mec_bottleneck([1.0], [1.0], 1.0, encoder="quantiser")
