"""Aggregates over seeds, against rliable."""

import numpy as np
import pytest

from envzoo.scripts.experiments.core.statistics import interquartile_mean, probability_of_improvement

metrics = pytest.importorskip("rliable.metrics")


@pytest.mark.parametrize("shape", [(3, 1), (8, 1), (10, 4), (7, 3)])
def test_aggregates_are_those_of_rliable(shape):
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=shape), generator.integers(0, 3, shape).astype(float)
    assert interquartile_mean(first) == pytest.approx(metrics.aggregate_iqm(first))
    for one, other in ((first, second), (second, second), (second, first)):
        expected = metrics.probability_of_improvement(one, other)
        assert probability_of_improvement(one, other) == pytest.approx(expected)
