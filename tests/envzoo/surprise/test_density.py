"""Density models against closed forms."""

import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats

from envzoo.surprise.density import BernoulliDensity, CategoricalDensity, GaussianDensity, make_density

ALL = np.ones(1, bool)
VIEW = spaces.Box(0, 11, (7, 7, 3), np.uint8)


def test_an_empty_categorical_is_uniform():
    density = CategoricalDensity(VIEW, 2)
    assert density.dim == 147
    components = density.encode(np.zeros((2, 7, 7, 3), np.uint8))
    assert np.allclose(density.log_prob(components), -147 * np.log(12))
    assert np.allclose(density.log_prob(components), -365.281, atol=1e-3)
    assert np.allclose(density.parameters(), 1 / 12)


@pytest.mark.parametrize("n", [1, 5])
def test_each_changed_component_costs_the_floor(n):
    density = CategoricalDensity(VIEW, 1)
    view = np.full((1, 7, 7, 3), 3, np.uint8)
    for _ in range(n):
        density.add(density.encode(view), ALL)
    assert density.log_prob(density.encode(view)) == 0
    for changed in (1, 4, 147):
        other = view.copy()
        other.reshape(-1)[:changed] = 7
        assert np.allclose(density.log_prob(density.encode(other)), changed * np.log(1e-3))
    assert np.isclose(147 * np.log(1e-3), -1015.44, atol=5e-3)


def test_categorical_against_a_plain_count():
    space = spaces.MultiDiscrete([3, 5], start=[-1, 2])
    density, generator = CategoricalDensity(space, 1), np.random.default_rng(0)
    seen = []
    for _ in range(50):
        row = np.array([[generator.integers(-1, 2), generator.integers(2, 7)]])
        expected = (
            -np.log(15)
            if not seen
            else sum(np.log(max(np.mean([s[d] == row[0, d] for s in seen]), 1e-3)) for d in range(2))
        )
        assert np.allclose(density.score(density.encode(row), ALL), expected)
        seen.append(row[0].tolist())


def test_episodes_are_apart_and_forget():
    density = CategoricalDensity(spaces.Discrete(4), 3)
    density.score(density.encode(np.array([1, 2, 3])), np.array([True, True, False]))
    assert density.arrays["n"].tolist() == [1, 1, 0]
    density.clear(np.array([False, True, False]))
    assert density.arrays["n"].tolist() == [1, 0, 0]
    assert density.arrays["counts"].sum() == 1


def test_bernoulli_by_hand():
    density = BernoulliDensity(spaces.MultiBinary(2), 1)
    row = density.encode(np.array([[1, 0]]))
    assert np.allclose(density.score(row, ALL), np.log(1e-4) + np.log(1 - 1e-4))
    assert np.allclose(density.parameters(), [[0.5, 1e-4]])
    assert np.allclose(density.log_prob(row), np.log(0.5) + np.log(1 - 1e-4))


def test_gaussian_is_the_normal_of_the_data_and_one_prior_point():
    generator = np.random.default_rng(0)
    density, data = GaussianDensity(spaces.Box(-np.inf, np.inf, (3,)), 1), generator.normal(2, 3, (20, 3))
    for t, row in enumerate(data):
        past = data[:t]
        mean = past.sum(0) / (t + 1)
        std = np.sqrt((1 + (past**2).sum(0)) / (t + 1) - mean**2)
        assert np.allclose(density.log_prob(row[None]), stats.norm(mean, std).logpdf(row).sum())
        density.add(row[None], ALL)


def test_gaussian_floor():
    density = GaussianDensity(spaces.Box(-1, 1, (1,)), 1)
    density.arrays["squares"][:] = 0
    assert density.parameters()[0, 1] == np.float32(1e-3)


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (VIEW, "categorical"),
        (spaces.Dict(a=spaces.Discrete(3), b=spaces.MultiBinary(2)), "categorical"),
        (spaces.Box(0, 255, (8, 8, 3), np.uint8), "gaussian"),
        (spaces.Dict(a=spaces.Discrete(3), b=spaces.Box(-1, 1, (2,))), "gaussian"),
    ],
)
def test_auto(space, name):
    density = make_density("auto", space, 1)
    assert density.name == name
    space.seed(0)
    sample = space.sample()
    batch = {k: np.asarray(v)[None] for k, v in sample.items()} if isinstance(sample, dict) else sample[None]
    assert density.encode(batch).shape == (1, density.dim)
    assert density.parameters().shape == (1, density.size)
