"""Set functions: definitions against brute force, gains against differences, diminishing returns, refusals."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.coverage.grid_coverage import GridCoverage
from envzoo.coverage.set_functions import (
    CappedItemCounts,
    Coverage,
    CustomSetFunction,
    FacilityLocation,
    LogDeterminant,
    MutualInformation,
    WeightedCoverage,
)
from envzoo.errors import EnvzooError, UnknownNameError

N = 9
RNG = np.random.default_rng(0)
COVERS = RNG.random((N, 12)) < 0.3
WEIGHTS = RNG.random(12)
SIMILARITY = RNG.random((N, 5))
KINDS, CAPS = [0, 1, 0, -1, 2, 1, 0, 2, 1], [2, 1, 3]
_X = RNG.normal(size=(N, 2))
K = np.exp(-0.5 * ((_X[:, None] - _X[None]) ** 2).sum(axis=-1))
SIGMA = K + 0.1 * np.eye(N)

MONOTONE = {
    "coverage": Coverage(COVERS),
    "weighted coverage": WeightedCoverage(COVERS, WEIGHTS),
    "facility location": FacilityLocation(SIMILARITY),
    "capped item counts": CappedItemCounts(KINDS, CAPS),
    "log determinant": LogDeterminant(K, jitter=1e-6, offset=9.965784),
    "information gain": LogDeterminant.information_gain(K, 0.1),
    "custom": CustomSetFunction(lambda s: math.sqrt(len(s)) + 3.0, N),
}
ALL = MONOTONE | {"mutual information": MutualInformation(K, noise=0.1)}

# What each function says, written down a second time without a line of its code.
BRUTE = {
    "coverage": lambda s: len({p for e in s for p in np.flatnonzero(COVERS[e])}),
    "weighted coverage": lambda s: sum(WEIGHTS[p] for p in {p for e in s for p in np.flatnonzero(COVERS[e])}),
    "facility location": lambda s: sum(max((SIMILARITY[e, c] for e in s), default=0.0) for c in range(5)),
    "capped item counts": lambda s: sum(min(sum(KINDS[e] == k for e in s), CAPS[k]) for k in range(3)),
    "log determinant": lambda s: 0.5 * math.log(_det(K + 1e-6 * np.eye(N), s)) + 9.965784 * len(s),
    "information gain": lambda s: 0.5 * math.log(_det(np.eye(N) + K / 0.1, s)),
    "custom": lambda s: math.sqrt(len(s)),
    "mutual information": lambda s: (
        0.5 * math.log(_det(SIGMA, s) * _det(SIGMA, [i for i in range(N) if i not in s]) / np.linalg.det(SIGMA))
    ),
}

subsets = st.sets(st.integers(0, N - 1)).map(sorted)
each = pytest.mark.parametrize("name", ALL)
each_monotone = pytest.mark.parametrize("name", MONOTONE)


def _det(matrix, s):
    return np.linalg.det(matrix[np.ix_(list(s), list(s))]) if len(s) else 1.0


def state_of(function, sets):
    """The states of B sets, their elements added one by one."""
    state = function.initial_state(len(sets))
    for step in range(max(map(len, sets))):
        where = np.array([len(s) > step for s in sets])
        function.add(state, np.array([s[step] if len(s) > step else 0 for s in sets]), where)
    return state


@each
def test_value_is_the_definition_on_every_subset(name):
    for count in range(N + 1):
        for s in itertools.combinations(range(N), count):
            assert ALL[name].value(s) == pytest.approx(BRUTE[name](s), abs=1e-7), s


@each
def test_gains_are_differences_and_telescope(name):
    function, batch = ALL[name], 6
    rng = np.random.default_rng(1)
    state = function.initial_state(batch)
    paths = rng.integers(0, N, (12, batch))  # with repeats
    candidates = np.tile(np.arange(N), (batch, 1))
    total = np.zeros(batch)
    for t in range(len(paths)):
        gains = function.gains(state, candidates)
        for b in range(batch):
            now = paths[:t, b]
            expected = [function.value(np.append(now, e)) - function.value(now) for e in range(N)]
            np.testing.assert_allclose(gains[b], expected, atol=1e-8)
        gain = function.add(state, paths[t])
        np.testing.assert_allclose(gain, gains[np.arange(batch), paths[t]], atol=1e-12)
        total += gain
        np.testing.assert_allclose(state.value, total, atol=1e-12)
    for b in range(batch):
        assert total[b] == pytest.approx(function.value(paths[:, b]) - function.value([]), abs=1e-7)


@each_monotone
@given(small=subsets, extra=subsets)
@settings(max_examples=40, deadline=None)
def test_monotone(name, small, extra):
    function = MONOTONE[name]
    assert function.value({*small, *extra}) >= function.value(small) - 1e-9


@each
@given(small=subsets, extra=subsets)
@settings(max_examples=40, deadline=None)
def test_submodular(name, small, extra):
    function = ALL[name]
    state = state_of(function, [small, sorted({*small, *extra})]) if small or extra else function.initial_state(2)
    outside = [e for e in range(N) if e not in small and e not in extra]
    if outside:
        gains = function.gains(state, np.array([outside, outside]))
        assert (gains[0] >= gains[1] - 1e-8).all()


def test_mutual_information_is_symmetric_and_monotone_for_small_sets_only():
    x = np.linspace(0, 10, 40)
    function = MutualInformation(np.exp(-0.5 * (x[:, None] - x) ** 2), noise=0.01)
    some = [0, 7, 22]
    others = [i for i in range(40) if i not in some]
    assert function.value(some) == pytest.approx(function.value(others), abs=1e-7)
    assert function.value(range(40)) == pytest.approx(0.0, abs=1e-7)
    function.check_monotone(largest=2)
    function.check_submodular()
    with pytest.raises(EnvzooError, match="MutualInformation is not monotone: adding element"):
        function.check_monotone()


def test_hand_worked_numbers_of_two_correlated_points():
    function = LogDeterminant([[1.0, 0.6], [0.6, 1.0]], jitter=1e-12, offset=9.965784)
    state = function.initial_state(1)
    assert function.add(state, np.array([0]))[0] == pytest.approx(9.965784)
    assert function.add(state, np.array([1]))[0] == pytest.approx(0.5 * math.log(1 - 0.36) + 9.965784)
    assert function.add(state, np.array([1]))[0] == 0.0
    assert function.value([0, 1]) == pytest.approx(-0.2231436 + 2 * 9.965784)


def test_hand_worked_items():
    function = CappedItemCounts([0, 0, 0], [2])
    state = function.initial_state(1)
    assert [function.add(state, np.array([cell]))[0] for cell in (0, 1, 0, 2)] == [1, 1, 0, 0]
    np.testing.assert_array_equal(function.singles, [1, 1, 1])


@pytest.mark.parametrize("disc", [{"radius": 1}, {"radius": 0}, {"disc": "paper"}, {"disc": "paper_large"}])
def test_grid_coverage_is_the_environments(disc):
    function, world = Coverage.on_grid(5, 7, **disc), GridCoverage(rows=5, columns=7, **disc)
    weighted = WeightedCoverage.on_grid(5, 7, np.full((5, 7), 2.0), **disc)
    rng = np.random.default_rng(2)
    for _ in range(20):
        cells = rng.integers(0, 35, 6)
        assert function.value(cells) == world.value(cells) == weighted.value(cells) / 2
    np.testing.assert_array_equal(function.singles, [len(world.disc_of(cell)) for cell in range(35)])


@each
def test_rows_outside_the_mask_stay_and_restart_empties(name):
    function = ALL[name]
    state = state_of(function, [[1, 4], [2, 5], [0, 3]])
    before = [array.copy() for array in state]
    gain = function.add(state, np.array([6, -99, 6]), np.array([True, False, False]))  # -99 is not looked at
    assert gain[1] == gain[2] == 0.0
    for array, old in zip(state, before, strict=True):
        np.testing.assert_array_equal(array[1:], old[1:])
    function.restart(state, np.array([True, False, True]))
    candidates = np.tile(np.arange(N), (3, 1))
    expected = function.gains(state_of(function, [[], [2, 5], []]), candidates)
    np.testing.assert_array_equal(function.gains(state, candidates), expected)
    assert state.value[0] == 0.0
    np.testing.assert_allclose(function.singles, expected[0])


def test_capacity_bounds_the_gaussian_functions():
    function = MONOTONE["information gain"]
    state = function.initial_state(2, capacity=2)
    for element in (3, 5, 3, 5):
        function.add(state, np.array([element, element]))
    with pytest.raises(EnvzooError, match="set 1 holds 2 elements already"):
        function.add(state, np.array([3, 4]))
    assert state.value[1] == pytest.approx(function.value([3, 5]))
    assert function.gains(state, np.array([[4], [4]])).shape == (2, 1)


def test_nearly_singular_covariances_stay_finite():
    function = LogDeterminant(np.ones((30, 30)), jitter=1e-6)
    state = function.initial_state(1)
    for element in range(30):
        gain = function.add(state, np.array([element]))[0]
        assert gain >= 0.5 * math.log(1e-6) - 1e-12
    assert state.value[0] == pytest.approx(function.value(range(30)), rel=1e-6)


def test_checks_find_what_is_wrong():
    for function in MONOTONE.values():
        function.check_monotone(samples=30)
        function.check_submodular(samples=30)
    with pytest.raises(EnvzooError, match=r"not monotone: adding element . to .*expected no decrease"):
        CustomSetFunction(lambda s: -float(len(s)), 4, check=True)
    with pytest.raises(EnvzooError, match="not monotone"):
        CustomSetFunction(lambda s: math.nan if len(s) else 0.0, 4, check=True)
    with pytest.raises(EnvzooError, match=r"not submodular: element . gains .* expected no increase"):
        CustomSetFunction(lambda s: float(len(s)) ** 2, 4).check_submodular()


def test_refusals():
    with pytest.raises(EnvzooError, match=r"weights\[1\] is -1; expected finite numbers of at least 0"):
        WeightedCoverage([[0], [1]], [1.0, -1.0])
    with pytest.raises(EnvzooError, match=r"weights\[2\] is nan"):
        WeightedCoverage.on_grid(2, 2, np.array([[1.0, 1.0], [np.nan, 1.0]]))
    with pytest.raises(EnvzooError, match=r"similarity\[0, 1\] is inf"):
        FacilityLocation([[0.0, np.inf]])
    with pytest.raises(EnvzooError, match="element 1 covers point 5; expected points from 0 to 3"):
        Coverage([[0], [1, 5]], points=4)
    with pytest.raises(EnvzooError, match=r"shape \(2, 3\); expected \(elements, 4\)"):
        WeightedCoverage(np.ones((2, 3), bool), np.ones(4))
    with pytest.raises(EnvzooError, match="matrix of int64; expected bool"):
        Coverage(np.ones((2, 3), np.int64))
    with pytest.raises(EnvzooError, match="at least one element"):
        Coverage([])
    with pytest.raises(UnknownNameError, match="disc"):
        Coverage.on_grid(2, 2, disc="round")
    with pytest.raises(EnvzooError, match=r"element 2 is of kind 4; expected -1 \(no item\) or 0 to 1"):
        CappedItemCounts([0, 1, 4], [1, 1])
    with pytest.raises(EnvzooError, match="caps holds -1"):
        CappedItemCounts([0], [-1])
    with pytest.raises(EnvzooError, match="kinds is float64"):
        CappedItemCounts([0.5], [1])
    with pytest.raises(EnvzooError, match="not symmetric"):
        LogDeterminant([[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(EnvzooError, match="eigenvalue -1"):
        LogDeterminant([[0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(EnvzooError, match="jitter is 0"):
        LogDeterminant(np.eye(2), jitter=0)
    with pytest.raises(EnvzooError, match="noise is -1"):
        LogDeterminant.information_gain(np.eye(2), -1)
    with pytest.raises(EnvzooError, match="too near 0 to be inverted"):
        MutualInformation(np.ones((3, 3)))
    function = MONOTONE["coverage"]
    with pytest.raises(EnvzooError, match="element 9 lies outside Coverage; expected 0 to 8"):
        function.value([9])
    with pytest.raises(EnvzooError, match="element -1 lies outside Coverage"):
        function.add(function.initial_state(1), np.array([-1]))
    with pytest.raises(EnvzooError, match=r"candidates are int64 of shape \(2,\); expected integers of shape \(1, K\)"):
        function.gains(function.initial_state(1), np.array([1, 2]))
    with pytest.raises(EnvzooError, match="elements are float64"):
        function.add(function.initial_state(1), np.array([1.0]))
    with pytest.raises(EnvzooError, match="capacity is 0"):
        function.initial_state(1, 0)
