"""Intervals over seeds, against textbook numbers, scipy and simulations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from envzoo.errors import EnvzooError, UnknownNameError
from envzoo.scripts.experiments.core.intervals import _mean_power, interval, seeds_needed


def test_student_below_twenty_seeds():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = interval(values)
    half = 2.776445 * math.sqrt(2.5 / 5)  # the 97.5% quantile of t with 4 degrees of freedom
    assert (found.value, found.method) == (3.0, "Student's t")
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), abs=1e-5)


def test_one_seed_says_nothing():
    assert interval([0.3])[:3] == (0.3, -math.inf, math.inf)
    low_share = interval([0.3], "share")
    assert (low_share.low, low_share.high) == (0.0, 1.0)
    assert interval([2.0], "ratio")[1:3] == (0.0, math.inf)


def test_ratios_are_averaged_as_logarithms():
    found = interval([0.5, 2.0, 1.0, 4.0, 0.25], "ratio")
    logs = interval(np.log([0.5, 2.0, 1.0, 4.0, 0.25]))
    assert found.value == pytest.approx(1.0)
    assert (found.low, found.high) == pytest.approx((math.exp(logs.low), math.exp(logs.high)))
    assert found.low == pytest.approx(1 / found.high)


def test_shares_are_averaged_as_logits():
    found = interval([0.2, 0.5, 0.8], "share")
    assert found.value == pytest.approx(0.5)
    assert 0 < found.low < found.value < found.high < 1
    with pytest.raises(EnvzooError, match="no logit; give the number of trials"):
        interval([0.5, 1.0], "share")
    assert 0.5 < interval([0.9, 1.0, 1.0], "share", trials=50).value < 1.0


def test_bca_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=40)
    found = interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=9_999, random_state=np.random.default_rng(1))
    assert found.method == "BCa bootstrap"
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)
    assert interval(values) == found  # the same numbers again


def test_differences_by_rounding_alone_are_no_spread():
    values = np.full(24, 0.3)
    values[::2] = np.nextafter(0.3, 1)
    found = interval(values)
    assert found.high - found.low < 1e-15
    assert found.low <= found.value <= found.high


def test_median_by_order_statistics():
    # With 6 values the extremes cover the median with probability 1 - 2 / 2^6 = .969; with 5 nothing reaches .95.
    assert interval([5.0, 1.0, 3.0, 2.0, 6.0, 4.0], "median")[1:3] == (1.0, 6.0)
    assert interval([1.0, 2.0, 3.0, 4.0, 5.0], "median")[1:3] == (-math.inf, math.inf)
    # With 20 values the 6th and the 15th (Conover, table of the sign test).
    assert interval(np.arange(1.0, 21.0), "median")[:3] == (10.5, 6.0, 15.0)


def test_wilson():
    found = interval([1.0] * 8 + [0.0] * 2, "proportion")
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    theirs = stats.binomtest(8, 10).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    with pytest.raises(EnvzooError, match="zeros and ones"):
        interval([0.5, 1.0], "proportion")


def test_coverage_with_five_seeds():
    draws = np.random.default_rng(0).normal(size=(4_000, 5))
    covered = [found.low <= 0 <= found.high for found in map(interval, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.sampled_from([0.9, 0.95, 0.9875]))
def test_an_estimate_lies_in_its_interval_and_more_confidence_is_wider(values, confidence):
    for estimand in ("mean", "median"):
        found = interval(values, estimand, confidence=confidence)
        assert found.low <= found.value <= found.high
        wider = interval(values, estimand, confidence=0.99)
        assert wider.low <= found.low
        assert wider.high >= found.high


@pytest.mark.parametrize(
    ("values", "estimand", "sentence"),
    [
        ([], "mean", "one value per seed"),
        ([[1.0]], "mean", "one value per seed"),
        ([1.0, math.nan], "mean", "1 of 2 values are not finite"),
        ([1.0, 0.0], "ratio", "ratios are positive, got 0"),
        ([1.0, 2.0], "share", "a share lies in"),
    ],
)
def test_bad_values_are_one_sentence(values, estimand, sentence):
    with pytest.raises(EnvzooError, match=sentence):
        interval(values, estimand)


def test_unknown_estimand():
    with pytest.raises(UnknownNameError, match="did you mean 'median'"):
        interval([1.0], "meridian")


# ---------------------------------------------------------------------------- power


def test_seeds_needed_for_a_mean_gives_the_power_it_promises():
    generator = np.random.default_rng(1)
    values = generator.normal(size=8)
    values = 0.5 + (values - values.mean()) / values.std(ddof=1)  # mean .5, deviation 1
    needed = seeds_needed(values, (0.0, math.inf))
    spread = math.sqrt(7 / stats.chi2.ppf(0.2, 7))  # the upper 80% limit of the deviation
    draws = generator.normal(0.5, spread, size=(3_000, needed))
    half = stats.t.ppf(0.975, needed - 1) * draws.std(axis=1, ddof=1) / math.sqrt(needed)
    assert np.mean(draws.mean(axis=1) - half > 0) == pytest.approx(0.9, abs=0.02)
    # A larger effect needs fewer, one that breaks the bound as many as its distance asks for.
    assert seeds_needed(values + 1, (0.0, math.inf)) < needed
    assert seeds_needed(-values, (0.0, math.inf)) == needed


def test_seeds_needed_at_the_bound_are_beyond_ten_thousand():
    assert seeds_needed(np.array([-1.0, 1.0, -0.5, 0.5]), (0.0, math.inf)) is None


def test_far_from_its_bound_a_verdict_is_certain():
    for gap in (0.08, 0.3, 1.0, 5.0, 100.0):  # from 20 deviations on
        power = [_mean_power(m, gap, 0.004, (0.0, math.inf), 0.95) for m in range(3, 60)]
        assert min(power) > 0.98
    values = np.array([1.2374, 1.2411, 1.2405, 1.2480, 1.2411])
    assert seeds_needed(values, (1.15, math.inf), "ratio") == 2


def test_seeds_needed_without_spread_are_six():
    assert seeds_needed(np.ones(3), (0.0, math.inf)) == 6
    assert seeds_needed(np.zeros(3), (0.0, math.inf)) is None


def test_seeds_needed_for_a_proportion():
    # With p = .9 against .5: Wilson's lower limit exceeds .5 from 9 of 11 on.
    needed = seeds_needed(np.array([1.0] * 9 + [0.0]), (0.5, 1.0))
    counts = np.arange(needed + 1)
    clear = [k for k in counts if stats.binomtest(int(k), needed).proportion_ci(method="wilson").low > 0.5]
    assert stats.binom.pmf(clear, needed, 0.9).sum() >= 0.9


def test_seeds_needed_for_an_equivalence_grow_as_it_narrows():
    values = np.array([-0.1, 0.1, 0.05, -0.05, 0.0])
    wide, narrow = (seeds_needed(values, (-bound, bound)) for bound in (0.2, 0.1))
    assert wide < narrow
