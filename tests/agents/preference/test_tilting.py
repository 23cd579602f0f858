"""Tilts, cumulants, rates and the law of best-of-N, against closed forms and brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from envzoo.agents.preference.best_of_n_law import (
    _by_counts,
    best_of_n_bound,
    best_of_n_distribution,
    best_of_n_law,
    divergence_from_tilt,
    levels,
)
from envzoo.agents.preference.tilting import cumulant, kl_divergence, kl_reward_curve, rate_function, tilt, tilt_by
from envzoo.errors import EnvzooError

P, R = (0.5, 0.3, 0.2), (0.0, 1.0, 2.5)
seeds = st.integers(0, 2**32 - 1)


def problem(seed, k=5):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(k)), rng.normal(size=k), rng.dirichlet(np.ones(k)), rng


def test_the_example_with_a_tenth_of_a_nat():
    best = tilt(P, R, 0.1)
    assert best.multiplier == pytest.approx(0.43228, abs=5e-6)
    assert best.probability == pytest.approx([0.32225, 0.29791, 0.37984], abs=5e-6)
    assert best.reward == pytest.approx(1.24751, abs=5e-6)
    assert best.divergence == pytest.approx(0.1, abs=1e-14)
    assert kl_divergence(best.probability, np.array(P)) == pytest.approx(0.1, abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0.01, 5))
def test_the_identity_for_every_distribution(seed, multiplier):
    p, r, phi, _ = problem(seed)
    best = tilt_by(p, r, multiplier)
    spent = kl_divergence(phi, p) - best.divergence + multiplier * (best.reward - phi @ r)
    assert kl_divergence(phi, best.probability) == pytest.approx(spent, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0, 0.99))
@example(138, 2.220446049250313e-16)
def test_the_budget_is_spent_and_nothing_better_exists(seed, share):
    p, r, phi, _ = problem(seed)
    delta = share * -math.log(p[r.argmax()])
    best = tilt(p, r, delta)
    assert best.divergence == pytest.approx(delta, abs=1e-12)
    if kl_divergence(phi, p) <= delta:
        assert phi @ r <= best.reward + 1e-12
    # The divergence grows with the square of the tilt: rounding of a tiny budget moves the tilt by its square root.
    close = 1e-9 if delta > 1e-12 else 1e-7
    assert tilt(p, 7 * r + 3, delta).probability == pytest.approx(best.probability, abs=close)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_curve_increases_and_the_dual_is_log_z(seed):
    p, r, _, _ = problem(seed)
    multipliers = np.linspace(0, 4, 20)
    divergence, reward = kl_reward_curve(p, r, multipliers)
    assert (np.diff(divergence) > 0).all()
    assert (np.diff(reward) > 0).all()
    log_z = np.log(np.exp(np.outer(multipliers[1:], r)) @ p)
    assert reward[1:] - divergence[1:] / multipliers[1:] == pytest.approx(log_z / multipliers[1:], abs=1e-12)


def test_edges():
    assert tilt(P, R, 0.0).probability == pytest.approx(P)
    constant = tilt(P, (1.0, 1.0, 1.0), 0.3)
    assert (constant.multiplier, constant.divergence) == (0.0, 0.0)
    largest = tilt(P, R, -math.log(0.2))
    assert largest.multiplier == math.inf
    assert largest.probability == pytest.approx([0, 0, 1])
    tied = tilt((0.2, 0.3, 0.5), (1.0, 1.0, 0.0), math.log(2))
    assert tied.probability == pytest.approx([0.4, 0.6, 0])
    assert tilt((0.5, 0.5, 0.0), (0.0, 1.0, 9.0), 0.1).probability[2] == 0


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(-2, 2), st.floats(0, 2))
def test_cumulant_and_rate_are_a_legendre_pair(seed, t, multiplier):
    p, r, _, _ = problem(seed)
    phi = tilt_by(p, r, multiplier).probability
    assert cumulant(p, r, t, multiplier) == pytest.approx(math.log(phi @ np.exp(t * r)), abs=1e-12)
    x = float(tilt_by(p, r, multiplier + max(t, -multiplier)).reward)
    s = max(t, -multiplier)
    assert rate_function(p, r, x, multiplier) == pytest.approx(s * x - cumulant(p, r, s, multiplier), abs=1e-9)
    for other in np.linspace(-3, 3, 13):
        assert rate_function(p, r, x, multiplier) >= other * x - cumulant(p, r, other, multiplier) - 1e-9


def test_rates_at_and_beyond_the_ends():
    assert rate_function(P, R, 2.5) == pytest.approx(-math.log(0.2))
    assert rate_function(P, R, 0.0) == pytest.approx(-math.log(0.5))
    assert rate_function(P, R, 0.8) == pytest.approx(0.0, abs=1e-12)
    assert rate_function(P, R, 2.6) == math.inf


def brute(p, r, m):
    rows = list(itertools.product(range(len(p)), repeat=m))
    return np.array([math.prod(p[i] for i in row) for row in rows]), np.array([sum(r[i] for i in row) for row in rows])


def test_levels_are_those_of_all_sequences():
    for r in (R, (0.0, 1.0, math.sqrt(2))):  # on a lattice, and not
        probability, rewards = brute(P, r, 4)
        found = levels(P, r, 4)
        value, where = np.unique(np.rint(rewards * 1e9).astype(int), return_inverse=True)
        assert found.value == pytest.approx(value * 1e-9, abs=4e-9)
        assert found.probability @ found.value == pytest.approx(probability @ rewards, abs=1e-14)  # not rounded
        assert found.probability == pytest.approx(np.bincount(where, probability), abs=1e-15)


def test_convolution_and_counts_agree():
    counted = _by_counts(np.array(R), np.array(P), 60)
    found = levels(P, R, 60)
    assert found.value == pytest.approx(counted.value)
    assert found.probability == pytest.approx(counted.probability, rel=1e-11)
    assert found.probability.sum() == pytest.approx(1, abs=1e-13)


def test_the_tilt_of_sequences_is_the_product_of_tilts():
    probability, rewards = brute(P, R, 3)
    whole = tilt_by(probability, rewards, 0.7)
    token = tilt_by(P, R, 0.7).probability
    assert whole.probability == pytest.approx(brute(token, R, 3)[0], abs=1e-14)
    assert tilt(probability, rewards, 0.3).multiplier == pytest.approx(tilt(P, R, 0.1).multiplier, abs=1e-12)


def test_best_of_n_is_that_of_all_draws():
    p, r = np.array([0.4, 0.1, 0.3, 0.2]), np.array([1.0, 0.0, 1.0, 2.0])  # with a tie
    expected = np.zeros(4)
    for row in itertools.product(range(4), repeat=3):
        best = max(r[i] for i in row)
        winners = [i for i in row if r[i] == best]
        for i in winners:
            expected[i] += math.prod(p[k] for k in row) / len(winners)
    found = best_of_n_distribution(p, r, 3)
    assert found == pytest.approx(expected, abs=1e-15)
    law = best_of_n_law(p, r, 3)
    assert law.divergence == pytest.approx(kl_divergence(expected, p), abs=1e-14)
    assert law.reward == pytest.approx(expected @ r, abs=1e-14)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 12), st.floats(1, 1e6))
def test_best_of_n_is_a_distribution_below_its_bound(seed, m, n):
    p, r, _, _ = problem(seed, 3)
    r = np.rint(r * 8) / 8
    law = best_of_n_law(p, r, n, m)
    assert law.probability.sum() == pytest.approx(1, abs=1e-12)
    assert law.divergence <= best_of_n_bound(n) + 1e-9
    if law.divergence > 0 and len(law.value) > 1:
        own = levels(p, r, m)
        most = -math.log(own.probability[-1])
        assert law.reward <= tilt(own.probability, own.value, min(law.divergence, most)).reward + 1e-9


def test_best_of_one_is_the_base():
    assert best_of_n_distribution(P, R, 1) == pytest.approx(P, abs=1e-15)
    assert best_of_n_law(P, R, 1, 9).divergence == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("m", "n", "row"),
    [
        (5, 2, (1.04013, 0.03803, 0.03863, 0.02767)),
        (80, 2981, (1.19403, 0.08747, 0.08750, 0.01058)),
        (640, math.exp(64), (1.23734, 0.09843, 0.09844, 0.00283)),
    ],
)
def test_the_table(m, n, row):
    law, best = best_of_n_law(P, R, n, m), tilt(P, R, 0.1)
    found = (law.reward, law.divergence, best_of_n_bound(n), divergence_from_tilt(law, P, R, best.multiplier, m))
    assert np.array(found) / m == pytest.approx(row, abs=6e-6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: tilt(P, R, 1.7), "delta is 1.7 nats, but the outcomes of largest reward need only 1.60944"),
        (lambda: tilt(P, R, -0.1), "delta is -0.1; expected a number of at least 0"),
        (lambda: tilt((0.5, 0.6), (0, 1), 0.1), "the base distribution has the sum 1.1"),
        (lambda: tilt((1.5, -0.5), (0, 1), 0.1), "minimum -0.5; expected probabilities"),
        (
            lambda: tilt(P, (0, 1), 0.1),
            r"int64 of shape \(2,\); expected finite numbers of shape \(3,\)",
        ),
        (lambda: tilt(P, (0, 1, math.nan), 0.1), "the rewards are float64"),
        (lambda: best_of_n_law(P, R, 0.5), "n is 0.5; expected a number of at least 1"),
        (lambda: best_of_n_law(P, R, 2, 0), "length is 0; expected a whole number of at least 1"),
        (lambda: levels(np.ones(6) / 6, np.sqrt(np.arange(1, 7)), 200), "have 2.9e.09 combinations and no common step"),
    ],
)
def test_refusals(call, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        call()
