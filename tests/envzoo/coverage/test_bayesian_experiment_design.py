"""BayesianExperimentDesign: hand-worked gains, Schur complements and determinants against the incremental factor."""

import math
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401
from envzoo.coverage.bayesian_experiment_design import JITTER, OFFSET, BayesianExperimentDesign
from envzoo.coverage.gaussian_process import grid_points, matern, posterior_covariance
from envzoo.errors import EnvzooError


def test_hand_check():
    # Two points of unit variance with correlation 0.6.
    assert pytest.approx(9.965784, abs=1e-6) == OFFSET
    env = gym.make("envzoo/BayesianExperimentDesign-v0", rows=1, columns=2, observed=0, horizon=1).unwrapped
    definition = env.definition
    definition.parameters = definition.parameters._replace(covariance=np.array([[1.0, 0.6], [0.6, 1.0]]))
    _, info = env.reset(seed=0)
    assert info["coverage"] == pytest.approx(OFFSET, abs=1e-5)
    _, reward, *_, info = env.step(1)
    assert reward == pytest.approx(-0.2231 + 9.965784, abs=1e-4)
    assert info["coverage"] == pytest.approx(0.5 * math.log(1 - 0.36) + 2 * OFFSET, abs=1e-5)
    assert info["modular_reward"] == pytest.approx(OFFSET, abs=1e-5)
    assert definition.value([0, 1]) == pytest.approx(info["coverage"])


def test_long_walks_against_determinants_and_schur_complements():
    env = gym.make("envzoo/BayesianExperimentDesign-v0", horizon=60, start="centre").unwrapped
    observation, info = env.reset(seed=0)
    covariance = env.definition.parameters.covariance
    path, total = [int(observation[0])], info["coverage"]
    rng = np.random.default_rng(0)
    for _ in range(60):  # cells are visited again and again
        observation, reward, *_, info = env.step(int(rng.integers(5)))
        cell = int(observation[0])
        known = covariance[np.ix_(path, path)] + JITTER * np.eye(len(path))
        cross = covariance[path, cell]
        left = covariance[cell, cell] + JITTER - cross @ np.linalg.solve(known, cross)
        assert reward == pytest.approx(0.5 * math.log(left) + OFFSET, abs=1e-6)
        assert reward > 0
        path.append(cell)
        total += reward
        matrix = covariance[np.ix_(path, path)] + JITTER * np.eye(len(path))
        assert info["coverage"] == pytest.approx(0.5 * np.linalg.slogdet(matrix)[1] + len(path) * OFFSET, abs=1e-5)
    assert len(set(path)) < len(path)
    assert total == pytest.approx(env.definition.value(path), abs=1e-5)
    # What is left of a cell's variance is what its next gain is made of.
    left = env.definition.variance(path)
    again = env.definition.value([*path, 99]) - env.definition.value(path)
    assert again == pytest.approx(0.5 * math.log(left[99] + JITTER) + OFFSET, abs=1e-6)


def test_order_does_not_matter():
    f = BayesianExperimentDesign().value
    assert f([3, 8, 3, 50]) == pytest.approx(f([50, 3, 8, 3]))
    assert f([]) == 0


def test_repeated_visits_have_diminishing_gains():
    f = BayesianExperimentDesign().value
    gains = [f([44] * (k + 1)) - f([44] * k) for k in range(6)]
    assert all(later < earlier for earlier, later in pairwise(gains))
    assert gains[-1] > 0


def test_covariance_after_the_first_measurements():
    definition = BayesianExperimentDesign(rows=4, columns=5, prior_seed=3, noise=0.01)
    points = grid_points(4, 5, 0.3)
    prior = matern(points, points, 1.0)
    known = definition.observed_cells
    assert len(set(known.tolist())) == 5
    inverse = np.linalg.inv(prior[np.ix_(known, known)] + 0.01 * np.eye(5))
    expected = prior - prior[:, known] @ inverse @ prior[known]
    np.testing.assert_allclose(definition.parameters.covariance, expected, atol=1e-9)
    assert (np.diagonal(expected)[known] < 0.011).all()
    assert not np.array_equal(known, BayesianExperimentDesign(rows=4, columns=5, prior_seed=4).observed_cells)
    np.testing.assert_allclose(posterior_covariance(points, points[:0], 1.0, 0.01), prior)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"observed": 101}, "observed is 101; expected at most the 100 cells"),
        ({"observed": -1}, "observed is -1"),
        ({"prior_seed": 0.5}, "prior_seed is 0.5"),
        ({"noise": 0.0}, "noise is 0.0; expected a number above 0"),
        ({"lengthscale": -1}, "lengthscale is -1"),
    ],
)
def test_unusable_arguments(kwargs, match):
    with pytest.raises(EnvzooError, match=match):
        BayesianExperimentDesign(**kwargs)
