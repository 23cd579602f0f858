"""The simulation of a cluster against cases worked out by hand, and a closed form."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envzoo.errors import EnvzooError
from envzoo.scripts.bench.cluster import Cluster, attempt, best_interval, simulate

SAFE = Cluster(machines=2, jobs=4, work=100, start=5, checkpoint=2, interval=30, between_failures=1e15)


def test_without_failures_every_job_takes_its_work_its_start_and_its_checkpoints():
    found = simulate(SAFE)
    assert found.seconds == pytest.approx(2 * (5 + 100 + 3 * 2))  # pieces of 30, 30, 30 and 10; none after the last
    assert found.efficiency == pytest.approx(100 / 111)
    assert (found.failures, found.lost) == (0, 0.0)
    assert simulate(replace(SAFE, jobs=3)).seconds == found.seconds  # the third waits as long


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (111, (111, 100, 0)),  # just done
        (110.9, (110.9, 90, 9.9)),  # 5 + 3 x 32 = 101 at the third checkpoint
        (5 + 32 + 10, (47, 30, 10)),
        (5 + 31, (36, 0, 30)),  # while the first checkpoint is written
        (4, (4, 0, 0)),  # before it began
    ],
)
def test_a_failure_keeps_what_was_saved(until, expected):
    assert attempt(SAFE, 100, until) == pytest.approx(expected)


@given(st.floats(0.1, 500), st.floats(0.0, 2000))
def test_time_is_work_checkpoints_and_starts(left, until):
    taken, saved, lost = attempt(SAFE, left, until)
    assert 0 <= saved <= left
    assert saved + lost <= taken
    assert taken <= until or saved == left


def test_the_best_interval_loses_least():
    """Young's interval is better than a fourth and four times it, by many standard errors."""
    base = Cluster(machines=1, jobs=4000, work=36_000, start=0, checkpoint=20, interval=1, between_failures=40_000)
    best = best_interval(base.checkpoint, base.between_failures)
    assert best == pytest.approx(np.sqrt(2 * 20 * 40_000))
    found = [simulate(replace(base, interval=best * factor)).efficiency for factor in (0.25, 1, 4)]
    assert found[1] > found[0] + 0.01
    assert found[1] > found[2] + 0.01
    # The first-order overhead is sqrt(2 C / M).
    assert 1 / found[1] - 1 == pytest.approx(np.sqrt(2 * 20 / 40_000), rel=0.1)


def test_a_seed_gives_the_same_result_again():
    often = replace(SAFE, between_failures=80, jobs=50)
    assert simulate(often, 1) == simulate(often, 1)
    assert simulate(often, 1) != simulate(often, 2)
    assert simulate(often, 1).failures > 0


@pytest.mark.parametrize("wrong", [{"machines": 0}, {"work": 0.0}, {"interval": -1.0}, {"start": -1.0}])
def test_impossible_clusters_are_refused(wrong):
    with pytest.raises(EnvzooError):
        replace(SAFE, **wrong)
