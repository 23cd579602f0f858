"""PointCoverage: the motion in closed form, the area by brute force, the edges of the square."""

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401
from envzoo.coverage.point_coverage import PointCoverage
from envzoo.errors import EnvzooError


def brute_force(positions, edge, cells, radius):
    """The area of the cells whose centre is within `radius` of a position."""
    centres = (np.arange(cells) + 0.5) * 2 * edge / cells - edge
    y, x = np.meshgrid(centres, centres, indexing="ij")
    covered = np.zeros((cells, cells), bool)
    for px, py in positions:
        covered |= (x - px) ** 2 + (y - py) ** 2 <= radius**2
    return covered.sum() * (2 * edge / cells) ** 2


def test_episode_against_brute_force():
    env = gym.make("envzoo/PointCoverage-v0", horizon=40, start="random", radius=1.1, coverage_mask=True).unwrapped
    observation, info = env.reset(seed=3)
    env.action_space.seed(0)
    positions, velocity = [env.get_state()["position"][0].copy()], np.zeros(2)
    total, terminated, action = 0.0, False, None
    assert info["coverage"] == pytest.approx(brute_force(positions, 5.0, 50, 1.1))
    while not terminated:
        if len(positions) % 8 == 1:
            action = env.action_space.sample()
        velocity = velocity + 0.5 * (action.astype(float) - 0.5 * velocity)
        place = positions[-1] + 0.5 * velocity
        velocity = np.where(np.abs(place) > 5, 0.0, velocity)
        positions.append(np.clip(place, -5, 5))
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward
        np.testing.assert_allclose(env.get_state()["position"][0], positions[-1])
        assert info["coverage"] == pytest.approx(brute_force(positions, 5.0, 50, 1.1))
        assert info["modular_reward"] == pytest.approx(brute_force(positions[-1:], 5.0, 50, 1.1))
        np.testing.assert_allclose(observation["motion"][:2], positions[-1] / 5, rtol=1e-6)
        np.testing.assert_allclose(observation["motion"][2:4], velocity, rtol=1e-6, atol=1e-7)
        assert observation["covered"].sum() * 0.04 == pytest.approx(info["coverage"])
    assert len(positions) == 41
    assert not truncated
    f = env.definition.value
    assert total == pytest.approx(f(positions) - f(positions[:1]))


def test_area_is_monotone_and_submodular():
    f = PointCoverage(cells=25, radius=1.5).value
    rng = np.random.default_rng(0)
    for _ in range(60):
        large = rng.uniform(-5, 5, (rng.integers(1, 7), 2))
        small, extra = large[: rng.integers(0, len(large) + 1)], rng.uniform(-5, 5, (1, 2))
        assert f(small) <= f(large)
        gains = [f(np.concatenate([points, extra])) - f(points) for points in (small, large)]
        assert gains[0] >= gains[1] - 1e-9
    assert f([]) == 0
    # A fine grid approaches the true area of a disc.
    assert PointCoverage(cells=400, radius=1.5).value([(0.3, 0.2)]) == pytest.approx(np.pi * 2.25, rel=5e-3)


def test_edges_stop_the_point():
    env = gym.make("envzoo/PointCoverage-v0", edge=1.0).unwrapped
    env.reset(seed=0)
    for _ in range(6):
        observation, *_ = env.step(np.array([1.0, -1.0], np.float32))
    assert observation[:4].tolist() == [1, -1, 0, 0]


def test_starts_and_errors():
    env = gym.make("envzoo/PointCoverage-v0").unwrapped
    assert env.reset(options={"start": (5, -2.5)})[0][:2].tolist() == [1, -0.5]
    with pytest.raises(EnvzooError, match="reset option start"):
        env.reset(options={"start": (6, 0)})
    for kwargs, match in (
        ({"radius": 0}, "radius is 0; expected a number above 0"),
        ({"cells": 2.5}, "cells is 2.5"),
        ({"horizon": 0}, "horizon is 0"),
        ({"friction": 3.0}, "friction is 3.0; expected at most 2"),
        ({"noise": -1}, "noise is -1"),
        ({"start": "center"}, "did you mean 'centre'"),
    ):
        with pytest.raises(EnvzooError, match=match):
            PointCoverage(**kwargs)
