"""Random worlds: draws in arrays follow the law of the draws one by one."""

import numpy as np
import pytest

from envzoo.tabular import random_mdp, random_worlds


@pytest.mark.parametrize(("size", "count"), [(5, 2), (4, 3), (6, 1), (3, 3)])
def test_subsets_are_distinct_and_uniform(size, count):
    rows = 40_000
    drawn = random_worlds.draw_subsets(rows, size, count, np.random.default_rng(0))
    ordered = np.sort(drawn, axis=1)
    assert (np.diff(ordered, axis=1) > 0).all()
    assert set(np.unique(drawn)) == set(range(size))
    _, counts = np.unique(ordered, axis=0, return_counts=True)
    mean = rows / len(counts)
    assert len(counts) == np.prod(range(size - count + 1, size + 1)) // np.prod(range(1, count + 1))
    assert np.abs(counts - mean).max() < 6 * np.sqrt(mean)


def test_a_dense_world_is_that_of_draws_pair_by_pair():
    rng = np.random.default_rng(3)
    p = np.array([[rng.dirichlet(np.full(4, 0.7)) for _ in range(3)] for _ in range(4)])
    model = random_mdp(4, 3, concentration=0.7, seed=3)
    assert np.array_equal(model.p, p)
    assert np.allclose(model.r, rng.random((4, 3)), rtol=1e-12)


def test_a_large_sparse_world_has_its_successors(monkeypatch):
    small = random_mdp(7, 5, successors=3, seed=1)
    monkeypatch.setattr(random_worlds, "AT_ONCE", 34)
    large = random_mdp(7, 5, successors=3, seed=1)
    for model in (small, large):
        assert ((model.p > 0).sum(axis=-1) == 3).all()
        assert np.allclose(model.p.sum(axis=-1), 1, rtol=0, atol=1e-12)
    assert not np.array_equal(small.p, large.p)
