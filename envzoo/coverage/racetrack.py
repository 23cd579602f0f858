"""A closed racetrack as a table, and the dynamics of a small car."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

# The car: a bicycle model with one front and one rear wheel, about the size of a 1:43 scale model.
FRONT, REAR = 0.03, 0.033  # metres from the centre of mass to the axles
INERTIA = 0.001  # square metres, per unit mass
GRIP = 4.0  # largest lateral force of an axle per unit mass, metres per second squared
STIFFNESS = 5.0  # slope of the tyre force, per radian of slip, in units of GRIP
DRIVE = 4.0  # acceleration at full throttle
ROLLING, DRAG = 0.3, 0.35  # resistance per unit speed and per unit squared speed
STEER = 0.45  # steering angle in radians at full steering
SLOWEST = 0.3  # slip angles are computed as if the car were at least this fast
SUBSTEP = 0.0025  # seconds
FASTEST = 3.0  # metres per second, just above the top speed under DRIVE and the resistance


class Track(NamedTuple):
    """A closed track, divided into segments of equal length."""

    points: np.ndarray  # float64 (segments, 2), midpoints of the segments on the centre line, metres
    heading: np.ndarray  # float64 (segments,), direction of the centre line, radians
    curvature: np.ndarray  # float64 (segments,), positive to the left, per metre
    length: float  # length of a segment, metres


def make_track(segments: int) -> Track:
    """Make the track: the curve with polar radius 1.5 + 0.35 cos 2t + 0.22 sin 3t, stretched by 1.3 along x."""
    fine = 100 * segments
    t = np.linspace(0.0, 2 * np.pi, fine, endpoint=False)
    radius = 1.5 + 0.35 * np.cos(2 * t) + 0.22 * np.sin(3 * t)
    curve = np.stack([1.3 * radius * np.cos(t), radius * np.sin(t)], axis=1)
    steps = np.hypot(*(np.roll(curve, -1, axis=0) - curve).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    closed = np.concatenate([curve, curve[:1]])
    length = along[-1] / segments
    middles = (np.arange(segments) + 0.5) * length

    def at(distance: np.ndarray) -> np.ndarray:
        distance = distance % along[-1]
        return np.stack([np.interp(distance, along, closed[:, axis]) for axis in range(2)], axis=1)

    ahead, behind = at(middles + length / 2), at(middles - length / 2)
    heading = np.arctan2(*(ahead - behind).T[::-1])
    turn = np.roll(heading, -1) - np.roll(heading, 1)
    curvature = ((turn + np.pi) % (2 * np.pi) - np.pi) / (2 * length)
    return Track(at(middles), heading, curvature, float(length))


@njit(cache=True)
def drive(car, throttle, steering, seconds):
    """Drive the car for `seconds`; both controls are in [-1, 1].

    Args:
        car: float64 (6,): x, y, heading, forward speed and speed to the left (in the car's frame), yaw rate; changed in
            place.
        throttle: Throttle; negative values brake.
        steering: Steering, positive to the left.
        seconds: Duration, divided into substeps of SUBSTEP.
    """
    steer = STEER * steering
    for _ in range(round(seconds / SUBSTEP)):
        heading, forwards, sideways, turning = car[2], car[3], car[4], car[5]
        rolling = max(forwards, SLOWEST)
        front = GRIP * math.tanh(STIFFNESS * (steer - math.atan2(sideways + FRONT * turning, rolling)))
        rear = GRIP * math.tanh(STIFFNESS * -math.atan2(sideways - REAR * turning, rolling))
        # Lateral forces fade out as the car comes to rest.
        fade = min(forwards / SLOWEST, 1.0)
        front, rear = 0.5 * front * fade, 0.5 * rear * fade
        push = DRIVE * throttle - ROLLING * forwards - DRAG * forwards * abs(forwards) - front * math.sin(steer)
        car[0] += SUBSTEP * (forwards * math.cos(heading) - sideways * math.sin(heading))
        car[1] += SUBSTEP * (forwards * math.sin(heading) + sideways * math.cos(heading))
        car[2] = (heading + SUBSTEP * turning + math.pi) % (2.0 * math.pi) - math.pi
        car[3] = max(forwards + SUBSTEP * (push + sideways * turning), 0.0)
        car[4] = sideways + SUBSTEP * (front * math.cos(steer) + rear - forwards * turning)
        car[5] = turning + SUBSTEP * (FRONT * front * math.cos(steer) - REAR * rear) / INERTIA
        if car[3] < SLOWEST:  # a car at rest does not keep sliding
            car[4] *= 0.9
            car[5] *= 0.9


@njit(cache=True)
def locate(track, x, y, near, window):
    """Find the segment nearest to (x, y) within `window` segments of `near`; returns it and the offset to its left."""
    count = track.heading.size
    best, least = near, np.inf
    for k in range(-window, window + 1):
        segment = (near + k) % count
        dx, dy = x - track.points[segment, 0], y - track.points[segment, 1]
        if dx * dx + dy * dy < least:
            best, least = segment, dx * dx + dy * dy
    dx, dy = x - track.points[best, 0], y - track.points[best, 1]
    return best, dy * math.cos(track.heading[best]) - dx * math.sin(track.heading[best])
