"""RacetrackCoverage: the track's geometry, the car's motion, laps, and leaving the track."""

import math

import gymnasium as gym
import numpy as np
import pytest

import envzoo  # noqa: F401
from envzoo.coverage.racetrack import FASTEST, drive, locate, make_track
from envzoo.coverage.racetrack_coverage import RacetrackCoverage
from envzoo.errors import EnvzooError


def steer(observation, speed):
    """A driver that keeps to the centre line at a speed, in metres per second."""
    error = math.atan2(observation[2], observation[1])
    turn = 2.0 * (observation[6] / 0.25) * 0.1 - 1.5 * error - 0.8 * observation[0]
    return np.clip([2 * (speed - observation[3] * FASTEST), turn / 0.45], -1, 1).astype(np.float32)


def test_track_is_closed_and_even():
    track = make_track(200)
    gaps = np.hypot(*(np.roll(track.points, -1, axis=0) - track.points).T)
    np.testing.assert_allclose(gaps, track.length, rtol=0.01)
    assert track.length * 200 == pytest.approx(12.29, abs=0.01)
    assert track.curvature.sum() * track.length == pytest.approx(2 * np.pi)
    assert np.abs(track.curvature).max() < 1 / 0.4  # the widest track does not fold over itself
    for segment in range(0, 200, 7):
        left = np.array([-math.sin(track.heading[segment]), math.cos(track.heading[segment])])
        x, y = track.points[segment] + 0.1 * left
        found, offset = locate(track, x, y, segment, 5)
        assert abs(found - segment) <= 1 or abs(found - segment) == 199
        assert offset == pytest.approx(0.1, abs=0.01)


def test_car_on_a_straight_and_in_a_circle():
    car = np.zeros(6)
    for _ in range(200):
        drive(car, 1.0, 0.0, 0.05)
    assert car[[1, 2, 4, 5]].tolist() == [0, 0, 0, 0]
    # At the largest speed the drive equals the resistance, 4 = 0.3 u + 0.35 u^2.
    assert car[3] == pytest.approx((-0.3 + math.sqrt(0.09 + 4 * 0.35 * 4)) / 0.7, rel=1e-3)
    assert car[3] < FASTEST
    # Slowly in a circle: the path's curvature is that of the rolling wheels, tan(steering angle) / wheelbase.
    car = np.array([0, 0, 0, 0.5, 0, 0], float)
    for _ in range(100):
        drive(car, 0.25 * (0.5 - car[3]) + 0.06, 0.1, 0.05)
    assert car[5] / car[3] == pytest.approx(math.tan(0.045) / 0.063, rel=0.05)
    # Mirrored steering, mirrored motion; braking ends at rest.
    left, right = np.array([0, 0, 0, 2.0, 0, 0]), np.array([0, 0, 0, 2.0, 0, 0])
    for _ in range(10):
        drive(left, 0.5, 0.8, 0.05)
        drive(right, 0.5, -0.8, 0.05)
    np.testing.assert_allclose(left * [1, -1, -1, 1, -1, -1], right, atol=1e-9)
    for _ in range(40):
        drive(left, -1.0, 0.3, 0.05)
    assert left[3] == 0
    np.testing.assert_allclose(left[4:], 0, atol=1e-6)


def test_a_lap_covers_the_track_and_a_second_one_earns_nothing():
    env = gym.make("envzoo/RacetrackCoverage-v0", horizon=700).unwrapped
    observation, info = env.reset(seed=0)
    track = env.definition.parameters.track
    assert info["coverage"] == pytest.approx(track.length)
    rewards, modular, passed, terminated = [], [], {0}, False
    while not terminated:
        before = int(env.get_state()["segment"][0])
        observation, reward, terminated, _, info = env.step(steer(observation, 1.2))
        after = int(env.get_state()["segment"][0])
        passed |= {(before + k) % 200 for k in range(1, (after - before) % 200 + 1)}
        assert info["coverage"] == pytest.approx(env.definition.value(passed))
        rewards.append(reward)
        modular.append(info["modular_reward"])
    assert len(rewards) == 700
    assert sum(rewards) == pytest.approx(199 * track.length)
    assert sum(rewards[500:]) == 0
    assert sum(modular[500:]) > 0
    assert sum(modular) > 2 * 200 * track.length


def test_leaving_the_track_ends_the_episode():
    env = gym.make("envzoo/RacetrackCoverage-v0", half_width=0.2).unwrapped
    env.reset(seed=0)
    terminated, steps = False, 0
    while not terminated:
        observation, _, terminated, *_ = env.step(np.array([1.0, -1.0], np.float32))
        steps += 1
    assert steps < 60
    assert abs(observation[0]) > 1


def test_starts_and_errors():
    env = gym.make("envzoo/RacetrackCoverage-v0", coverage_mask=True).unwrapped
    observation, _ = env.reset(options={"start": 50})
    assert env.get_state()["segment"][0] == 50
    assert observation["covered"].tolist() == [1] + [0] * 199
    seen = {int(env.reset(seed=k, options={"start": "random"}) and env.get_state()["segment"][0]) for k in range(50)}
    assert len(seen) > 30
    for start in (200, -1, 0.5, [1, 2]):
        with pytest.raises(EnvzooError, match="reset option start"):
            env.reset(options={"start": start})
    for kwargs, match in (
        ({"start": 200}, "start is 200; expected a segment from 0 to 199"),
        ({"start": "rendom"}, "did you mean 'random'"),
        ({"half_width": 1.0}, "half_width is 1.0; expected a number above 0 and at most 0.4"),
        ({"time_step": 0.0}, "time_step is 0.0"),
        ({"noise": -1}, "noise is -1"),
    ):
        with pytest.raises(EnvzooError, match=match):
            RacetrackCoverage(**kwargs)
