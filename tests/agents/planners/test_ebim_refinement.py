"""Random codes that use the whole rate, on sources small enough to look at every deterministic code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envzoo.agents.planners.coupling import ebim, ebim_gap_fill, entropy, joint_with_code, mutual_information

SOURCE = np.array([0.7, 0.2, 0.1])
MAPS = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [0, 1, 2]])


def information(p, labels):
    return float(mutual_information(joint_with_code(p, labels)))


def test_between_two_deterministic_codes():
    # From {1, 2}, {3}: some of the second symbol gets a code of its own, until the entropy is the rate.
    joint = ebim_gap_fill(SOURCE, 0.5, [[0, 0, 1]])
    assert entropy(joint.sum(axis=0)) == pytest.approx(0.5, abs=1e-9)
    np.testing.assert_allclose(joint.sum(axis=1), SOURCE, atol=1e-15)
    split = joint[1][joint[1] > 0]
    assert len(split) == 2
    # I(X;T) = H(T) - H(T|X), where only the split symbol leaves anything open.
    assert mutual_information(joint) == pytest.approx(0.5 - 0.2 * entropy(split / 0.2), abs=1e-9)


def test_just_below_a_deterministic_code():
    # From {1}, {2, 3} (entropy 0.8813): some of the third symbol moves to the first.
    joint = ebim_gap_fill(SOURCE, 0.88, [[0, 1, 1]])
    assert entropy(joint.sum(axis=0)) == pytest.approx(0.88, abs=1e-9)
    assert np.count_nonzero(joint[2]) == 2
    moved = joint[2][int(np.argmax(joint[0]))]
    # To first order the entropy falls by log2(p(t) / p(t')) for each unit that moves from code t' to code t.
    assert moved == pytest.approx((entropy([0.7, 0.3]) - 0.88) / np.log2(7 / 3), rel=0.01)
    assert mutual_information(joint) > 0.86


def test_a_whole_symbol_moves_when_the_rate_is_low():
    # From {1}, {2, 3} down to 0.7219: the third symbol moves whole, which is {1, 3}, {2}.
    joint = ebim_gap_fill(SOURCE, 0.7220, [[0, 1, 1]])
    assert mutual_information(joint) == pytest.approx(0.7219, abs=2e-3)
    np.testing.assert_allclose(ebim_gap_fill(SOURCE, 0.0, [[0, 1, 2]]).sum(axis=0), [1.0])


def test_at_least_the_information_of_the_code_it_starts_from():
    for rate in np.linspace(0, 1.3, 40):
        labels = ebim(SOURCE, rate)
        joint = ebim_gap_fill(SOURCE, rate)
        assert mutual_information(joint) >= information(SOURCE, labels) - 1e-9
        best = ebim_gap_fill(SOURCE, rate, MAPS)
        assert mutual_information(best) >= mutual_information(joint) - 1e-9
        all_codes = [information(SOURCE, labels) for labels in MAPS]
        assert mutual_information(best) >= max(value for value in all_codes if value <= rate + 1e-9) - 1e-9


def test_no_random_code_on_a_grid_is_better_next_to_a_deterministic_one():
    # Theorem 3 is about rates close to those of deterministic codes: no channel of two outputs, on a fine grid, with
    # an entropy of at most the rate has more information than the one found.
    p, rate = np.array([0.6, 0.4]), 0.95
    found = float(mutual_information(ebim_gap_fill(p, rate)))
    grid = np.linspace(0, 1, 401)
    first, second = np.meshgrid(grid, grid)
    joint = np.stack(
        [np.stack([0.6 * first, 0.6 * (1 - first)], -1), np.stack([0.4 * second, 0.4 * (1 - second)], -1)], -2
    )
    allowed = joint[entropy(joint.sum(axis=-2)) <= rate]
    assert found >= mutual_information(allowed).max() - 1e-6


@given(
    st.lists(st.sampled_from([0.0, 1e-100, 1e-9, 1.0, 1.5, 2.0, 7.0]), min_size=1, max_size=8).filter(
        lambda masses: sum(masses) >= 1
    ),
    st.floats(0, 3.5),
)
@settings(max_examples=150)
def test_properties(masses, rate):
    p = np.array(masses) / np.sum(masses)
    joint = ebim_gap_fill(p, rate)
    np.testing.assert_allclose(joint.sum(axis=1), p, atol=1e-14)
    assert (joint >= 0).all()
    assert (joint.sum(axis=0) > 0).all()
    assert entropy(joint.sum(axis=0)) <= rate + 1e-9
    assert mutual_information(joint) >= entropy(np.bincount(ebim(p, rate)[p > 0], p[p > 0])) - 1e-9
    assert (np.count_nonzero(joint, axis=1) <= 2).all()
    assert (np.count_nonzero(joint, axis=1) == 2).sum() <= 1  # at most one symbol is split


def test_batches_with_rates_of_their_own():
    rng = np.random.default_rng(0)
    p, rates = rng.dirichlet(np.ones(5), (2, 3)), rng.random((2, 3)) * 2
    joint = ebim_gap_fill(p, rates)
    assert joint.shape[:3] == (2, 3, 5)
    for index in np.ndindex(2, 3):
        alone = ebim_gap_fill(p[index], rates[index])
        np.testing.assert_array_equal(joint[index][:, : alone.shape[1]], alone)
        assert (joint[index][:, alone.shape[1] :] == 0).all()
